"""Photos made up of a picture whose class has no other to hold out.

A shop with one picture of each thing has nothing to measure on how sure its answers are. So when a
class is left with pictures of one occasion alone, photos are made up of one of them, and their
descriptors are kept as evidence. Which one does not hang on the order in which pictures came: it is
the first by content hash, of those that are at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from catalog.changes import embedding
from catalog.changes.staging import Staged, StagedFor, staged_by_active
from catalog.descriptors import PictureError, to_integers
from catalog.embedder import Embedder, Picture
from catalog.judging.occasions import occasions as occasions_of
from catalog.learning import evidence
from catalog.learning.opened import Opened
from catalog.manifest.pictures import Refusal, hold
from catalog.store import ItemId, Transaction, inventory, made_up, occasions
from catalog.store.classes import find_label
from catalog.store.compaction import is_compacted
from catalog.store.names import Name

_MOST = 200
"""A class of more pictures gets none, even if they are of one occasion: to see that takes long."""


def ready_to_land(
    catalog: Opened,
    name: Name,
    staged: StagedFor,
    named: Callable[[Staged | Refusal], Staged | Refusal],
    *,
    made_up: bool,
) -> list[Staged | Refusal]:
    """What is to land of staged pictures, with what else is known of them.

    Args:
        catalog: that the pictures are staged for.
        name: of their class.
        staged: the pictures.
        named: names the occasion of each, as :func:`occasions_by` gives it.
        made_up: whether to make up photos where their class will need them.
    """
    staged_by_active(catalog, staged)
    staged.outcomes = [named(one) for one in staged.outcomes]
    return make_up(catalog, name, staged) if made_up else staged.outcomes


def make_up(catalog: Opened, name: Name, staged: StagedFor) -> list[Staged | Refusal]:
    """Make up photos of the first of some pictures, if their class will need them.

    Args:
        catalog: that the pictures are staged for.
        name: of their class.
        staged: the pictures.

    Returns:
        The outcomes; that of the first has the descriptors of photos made up of it, if need be.
    """
    come = {one.content: one for one in staged.outcomes if isinstance(one, Staged)}
    if staged.first is None or not come:
        return staged.outcomes
    first = min(come)
    with catalog._store.reading() as tx:
        needed = _needed(tx, catalog, name, come)
    if not needed:
        return staged.outcomes
    try:
        held = hold(staged.first)
        if held.content != first:  # the file is another one by now
            return staged.outcomes
        photos = {
            bound.fingerprint: photos_of(embedder, held.picture, first)
            for bound, embedder in embedding.loaded(catalog)
        }
    except PictureError:
        return staged.outcomes
    return [
        replace(one, made_up=photos) if isinstance(one, Staged) and one.content == first else one
        for one in staged.outcomes
    ]


def photos_of(embedder: Embedder, picture: Picture, content: bytes) -> NDArray[np.int16]:
    """The descriptors of photos made up of a picture, which are always the same: int16 (K, D).

    Raises:
        PictureError: the picture is refused.
    """
    return to_integers(embedder.made_up(picture, int.from_bytes(content[:8])))


def _needed(tx: Transaction, catalog: Opened, name: Name, come: dict[bytes, Staged]) -> bool:
    """Whether a class will have nothing to hold out, and photos of its first new picture help.

    Args:
        tx: a transaction.
        catalog: of the class.
        name: of the class.
        come: the pictures that come to it, by content hash.
    """
    label = find_label(tx, name)
    own = inventory.items_in(tx, label.slot) if label else []
    if len(own) + len(come) > _MOST:
        return False
    known = {content: ItemId(item) for item, content in inventory.contents(tx, own).items()}
    for content in come.keys() - known.keys():
        found = inventory.find(tx, content)
        if found is not None and found[1] is None:
            known[content] = found[0]
        elif content == min(come):  # it is in another class
            return False
    if any(is_compacted(tx, item) for item in known.values()):
        return False
    order = sorted(known)
    bound = catalog._bound
    has = [made_up.there(tx, bound.stored, known[content]) for content in order]
    if has[0] or (any(has) and order[0] != min(come)):
        return False
    if len(order) == 1:
        return True
    said = [occasions.of(tx, known[content]) for content in order]
    told = [
        come[content].occasion.beside(earlier) if content in come else earlier
        for content, earlier in zip(order, said, strict=True)
    ]
    rows = bound.stored.of(tx, [known[content] for content in order])
    groups = occasions_of(
        rows,
        np.zeros(len(rows), np.int64),
        bound.binding.prior,
        evidence.told_of(told),
        strangers=False,
    )
    return len(np.unique(groups)) == 1
