"""The files of the page: its words, its size, who may have it, and what it may load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import filled, serving

from catalog.service.keys import add_key
from catalog.service.routes.page import _POLICY

PAGE = Path(__file__).resolve().parent.parent / "service" / "page"
MOST_BYTES = 250_000
OWN = [file for file in sorted(PAGE.rglob("*.js")) if "vendor" not in file.parts]
LANGUAGES = sorted(file.stem for file in (PAGE / "words").glob("*.json"))

UNSAFE = r"innerHTML|outerHTML|insertAdjacentHTML|dangerously|document\.write|\beval\(|new Function"

BEGINNINGS = (
    *("verdict.", "says.", "said.", "naming.", "witness.", "way.", "theme.", "needs.", "event."),
    *("job.", "jobs.why.", "state.", "outcome.", "start.example.", "problem.", "refused."),
)
"""Keys of words that are put together from what the service says."""


def words(language: str) -> dict[str, Any]:
    """The words of a language."""
    found: dict[str, Any] = json.loads((PAGE / "words" / f"{language}.json").read_text("utf-8"))
    return found


def places(sentence: Any) -> set[str]:
    """The places for values in a sentence, in any of its forms."""
    forms = [sentence] if isinstance(sentence, str) else sentence.values()
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a service that asks for keys, without one."""
    keys = tmp_path / "keys.txt"
    add_key(keys, "till", "read")
    with filled(tmp_path / "shop.catalog") as shop, serving(shop, keys=keys) as running:
        yield running


def test_languages_say_the_same() -> None:
    """Every language has every sentence, with the same places for values."""
    assert len(LANGUAGES) >= 2
    first = words("en")
    for language in LANGUAGES:
        other = words(language)
        assert list(other) == list(first), language
        for key, sentence in first.items():
            assert places(other[key]) == places(sentence), (language, key)
            assert isinstance(sentence, str) or set(other[key]) == {"one", "other"}


def test_every_word_is_there_and_used() -> None:
    """What the page says has words, and there are no others."""
    text = "\n".join(file.read_text() for file in OWN)
    there = set(words("en"))
    asked = set(re.findall(r"\bt\(\s*\"([\w .-]+)\"", text))
    asked |= {
        key
        for pair in re.findall(r"\bt\([^()\"]*\? \"([\w .-]+)\" : \"([\w .-]+)\"", text)
        for key in pair
    }
    assert asked <= there
    chained = set(re.findall(r"\"([\w.-]+)\"", text)) & there
    made_up = {key for key in there if any(key.startswith(one) for one in BEGINNINGS)}
    assert there - asked - chained - made_up == set()


def test_it_is_small() -> None:
    """All that a browser may load of it, in every language."""
    files = [one for one in PAGE.rglob("*") if one.suffix not in {".md", ".LICENSE", ""}]
    assert sum(one.stat().st_size for one in files if one.is_file()) <= MOST_BYTES


def test_it_is_whole() -> None:
    """Every module that is imported is there, and loads nothing from elsewhere."""
    for file in sorted(PAGE.rglob("*.js")):
        text = file.read_text()
        for name in re.findall(r"\bfrom\s*\"([^\"]+)\"", text):
            assert name.startswith("."), (file, name)
            assert (file.parent / name).is_file(), (file, name)
    for file in (*OWN, PAGE / "index.html", PAGE / "style.css"):
        assert not re.search(r"https?://(?!www\.w3\.org/)", file.read_text()), file


def test_nothing_unescaped() -> None:
    """No module makes elements of texts, runs texts, or keeps handlers in attributes."""
    for file in OWN:
        assert not re.search(
            UNSAFE,
            file.read_text(),
        ), file
    assert "unsafe" not in _POLICY
    assert not re.search(r"\son\w+=|<style|style=", (PAGE / "index.html").read_text())


def test_without_a_key(client: httpx.Client) -> None:
    """The page itself is anyone's, from wherever the way to it leads; what it asks for is not."""
    elsewhere = {"sec-fetch-site": "cross-site", "host": "shop.example"}
    for path in ("/", "/page/app.js", "/page/words/de.json", "/page/icon-192.png"):
        found = client.get(path, headers=elsewhere)
        assert found.status_code == 200
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        assert client.get(path, headers={"if-none-match": found.headers["etag"]}).status_code == 304
        assert client.post(path).status_code == 405
    assert client.get("/v1/classes").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/nothing.js",
        "/page/../service/keys.py",
        "/page/..%2Fkeys.py",
        "/page/%2Fetc%2Fpasswd",
        "/page/vendor/README.md",
        "/page/words",
        "/page//app.js",
    ],
)
def test_nothing_else(client: httpx.Client, path: str) -> None:
    """Only the page's own files are given, by their names."""
    assert client.get(path).status_code in {401, 404}
