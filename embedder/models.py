"""The networks on this machine: fetched or imported once, exported once, found again by name.

They live in the user's cache folder, or in ``CATALOG_CACHE``: ``models/SHA256.tflite``, named by
the hash of its bytes, and beside it ``SHA256.json``: what it is and where it came from.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from descriptors.errors import BackboneError, InvalidInput, NotFound
from embedder import probes
from embedder.litert import LiteRTNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedder.download import Progress

IMAGENET: Final = "imagenet"
"""The name of the network whose probe descriptors are the recorded ones."""

IMAGENET_HANDLE: Final = "google/imagenet/mobilenet_v2_100_224/feature_vector/5"

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_FLATBUFFER: Final = b"TFL3"
_SHORTEST_PREFIX: Final = 6
_SAME: Final = 1e-6
_ADVICE: Final = (
    "`catalog model fetch` downloads the ImageNet network; `catalog model import FOLDER` takes a "
    "SavedModel, a .tar.gz of one, Keras MobileNetV2 weights (.h5) or an exported .tflite"
)


@dataclass(frozen=True)
class Origin:
    """Where a network came from: a Hub handle or a path, and the SHA-256 of what was there."""

    source: str
    archive_sha256: str


@dataclass(frozen=True)
class Model:
    """A network in the cache.

    Attributes:
        sha256: of the flatbuffer; with it a catalogue names its backbone.
        path: of the flatbuffer.
        name: ``imagenet`` where it is that network, else as the caller named it, or its source.
        origins: everything it was made from, the latest last.
        input_size: side of a view in pixels.
        width: length of a descriptor.
        imagenet_cosine: least cosine between its probe descriptors and the ImageNet network's;
            None where the width differs.
        imported_at: date and time, UTC, ISO 8601.
        fresh: True only where the call that returned it has put it in the cache just now.
    """

    sha256: str
    path: Path
    name: str
    origins: tuple[Origin, ...]
    input_size: int
    width: int
    imagenet_cosine: float | None
    imported_at: str
    fresh: bool = field(default=False, compare=False)

    @property
    def source(self) -> str:
        """The Hub handle or path it was made from last."""
        return self.origins[-1].source

    @property
    def archive_sha256(self) -> str:
        """SHA-256 of what was there: of a file's bytes, or over the files of a folder."""
        return self.origins[-1].archive_sha256

    @property
    def is_imagenet(self) -> bool:
        """Whether it computes what the ImageNet MobileNetV2 computes."""
        return (self.imagenet_cosine or -1) > probes.AGREEMENT

    def read(self) -> bytes:
        """Read the flatbuffer, and check its hash.

        Raises:
            BackboneError: it is gone or damaged.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise BackboneError(
                f"the network {self.name!r} is recorded, but {self.path} cannot be read "
                f"({error.strerror}); fetch or import it again: {self.source}"
            ) from error
        if sha256(content).hexdigest() != self.sha256:
            raise BackboneError(
                f"{self.path} is damaged: its bytes do not have the hash in its name; fetch or "
                f"import the network again: {self.source}"
            )
        return content


def cache_folder() -> Path:
    """The folder of the cache: ``CATALOG_CACHE``, or the user's cache folder for ``catalog``."""
    if named := os.environ.get("CATALOG_CACHE"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("catalog")


def models() -> list[Model]:
    """The networks in the cache whose flatbuffers are there, the newest first."""
    return [model for model in _recorded() if model.path.is_file()]


def find(reference: str | None = None) -> Model:
    """Find a network, and check its bytes.

    Args:
        reference: a name, a source (Hub handle), the start of a SHA-256 (6 digits or more), or the
            path of anything that can be imported, which is then imported; None for the newest
            ImageNet network.

    Raises:
        NotFound: there is none; the message says how to get one.
        BackboneError: it is damaged or gone, or cannot be imported.
    """
    wanted = reference or IMAGENET
    known = _recorded()
    named = [model for model in known if model.name == wanted or wanted in _sources(model)]
    started = [model for model in known if model.sha256.startswith(wanted.lower())]
    if not named and len(wanted) >= _SHORTEST_PREFIX and len(started) == 1:
        named = started
    if named:
        model = next((model for model in named if model.path.is_file()), named[0])
        model.read()
        return model
    if reference and _exists(Path(reference)):
        return import_model(reference)
    if reference is None:
        raise NotFound(f"there is no ImageNet network on this machine yet: {_ADVICE}")
    here = ", ".join(sorted({model.name for model in models()})) or "none"
    raise NotFound(f"there is no network {reference!r} here (here: {here}): {_ADVICE}")


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
    progress: Progress | None = None,
    accept_unverified: bool = False,
) -> Model:
    """Download a network from the Hub, export it, and keep it.

    What is in the cache is not downloaded again (``fresh`` is False then). The SHA-256 of the
    archive is pinned: another archive under the same handle is refused later on. The default
    handle must compute what the ImageNet network computes.

    Args:
        handle: ``google/imagenet/mobilenet_v2_100_224/feature_vector/5``, or a URL.
        progress: called with the bytes so far and the total or None.
        accept_unverified: take an archive whose hash is not the pinned one, and a network under
            the default handle that is not the recorded one.

    Raises:
        InvalidInput: ``handle`` is not one.
        BackboneError: no network, nothing there, or not to be trusted; the message says which and
            what to do.
    """
    # urllib and its kin take 60 ms to import, which a query should not pay.
    from embedder import download

    handle = download.handle_of(handle)
    for model in _recorded():
        trusted = accept_unverified or handle != IMAGENET_HANDLE or model.is_imagenet
        if handle in _sources(model) and trusted and _is_intact(model):
            return model
    url = download.address(handle)
    with download.archive(url, cache_folder() / "downloads", progress=progress) as packed:
        origin = Origin(handle, _digest(packed))
        if not accept_unverified:
            _check_pin(origin)
        candidate = _candidate(origin, partial(_export_packed, packed))
        if handle == IMAGENET_HANDLE and not accept_unverified:
            _check_imagenet(candidate.model)
        return _keep(candidate, name=None, fallback=handle)


