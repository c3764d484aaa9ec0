// Before anything is drawn, so that nothing flashes: the theme that was chosen, if one was.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
} catch {
  document.documentElement.dataset.theme = "auto"; // a window that keeps nothing
}
