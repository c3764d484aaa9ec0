"""Class names: which are allowed, and when two of them are one."""

from __future__ import annotations

import unicodedata

import pytest
import strategies
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from catalog.descriptors import InvalidLabel
from catalog.store.names import clean_label, label_key, likeness

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


@given(texts, st.sampled_from(["NFC", "NFD"]))
def test_the_form_of_unicode_makes_no_difference(name: str, form: str) -> None:
    """A name has one key whether its accents are written as letters or beside them."""
    assert key_of(unicodedata.normalize(form, name)) == key_of(name)


@given(texts, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_one_name_in_all_forms_looks_the_same(name: str, form: str) -> None:
    """Names that Unicode takes for variants of each other are alike."""
    assert likeness(unicodedata.normalize(form, name)) == likeness(name)


@given(texts)
def test_spellings_of_one_class_look_alike(name: str) -> None:
    """What has one key is alike, so that a class is never merely alike to itself."""
    key = key_of(name)
    assert likeness(key) == likeness(name)
    assert label_key(name.upper()) != key or likeness(name.upper()) == likeness(name)


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), min_size=1, max_size=20))
def test_latin_case_makes_no_difference_and_accents_do(name: str) -> None:
    """Capitals and small letters of Latin names have one key; one more accent makes another."""
    assume(DOTLESS_I not in name)
    assert label_key(name.upper()) == label_key(name.upper().lower())
    accented = "".join(character + GRAVE + DIAERESIS for character in name)
    assert label_key(accented) != label_key(name)
    assert likeness(accented) == likeness(name)


@pytest.mark.parametrize("name", ["", " ", "\t\n", SPACES])
def test_refuses_an_empty_name(name: str) -> None:
    """A name of nothing but white space is refused as empty."""
    for function in (clean_label, label_key):
        with pytest.raises(InvalidLabel, match="empty"):
            function(name)


@pytest.mark.parametrize("name", [GRAVE, f"{GRAVE} {DIAERESIS}", "\u200b", "\ufeff\u200d"])
def test_refuses_what_shows_nothing(name: str) -> None:
    """A name of nothing but accents or invisible characters is refused: none could be read."""
    for function in (clean_label, label_key):
        with pytest.raises(InvalidLabel, match="accents alone, or shows nothing"):
            function(name)


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
        ("Café", "CAFÉ"),
        ("Café", "Cafe\u0301"),
        ("Crème Brûlée", "crème  brûlée"),
        ("Straße", "STRASSE"),
        ("ẞ", "ss"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ﬁne", "FINE"),
        ("각", "\u1100\u1161\u11a8"),
        ("Å", "\u212b"),
        ("Ǆ", "ǆ"),
        ("Ёлка", "ёлка"),
        ("hot\u00a0dog", "hot dog"),
    ],
)
def test_names_that_are_one(one: str, other: str) -> None:
    """Names that differ only by case or spacing have one key."""
    assert label_key(one) == label_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dưa", "Dừa"),
        ("Dưa", "Dứa"),
        ("Dừa", "Dứa"),
        ("край", "краи"),
        ("Hår", "Har"),
        ("H2O", "H₂O"),
        ("m²", "m2"),
        ("Café", "Cafe"),
        ("Σίσυφος", "ΣΙΣΥΦΟΣ"),
        ("İstanbul", "istanbul"),
        (FULL_WIDTH, "fullwidth"),
        ("\u2102at", "cat"),
        ("Ёлка", "елка"),
        ("Mug", "Mug\u200b"),
    ],
)
def test_names_that_are_alike(one: str, other: str) -> None:
    """Names that differ by accents, width or what shows nothing are two, and look alike."""
    assert label_key(one) != label_key(other)
    assert likeness(one) == likeness(other)


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
    """Names that differ by a letter, a sign or a space inside have two keys, and look different."""
    assert label_key(one) != label_key(other)
    assert likeness(one) != likeness(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ハス", "バス"), ("ハス", "パス"), ("かき", "がき"), ("เสือ", "เสื้อ"), ("कया", "क्या")],
    ids=["lotus, bus", "lotus, pass", "oyster, kid", "tiger, shirt", "virama"],
)
def test_marks_that_are_no_accents_tell_names_apart(one: str, other: str) -> None:
    """Voicing marks of kana, tone marks of Thai and viramas make other words, so other classes."""
    assert label_key(one) != label_key(other)
    assert likeness(one) != likeness(other)


@pytest.mark.parametrize("name", ["שלום", "مرحبا", "日本酒", "👩‍🔬 kit", "\u200frtl", "🇩🇪", "Ⅷ"])
def test_any_script_may_name_a_class(name: str) -> None:
    """Right-to-left scripts, ideographs and emoji are kept as they were written."""
    assert clean_label(name) == name
    assert label_key(name)
