"""Pictures that were sent, in what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from catalog import Added, Picture
from catalog.descriptors import CatalogError
from catalog.embedder import content_hash
from catalog.service.advice import said
from catalog.service.bodies import Given
from catalog.service.problems import Refused
from catalog.service.running import Service

_Result = TypeVar("_Result", bound=Any)


def named_again(result: _Result, given: Sequence[Given]) -> _Result:
    """A result whose refused pictures are called what the client called them."""
    if not result.refused:
        return result
    names = {
        content_hash(one.asked.source, one.asked.box).hex(): one.name
        for one in given
        if isinstance(one.asked, Picture) and isinstance(one.asked.source, bytes)
    }
    refused = tuple(replace(one, place=names.get(one.content or "")) for one in result.refused)
    return replace(result, refused=refused)


def require_some(service: Service, added: Added, given: Sequence[Given]) -> None:
    """Make sure that a picture was taken, and count those that were not.

    Raises:
        Refused: every one was refused.
    """
    for one in added.refused:
        service.metrics.refused(one.reason)
    if added.refused and not (added.added or added.known or added.moved):
        refused = named_again(added, given).refused
        status, kind = 422, "picture-error"
        if all(one.reason == "conflict" for one in added.refused):
            status, kind = 409, "conflict"
        first = said(CatalogError(refused[0].detail, refused[0].advice))
        raise Refused(status, kind, f"no picture was taken: {first}", refused=refused)
