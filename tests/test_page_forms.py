"""The page in its forms: light and dark, phone and desktop, by keys alone, large, and heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import photos
import pytest
from browser import drop, heading, shot, until
from served import ready, serving
from visiting import browser, complaints, shop, visit

from catalog import Catalog

__all__ = ["browser", "complaints", "shop", "visit"]

VIEWS = ("ask", "start", "classes", "classes/thing%201", "todo", "accuracy", "history", "jobs")
PHONE = {"viewport": {"width": 360, "height": 740}}
LARGE = {"viewport": {"width": 640, "height": 430}}
"""1,280 pixels at 200 %."""

WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def axe() -> Any:
    """What looks for barriers."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    return module.Axe()


@pytest.fixture
def busy(shop: Catalog) -> Iterator[Any]:
    """A service of a shop that has something to show in each view."""
    for thing in range(6):
        shop.add(f"thing {thing}", photos.shots(thing, 6, first=30))
    shop.move([shop.items("thing 2")[4].id], "thing 5")
    with serving(shop) as running:
        ready(running)
        yield running


def barriers(axe: Any, page: Any) -> list[str]:
    """What axe finds against a page, in words."""
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barriers(busy: Any, visit: Any, axe: Any, scheme: str) -> None:
    """In every view, with answers and in a dialog; and nothing is wider than a phone."""
    for form in ({}, PHONE):
        page = visit(busy, color_scheme=scheme, **form)
        for view in VIEWS:
            page.goto(f"{busy.base_url}/#/{view}")
            page.wait_for_selector("h1")
            page.wait_for_timeout(250)
            assert barriers(axe, page) == [], view
            assert not page.evaluate(WIDER), view
        page.goto(f"{busy.base_url}/#/ask")
        page.wait_for_selector("text=Which one is this?")
        drop(page, shot(1))
        heading(page)
        assert barriers(axe, page) == []
        drop(page, shot(2), ("bad.jpg", b"nothing"))
        page.wait_for_selector("text=3 of 3 answered")
        assert barriers(axe, page) == []
        assert not page.evaluate(WIDER)
        page.click("text=Wrong: it is")
        page.fill("dialog input", "thing")
        page.wait_for_selector("dialog [role=option]")
        page.wait_for_timeout(300)
        assert barriers(axe, page) == []


def test_large(busy: Any, visit: Any) -> None:
    """At 200 % nothing has to be scrolled sideways."""
    page = visit(busy, **LARGE)
    for view in VIEWS:
        page.goto(f"{busy.base_url}/#/{view}")
        page.wait_for_selector("h1")
        page.wait_for_timeout(150)
        assert not page.evaluate(WIDER), view
    page.goto(f"{busy.base_url}/#/ask")
    page.wait_for_selector("text=Which one is this?")
    drop(page, shot(1), shot(2))
    heading(page)
    assert not page.evaluate(WIDER)


def test_by_keys_alone(busy: Any, visit: Any, shop: Catalog) -> None:
    """From the address to a corrected answer and a deleted class, without a mouse."""
    page = visit(busy)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    drop(page, shot(1))  # the file dialog is the system's
    heading(page)
    tab_to(page, "Wrong: it is …")
    page.keyboard.press("Enter")
    page.keyboard.type("thing 4")
    page.wait_for_selector("dialog [role=option] >> text=/^thing 4$/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector(".headline >> text=Corrected")
    tab_to(page, "Classes")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entry")
    tab_to(page, "thing 3", starts=True)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 >> text=thing 3")
    until(page, "document.activeElement.id === 'main'")
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog")
    assert page.evaluate("document.activeElement.innerText") == "Cancel"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=thing 3 is deleted")
    assert "thing 3" not in {row.label for row in shop.labels()}


def test_a_dialog_gives_back(busy: Any, visit: Any) -> None:
    """Escape leaves it, and the focus is where it was."""
    page = visit(busy, "classes/thing%201")
    tab_to(page, "Rename")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.activeElement.innerText") == "Rename"


def test_it_can_be_installed(busy: Any, visit: Any) -> None:
    """The browser finds nothing against it."""
    page = visit(busy)
    session = page.context.new_cdp_session(page)
    assert session.send("Page.getAppManifest")["errors"] == []
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        [{"errorId": "in-incognito", "errorArguments": []}],
    )


def tab_to(page: Any, words: str, *, starts: bool = False) -> None:
    """Go from one thing to the next until one says something."""
    for _ in range(80):
        page.keyboard.press("Tab")
        said = page.evaluate("document.activeElement.innerText ?? ''").strip()
        if said == words or (starts and said.startswith(words)):
            return
    raise AssertionError(f"{words!r} is not reached by Tab")
