"""Make the golden catalogues of the present version; ``README.md`` beside it says how and when.

Each is a catalogue that a program of that format wrote, and what that program answered. Nothing
here rests on how a picture is encoded or resized: pictures are arrays of 6 x 6 pixels, which the
stand-in for the network takes as they are.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))  # for the doubles, when this is run as a script

from doubles import GRID, FakeEmbedder  # noqa: E402
from inside import keep  # noqa: E402

from catalog import Catalog, descriptors, read_manifest  # noqa: E402
from catalog.descriptors import CatalogError  # noqa: E402
from catalog.store.schema import FORMAT_VERSION  # noqa: E402

WIDTH = 16
NAMES = ("Blåbär", "緑茶", "🍎 apple", "crème brûlée", "Ἀθήνα")
PHOTOS = "/photos"
"""Where the pictures that lay in files are said to have been."""
NOON = 1_767_268_800 * 10**9
"""And when they are said to have been changed, in nanoseconds since 1970."""


def embedder() -> FakeEmbedder:
    """The stand-in for the network that every golden catalogue was made with."""
    return FakeEmbedder(width=WIDTH)


def embedders() -> tuple[FakeEmbedder, ...]:
    """The same, and the one that some of them went over to."""
    return embedder(), FakeEmbedder(width=WIDTH - 2, seed=1)


def shot(thing: int, number: int = 0) -> NDArray[np.uint8]:
    """One picture of a made-up thing: uint8 (6, 6, 3)."""
    look = np.random.default_rng(thing).integers(40, 216, (GRID, GRID, 3))
    noise = np.random.default_rng([thing, number]).integers(-40, 40, look.shape)
    return (look + noise).astype(np.uint8)


def given() -> Any:
    """What a golden catalogue is opened with, in the version that makes it."""
    return embedders() if FORMAT_VERSION > 6 else embedder()


def shots(thing: int, count: int, first: int = 0) -> list[NDArray[np.uint8]]:
    """Several pictures of a thing."""
    return [shot(thing, number) for number in range(first, first + count)]


def blend(thing: int, other: int) -> NDArray[np.uint8]:
    """A picture of a thing that has something of another one."""
    return ((shot(thing, 1).astype(np.uint16) + shot(other)) // 2).astype(np.uint8)


def asked() -> list[NDArray[np.uint8]]:
    """The pictures that every golden catalogue is asked about; the last is of nothing it has."""
    return [shot(thing, 90) for thing in (*range(len(NAMES)), 7, 99)]


def answers(catalog: Catalog) -> dict[str, Any]:
    """All that a catalogue says of itself and of the pictures, as JSON values."""
    info = catalog.info()
    return {
        "generation": info.generation,
        "staged": info.staged,
        "head": getattr(info, "head", None),
        "learning_state": info.learning_state,
        "labels": [[row.label, row.items] for row in catalog.labels()],
        "items": [[i.id, i.label, i.content, list(i.sources)] for i in catalog.items()],
        "nearest": [
            [[n.item, n.label, n.score] for n in catalog.nearest(picture, 5)] for picture in asked()
        ],
        "predict": [_prediction(catalog, picture) for picture in asked()],
        "rules": rules(),
    }


def rules() -> dict[str, str]:
    """The rules of learning that answers rest on; where one has changed, answers may differ."""
    found = {"items": descriptors.WHITENING_RULE}
    if FORMAT_VERSION > 1:
        from catalog.head import EXACT_RULE
        from catalog.judging.calibration import CALIBRATION_RULE

        found |= {"head": EXACT_RULE, "sure": CALIBRATION_RULE}
    return found


def _prediction(catalog: Catalog, picture: NDArray[np.uint8]) -> dict[str, Any]:
    found = catalog.predict(picture, 9)
    return {
        "label": found.label,
        "verdict": getattr(found, "verdict", None),
        "probability": getattr(found, "probability", None),
        **{
            witness: [[c.label, c.score] for c in getattr(found, witness, ())]
            for witness in ("head", "centroid", "neighbours")
        },
    }


def journal(catalog: Catalog) -> list[list[Any]]:
    """Every event as the file has it, oldest first."""
    with catalog._store.reading() as tx:
        return [
            [event, command, kind, json.loads(detail), undone_by]
            for event, command, kind, detail, undone_by in tx.execute(
                "SELECT id, command, kind, detail, undone_by FROM event ORDER BY id"
            )
        ]


def undone(catalog: Catalog) -> list[dict[str, Any]]:
    """What comes of taking back one command after another, until there is none left."""
    steps: list[dict[str, Any]] = []
    while True:
        try:
            events = catalog.undo()
        except CatalogError as error:
            return [*steps, {"refused": type(error).__name__}]
        steps.append(
            {
                "kinds": [event.kind for event in events],
                "labels": [[row.label, row.items] for row in catalog.labels()],
                "learning_state": catalog.info().learning_state,
            }
        )


def history(catalog: Catalog, folder: Path) -> None:
    """What every version can do: classes come, go, move, come back respelt, and are undone."""
    for thing, name in enumerate(NAMES[:3]):
        (folder / name).mkdir()
        for number in range(2):
            bgr = np.ascontiguousarray(shot(thing, number)[..., ::-1])
            content = cv2.imencode(".png", bgr)[1].tobytes()
            (folder / name / f"{number} é.png").write_bytes(content)
    catalog.import_(read_manifest(folder).entries)
    catalog.add_class(NAMES[3], shots(3, 4))
    catalog.add(NAMES[0], shots(0, 2, first=2))
    catalog.add_class("gone", shots(5, 2))
    catalog.remove_class("gone")
    catalog.remove([catalog.items(NAMES[3])[0].id])
    catalog.add_class("mistake", shots(6, 2))
    catalog.undo()
    catalog.add(NAMES[1], [shot(3, 1)], move=True)
    catalog.add_class("GONE", shots(5, 1))
    catalog.add_class(NAMES[4], shots(4, 3))
    if FORMAT_VERSION > 3:
        told(catalog, folder)
    if FORMAT_VERSION > 5:
        synced(catalog, folder)


def told(catalog: Catalog, folder: Path) -> None:
    """What format 4 brought: when pictures were taken, and photos made up of lone ones."""
    entries = read_manifest(folder).entries
    catalog.import_([replace(one, group=f"visit {at // 2}") for at, one in enumerate(entries)])
    catalog.add_class("alone", shots(10, 1))


def synced(catalog: Catalog, folder: Path) -> None:
    """What format 6 brought: a folder that was kept in step with, and the job that did it."""
    (folder / NAMES[0] / "0 é.png").rename(folder / NAMES[1] / "moved.png")
    (folder / NAMES[2] / "1 é.png").unlink()
    (folder / NAMES[2] / "2 é.png").write_bytes(b"no picture")
    catalog.sync(folder, delete=True)


def later(catalog: Catalog) -> None:
    """What format 2 brought: feedback, and photos that were kept."""
    catalog.feedback(shot(0, 50), NAMES[0])
    catalog.feedback(shot(1, 51), NAMES[0], note_only=True)
    catalog.feedback(shot(8, 50), "Ny klass")
    keep(catalog, [shot(99, 1), shot(99, 2)])


def exact(catalog: Catalog) -> None:
    """A head that is solved from the descriptors, and enough classes to measure how sure it is.

    Since format 7 another embedder was brought in from the first, and gone over to at the end.
    """
    for thing in range(20, 44):
        catalog.add_class(f"Nr {thing}", [shot(thing), blend(thing, 100 + thing)])
    later(catalog)
    if FORMAT_VERSION > 6:
        catalog.predict_many(asked())
        catalog.promote()


def frozen(catalog: Catalog) -> None:
    """A head whose old columns stay, and classes whose descriptors are dropped."""
    catalog.train_head("frozen")
    later(catalog)
    catalog.compact([NAMES[1], NAMES[4]])
    catalog.remove_class(NAMES[4], inexact=True)
    catalog.add_class("după", shots(9, 3))


def document(catalog: Catalog) -> None:
    """A head trained as the documents do; its loss and accuracy are kept with it."""
    catalog.train_head("document", epochs=2, replay="gaussian")
    catalog.add_class("după", shots(9, 3))


KINDS: dict[str, Callable[[Catalog], object]] = {
    "exact": exact,
    "frozen": frozen,
    "document": document,
}
"""How the catalogues of a format that has heads go on after what all have in common."""


def make(target: Path, then: Callable[[Catalog], object]) -> None:
    """Make one catalogue, packed, and beside it what was answered.

    Args:
        target: its path without an ending.
        then: what is done after what all have in common.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path, tree = Path(scratch, "golden.catalog"), Path(scratch, "photos")
        tree.mkdir()
        more: Any = {"thumbnails": True} if FORMAT_VERSION > 7 and then is frozen else {}
        with Catalog.init(path, embedder=embedder(), **more) as catalog:
            if FORMAT_VERSION > 6 and then is not frozen:
                catalog.reindex(embedder=embedders()[1])
            history(catalog, tree)
            then(catalog)
        with Catalog.open(path, embedder=given()) as catalog, catalog._store.writing() as tx:
            # So that the places are the same wherever it was made, and whenever.
            columns = [("source", "place")]
            if FORMAT_VERSION > 5:
                columns += [("event", "detail"), ("job", "request"), ("job_failure", "place")]
            for table, column in columns:
                tx.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                    (str(tree), PHOTOS),
                )
            if FORMAT_VERSION > 2:
                tx.execute("UPDATE source SET modified = ? WHERE modified IS NOT NULL", (NOON,))
        packed = gzip.compress(path.read_bytes(), mtime=0)
        with Catalog.open(path, embedder=given()) as catalog:
            said = {**answers(catalog), "journal": journal(catalog), "undo": undone(catalog)}
    target.with_name(target.name + ".catalog.gz").write_bytes(packed)
    text = json.dumps(said, ensure_ascii=False, indent=1)
    target.with_name(target.name + ".json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Make the set of the format that the installed program writes."""
    if FORMAT_VERSION == 1:
        make(HERE / "format-1", lambda _: None)
        return
    for name, then in KINDS.items():
        make(HERE / f"format-{FORMAT_VERSION}-{name}", then)


if __name__ == "__main__":
    main()
