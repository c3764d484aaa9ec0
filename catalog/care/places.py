"""Places where pictures were found, and are no longer.

What is learnt of a picture does not depend on its file, so nothing is wrong where that is gone. But
a place that leads nowhere, or to another picture, is of no use to whoever wants to see the item.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from catalog.descriptors import Advice, Conflict, PictureError
from catalog.learning.opened import Opened
from catalog.manifest.pictures import Progress, counted, hold, picture_at
from catalog.store import ItemId, inventory
from catalog.store.inventory import Place

State: TypeAlias = Literal["there", "gone", "another"]

_MOST_GONE = 0.5  # of all places; more look like a disk that is not mounted


@dataclass(frozen=True, slots=True)
class ForgottenPlaces:
    """What came of forgetting places.

    Attributes:
        checked: how many places were looked at.
        gone: those where nothing lies any more.
        another: those where another picture lies by now.
        items: how many items have no place left.
    """

    checked: int
    gone: tuple[str, ...]
    another: tuple[str, ...]
    items: int


class _Found(NamedTuple):
    item: ItemId
    content: bytes
    place: Place


def forget_places(
    catalog: Opened,
    *,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ForgottenPlaces:
    """Forget places where nothing lies any more, or another picture than the one that was learnt.

    A file of the size and time that it had when it was read is taken for the same; any other is
    read. Items stay, and so does what was learnt of them. Cannot be undone.

    Args:
        dry_run: only say which places these are.
        force: also if more than half of all places are gone, as where a disk is not mounted.
        progress: told of each place.

    Raises:
        Conflict: so many are gone, and it was not forced.
    """
    with catalog._store.reading() as tx:
        places = inventory.all_places(tx)
        contents = inventory.contents(tx, list(places))
    found = [_Found(item, contents[item], place) for item in places for place in places[item]]
    states = list(counted(map(_state, found), progress))
    lost = [(one, state) for one, state in zip(found, states, strict=True) if state != "there"]
    gone = tuple(one.place.path for one, state in lost if state == "gone")
    if len(gone) > _MOST_GONE * len(found) and not (force or dry_run):
        raise Conflict(
            f"at {len(gone)} of {len(found)} places nothing lies any more, such as {gone[0]}: is a "
            "disk not mounted?",
            Advice("force"),
        )
    left = {one.item for one, state in zip(found, states, strict=True) if state == "there"}
    if lost and not dry_run:
        with catalog._store.writing() as tx:
            inventory.drop_sources(tx, [(one.item, one.place.path) for one, _ in lost])
    another = tuple(one.place.path for one, state in lost if state == "another")
    return ForgottenPlaces(len(found), gone, another, len({one.item for one, _ in lost} - left))


def gone_places(places: Mapping[ItemId, Iterable[Place]]) -> tuple[str, ...]:
    """Those of some places where nothing lies any more, sorted; not to be asked in a transaction.

    Args:
        places: of items, as :func:`inventory.all_places` gives them.
    """
    paths = sorted(place.path for own in places.values() for place in own)
    return tuple(path for path in paths if _is_gone(path))


def _state(found: _Found) -> State:
    if _is_gone(found.place.path):
        return "gone"
    picture = picture_at(found.place.path)
    try:
        status = os.stat(os.fspath(picture.source))  # type: ignore[arg-type]  # noqa: PTH116
        if (status.st_size, status.st_mtime_ns) == found.place[1:]:
            return "there"
        return "there" if hold(picture).content == found.content else "another"
    except (OSError, PictureError):  # it may be read by others, or again tomorrow
        return "there"


def _is_gone(place: str) -> bool:
    """Whether nothing lies at a place; not where that cannot be told."""
    try:
        os.lstat(os.fspath(picture_at(place).source))  # type: ignore[arg-type]
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False
