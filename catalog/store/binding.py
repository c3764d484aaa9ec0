"""Which embedder a catalogue belongs to, and how it is found again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import platform
import sqlite3
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import (
    Advice,
    Damaged,
    EmbedderMismatch,
    InvalidInput,
    NotFound,
    Prior,
    from_bytes,
    read_arrays,
    to_bytes,
    to_integers,
)
from catalog.embedder import (
    Embedder,
    EmbedderApart,
    Isolation,
    Specification,
    known,
    libraries,
    load,
    models,
)
from catalog.embedder.probes import AGREEMENT
from catalog.store import embedders
from catalog.store.embedders import EmbedderId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binding:
    """The embedder of a catalogue, as the file records it.

    Attributes:
        id: its row.
        specification: what decides its descriptors.
        prior: what its metric starts from.
        probes: its descriptors of the probe pictures when the catalogue was made, int16 (P, D).
    """

    id: EmbedderId
    specification: Specification
    prior: Prior
    probes: NDArray[np.int16]

    @property
    def fingerprint(self) -> str:
        """The embedder's fingerprint, 64 hexadecimal digits."""
        return self.specification.fingerprint

    @property
    def is_measured(self) -> bool:
        """Whether it was measured how photos of one thing differ: for a prior, or a projection."""
        return len(self.prior.directions) > 0 or self.specification.projection is not None


def record(embedder: Embedder) -> dict[str, Any]:
    """The row that ties a new catalogue to an embedder, with the prior known for it, if any."""
    probes = embedder.probe()
    return {
        "fingerprint": embedder.specification.fingerprint,
        "spec": embedder.specification.to_json(),
        "prior": _pack(_prior_of(embedder.specification, probes)),
        "probes": b"".join(to_bytes(row) for row in to_integers(probes)),
    }


def _prior_of(specification: Specification, probes: NDArray[np.float32]) -> Prior:
    """What is known of an embedder's descriptors; those of a projection are whitened already."""
    if specification.projection is None:
        return known.prior_for(probes) or Prior.isotropic(specification.width)
    projection = known.projection_named(specification.projection)
    alike = projection.alike.get(specification.width) if projection else None
    return Prior.isotropic(specification.width, alike)


def read(tx: sqlite3.Connection, embedder: EmbedderId | None = None) -> Binding:
    """An embedder of a catalogue.

    Args:
        tx: a transaction.
        embedder: its row; the active one by default.

    Raises:
        Damaged: its row cannot be read.
    """
    try:
        return _read(tx, embedders.active(tx) if embedder is None else embedder)
    except (
        AttributeError,
        InvalidInput,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise Damaged(
            f"the embedder that this catalogue records cannot be read: {error}. "
            "Restore the file from a backup"
        ) from error


def _read(tx: sqlite3.Connection, embedder: EmbedderId) -> Binding:
    row = tx.execute(
        "SELECT id, spec, prior, probes, fingerprint FROM embedder WHERE id = ?", (embedder,)
    ).fetchone()
    if hashlib.sha256(row[1].encode()).hexdigest() != row[4]:
        raise ValueError("it does not match its fingerprint")
    specification = Specification.from_json(row[1])
    step = 2 * specification.width
    blobs = [row[3][start : start + step] for start in range(0, len(row[3]), step)]
    return Binding(row[0], specification, _unpack(row[2]), from_bytes(blobs, specification.width))


def embedder_of(binding: Binding, cache: Path, *, isolate: Isolation = False) -> Embedder:
    """Load the embedder of a catalogue from the model cache.

    Args:
        binding: of the catalogue.
        cache: folder of its derived files.
        isolate: what is done in processes of its own.

    Raises:
        NotFound: its network is not on this machine; the message says how to get it.
        BackboneError: its network is damaged, or this version computes other descriptors.
    """
    sha256 = binding.specification.backbone
    try:
        model = models.find(sha256)
    except NotFound:
        raise NotFound(
            f"the network of this catalogue, {sha256[:12]}, is not on this machine",
            Advice("copy network", sha256),
        ) from None
    embedder: Embedder
    if isolate == "embedding":
        embedder = EmbedderApart(model, binding.specification)
    else:
        embedder = load(model, binding.specification, isolate=isolate)
    _log.info("loaded the network %s", model.name)
    _check_machine(embedder, binding, cache)
    return embedder


def require_same(embedder: Embedder, binding: Binding) -> None:
    """Make sure that an embedder is the catalogue's own.

    Raises:
        EmbedderMismatch: it is another one; the message names both.
    """
    own, other = binding.fingerprint, embedder.specification.fingerprint
    if own != other:
        raise EmbedderMismatch(
            f"this catalogue holds descriptors of embedder {own[:12]}; descriptors of embedder "
            f"{other[:12]} cannot be mixed with them. Make a new catalogue for it",
            own=own,
            other=other,
        )


def _check_machine(embedder: Embedder, binding: Binding, cache: Path) -> None:
    """Warn if this machine computes other descriptors than the one that made the catalogue.

    Kernels are chosen by processor, and libraries change: a step of an integer is to be expected
    and harmless, more is not. Each combination is checked once.
    """
    seen = cache / "machine.json"
    here = {"embedder": binding.fingerprint[:12], **_machine()}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if json.loads(seen.read_text()) == here:
            return
    agreed = agreement(embedder.probe(), binding.probes)
    if agreed < AGREEMENT:
        warnings.warn(
            f"the embedder computes other descriptors here than where this catalogue was made "
            f"(cosine {agreed:.5f}): {', '.join(here.values())}. Scores may be lower than "
            "they should be",
            stacklevel=2,
        )
        return
    with contextlib.suppress(OSError):
        seen.parent.mkdir(exist_ok=True)
        seen.write_text(json.dumps(here))


def agreement(probes: NDArray[np.float32], recorded: NDArray[np.int16]) -> float:
    """The least cosine of descriptors (P, D) and those that are recorded of the same pictures."""
    now, then = to_integers(probes).astype(np.float64), recorded.astype(np.float64)
    if now.shape != then.shape:
        return -1.0
    lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1)
    return float(((now * then).sum(axis=1) / np.maximum(lengths, 1.0)).min())


def _machine() -> dict[str, str]:
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((x.split(":")[1].strip() for x in lines if "model name" in x), processor)
    return {"processor": processor, **libraries()}


def _pack(prior: Prior) -> bytes:
    arrays: dict[str, Any] = {
        "mean": prior.mean.astype(np.float16),
        "directions": prior.directions.astype(np.float16),
        "variances": prior.variances,
        "residual": np.float64(prior.residual),
    }
    if prior.alike is not None:
        arrays["alike"] = np.float64(prior.alike)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _unpack(blob: bytes) -> Prior:
    arrays = read_arrays(blob)
    return Prior(
        arrays["mean"].astype(np.float32),
        arrays["directions"].astype(np.float32),
        arrays["variances"],
        float(arrays["residual"]),
        float(arrays["alike"]) if "alike" in arrays else None,
    )
