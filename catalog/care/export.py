"""A catalogue written out for other tools: tables, arrays, the label file, the embedding projector.

Items come in the order of their content hashes, which no history changes.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors import (
    Advice,
    CatalogError,
    Conflict,
    Damaged,
    InvalidInput,
    NotFound,
)
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.store import ItemId, Transaction, compaction, files, inventory
from catalog.store.moment import Moment

Format: TypeAlias = Literal["parquet", "npz", "labels", "projector"]
"""What a catalogue can be written as: ``projector`` is a folder, the others are files."""

NOISE = "noise"
"""The label of a file of labels while there are no classes."""

_ENDINGS: dict[str, Format] = {".parquet": "parquet", ".npz": "npz", ".json": "labels"}
_TENSORS, _METADATA, _CONFIG = "tensors.tsv", "metadata.tsv", "projector_config.pbtxt"
_BLOCK_ITEMS = 2048


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file or folder.
        format: ``parquet``, ``npz``, ``labels`` or ``projector``.
        items: how many are in it; of a file of labels, how many its classes have.
        without_descriptor: how many were left out, since `compact` dropped their descriptors.
    """

    path: Path
    format: Format
    items: int
    without_descriptor: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A few thousand items: their columns, and their descriptors float32 (N, D)."""

    items: list[int]
    labels: list[str]
    slots: list[int]
    contents: list[str]
    sources: list[tuple[str, ...]]
    rows: NDArray[np.float32]


class _Gathered(NamedTuple):
    """A moment, its learning state, and how many items `compact` took the descriptors of."""

    moment: Moment
    learning_state: str
    dropped: int


@dataclass(frozen=True, slots=True)
class _Contents:
    """What there is to write: N items with descriptors of D components."""

    count: int
    width: int
    blocks: Iterator[_Block]


def export(
    catalog: Opened,
    path: str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    replace: bool = False,
) -> Exported:
    """Write this catalogue out for other tools; what is at the path is whole, or as it was.

    Items come in the order of their content hashes. They are those of one moment, though others may
    write meanwhile; where they were found is as it is when it is read.

    Args:
        path: of the file or folder to make.
        format: ``parquet`` (needs pyarrow), ``npz``, ``labels`` (JSON) or ``projector`` (a
            folder for the embedding projector of TensorBoard); else by the path's ending.
        replace: an older export of that name.

    Raises:
        InvalidInput: there is no such format, or the ending names none.
        Conflict: there is something at that path, and it is not to be replaced; or descriptors
            were dropped while they were written out.
        NotFound: there is no such folder.
        Damaged: an item has lost its descriptor or its class.
        CatalogError: the folder cannot be written, the disk is full, or pyarrow is missing.
    """
    file, chosen = Path(path).absolute(), format_of(Path(path), format)
    if chosen == "projector":
        _require_free(file)
    else:
        files.require_writable(file, replace=replace)
    if chosen == "labels":
        with catalog._store.reading() as tx:
            items = inventory.count(tx)
            text = label_file({one.slot: one.label for one in inventory.label_counts(tx)})
        files.write(file, lambda made: made.write(text.encode()), replace=replace)
        return Exported(file, chosen, items, 0)
    bound, found = catalog._asking(
        lambda bound: (
            bound,
            bound.keeper.compute_beside(
                _counted,
                lambda learning, moment, dropped: _Gathered(
                    moment, learning.state(moment), dropped
                ),
            ),
        )
    )
    blocks = _blocks(catalog, bound, found.moment)
    contents = _Contents(len(found.moment), bound.stored.width, blocks)
    if chosen == "projector":
        _write_folder(file, contents)
    elif chosen == "npz":
        files.write(file, _npz(contents), replace=replace)
    else:
        about = {
            "catalog": version("catalog"),
            "embedder": bound.fingerprint,
            "generation": str(found.moment.version.generation),
            "learning_state": found.learning_state,
        }
        files.write(file, _parquet(contents, about), replace=replace)
    return Exported(file, chosen, contents.count, found.dropped)


def _counted(tx: Transaction, moment: Moment) -> int:
    """How many items have no descriptor any more.

    Raises:
        Damaged: one has lost it.
    """
    dropped = compaction.count_without_descriptor(tx)
    if inventory.count(tx) != len(moment) + dropped:
        raise Damaged("an item has lost its descriptor", Advice("verify"))
    return dropped


def format_of(path: Path, given: str | None = None) -> Format:
    """The format that is given, or that the ending of a path names.

    Raises:
        InvalidInput: there is none of that name, or the ending names none.
    """
    for known in get_args(Format):
        if given == known:
            return known  # type: ignore[no-any-return]
    if given is None and (found := _ENDINGS.get(path.suffix.lower())):
        return found
    names = "parquet, npz, labels or projector"
    if given is not None:
        raise InvalidInput(f"there is no format {given!r}; a catalogue can be written as {names}")
    raise InvalidInput(f"the ending of {path} names no format; say whether it is to be {names}")


def label_file(names: dict[int, str]) -> str:
    """The names of classes as JSON: ``labels``, index to name, and ``indices``, name to index.

    A class has the index of its slot less one, so the first has 0. Indices never change; those of
    classes that were removed are missing. Without classes there is one label, ``noise``.

    Args:
        names: of classes, by slot.
    """
    labels = {slot - 1: name for slot, name in sorted(names.items())} or {0: NOISE}
    indices = {name: index for index, name in labels.items()}
    return json.dumps({"labels": labels, "indices": indices}, ensure_ascii=False, indent=2) + "\n"


def _blocks(catalog: Opened, bound: Bound, moment: Moment) -> Iterator[_Block]:
    """The items of a moment, each block read in a short transaction."""
    for start in range(0, len(moment), _BLOCK_ITEMS):
        part = slice(start, start + _BLOCK_ITEMS)
        items, slots = moment.items[part], moment.slots[part].tolist()
        with catalog._store.reading() as tx:
            sources = [inventory.sources(tx, ItemId(item)) for item in items.tolist()]
        yield _Block(
            items.tolist(),
            [moment.names[slot] for slot in slots],
            slots,
            [content.astype(">u8").tobytes().hex() for content in moment.contents[part]],
            sources,
            bound.rows.floats(items),
        )


def _parquet(contents: _Contents, about: dict[str, str]) -> Callable[[IO[bytes]], object]:
    """What writes a Parquet file, a group of rows for each block."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise CatalogError(
            f"Parquet is written by pyarrow, which cannot be imported ({error}): "
            "`pip install 'catalog[parquet]'`"
        ) from error
    schema = pa.schema(
        [
            pa.field("item", pa.int64(), nullable=False),
            pa.field("label", pa.string(), nullable=False),
            pa.field("slot", pa.int64(), nullable=False),
            pa.field("content", pa.string(), nullable=False),
            pa.field("sources", pa.list_(pa.string()), nullable=False),
            pa.field("descriptor", pa.list_(pa.float32(), contents.width), nullable=False),
        ],
        metadata=about,
    )

    def write(file: IO[bytes]) -> None:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for block in contents.blocks:
                numbers = pa.array(block.rows.reshape(-1))
                rows = pa.FixedSizeListArray.from_arrays(numbers, type=schema.types[-1])
                columns = [block.items, block.labels, block.slots, block.contents, block.sources]
                arrays = [pa.array(c, t) for c, t in zip(columns, schema.types[:-1], strict=True)]
                writer.write_batch(pa.record_batch([*arrays, rows], schema=schema))

    return write


