"""The networks on this machine: fetched or imported once, exported once, found again by name."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from catalog.data import starter as shipped
from catalog.descriptors.advice import Advice
from catalog.descriptors.errors import BackboneError, InvalidInput, NotFound
from catalog.embedder import probes
from catalog.embedder.layers import with_layers
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model, Origin, file_of, keep, keep_layers, recorded
from catalog.embedder.sources import IMAGENET_HANDLE as HANDLE
from catalog.embedder.sources import Source, handle_of, published, sources
from catalog.machine import model_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from catalog.embedder.download import Progress

_log = logging.getLogger(__name__)

IMAGENET: Final = "imagenet"
"""The name of the network whose probe descriptors are the recorded ones."""

STARTER: Final = "starter"
"""The name of the small network that comes with the program."""

IMAGENET_HANDLE: Final = HANDLE

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_FLATBUFFER: Final = b"TFL3"
_SHORTEST_PREFIX: Final = 6
_SAME: Final = 1e-6
_ADVICE: Final = Advice("get network")


def models() -> list[Model]:
    """The networks in the cache whose flatbuffers are there, the newest first."""
    return [model for model in recorded() if model.path.is_file()]


def default() -> Model:
    """The network of a catalogue whose maker asks for none: the ImageNet network, else the starter.

    Raises:
        BackboneError: it is damaged, or the cache cannot be written.
    """
    try:
        return find(IMAGENET)
    except NotFound:
        return starter()


def starter() -> Model:
    """The network that comes with the program.

    It is kept in the cache like any other, so that a later version of the program, with another
    starter, still finds it for the catalogues that were made with it. Where the cache cannot be
    written it is used where it lies.

    Raises:
        BackboneError: the program was not installed whole.
    """
    digest = _starter_digest()
    for model in recorded():
        if model.sha256 == digest and model.is_intact:
            return replace(model, name=STARTER)
    candidate = _candidate(Origin(STARTER, digest), _shipped)
    try:
        return _keep(candidate, name=STARTER, fallback=STARTER)
    except BackboneError as error:  # the cache cannot be written
        _log.warning("%s", error)
        return replace(candidate.model, name=STARTER, path=shipped.FLATBUFFER)


def find(reference: str) -> Model:
    """Find a network, and check its bytes.

    Args:
        reference: a name, a source (Hub handle), the start of a SHA-256 (6 digits or more), or the
            path of anything that can be imported, which is then imported.

    Raises:
        NotFound: there is none; the message says how to get one.
        BackboneError: it is damaged or gone, or cannot be imported.
    """
    if reference == STARTER:
        return starter()
    model = _recorded_as(reference)
    if model is not None:
        return _readable(model)
    if reference == _starter_digest():
        return starter()
    if _exists(Path(reference)):
        return import_model(reference)
    raise _not_found(reference)


def import_model(path: str | os.PathLike[str], *, name: str | None = None) -> Model:
    """Take a network from a file or folder into the cache.

    What was imported before, by the hash of its bytes, is not exported again.

    Args:
        path: a SavedModel folder, a tar of one, Keras MobileNetV2 weights (HDF5), or a flatbuffer
            exported before.
        name: a name to find it by; else ``imagenet`` if it computes what that network computes,
            else the name of the file or folder.

    Raises:
        NotFound: there is nothing at ``path``.
        InvalidInput: the name cannot be one, or is ``imagenet`` for another network.
        BackboneError: it is none of these, cannot be exported, or gives no usable descriptors.
    """
    path = Path(path)
    if not _exists(path):
        raise NotFound(f"there is nothing at {path}")
    _check_name(name)
    try:
        export, digest = _exporter(path), _digest(path)
    except OSError as error:
        raise BackboneError(f"cannot read {path}: {error.strerror}") from error
    candidate = _candidate(Origin(str(path.resolve()), digest), export)
    return _keep(candidate, name=name, fallback=path.name.split(".")[0] or path.name)


def fetch(
    handle: str = IMAGENET_HANDLE,
    *,
    source: str | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] = _log.warning,
    accept_unverified: bool = False,
) -> Model:
    """Download a network, export it, and keep it.

    The ImageNet network, the default handle, is asked of the Hub and, where that does not give it,
    of Keras applications, and must compute what that network computes. Any other is had from the
    Hub or its address alone. What is in the cache is not downloaded again, whichever source it
    came from (``fresh`` is False then). The SHA-256 of the archive is pinned, for each source:
    another archive from the same one is refused later on.

    Args:
        handle: ``google/imagenet/mobilenet_v2_100_224/feature_vector/5``, or a URL.
        source: where alone to have the ImageNet network from: ``hub``, ``keras``, or the URL of an
            archive or a file that :func:`import_model` takes.
        progress: called with the bytes so far and the total or None.
        note: called with a sentence where one source did not give the network and the next is
            asked; logs it by default.
        accept_unverified: take an archive whose hash is not the pinned one, and a network under
            the default handle that is not the recorded one.

    Raises:
        InvalidInput: ``handle`` or ``source`` is not one.
        BackboneError: no network, nothing there, or not to be trusted; the message says which, for
            each source that was asked, and what to do.
        CatalogError: the cache cannot be written.
    """
    # urllib and its kin take 60 ms to import, which a query should not pay.
    from catalog.embedder import download

    handle, choice = handle_of(handle), sources(handle, source)
    held = _fetched_before(handle, choice, accept_unverified=accept_unverified)
    if held is not None:
        return held

    def had(place: Source) -> _Candidate:
        with download.archive(place.url, folder, progress=progress) as packed:
            origin = Origin(place.origin, _digest(packed))
            if not accept_unverified:
                _check_pin(origin)
            candidate = _candidate(origin, _exporter(packed, f"what came from {place.host}"))
            if handle == IMAGENET_HANDLE and not accept_unverified:
                _check_imagenet(candidate.model)
            return candidate

    folder = model_cache() / "downloads"
    with download.only_one(folder):
        candidate = _first_had(choice, had, note)
        model = _keep(candidate, name=None, fallback=candidate.model.source)
        for place in choice:  # what came of it from a source that broke off
            download.discard(place.url, folder)
        return model


def layered(model: Model) -> bytes | None:
    """A network with the maps of several layers for further outputs.

    It is made when the network is imported, and only made again where it is gone from the cache.

    Args:
        model: the network; what is made of one that does not lie in the cache is not kept.

    Returns:
        A flatbuffer; None where the network has not the structure of a MobileNetV2.

    Raises:
        BackboneError: the network is gone or damaged.
    """
    content = model.read_layers()
    if content is None:
        content = with_layers(model.read())
        if content is not None and model.path == file_of(model.sha256):
            try:
                keep_layers(model, content)
            except BackboneError as error:  # a cache that is shared, and only read
                _log.warning("what was made of %s is not kept: %s", model.name, error)
    return content


def _recorded_as(reference: str) -> Model | None:
    """The network that is recorded under a reference, if possible one whose flatbuffer is there."""
    known = recorded()
    meant = [model for model in known if _goes_by(model, reference)]
    meant = meant or _of_digest(known, reference)
    if not meant:
        return None
    return next((model for model in meant if model.path.is_file()), meant[0])


def _of_digest(known: Sequence[Model], start: str) -> list[Model]:
    """The only network whose SHA-256 starts so; none where there are several or it is too short."""
    found = [model for model in known if model.sha256.startswith(start.lower())]
    return found if len(start) >= _SHORTEST_PREFIX and len(found) == 1 else []


def _readable(model: Model) -> Model:
    """A recorded network, once its bytes are checked; BackboneError if they are gone or damaged."""
    try:
        model.read()
    except BackboneError:
        if model.sha256 != _starter_digest():
            raise
        return starter()  # the program has what the cache has lost
    return model


def _not_found(reference: str) -> NotFound:
    if reference == IMAGENET:
        return NotFound("there is no ImageNet network on this machine yet", _ADVICE)
    here = ", ".join(sorted({STARTER, *(model.name for model in models())}))
    return NotFound(f"there is no network {reference!r} here (here: {here})", _ADVICE)


def _fetched_before(
    handle: str, choice: Sequence[Source], *, accept_unverified: bool
) -> Model | None:
    """The network that is wanted, if it is here and intact.

    The ImageNet network is known by what it computes, wherever it came from; another by its source.
    """
    known = {place.origin for place in choice}
    for model in recorded():
        wanted = bool(known & model.sources)
        if handle == IMAGENET_HANDLE and not accept_unverified:
            wanted = model.is_imagenet
        if wanted and model.is_intact:
            return model
    return None


def _first_had(
    choice: Sequence[Source], had: Callable[[Source], _Candidate], note: Callable[[str], None]
) -> _Candidate:
    """The network of the first source that gives it; a fault of this machine is raised at once.

    Raises:
        BackboneError: none gives it; the message says why, for each.
    """
    failures: list[tuple[Source, BackboneError]] = []
    for place in choice:
        if failures:
            last, error = failures[-1]
            note(f"{last} does not give the network, so {place} is asked for it: {error.fact}")
        try:
            return had(place)
        except BackboneError as error:
            failures.append((place, error))
    if len(failures) == 1:
        raise failures[0][1]
    reasons = ". ".join(f"{place.name}: {error.fact}" for place, error in failures)
    raise BackboneError(
        f"no source gives the ImageNet network. {reasons}",
        Advice("get network by hand", " or ".join(published())),
    ) from failures[-1][1]


@dataclass(frozen=True)
class _Candidate:
    """A network looked at, not yet kept; ``content`` is None where the cache has it."""

    model: Model
    content: bytes | None


def _candidate(origin: Origin, export: Callable[[], bytes]) -> _Candidate:
    """The network of an origin: from the cache if its archive was seen before, else exported."""
    for model in recorded():
        seen = {one.archive_sha256 for one in model.origins}
        if origin.archive_sha256 in seen and model.is_intact:
            return _Candidate(_with_origin(model, origin), None)
    content = export()
    model = _examine(content, origin)
    for held in recorded():
        if held.sha256 == model.sha256:
            kept = None if held.is_intact else content
            return _Candidate(_with_origin(held, origin), kept)
    return _Candidate(model, content)


def _with_origin(model: Model, origin: Origin) -> Model:
    others = tuple(one for one in model.origins if one != origin)
    return replace(model, origins=(*others, origin))


def _examine(content: bytes, origin: Origin) -> Model:
    """Say what a network is by the probe pictures; BackboneError if it is of no use."""
    network = LiteRTNetwork(content)
    descriptors = probes.describe(network)
    if not np.isfinite(descriptors).all():
        raise BackboneError(f"the network of {origin.source} gives numbers that are not finite")
    if np.ptp(descriptors, axis=0).max() < _SAME:
        raise BackboneError(f"the network of {origin.source} gives one descriptor for any picture")
    digest = sha256(content).hexdigest()
    return Model(
        sha256=digest,
        path=file_of(digest),
        name="",
        origins=(origin,),
        input_size=network.input_size,
        width=network.width,
        imagenet_cosine=probes.agreement(descriptors),
        imported_at=datetime.now(UTC).isoformat(),
    )


def _keep(candidate: _Candidate, *, name: str | None, fallback: str) -> Model:
    """Name a network and write it to the cache."""
    model = candidate.model
    if name == IMAGENET and not model.is_imagenet:
        raise InvalidInput(f"{model.source} is not the ImageNet network: give it another name")
    if name == STARTER and model.sha256 != _starter_digest():
        raise InvalidInput(f"{model.source} is not the starter network: give it another name")
    if fallback in {IMAGENET, STARTER}:  # a file's name must not make it what it is not
        fallback = f"{fallback}-{model.sha256[:6]}"
    name = name or model.name or (IMAGENET if model.is_imagenet else fallback)
    model = replace(model, name=name)
    keep(model, candidate.content)
    if candidate.content is not None and (layers := with_layers(candidate.content)):
        model = keep_layers(model, layers)
    return replace(model, fresh=candidate.content is not None)


def _check_pin(origin: Origin) -> None:
    """Refuse an archive that is not the one that came under this handle before."""
    for model in recorded():
        for known in reversed(model.origins):
            if known.source == origin.source:
                if known.archive_sha256 == origin.archive_sha256:
                    return
                raise BackboneError(
                    f"the archive under {origin.source} has changed: its SHA-256 was "
                    f"{known.archive_sha256} and is now {origin.archive_sha256}: refused",
                    Advice("accept new archive"),
                )


def _check_imagenet(model: Model) -> None:
    """Refuse a network that does not compute what the ImageNet network computes."""
    if model.is_imagenet:
        return
    found = f"a cosine of {model.imagenet_cosine} with the recorded ones"
    if model.imagenet_cosine is None:
        found = f"{model.width} numbers each"
    raise BackboneError(
        f"what came from {model.source} is not the ImageNet MobileNetV2 on record: its probe "
        f"descriptors have {found}, where more than {probes.AGREEMENT} is asked for: refused",
        Advice("accept other network"),
    )


def _check_name(name: str | None) -> None:
    if name is not None and not (name.strip() == name and name.isprintable() and name):
        raise InvalidInput(f"{name!r} cannot name a network")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _exporter(path: Path, called: str | None = None) -> Callable[[], bytes]:
    """How to make a flatbuffer of what lies at ``path``, by what it is, not by its name.

    Args:
        path: of a file or folder.
        called: what messages call it; None for its path.
    """
    # What an export needs takes 40 ms to import, which a query should not pay.
    import tarfile

    from catalog.embedder.export import export

    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return partial(export, path)
        raise BackboneError(f"there is no saved_model.pb in {path}: not a SavedModel")
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(8)
        if head == _HDF5:
            return partial(export, path, called)
        if head[4:] == _FLATBUFFER:
            return path.read_bytes
        if tarfile.is_tarfile(path):
            return partial(_export_packed, path, called)
    raise BackboneError(
        f"{called or path} is no network that can be imported: a SavedModel folder, a .tar.gz of "
        "one, Keras MobileNetV2 weights (.h5; not .keras, which can run code) or an exported "
        ".tflite"
    )


def _export_packed(packed: Path, called: str | None) -> bytes:
    from catalog.embedder.download import unpack
    from catalog.embedder.export import export

    with tempfile.TemporaryDirectory(prefix="catalog-") as scratch:
        return export(unpack(packed, Path(scratch), called), called or packed.name)


def _digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over its files' names, sizes and bytes in name order."""
    if path.is_file():
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    total = sha256()
    for file_path in sorted(one for one in path.rglob("*") if one.is_file()):
        name = file_path.relative_to(path).as_posix()
        content = file_path.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _goes_by(model: Model, reference: str) -> bool:
    """Whether a name or source means a network.

    The ImageNet network goes by that name and its handle too, wherever it came from.
    """
    is_imagenet = reference in {IMAGENET, IMAGENET_HANDLE} and model.is_imagenet
    return is_imagenet or model.name == reference or reference in model.sources


def _starter_digest() -> str:
    return shipped.SHA256


def _shipped() -> bytes:
    """The starter's flatbuffer, once it is known to be what was shipped: another may crash."""
    try:
        content = shipped.FLATBUFFER.read_bytes()
    except OSError as error:
        raise BackboneError(
            f"{shipped.FLATBUFFER}, the starter network, cannot be read ({error.strerror}): "
            f"install catalog again"
        ) from error
    if sha256(content).hexdigest() != shipped.SHA256:
        raise BackboneError(
            f"{shipped.FLATBUFFER}, the starter network, is damaged: install catalog again"
        )
    return content
