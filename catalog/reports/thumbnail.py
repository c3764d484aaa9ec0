"""Small copies of the pictures of items, kept or made of what still lies where it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from catalog.descriptors import InvalidInput, PictureError
from catalog.embedder import Picture, Thumbnails
from catalog.learning.opened import Opened
from catalog.manifest.pictures import hold, picture_at
from catalog.store import inventory, thumbnails


def thumbnail(catalog: Opened, item: int, side: int = 160) -> bytes | None:
    """A small copy of the picture of an item, or of a photo that was kept as unknown.

    Args:
        item: its id.
        side: the longer side in pixels, where it is made anew; a copy that was kept is given as it
            is (224), unless a larger one is asked for and can be made.

    Returns:
        A JPEG, with the box drawn on it if there is one; None where none was kept, and the picture
        does not lie any more where it was found, or may not be read.

    Raises:
        NotFound: there is no such item.
        InvalidInput: the side is less than 1.
    """
    if side < 1:
        raise InvalidInput(f"a thumbnail has at least 1 pixel, not {side}")
    own = inventory.item_id(item)
    with catalog._store.reading() as tx:
        content, places = inventory.seen(tx, own)
        kept = thumbnails.of(tx, own)
    if kept is not None and side <= Thumbnails.SIDE:
        return kept
    made = made_of(places, content, partial(catalog._thumbnails, side=side))
    return kept if made is None else made


def made_of(
    places: Sequence[str], content: bytes, shrink: Callable[[Picture], bytes | None]
) -> bytes | None:
    """A small copy of a picture, if it still lies where it was; what lies there may be another.

    Args:
        places: where it was found.
        content: the SHA-256 that it goes by, 32 bytes.
        shrink: makes the copy.

    Returns:
        A JPEG; None where the picture is not there any more, or cannot be read.
    """
    for place in places:
        with contextlib.suppress(PictureError):
            held = hold(picture_at(place))
            if held.content == content:
                return shrink(held.picture)
    return None
