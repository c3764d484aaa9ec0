"""Fixtures of tests that open the page in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Complaints, chromium
from served import filled, ready, serving

from catalog import Catalog


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a file."""
    with chromium() as found:
        yield found


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """What the browser complains about, which is nothing."""
    found = Complaints()
    yield found
    assert found == []


@pytest.fixture
def visit(browser: Any, complaints: Complaints) -> Iterator[Callable[..., Any]]:
    """Opens a view of a service's page in a fresh profile."""
    contexts = []

    def open_at(client: Any, view: str = "ask", **options: Any) -> Any:
        context = browser.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        complaints.watch(page)
        page.goto(f"{client.base_url}/#/{view}")
        page.wait_for_selector("h1")
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """Six classes of three photos."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def client(shop: Catalog) -> Iterator[Any]:
    """A service of the shop."""
    with serving(shop) as running:
        ready(running)
        yield running
