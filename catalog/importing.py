"""Pictures of many classes, each class landed in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, islice
from operator import itemgetter

from catalog import landing
from catalog.classes import refuse_variant
from catalog.descriptors import InvalidLabel, LabelConflict
from catalog.embedder import Picture
from catalog.failpoints import reach
from catalog.head_keeper import HeadKeeper
from catalog.labels import clean_label, label_key
from catalog.manifest import Entry, Listing
from catalog.results import Imported
from catalog.staging import Progress, Staging, counted
from catalog.store import Store


def import_listing(
    store: Store,
    staging: Staging,
    listing: Listing,
    *,
    move: bool,
    keeper: HeadKeeper,
    progress: Progress | None,
) -> Imported:
    """Stage pictures in one stream, and land each class as soon as its last picture is staged.

    Args:
        store: of the catalogue.
        staging: that embeds what is not known.
        listing: pictures with their classes.
        move: take pictures away from other classes, instead of refusing them.
        keeper: switches the head with the first class, and widens it for each new one.
        progress: told of each picture.
    """
    command = None
    result = Imported(others=listing.others, unread=listing.unread)
    classes = _importable(store, listing.entries, result.refused_classes)
    pictures = (picture for own in classes.values() for picture in own)
    outcomes = counted(staging.stage(pictures), progress)
    for label, own in classes.items():
        staged = list(islice(outcomes, len(own)))
        try:
            added = landing.land(
                store,
                label,
                staged,
                check=refuse_variant,
                move=move,
                command=command,
                keeper=keeper,
            )
        except LabelConflict as error:  # made by another process since
            result.refused_classes[label] = str(error)
            continue
        result.classes.append(added)
        command = command or keeper.switched or added.event
        reach("next class")
    return result


def _importable(
    store: Store, entries: Iterable[Entry], refused: dict[str, str]
) -> dict[str, list[Picture]]:
    """Pictures by class, for every class that can be made; the others are noted in ``refused``."""
    classes: dict[str, list[Picture]] = {}
    spelt: dict[str, str] = {}
    with store.reading() as tx:
        for given, group in groupby(sorted(entries, key=itemgetter(0)), key=itemgetter(0)):
            try:
                refuse_variant(tx, given)
                label = clean_label(given)
                first = spelt.setdefault(label_key(label), label)
            except (InvalidLabel, LabelConflict) as error:
                refused[given] = str(error)
                continue
            if first == label:
                classes.setdefault(label, []).extend(entry.picture for entry in group)
            else:
                refused[label] = (
                    f"{label!r} differs from {first!r} only by case, accents or spacing"
                )
    return classes
