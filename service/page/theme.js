// Before anything is drawn, so that nothing flashes: the theme that was chosen, if one was.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
