"""Which class names are allowed, and when two of them are the same."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from catalog.descriptors import InvalidLabel

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Name:
    """A class name as it is kept, and the key by which classes are told apart.

    It is made once, of what a user gave, and handed on; see :func:`clean_label` and
    :func:`label_key`.
    """

    text: str
    key: str

    @classmethod
    def parse(cls, given: str) -> Name:
        """Take a name as a user gave it.

        Raises:
            InvalidLabel: that cannot be a name.
        """
        text = clean_label(given)
        return cls(text, label_key(text))

    def __str__(self) -> str:
        return self.text


def clean_label(name: str) -> str:
    """The form in which a class name is kept: NFC, white space folded and trimmed.

    Raises:
        InvalidLabel: the name is empty, over 200 characters, shows nothing, or holds control
            characters or half of a surrogate pair.
    """
    folded = " ".join(unicodedata.normalize("NFC", name).split())
    if not folded:
        raise InvalidLabel("a class needs a name; this one is empty")
    if len(folded) > _LONGEST:
        raise InvalidLabel(f"a class name has at most {_LONGEST} characters, not {len(folded)}")
    categories = {unicodedata.category(character) for character in folded}
    if categories & {"Cc", "Cs"}:
        raise InvalidLabel(f"{folded!r} holds characters that cannot be shown")
    if categories <= {"Cf", "Mn", "Me", "Zs"}:
        raise InvalidLabel(f"{folded!r} is made of accents alone, or shows nothing")
    return folded


def label_key(name: str) -> str:
    """What the spellings of one class have in common: they differ by case or spacing alone.

    Classes are told apart by this key: canonical caseless matching (Unicode 3.13, D145), of names
    that are clean. Accents and letters of another width tell classes apart, as they tell words.

    Raises:
        InvalidLabel: as for :func:`clean_label`.
    """
    folded = unicodedata.normalize("NFD", clean_label(name)).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).casefold())


@lru_cache(maxsize=2**16)
def likeness(name: str) -> str:
    """What two names have in common that look alike: that differ by accents, width or the like.

    Such classes may well be two (``Dưa`` and ``Dừa``, a melon and a coconut), or be meant as one.
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(character for character in decomposed if not _is_ornament(character))
    return " ".join(unicodedata.normalize("NFKC", bare.casefold()).split())


def _is_ornament(character: str) -> bool:
    """Whether a character is an accent, or shows nothing.

    Marks of combining class 200 and above sit around a letter as accents do. Those below are part
    of the writing: the voicing marks of Japanese, the tone marks of Thai, the viramas of India.
    """
    return unicodedata.combining(character) >= 200 or unicodedata.category(character) == "Cf"
