"""Results as plain values, of which JSON is made: the same for the command and for HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from catalog.descriptors.advice import Advice, Wording
from catalog.text import written


def plain(value: Any, wording: Wording) -> Any:
    """Turn a result into dictionaries, lists and scalars.

    Args:
        value: dataclasses become dictionaries, arrays and tuples lists, and paths texts.
        wording: in which advice is given.
    """
    if isinstance(value, int | float) or value is None:
        return value
    if isinstance(value, Advice):
        value = value.worded(wording)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name), wording) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {written(str(name)): plain(part, wording) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, wording) for part in value]
    return value.tolist() if hasattr(value, "tolist") else written(str(value))


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))
