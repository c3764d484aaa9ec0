"""The folder of networks on this machine, and the record of each.

They live in the user's cache folder, or in ``CATALOG_CACHE``: ``models/SHA256.tflite``, named by
the hash of its bytes, and beside it ``SHA256.json``: what it is and where it came from. The same
network with the maps of several layers for further outputs is named by its hash, too; the record
has that.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from catalog.descriptors.errors import BackboneError
from catalog.embedder import probes
from catalog.machine import model_cache


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network came from: a Hub handle or a path, and the SHA-256 of what was there."""

    source: str
    archive_sha256: str


@dataclass(frozen=True, slots=True)
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
        layers: SHA-256 of the same network with the maps of several layers for further outputs,
            which lies beside it; None where that was not made yet, or cannot be.
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
    layers: str | None = None
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

    @property
    def sources(self) -> set[str]:
        """Every Hub handle and path it was made from."""
        return {origin.source for origin in self.origins}

    @property
    def is_intact(self) -> bool:
        """Whether its flatbuffer is there, and has its hash."""
        try:
            self.read()
        except BackboneError:
            return False
        return True

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

    def read_layers(self) -> bytes | None:
        """Read the network with the maps of several layers; None if it is not there, or damaged."""
        if self.layers is None:
            return None
        with contextlib.suppress(OSError):
            content = file_of(self.layers).read_bytes()
            if sha256(content).hexdigest() == self.layers:
                return content
        return None


def file_of(digest: str) -> Path:
    """Where the flatbuffer of a SHA-256 lies, or would."""
    return model_cache() / "models" / f"{digest}.tflite"


def recorded() -> list[Model]:
    """Every readable record, the newest first, whether or not its flatbuffer is there."""
    found = [_from_record(file) for file in (model_cache() / "models").glob("*.json")]
    return sorted(
        (model for model in found if model), key=lambda model: model.imported_at, reverse=True
    )


def keep(model: Model, content: bytes | None) -> None:
    """Write a network to the cache: the flatbuffer first, so that no record lies.

    Args:
        model: what to record.
        content: its flatbuffer; None where the cache has it, and then what has not changed is not
            written.

    Raises:
        BackboneError: it cannot be written.
    """
    if content is not None:
        write_whole(model.path, content)
    elif _from_record(_record_of(model)) == model:
        return
    record = {
        "name": model.name,
        "origins": [asdict(origin) for origin in model.origins],
        "input_size": model.input_size,
        "width": model.width,
        "imagenet_cosine": model.imagenet_cosine,
        "imported_at": model.imported_at,
        "layers": model.layers,
    }
    write_whole(_record_of(model), json.dumps(record, indent=2).encode() + b"\n")


def keep_layers(model: Model, content: bytes) -> Model:
    """Write a network with the maps of several layers beside the network.

    Args:
        model: the network.
        content: the flatbuffer with more outputs.

    Raises:
        BackboneError: it cannot be written.
    """
    model = replace(model, layers=sha256(content).hexdigest())
    write_whole(file_of(str(model.layers)), content)
    keep(model, None)
    return model


def write_whole(path: Path, content: bytes) -> Path:
    """Write a whole file or none: temporary name, fsync, rename, fsync of the folder.

    Returns:
        The file.

    Raises:
        BackboneError: it cannot be written.
    """
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
    return path


def _record_of(model: Model) -> Path:
    return model.path.with_suffix(".json")


def _from_record(file: Path) -> Model | None:
    try:
        record = json.loads(file.read_text("utf-8"))
        model = Model(
            sha256=file.stem,
            path=file.with_suffix(".tflite"),
            name=record["name"],
            origins=tuple(Origin(**origin) for origin in record["origins"]),
            input_size=record["input_size"],
            width=record["width"],
            imagenet_cosine=record["imagenet_cosine"],
            imported_at=record["imported_at"],
            layers=record.get("layers"),  # which an older version does not write
        )
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return None
    return model if _is_whole(model) else None


def _is_whole(model: Model) -> bool:
    """Whether what a record says is of the types that it should be."""
    texts = [model.name, model.imported_at]
    texts += [text for origin in model.origins for text in (origin.source, origin.archive_sha256)]
    sizes = [model.input_size, model.width]
    return (
        bool(model.origins)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(size, int) and size > 0 for size in sizes)
        and isinstance(model.imagenet_cosine, float | int | None)
        and isinstance(model.layers, str | None)
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
