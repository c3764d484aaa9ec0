"""The recipe of the pictures that the documentation shows: of the page, and of the demo.

A shop of drawn records is made and served, and each part of the page is photographed in four forms:
light and dark, desktop and phone; so is what the demo says. It takes Chromium. To make them all::

    python -m recipes.screenshots
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from catalog import Catalog, read_manifest
from catalog.data import covers
from catalog.data.covers.canvas import Pixels

DOCS: Final = Path(__file__).resolve().parent.parent / "docs" / "images"
IMAGES: Final = DOCS / "page"
RECORDS: Final = 36
SHOTS: Final = 6
UNKNOWN: Final = (300, 301)
"""Records that the shop does not have, of which photos were kept."""

FORMS: Final[dict[str, dict[str, Any]]] = {
    "light-desktop": {"viewport": {"width": 1280, "height": 800}},
    "dark-desktop": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "light-phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 1.5},
    "dark-phone": {
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 1.5,
        "color_scheme": "dark",
    },
}

Steps = Callable[[Any], object]


def main() -> None:
    """Make the shop, and take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shop = _made(folder)
        asked = [_written(folder / f"photo {n + 1}.jpg", covers.photo(n, 40)) for n in range(9)]
        with (
            _served(shop, folder) as address,
            sync_playwright() as driver,
            _browser(driver) as browser,
        ):
            _measure(browser, address, folder)
            for form, options in FORMS.items():
                for view, steps in _views(asked).items():
                    page = browser.new_context(locale="en-GB", **options).new_page()
                    page.goto(f"{address}/#/{view.split(':')[0]}")
                    page.wait_for_selector("h1")
                    steps(page)
                    page.wait_for_timeout(900)
                    _save(page.screenshot(), IMAGES / f"{view.split(':')[-1]}-{form}.webp")
                    page.context.close()
    with tempfile.TemporaryDirectory() as scratch:
        _start(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        _demo(Path(scratch))


def _views(asked: list[Path]) -> dict[str, Steps]:
    """What is photographed: the view and a name for it, and what is done there first."""

    def ask(count: int) -> Steps:
        def steps(page: Any) -> None:
            page.set_input_files("input[type=file] >> nth=0", [str(one) for one in asked[:count]])
            page.wait_for_selector(".answer[aria-busy=false] .headline h2")
            if count > 1:
                page.wait_for_selector(f"text={count} of {count} answered")

        return steps

    def wait(selector: str) -> Steps:
        return lambda page: page.wait_for_selector(selector)

    return {
        "ask:ask": ask(1),
        "ask:many": ask(9),
        "classes:classes": wait(".entry img"),
        "todo:todo": wait(".task"),
        "accuracy:accuracy": wait(".figures"),
        "history:history": wait(".history li"),
        "jobs:jobs": wait(".job"),
    }


def _made(folder: Path) -> Path:
    """A shop with a few photos of each record, and things to do."""
    path = folder / "shop.catalog"
    tree = folder / "photos"
    for number in range(RECORDS):
        for shot in range(SHOTS):
            _written(tree / covers.title(number) / f"{shot}.jpg", covers.photo(number, shot))
        for shot in (20, 21):
            test = folder / "kept for measuring" / covers.title(number) / f"{shot}.jpg"
            _written(test, covers.photo(number, shot))
    with Catalog.init(path, backbone="starter", thumbnails=True) as shop:
        entries = read_manifest(tree).entries
        shop.import_([replace(one, group=f"day {at % SHOTS}") for at, one in enumerate(entries)])
        for wrong, right in ((3, 8), (11, 5)):
            item = shop.items(covers.title(wrong))[1].id
            shop.move([item], covers.title(right))
        shop.rename_class(covers.title(30), f"{covers.title(30)} (mono)")
        kept = [covers.photo(number, shot) for number in UNKNOWN for shot in range(4)]
        shop.predict_many(kept, keep_unknown=True)
    return path


def _measure(browser: Any, address: str, folder: Path) -> None:
    """Have an evaluation and a sync done, to have something to show."""
    page = browser.new_page()
    page.goto(f"{address}/#/accuracy")
    page.fill(".begin input", str(folder / "kept for measuring"))
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector(".result", timeout=120_000)
    page.goto(f"{address}/#/jobs")
    page.select_option(".begin select", "sync")
    page.fill(".begin input", str(folder / "photos"))
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector(".job.done h2 >> text=Keep in step", timeout=120_000)
    page.close()


def _start(folder: Path) -> None:
    """The beginning, of an empty catalogue."""
    path = folder / "empty.catalog"
    Catalog.init(path, backbone="starter", thumbnails=True).close()
    with (
        _served(path, folder) as address,
        sync_playwright() as driver,
        _browser(driver) as browser,
    ):
        for form, options in FORMS.items():
            page = browser.new_context(locale="en-GB", **options).new_page()
            page.goto(address)
            page.wait_for_selector(".slot")
            page.wait_for_timeout(400)
            _save(page.screenshot(), IMAGES / f"start-{form}.webp")
            page.context.close()


def _demo(folder: Path) -> None:
    """What the demo says in a terminal, in a checkout that is called as the project is."""
    command = [sys.executable, "-P", "-m", "catalog.cli.demo"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603
    said = done.stdout.replace(str(Path(sys.executable).parent), ".venv/bin")
    said = said.replace(str(folder.resolve()), "catalog")
    style = (
        "margin: 0; padding: 20px 26px; background: #15181d; color: #d8dbe0; "
        "font: 15px/1.45 'DejaVu Sans Mono', monospace; width: fit-content"
    )
    first = '<span style="color: #8fd694">$ make demo</span>'
    with sync_playwright() as driver, _browser(driver) as browser:
        page = browser.new_page()
        page.set_content(f'<pre style="{style}">{first}\n{html.escape(said)}</pre>')
        page.locator("pre").screenshot(path=str(DOCS / "demo.png"))


@contextmanager
def _served(path: Path, folder: Path) -> Iterator[str]:
    """The address of a service of a catalogue."""
    command = [
        *(str(Path(sys.executable).with_name("catalog")), "serve", "--port", "0"),
        *("--catalog", str(path), "--allow", str(folder), "--log", "error"),
    ]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert running.stderr is not None  # noqa: S101
        for line in running.stderr:
            if found := re.search(r"serving at (http://\S+);", line):
                yield found[1]
                break
    finally:
        running.terminate()
        running.communicate()


@contextmanager
def _browser(driver: Any) -> Iterator[Any]:
    path = os.environ.get("CATALOG_BROWSER") or shutil.which("chromium")
    browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
    try:
        yield browser
    finally:
        browser.close()


def _written(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes())
    return path


def _save(png: bytes, path: Path) -> None:
    pixels = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
    path.write_bytes(cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes())


if __name__ == "__main__":
    main()
