"""Parts of a listing, split at random and always alike."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from catalog.descriptors import InvalidInput
from catalog.manifest.entries import Listing


def take_part(listing: Listing, split: str, part: str, seed: int = 0) -> Listing:
    """One part of a listing that is split at random, always in the same way for a seed.

    Photos taken in bursts fall into all parts, so figures measured on such a split flatter.

    Args:
        listing: the pictures.
        split: the sizes of two or three parts, such as ``80/20`` or ``1188/600/400``. If they come
            to the number of pictures they are taken exactly, and otherwise as shares.
        part: ``train``, ``validation`` or ``test``; of two parts, ``train`` or ``test``.
        seed: which of the many random splits.

    Raises:
        InvalidInput: the split or the part makes no sense, or there would be nothing in it.
    """
    sound = re.fullmatch(r"[1-9][0-9]{0,8}(/[1-9][0-9]{0,8}){1,2}", split, re.ASCII)
    sizes = [int(size) for size in split.split("/")] if sound else []
    names = {2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(sizes), ())
    if not names:
        raise InvalidInput(f"a split is two or three sizes, such as 80/20, not {split!r}")
    if seed < 0:
        raise InvalidInput(f"a seed is not negative, as {seed} is")
    if part not in names:
        raise InvalidInput(f"{split} has the parts {', '.join(names)}, not {part!r}")
    count = len(listing.entries)
    ends = np.rint(np.cumsum([0, *sizes]) * (count / sum(sizes))).astype(int)
    order = np.random.default_rng(seed).permutation(count)
    at = names.index(part)
    chosen = sorted(order[ends[at] : ends[at + 1]].tolist())
    if not chosen:
        raise InvalidInput(f"{count} pictures are too few for the part {part} of {split}")
    entries = tuple(listing.entries[at] for at in chosen)
    return replace(listing, entries=entries, source=None)  # which lists others, too
