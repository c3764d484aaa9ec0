"""A real browser on a real service: Chromium, driven by Playwright."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import photos
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # in containers, where tests run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

DROP = """
([files, events]) => {
    const transfer = new DataTransfer();
    for (const [name, kind, content] of files) {
        const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: kind }));
    }
    const data = { dataTransfer: transfer, clipboardData: transfer };
    const options = { ...data, bubbles: true, cancelable: true };
    for (const name of events) {
        const kind = name === "paste" ? ClipboardEvent : DragEvent;
        document.body.dispatchEvent(new kind(name, options));
    }
}
"""


def executable() -> str | None:
    """The path of a Chromium: ``CATALOG_BROWSER``, or the first that is installed."""
    named = os.environ.get("CATALOG_BROWSER")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; a test that needs one skips where there is none."""
    path = executable()
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium, or set CATALOG_BROWSER")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Complaints(list[str]):
    """What the browser has complained about: errors of the page, and of what it may not do."""

    def watch(self, page: Any) -> None:
        """Note what a page complains about from now on."""
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        # A picture that there is not, a problem of the service: the page says those itself.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.append(message.text)


def drop(
    page: Any,
    *files: tuple[str, bytes],
    kind: str = "image/jpeg",
    events: Sequence[str] = ("dragenter", "dragover", "drop"),
) -> None:
    """Drop files on a page, as a hand would, or paste them."""
    packed = [[name, kind, base64.b64encode(content).decode()] for name, content in files]
    page.evaluate(DROP, [packed, list(events)])


def given(*files: tuple[str, bytes], kind: str = "image/jpeg") -> list[Any]:
    """Files as a field for them takes them."""
    return [{"name": name, "mimeType": kind, "buffer": content} for name, content in files]


def choose(page: Any, files: Sequence[tuple[str, bytes]], kind: str = "image/jpeg") -> None:
    """Choose files by the first field for them."""
    page.locator("input[type=file]").first.set_input_files(given(*files, kind=kind))


def until(page: Any, expression: str) -> None:
    """Wait until something holds; the page itself may not evaluate texts."""
    end = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def heading(page: Any) -> str:
    """What the answer says, once there is one."""
    return str(page.locator(".answer[aria-busy=false] .headline h2").inner_text())


def shot(thing: int, number: int = 9) -> tuple[str, bytes]:
    """A photo that nobody has seen, under a name."""
    return f"shot {thing} {number}.jpg", photos.photo(thing, number)
