"""Class names: which are allowed, and when two of them are one."""

from __future__ import annotations

import unicodedata

import pytest
import strategies
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from catalog.descriptors import InvalidLabel
from catalog.store.names import clean_label, label_key

SPACES = " \t\n\r\x0b\x0c\x1c\x85\xa0\u1680\u2003\u2028\u202f\u3000"
GRAVE, DIAERESIS = "\u0300", "\u0308"
DOTLESS_I = "\u0131"
FULL_WIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "FullWidth")

texts = strategies.label_text()


def key_of(name: str) -> str:
    """The key of a name, where it has one."""
    try:
        return label_key(name)
    except InvalidLabel:
        return reject()


@given(texts)
def test_a_clean_name_is_clean(name: str) -> None:
    """What is kept of a name is NFC, without spaces to spare, and cleaned to itself."""
    try:
        clean = clean_label(name)
    except InvalidLabel:
        return
    assert clean_label(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean == " ".join(clean.split())
    assert 0 < len(clean) <= 200


@given(texts)
def test_any_text_is_a_name_or_refused(name: str) -> None:
    """No text makes anything but a key or a refusal."""
    try:
        key = label_key(name)
    except InvalidLabel:
        return
    assert key
    assert key == label_key(clean_label(name))


@given(texts)
def test_a_key_is_its_own_key(name: str) -> None:
    """A name that is spelt as the key of another is the same class."""
    key = key_of(name)
    assert label_key(key) == key


@given(texts, st.text(SPACES, min_size=1, max_size=3), st.text(SPACES, max_size=3))
def test_spacing_makes_no_difference(name: str, inside: str, outside: str) -> None:
    """White space of any sort, of any length and at either end leaves a name what it is."""
    assume(name.strip())
    respaced = outside + inside.join(name.split()) + outside
    try:
        expected = clean_label(name)
    except InvalidLabel:
        with pytest.raises(InvalidLabel):
            clean_label(respaced)
        return
    assert clean_label(respaced) == expected


@given(texts, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_of_unicode_makes_no_difference(name: str, form: str) -> None:
    """A name has one key in all four normal forms."""
    assert key_of(unicodedata.normalize(form, name)) == key_of(name)


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), min_size=1, max_size=20))
def test_latin_case_and_accents_make_no_difference(name: str) -> None:
    """Capitals, small letters and accents of Latin names have one key, but for the dotless i."""
    assume(DOTLESS_I not in name)
    bare = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    accented = "".join(character + GRAVE + DIAERESIS for character in name)
    assert len({label_key(v) for v in (name, name.upper(), name.lower(), bare, accented)}) == 1


@pytest.mark.parametrize("name", ["", " ", "\t\n", SPACES])
def test_refuses_an_empty_name(name: str) -> None:
    """A name of nothing but white space is refused as empty."""
    for function in (clean_label, label_key):
        with pytest.raises(InvalidLabel, match="empty"):
            function(name)


@pytest.mark.parametrize("name", [GRAVE, f"{GRAVE} {DIAERESIS}", "\u00a8"])
def test_refuses_accents_alone(name: str) -> None:
    """A name of nothing but accents is refused, since nothing would tell it from another."""
    with pytest.raises(InvalidLabel, match="accents"):
        label_key(name)


@pytest.mark.parametrize(
    "name", ["a\0b", "\x07", "a\x1b[31m", "\x7f", "a\x80", "\ud800", "a\udfff"]
)
def test_refuses_what_cannot_be_shown(name: str) -> None:
    """Control characters, terminal escapes and halves of surrogate pairs are refused."""
    for function in (clean_label, label_key):
        with pytest.raises(InvalidLabel, match="cannot be shown"):
            function(name)


def test_refuses_a_name_too_long() -> None:
    """200 characters are a name and 201 are not, counted after composing and trimming."""
    assert clean_label("é" * 200) == "é" * 200
    assert clean_label("  " + "e\u0301" * 200 + "  ") == "é" * 200
    with pytest.raises(InvalidLabel, match="at most 200 characters, not 201"):
        clean_label("é" * 201)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "CAFE"),
        ("Café", "Cafe\u0301"),
        ("Crème Brûlée", "creme  brulee"),
        ("Straße", "STRASSE"),
        ("ẞ", "ss"),
        ("Σίσυφος", "ΣΙΣΥΦΟΣ"),
        ("İstanbul", "istanbul"),
        (FULL_WIDTH, "fullwidth"),
        ("ﬁne", "FINE"),
        ("m²", "M2"),
        ("\u2102at", "cat"),
        ("각", "\u1100\u1161\u11a8"),
        ("Å", "\u212b"),
        ("Ǆ", "ǆ"),
        ("Ёлка", "елка"),
        ("hot\u00a0dog", "hot dog"),
    ],
)
def test_names_that_are_one(one: str, other: str) -> None:
    """Names that differ only by case, accents, spacing or width have one key."""
    assert label_key(one) == label_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("apple", "apples"),
        ("ab", "a b"),
        (DOTLESS_I, "i"),
        ("각", "간"),
        ("☕", "🍵"),
        ("👍🏽", "👍🏿"),
        ("שלום", "שלומ"),
        ("c++", "c"),
        ("1", "one"),
        ("o", "ø"),
    ],
)
def test_names_that_are_two(one: str, other: str) -> None:
    """Names that differ by a letter, a sign or a space inside have two keys."""
    assert label_key(one) != label_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ハス", "バス"), ("ハス", "パス"), ("かき", "がき"), ("เสือ", "เสื้อ"), ("कया", "क्या")],
    ids=["lotus, bus", "lotus, pass", "oyster, kid", "tiger, shirt", "virama"],
)
def test_marks_that_are_no_accents_tell_names_apart(one: str, other: str) -> None:
    """Voicing marks of kana, tone marks of Thai and viramas make other words, so other classes."""
    assert label_key(one) != label_key(other)


@pytest.mark.parametrize("name", ["שלום", "مرحبا", "日本酒", "👩‍🔬 kit", "\u200frtl", "🇩🇪", "Ⅷ"])
def test_any_script_may_name_a_class(name: str) -> None:
    """Right-to-left scripts, ideographs and emoji are kept as they were written."""
    assert clean_label(name) == name
    assert label_key(name)
