"""Results as plain values, of which JSON is made: the same for the command and for HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from catalog.descriptors.advice import Advice, Wording
from catalog.text import written

_AS_THEY_ARE: Final = frozenset({bool, float, int, type(None)})


def plain(value: Any, wording: Wording) -> Any:
    """Turn a result into dictionaries, lists and scalars.

    Args:
        value: dataclasses become dictionaries, arrays and tuples lists, and paths texts.
        wording: in which advice is given.
    """
    kind: Any = type(value)
    if kind in _AS_THEY_ARE or (kind is str and value.isascii()):  # most of what there is
        return value
    if names := _names(kind):
        return {name: plain(getattr(value, name), wording) for name in names}
    if isinstance(value, list | tuple):
        return [plain(part, wording) for part in value]
    return _other(value, wording)


def _other(value: Any, wording: Wording) -> Any:
    if isinstance(value, Advice):
        return written(value.worded(wording))
    if isinstance(value, Mapping):
        return {written(str(name)): plain(part, wording) for name, part in value.items()}
    if isinstance(value, int | float):
        return value
    return value.tolist() if hasattr(value, "tolist") else written(str(value))


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class; none where it is no dataclass, or advice, which is worded."""
    if kind is Advice or not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind))
