"""The page in a browser: from the drop to the answer, and ten thousand classes."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import stand_in
from benchmarks.service import ready, served
from benchmarks.speed import Timing
from catalog import Catalog, Entry, Picture
from catalog.embedder import models
from catalog.embedder.model_cache import Model

_PHOTOS = 40
_CLASSES = 10_000
_PAGE = Path(__file__).resolve().parent.parent / "service" / "page"

_ASK = r"""
async ([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    performance.clearResourceTimings();
    const began = performance.now();
    const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
    const said = () => document.querySelector(".answer[aria-busy=false] .headline h2");
    while (!said()) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);  // it is painted by then
    const took = performance.now() - began;
    const all = performance.getEntriesByType("resource");
    const asked = all.filter((one) => /\/v1\/(predict|nearest)/.test(one.name));
    const first = Math.min(...asked.map((one) => one.startTime));
    const api = Math.max(...asked.map((one) => one.responseEnd)) - first;
    [...document.querySelectorAll("button")].find((one) => one.innerText === "Put it away").click();
    while (said()) await new Promise(requestAnimationFrame);
    return [took, api];
}
"""

_SCROLL = """
async () => {
    const frames = [];
    let last = performance.now();
    const most = document.documentElement.scrollHeight - innerHeight;
    for (let step = 0; step < 180; step += 1) {
        scrollTo(0, (most * step) / 180);
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - last);
        last = performance.now();
    }
    return frames;
}
"""

_SEARCH = """
async (text) => {
    const field = document.querySelector("input[type=search]");
    const began = performance.now();
    const before = document.querySelector("[role=status].hint").innerText;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    const seen = () => document.querySelector("[role=status].hint")?.innerText;
    while (seen() === before) await new Promise(requestAnimationFrame);
    return performance.now() - began;
}
"""


def page(model: Model) -> Iterator[Timing]:
    """All rows.

    Args:
        model: whose descriptors the large catalogue is to have.
    """
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CATALOG_BROWSER") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        folder = Path(place)
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=path, args=options)
        yield _size()
        yield from _asking(browser, folder)
        yield from _many(browser, folder, model)
        browser.close()


def _size() -> Timing:
    files = [
        one for one in _PAGE.rglob("*") if one.is_file() and one.suffix not in {".md", ".LICENSE"}
    ]
    return Timing(
        "all files of the page", f"{sum(one.stat().st_size for one in files) / 1e3:.0f} kB", "", ""
    )


def _asking(browser: Any, folder: Path) -> Iterator[Timing]:
    demo = [sys.executable, "-m", "catalog.cli.demo", "--folder", str(folder / "demo")]
    subprocess.run(demo, check=True, capture_output=True)
    with served(folder / "demo" / "shop.catalog") as (_, address):
        ready(address)
        view = browser.new_page(locale="en-GB")
        view.goto(address)
        view.wait_for_selector("text=Which one is this?")
        photos = sorted((folder / "demo" / "photos").glob("*.jpg"))[: _PHOTOS + 3]
        times = np.array([
            view.evaluate(_ASK, [one.name, base64.b64encode(one.read_bytes()).decode()])
            for one in photos
        ])[3:]  # fmt: skip
        view.close()
    more = times[:, 0] - times[:, 1]
    yield Timing(
        f"from the drop to the answer, {_PHOTOS} photos of the demo",
        f"{np.median(times[:, 0]):.0f} ms, {times[:, 0].max():.0f} at most",
        f"{np.median(times[:, 1]):.0f} ms of it by the service, for both questions",
        "",
    )
    yield Timing(
        "... over what the service takes",
        f"{np.median(more):.0f} ms, {more.max():.0f} at most",
        "",
        "",
    )


def _many(browser: Any, folder: Path, model: Model) -> Iterator[Timing]:
    path = folder / "many.catalog"
    with Catalog.init(path, embedder=stand_in(model)) as made:
        made.import_(Entry(f"class {n}", Picture(f"{n} {n}".encode())) for n in range(_CLASSES))
    with served(path) as (_, address):
        ready(address)
        view = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 800})
        view.goto(f"{address}/#/classes")
        view.wait_for_selector(".entry")
        view.wait_for_timeout(1000)
        frames = np.array(view.evaluate(_SCROLL))
        view.evaluate("scrollTo(0, 0)")
        view.wait_for_timeout(1000)
        found = [view.evaluate(_SEARCH, text) for text in ("9", "99", "999", "99", "class 12")]
        view.close()
    half, most = np.quantile(frames, (0.5, 0.95))
    yield Timing(
        f"{_CLASSES:,} classes, scrolled from end to end in 180 steps",
        f"a frame {half:.0f} ms, {most:.0f} (p95), {frames.max():.0f} at most",
        "16.7 ms, what the screen takes",
        "",
    )
    yield Timing(
        "... searched, from a key to the list",
        f"{np.median(found):.0f} ms, {max(found):.0f} at most",
        "120 ms of it waits for the next key",
        "",
    )


def main() -> None:
    """Print the rows, with the starter network."""
    for row in page(models.starter()):
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
