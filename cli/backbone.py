"""Which network a new catalogue gets when its maker names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.cli.advice import said
from catalog.cli.output import anyone_there, confirmed, download_bar, say

if TYPE_CHECKING:
    from catalog.embedder.model_cache import Model

STARTER_NOTE = (
    "note: the network is the starter, which comes with catalog and is less good. For the ImageNet "
    "network run `catalog model fetch`, then `catalog reindex --backbone imagenet`"
)
"""What to say once a catalogue was made with the starter because nothing better was there."""

UNMEASURED_NOTE = (
    "note: nothing was measured for this network and preset, so answers are less good with few "
    "pictures a class; `catalog model measure FOLDER` measures it for new catalogues"
)
"""What to say of a catalogue whose network is not known."""

_OFFER = (
    "The ImageNet network, with which answers are best, is not on this machine. Without it the "
    "catalogue\nis made with the starter, as with --backbone starter."
)


def choose_backbone() -> str:
    """The ImageNet network if it is here or can be had, else the starter.

    It is downloaded only where someone at a terminal agrees.

    Returns:
        What to give :meth:`catalog.Catalog.init` for a backbone.
    """
    from catalog.descriptors import CatalogError, NotFound
    from catalog.embedder import models
    from catalog.embedder.sources import sources

    try:
        return models.find(models.IMAGENET).sha256
    except NotFound:
        pass
    if anyone_there():
        say(*_OFFER.splitlines())
        places = " or, where that fails, from ".join(map(str, sources(models.IMAGENET_HANDLE)))
        if confirmed(f"Download it from {places}?", default=True):
            try:
                return fetch(models.IMAGENET_HANDLE).sha256
            except CatalogError as error:
                say(f"it cannot be had: {said(error)}")
            except KeyboardInterrupt:
                say("stopped; --backbone starter makes the catalogue without a download")
                raise
    return models.STARTER


def fetch(handle: str, *, source: str | None = None, accept_unverified: bool = False) -> Model:
    """Download a network with a bar, and export it; errors as of :func:`models.fetch`."""
    from catalog.embedder import models

    say(f"fetching {handle}; once it is here it is exported, which takes some ten seconds")
    with download_bar("downloading") as progress:
        return models.fetch(
            handle,
            source=source,
            progress=progress,
            note=say,
            accept_unverified=accept_unverified,
        )
