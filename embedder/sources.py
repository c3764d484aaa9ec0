"""Where networks can be had: TF Hub and, for the ImageNet network, Keras applications.

The Hub answers ``https://tfhub.dev/HANDLE?tf-hub-format=compressed`` with a redirect to a gzipped
tar of a SavedModel; Keras applications' weights are an HDF5 file in a public store. The variables
``CATALOG_HUB_URL`` and ``CATALOG_KERAS_URL`` name other servers that do the same (mirrors).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from catalog.descriptors.errors import InvalidInput

HUB: Final = "https://tfhub.dev"
KERAS: Final = "https://storage.googleapis.com/tensorflow/keras-applications"
KERAS_FILE: Final = "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
IMAGENET_HANDLE: Final = "google/imagenet/mobilenet_v2_100_224/feature_vector/5"

_CHARACTERS: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Source:
    """A place that has a network.

    Attributes:
        name: what people call it.
        origin: what is recorded of a network that came from there; the same for every mirror.
        url: of the archive.
    """

    name: str
    origin: str
    url: str

    @property
    def host(self) -> str:
        """The server that is asked first."""
        return urlsplit(self.url).netloc

    def __str__(self) -> str:
        return self.name if self.name == self.host else f"{self.name} ({self.host})"


def sources(handle: str, source: str | None = None) -> tuple[Source, ...]:
    """Where a network can be had, in the order in which the places are asked.

    Args:
        handle: of the Hub, or an address.
        source: the only place to ask for the ImageNet network: ``hub``, ``keras``, or the address
            of a file; None for the Hub, then Keras applications.

    Raises:
        InvalidInput: the handle or the source is none, or another network than the ImageNet network
            is asked of another place than its own; or a variable names no server.
    """
    handle = handle_of(handle)
    if source not in {None, "hub"} and handle != IMAGENET_HANDLE:
        raise InvalidInput(
            f"{handle} has no other source than itself: only the ImageNet network has"
        )
    if source is None and handle == IMAGENET_HANDLE:
        return _hub(handle), _keras()
    if source in {None, "hub"}:
        return (_hub(handle),)
    if source == "keras":
        return (_keras(),)
    url = _checked(str(source), "a source is hub, keras or an address of http or https, not")
    return (Source(urlsplit(url).netloc, url, url),)


def published() -> tuple[str, ...]:
    """The addresses of the ImageNet network in the world, whatever mirrors are named."""
    return f"{KERAS}/{KERAS_FILE}", _compressed(f"{HUB}/{IMAGENET_HANDLE}")


def handle_of(reference: str) -> str:
    """The one spelling of a Hub handle: no ``https://tfhub.dev/``, no query; other URLs stay whole.

    Raises:
        InvalidInput: it is empty, or a URL that is not http or https.
    """
    reference = reference.strip()
    wrong = "a Hub handle reads google/NAME/.../VERSION, not"
    is_address = "://" in reference
    parts = urlsplit(_checked(reference if is_address else f"{HUB}/{reference}", wrong, reference))
    if is_address and parts.hostname != urlsplit(HUB).hostname:
        return reference
    if not parts.path.strip("/"):
        raise InvalidInput(f"{wrong} {reference!r}")
    return parts.path.strip("/")


def _hub(handle: str) -> Source:
    if urlsplit(handle).scheme:
        return Source(urlsplit(handle).netloc, handle, _compressed(handle))
    return Source("TF Hub", handle, _compressed(f"{_base('CATALOG_HUB_URL', HUB)}/{handle}"))


def _keras() -> Source:
    base = _base("CATALOG_KERAS_URL", KERAS)
    return Source("Keras applications", published()[0], f"{base}/{KERAS_FILE}")


def _base(variable: str, default: str) -> str:
    named = os.environ.get(variable) or default
    return _checked(named, f"{variable} must be an address of http or https, not").rstrip("/")


def _compressed(url: str) -> str:
    """An address with the query that asks a Hub for an archive in place of a page."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.setdefault("tf-hub-format", "compressed")
    return urlunsplit(parts._replace(query=urlencode(query)))


def _checked(url: str, wrong: str, shown: str | None = None) -> str:
    """An address, once it is one that can be asked; InvalidInput, beginning so, if it is not."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        good = good and parts.username is None  # which urllib takes for a part of the name
    except ValueError:  # half an IPv6 address, or a port that is none
        good = False
    if not (good and _CHARACTERS.fullmatch(url)):
        raise InvalidInput(f"{wrong} {url if shown is None else shown!r}")
    return url