@dataclass(frozen=True)
class _Candidate:
    """A network looked at, not yet kept; ``content`` is None where the cache has it."""

    model: Model
    content: bytes | None


def _candidate(origin: Origin, export: Callable[[], bytes]) -> _Candidate:
    """The network of an origin: from the cache if its archive was seen before, else exported."""
    for model in _recorded():
        seen = {one.archive_sha256 for one in model.origins}
        if origin.archive_sha256 in seen and _is_intact(model):
            return _Candidate(_with_origin(model, origin), None)
    content = export()
    model = _examine(content, origin)
    for held in _recorded():
        if held.sha256 == model.sha256:
            kept = None if _is_intact(held) else content
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
        path=_folder() / f"{digest}.tflite",
        name="",
        origins=(origin,),
        input_size=network.input_size,
        width=network.width,
        imagenet_cosine=probes.agreement(descriptors),
        imported_at=datetime.now(UTC).isoformat(),
    )


def _keep(candidate: _Candidate, *, name: str | None, fallback: str) -> Model:
    """Name a network and write it to the cache: the flatbuffer first, so that no record lies."""
    model = candidate.model
    if name == IMAGENET and not model.is_imagenet:
        raise InvalidInput(f"{model.source} is not the ImageNet network: give it another name")
    name = name or model.name or (IMAGENET if model.is_imagenet else fallback)
    model = replace(model, name=name)
    file = model.path.with_suffix(".json")
    if candidate.content is not None:
        _write(model.path, candidate.content)
    elif _from_record(file) == model:
        return model
    record = {
        "name": model.name,
        "origins": [asdict(origin) for origin in model.origins],
        "input_size": model.input_size,
        "width": model.width,
        "imagenet_cosine": model.imagenet_cosine,
        "imported_at": model.imported_at,
    }
    _write(file, json.dumps(record, indent=2).encode() + b"\n")
    return replace(model, fresh=candidate.content is not None)


def _check_pin(origin: Origin) -> None:
    """Refuse an archive that is not the one that came under this handle before."""
    for model in _recorded():
        for known in reversed(model.origins):
            if known.source == origin.source:
                if known.archive_sha256 == origin.archive_sha256:
                    return
                raise BackboneError(
                    f"the archive under {origin.source} has changed: its SHA-256 was "
                    f"{known.archive_sha256} and is now {origin.archive_sha256}. Refused; "
                    f"--accept-unverified takes the new one"
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
        f"descriptors have {found}, where more than {probes.AGREEMENT} is asked for. Refused; "
        f"--accept-unverified takes it, under its handle as a name"
    )


def _check_name(name: str | None) -> None:
    if name is not None and not (name.strip() == name and name.isprintable() and name):
        raise InvalidInput(f"{name!r} cannot name a network")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _exporter(path: Path) -> Callable[[], bytes]:
    """How to make a flatbuffer of what lies at ``path``, by what it is, not by its name."""
    # What an export needs takes 40 ms to import, which a query should not pay.
    import tarfile

    from embedder.export import export

    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return partial(export, path)
        raise BackboneError(f"there is no saved_model.pb in {path}: not a SavedModel")
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(8)
        if head == _HDF5:
            return partial(export, path)
        if head[4:] == _FLATBUFFER:
            return path.read_bytes
        if tarfile.is_tarfile(path):
            return partial(_export_packed, path)
    raise BackboneError(
        f"{path} is no network that can be imported: a SavedModel folder, a .tar.gz of one, Keras "
        f"MobileNetV2 weights (.h5; not .keras, which can run code) or an exported .tflite"
    )


def _export_packed(packed: Path) -> bytes:
    from embedder.download import unpack
    from embedder.export import export

    with tempfile.TemporaryDirectory(prefix="catalog-") as scratch:
        return export(unpack(packed, Path(scratch)))


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


def _folder() -> Path:
    return cache_folder() / "models"


def _recorded() -> list[Model]:
    """Every readable record, the newest first, whether or not its flatbuffer is there."""
    found = [_from_record(file) for file in _folder().glob("*.json")]
    return sorted(
        (model for model in found if model), key=lambda model: model.imported_at, reverse=True
    )


def _from_record(file: Path) -> Model | None:
    try:
        record = json.loads(file.read_text("utf-8"))
        return Model(
            sha256=file.stem,
            path=file.with_suffix(".tflite"),
            name=record["name"],
            origins=tuple(Origin(**origin) for origin in record["origins"]),
            input_size=record["input_size"],
            width=record["width"],
            imagenet_cosine=record["imagenet_cosine"],
            imported_at=record["imported_at"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sources(model: Model) -> set[str]:
    return {origin.source for origin in model.origins}


def _is_intact(model: Model) -> bool:
    try:
        model.read()
    except BackboneError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or none: temporary name, fsync, rename, fsync of the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise BackboneError(
            f"cannot write {path}: {error.strerror}; CATALOG_CACHE names another folder"
        ) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
