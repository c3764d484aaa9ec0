"""Pictures whose class is known, embedded so that a catalogue can be asked about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from catalog.descriptors import InvalidInput, InvalidLabel, PictureError
from catalog.embedder import Embedder, Picture
from catalog.manifest import Entry, Listing
from catalog.manifest.pictures import Progress, Refusal, counted, hold, place_of
from catalog.reports.scoring import Query
from catalog.store.names import label_key


@dataclass(slots=True)
class Gathered:
    """What :func:`gather` made of a listing.

    Attributes:
        queries: the pictures that can be evaluated.
        strangers: pictures of classes that the catalogue does not have.
        in_catalogue: how many of them are items of the catalogue.
        not_in_catalogue: pictures of classes that the catalogue does not have, by class.
        refused: pictures and folders that could not be read.
    """

    queries: list[Query] = field(default_factory=list)
    strangers: list[Query] = field(default_factory=list)
    in_catalogue: int = 0
    not_in_catalogue: dict[str, int] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)


def gather(
    embedder: Embedder,
    listing: Listing,
    names: Mapping[str, str],
    holds: Callable[[bytes], bool],
    progress: Progress | None,
) -> Gathered:
    """Embed the pictures of a listing; nothing is stored.

    Args:
        embedder: of the catalogue.
        listing: pictures with their classes.
        names: label key -> name, of the catalogue's classes.
        holds: whether a content hash is that of an item.
        progress: told of each picture.

    Raises:
        InvalidInput: none of the pictures can be evaluated.
    """
    found = Gathered(
        refused=[
            *(Refusal(str(f), "unreadable", "cannot be read") for f in listing.unread),
            *(Refusal(row.place, "manifest", row.detail) for row in listing.bad_rows),
        ]
    )
    contents: list[bytes] = []
    outcomes = embedder.embed_each(_held(listing.entries, contents))
    for at, outcome in enumerate(counted(outcomes, progress)):
        entry = listing.entries[at]
        place, name = place_of(entry.picture), known_as(names, entry.label)
        if isinstance(outcome, PictureError):
            found.refused.append(Refusal(place, outcome.reason, outcome.detail))
        elif name is None:
            count = found.not_in_catalogue.get(entry.label, 0)
            found.not_in_catalogue[entry.label] = count + 1
            found.strangers.append(Query(place, entry.label, outcome))
        else:
            found.in_catalogue += holds(contents[at])
            found.queries.append(Query(place, name, outcome))
    if not found.queries:
        raise InvalidInput(
            f"nothing to evaluate: {len(found.refused)} pictures could not be read, and "
            f"{sum(found.not_in_catalogue.values())} are of classes that this catalogue does not "
            "have"
        )
    return found


def _held(entries: tuple[Entry, ...], contents: list[bytes]) -> Iterator[Picture]:
    """The pictures, read; their content hashes are noted on the way."""
    for entry in entries:
        try:
            held = hold(entry.picture)
        except PictureError:
            contents.append(b"")
            yield entry.picture  # which the embedder refuses with the same words
        else:
            contents.append(held.content)
            yield held.picture


def known_as(names: Mapping[str, str], label: str) -> str | None:
    """The catalogue's name of a class, or None if it has none such, or there can be none."""
    try:
        return names.get(label_key(label))
    except InvalidLabel:
        return None
