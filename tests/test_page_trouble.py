"""The page in trouble: a service that is away, keys, hostile names, wrong addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import photos
import pytest
from browser import drop, heading, shot
from served import bearer, ready, serving
from visiting import browser, client, complaints, shop, visit

from catalog import Catalog
from catalog.service.keys import add_key

__all__ = ["browser", "client", "complaints", "shop", "visit"]

HOSTILE = '<img src=x onerror="window.hacked = true">'
VECTOR = b"""<svg xmlns="http://www.w3.org/2000/svg" onload="window.hacked = true"><script>
window.hacked = true</script></svg>"""


class TestTrouble:
    """What may go wrong."""

    def test_the_service_is_restarted(self, shop: Catalog, visit: Any) -> None:
        """The page says that it is away, and goes on when it is back."""
        with serving(shop) as client:
            ready(client)
            port = client.base_url.port
            page = visit(client)
        drop(page, shot(1))
        page.wait_for_selector("text=cannot be reached")
        with serving(shop, at=port) as client:
            ready(client)
            assert "thing 1" in heading(page)
            page.wait_for_selector(".lost", state="detached")

    def test_a_key_is_asked_for(self, shop: Catalog, visit: Any, tmp_path: Path) -> None:
        """Nothing is shown without one; a wrong one is told; the right one is kept."""
        keys = tmp_path / "keys.txt"
        key = add_key(keys, "till", "write")
        with serving(shop, keys=keys) as client:
            page = visit(client, "classes")
            page.wait_for_selector("text=A key is needed")
            for _ in range(3):
                page.keyboard.press("Escape")
            assert "thing" not in page.inner_text("body")
            page.fill("dialog input", "wrong")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=not known")
            page.fill("dialog input", f"{key}\u200b")  # as it may come from a message
            page.keyboard.press("Enter")
            page.wait_for_selector("text=6 classes")
            page.reload()
            page.wait_for_selector("text=6 classes")
            assert client.get("/v1/classes", headers=bearer(key)).status_code == 200

    @pytest.mark.parametrize("view", ["classes", "ask", "todo", "history"])
    def test_hostile_names(self, shop: Catalog, visit: Any, view: str) -> None:
        """A class, a file and a picture that would run something run nothing."""
        shop.rename_class("thing 1", HOSTILE)
        with serving(shop) as client:
            ready(client)
            page = visit(client, view)
            if view == "ask":
                drop(page, (f"{HOSTILE}.jpg", photos.photo(1, 9)))
                assert HOSTILE in heading(page)
                drop(page, ("vector.svg", VECTOR), kind="image/svg+xml")
                page.wait_for_selector("text=2 of 2 answered")
                page.locator(".list li").nth(1).click()
                page.wait_for_selector(".refused")
            if view == "classes":
                page.locator(".entry", has_text="onerror").click()
                page.wait_for_selector("h1 >> text=onerror")
            page.wait_for_timeout(300)
            assert page.evaluate("window.hacked") is None

    def test_a_wrong_address(self, client: Any, visit: Any) -> None:
        """Typed by hand, it leads somewhere; a class that is not there is told."""
        page = visit(client, "nowhere")
        page.wait_for_selector("text=Which one is this?")
        page = visit(client, "classes/%E0%A4%A")
        page.wait_for_selector(".trouble")

    def test_another_language(self, client: Any, visit: Any) -> None:
        """As the browser asks for it, and as the reader chooses."""
        page = visit(client)
        page.click("text=Settings")
        page.select_option("dialog select >> nth=0", "de")
        page.wait_for_selector("text=Welches ist das?")
        assert page.evaluate("document.documentElement.lang") == "de"
        assert not re.search(r"\b[a-z]+\.[a-z]+\b", page.inner_text("main"))  # no bare key
