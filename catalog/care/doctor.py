"""What may keep a catalogue from working: on this computer, and in its file.

Nothing is changed or mended, and a file is read past :class:`Store`, which would upgrade it. These
are quick checks of structure; :meth:`Catalog.verify` reads everything.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog import machine
from catalog.care.places import gone_places
from catalog.data import prior_for
from catalog.data.starter import FLATBUFFER
from catalog.descriptors import BackboneError, CatalogError, InvalidInput
from catalog.embedder import MobileNetEmbedder, load, models, sources
from catalog.embedder.describe import POOLED
from catalog.embedder.model_cache import Model
from catalog.embedder.probes import AGREEMENT
from catalog.machine import Check, locked_files
from catalog.machine.folders import size_of
from catalog.store import DatabaseError, Transaction, binding, checks, embedders, inventory, journal
from catalog.store.binding import Binding
from catalog.store.connections import read_only
from catalog.store.files import cache_folder
from catalog.store.formats import stand_in, version_of
from catalog.store.schema import APPLICATION_ID, FORMAT_VERSION

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_ROLLBACK: Final = b"\1\1"  # versions of the format to read and to write; 2 is the write-ahead log
_BUSY_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 3600
_CLOCK_SECONDS: Final = 60


def examine(path: Path | None = None, *, online: bool = False) -> tuple[Check, ...]:
    """Look at this computer, its networks, and a catalogue.

    Args:
        path: of the catalogue, which may be in any state, or not be there; None for none.
        online: whether to ask also where the ImageNet network can be downloaded; else nothing is
            asked of any server.
    """
    asked = examine_sources() if online else ()
    return (*machine.examine(path), *examine_networks(), *asked, *examine_catalogue(path))


def examine_networks() -> Iterator[Check]:
    """Whether the networks of this computer are as they were imported."""
    yield _starter_network()
    kept = models.models()
    damaged = [model for model in kept if not model.is_intact]
    if damaged:
        names = ", ".join(f"{model.name} ({model.path})" for model in damaged)
        advice = f"delete the file, then import it again: {damaged[0].source}"
        yield Check("networks", "bad", f"damaged: {names}", advice)
    else:
        yield Check("networks", "ok", ", ".join(model.name for model in kept) or "none yet")


def examine_sources() -> Iterator[Check]:
    """Whether the ImageNet network can be had from each of its sources; it is not downloaded."""
    from catalog.embedder import download  # which takes a while to import

    try:
        choice = sources.sources(sources.IMAGENET_HANDLE)
    except InvalidInput as error:
        yield Check("sources", "bad", error.fact, "correct the variable, or unset it")
        return
    faults: dict[str, str] = {}
    for source in choice:
        try:
            download.look(source.url)
        except BackboneError as error:
            faults[source.name] = _line(error)
    given = [source.name for source in choice if source.name not in faults]
    advice = (
        f"`catalog model fetch` takes it from {given[0]}"
        if given
        else f"download {' or '.join(sources.published())} in a browser or on another computer, "
        "and `catalog model import` the file"
    )
    for source in choice:
        if source.name in faults:
            yield Check(source.name, "warning", faults[source.name], advice)
        else:
            yield Check(source.name, "ok", f"{source.host} has the file")


def examine_catalogue(path: Path | None) -> Iterator[Check]:
    """Whether a catalogue's file is in order, and its network on this computer; None for none."""
    if path is None:
        yield Check("catalogue", "ok", "none was named", "name one with --catalog or CATALOG_PATH")
        return
    header = _header(path)
    if isinstance(header, Check):
        yield header
        return
    yield _format(header)
    yield from _companions(path, header)
    if header[18:20] != _ROLLBACK:  # reading would make files beside it
        return
    try:
        with read_only(path, _BUSY_SECONDS) as connection:
            yield _pages(connection, path)
            stand_in(connection, version_of(connection))  # older formats lack what is asked for
            yield _contents(connection)
            yield _places(connection)
            yield _clock(connection)
            bound = binding.read(connection)
            others = [binding.read(connection, one) for one in embedders.others(connection)]
    except (DatabaseError, CatalogError, ValueError, TypeError) as error:
        yield _unreadable(error)
        return
    yield _network(bound)
    for other in others:  # which is brought in, or can be gone back to
        check = _network(other)
        state = "warning" if check.state == "bad" else check.state
        yield replace(check, name="other network", state=state)


def _starter_network() -> Check:
    """Whether the network that comes with the program computes what it was measured by."""
    try:
        starter = _starter()
        known = prior_for(_probed(MobileNetEmbedder(starter, descriptor=POOLED)))
    except (OSError, CatalogError) as error:
        return Check("starter network", "bad", _line(error), "install catalog again")
    if known is None:
        found = f"{starter.sha256[:12]} computes other descriptors than those that are recorded"
        return Check("starter network", "bad", found, "install catalog again")
    return Check("starter network", "ok", starter.sha256[:12])


def _starter() -> Model:
    """The network that comes with the program, where it lies; :mod:`models` would copy it."""
    digest = sha256(FLATBUFFER.read_bytes()).hexdigest()
    return Model(digest, FLATBUFFER, models.STARTER, (), 0, 0, None, "")


def _header(path: Path) -> bytes | Check:
    """The first bytes of a catalogue, or why there are none."""
    try:
        if not path.exists():
            advice = f"make one with `catalog init {path}`, or name another with --catalog"
            return Check("catalogue", "bad", f"there is nothing at {path}", advice)
        if not path.is_file():
            return Check("catalogue", "bad", f"{path} is no file", "name another with --catalog")
        header = locked_files.beginning(path, _HEADER_BYTES)
    except OSError as error:
        found = f"{path} cannot be read: {error.strerror}"
        return Check("catalogue", "bad", found, "see to its permissions, and those of its folder")
    own = int.from_bytes(header[68:72], "big") == APPLICATION_ID
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC) or not own:
        advice = (
            "name another with --catalog; if this was one, move it away, and restore it from a "
            "backup (`catalog restore`)"
        )
        return Check("catalogue", "bad", f"{path} is not a catalogue", advice)
    return header