def _npz(contents: _Contents) -> Callable[[IO[bytes]], object]:
    """What writes a NumPy archive; of its arrays only the small ones are held in memory.

    The sources of item ``i`` are ``sources[starts[i]:starts[i + 1]]``.
    """

    def write(file: IO[bytes]) -> None:
        small: dict[str, list[Any]] = {
            name: [] for name in ("items", "labels", "slots", "content", "sources")
        }
        starts = [0]
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open("descriptors.npy", "w", force_zip64=True) as member:
                shape = (contents.count, contents.width)
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for block in contents.blocks:
                    member.write(block.rows.astype("<f4", copy=False).tobytes())
                    small["items"] += block.items
                    small["labels"] += block.labels
                    small["slots"] += block.slots
                    small["content"] += block.contents
                    for places in block.sources:
                        small["sources"] += places
                        starts.append(len(small["sources"]))
            kinds = {"items": np.int64, "slots": np.int64}
            arrays = {name: np.array(row, kinds.get(name, np.str_)) for name, row in small.items()}
            for name, array in {**arrays, "starts": np.array(starts, np.int64)}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    return write


def _write_folder(path: Path, contents: _Contents) -> None:
    """Write what the embedding projector of TensorBoard reads, in a folder that appears whole."""
    with files.explained(path), files.beside(path) as temporary:
        temporary.mkdir()
        _fill(temporary, contents)
        files.sync_folder(temporary / _CONFIG)
        temporary.rename(path)
        files.sync_folder(path)


def _fill(folder: Path, contents: _Contents) -> None:
    with (folder / _TENSORS).open("xb") as tensors, (folder / _METADATA).open("xb") as metadata:
        # The first line is a heading, since there is more than one column.
        metadata.write(b"label\titem\tsource\n")
        for block in contents.blocks:
            # The stored integers are 16384 steps to 1, so that six digits are all there is.
            np.savetxt(tensors, block.rows, fmt="%.6g", delimiter="\t")
            for label, item, sources in zip(block.labels, block.items, block.sources, strict=True):
                source = sources[0] if sources else ""
                metadata.write(f"{_one_cell(label)}\t{item}\t{_one_cell(source)}\n".encode())
        files.sync(tensors)
        files.sync(metadata)
    with (folder / _CONFIG).open("xb") as config:
        lines = [
            "embeddings {",
            '  tensor_name: "catalog"',
            f"  tensor_shape: {contents.count}",
            f"  tensor_shape: {contents.width}",
            f'  tensor_path: "{_TENSORS}"',
            f'  metadata_path: "{_METADATA}"',
            "}",
            "",
        ]
        config.write("\n".join(lines).encode())
        files.sync(config)


def _one_cell(text: str) -> str:
    """A text with tabs, line ends and other control characters turned into spaces."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


def _require_free(path: Path) -> None:
    """Make sure that a folder may be made; no call of the system puts one in another's place.

    Raises:
        Conflict: there is something at that path.
        NotFound: there is no such folder to make it in.
        CatalogError: that cannot be looked into.
    """
    with files.explained(path):
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {path.parent}; make it first")
        if path.exists():
            raise Conflict(f"{path} exists already; choose another name, or delete it first")