def _format(header: bytes) -> Check:
    version = int.from_bytes(header[60:64], "big")
    if version > FORMAT_VERSION:
        found = f"format {version}; this version reads up to {FORMAT_VERSION}"
        return Check("format", "bad", found, "update catalog: `pip install -U catalog`")
    if version < FORMAT_VERSION:
        found = f"format {version}, which becomes {FORMAT_VERSION} when it is next changed"
        return Check("format", "ok", found)
    return Check("format", "ok", f"format {version}")


def _companions(path: Path, header: bytes) -> Iterator[Check]:
    """Files beside a catalogue that tell of other programs, or of some that were killed."""
    if header[18:20] != _ROLLBACK:
        advice = (
            "another tool has put it into WAL mode, where SQLite before 3.51.3 can lose a commit; "
            "close that tool, and the next command of catalog brings the rollback journal back"
        )
        yield Check("journal mode", "warning", "write-ahead log", advice)
    else:
        yield Check("journal mode", "ok", "rollback journal")
    if size_of(path.with_name(path.name + "-journal")):
        advice = (
            "someone is writing, or was killed while doing so; leave it where it is, since the "
            "next command takes back with it what was half done"
        )
        yield Check("journal file", "warning", f"{path.name}-journal is there", advice)
    leftovers = [
        *path.parent.glob(f".{escape(path.name)}.*.tmp*"),
        *cache_folder(path).glob("*.tmp"),
    ]
    old = [str(one) for one in leftovers if time.time() - _changed(one) > _STALE_SECONDS]
    if old:
        advice = "left by processes that were killed; delete them"
        yield Check("temporary files", "warning", ", ".join(sorted(old)), advice)


def _pages(connection: Transaction, path: Path) -> Check:
    """Whether all pages are there; a file that was cut short lacks some."""
    size, pages, free = checks.page_counts(connection)
    there = size_of(path)
    if there < size * pages:
        found = f"cut short: {there} bytes of {size * pages}"
        return Check("file", "bad", found, "restore it from a backup (`catalog restore`)")
    share = free / pages if pages else 0.0
    return Check("file", "ok", f"{there} bytes, {share:.0%} of its pages free")


def _contents(connection: Transaction) -> Check:
    counts = inventory.label_counts(connection)
    items = sum(row.items for row in counts)
    found = (
        f"{items} items, {len(counts)} classes, generation {journal.version(connection).generation}"
    )
    return Check("contents", "ok", f"{found}; `catalog verify` reads everything")


def _places(connection: Transaction) -> Check:
    """Whether pictures still lie where they were found."""
    gone = gone_places(inventory.all_places(connection))
    if gone:
        advice = (
            "answers are as before, but their pictures cannot be shown; import the pictures again "
            "where they are now, and `catalog forget-places` drops the old places"
        )
        found = f"nothing lies any more at {len(gone)} of them, such as {gone[0]}"
        return Check("places", "warning", found, advice)
    return Check("places", "ok", "something lies at each of them")


def _clock(connection: Transaction) -> Check:
    """Whether the clock is behind what the journal says has happened."""
    last = journal.last_time(connection)
    if last is None:
        return Check("clock", "ok", "nothing has happened yet")
    ahead = datetime.fromisoformat(last).timestamp() - time.time()
    if ahead > _CLOCK_SECONDS:
        advice = "set the clock of this computer; the journal's order does not depend on it"
        return Check("clock", "warning", f"behind the last change, of {last}", advice)
    return Check("clock", "ok", f"after the last change, of {last}")


def _network(bound: Binding) -> Check:
    """Whether the catalogue's network is here, and computes what it did where the file was made."""
    digest = bound.specification.backbone
    try:
        here = [model for model in (*models.models(), _starter()) if model.sha256 == digest]
        if not here:
            advice = (
                f"copy {digest}.tflite from a computer that has it (`catalog model list` shows "
                "where), and `catalog model import` it here"
            )
            return Check("its network", "bad", f"{digest[:12]} is not on this computer", advice)
        probes = _probed(load(here[0], bound.specification))
        agreement = binding.agreement(probes, bound.probes)
    except (OSError, CatalogError) as error:
        return Check("its network", "bad", _line(error), "`catalog model import` it again")
    if agreement < AGREEMENT:
        found = f"{digest[:12]} computes other descriptors here (cosine {agreement:.5f})"
        advice = "scores may be lower than they should be; see which library was changed"
        return Check("its network", "warning", found, advice)
    found = f"{digest[:12]} computes the same as where the file was made (cosine {agreement:.6f})"
    return Check("its network", "ok", found)


def _probed(embedder: MobileNetEmbedder) -> NDArray[np.float32]:
    with contextlib.closing(embedder):
        return embedder.probe()


def _unreadable(error: Exception) -> Check:
    kind = checks.kind_of(error)
    if kind == "locked":
        advice = "another process is at a commit, or holds it for long; try again"
        return Check("contents", "warning", "locked", advice)
    if kind == "not opened":
        advice = "any other command of catalog mends that when it opens the file"
        return Check("contents", "warning", f"not looked at: {_line(error)}", advice)
    advice = "`catalog verify` says more; restore it from a backup (`catalog restore`)"
    return Check("contents", "bad", f"damaged: {_line(error)}", advice)


def _line(error: Exception) -> str:
    text = error.fact if isinstance(error, CatalogError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
