"""How often a catalogue is right about pictures whose class is known."""

from __future__ import annotations

from dataclasses import replace

from catalog.descriptors import Conflict, InvalidInput
from catalog.judging.cross_check import PRECISION, require_precision
from catalog.learning.bound import Bound
from catalog.learning.opened import Opened
from catalog.learning.snapshot import JudgingSnapshot
from catalog.manifest import ClassLevel, Labelled, listed
from catalog.manifest.pictures import Progress
from catalog.reports.evaluation import Evaluation
from catalog.reports.gathering import gather
from catalog.reports.scoring import score
from catalog.store import inventory
from catalog.store.names import label_key


def evaluate(
    catalog: Opened,
    source: Labelled,
    *,
    precision: float = PRECISION,
    split: str | None = None,
    part: str | None = None,
    seed: int = 0,
    class_level: ClassLevel | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare what this catalogue says of pictures with what they are.

    Args:
        source: a folder tree or manifest, what :func:`read_manifest` made of one, or entries.
        precision: how often an answer called ``match`` is to be right.
        split: take one part of the pictures, split at random in these sizes, such as ``80/20``.
        part: which: ``train``, ``validation`` or ``test``.
        seed: of the split.
        class_level: which folders of a tree name classes, as for :func:`read_manifest`.
        progress: told of each picture.

    Raises:
        NotFound, InvalidInput: as :func:`read_manifest` does, or none of the pictures can be
            read and is of a class of this catalogue, or the precision is not between 0 and 1.
        Conflict: a class was removed meanwhile.
    """
    require_precision(precision)
    with catalog._store.reading() as tx:
        names = {label_key(row.label): row.label for row in inventory.label_counts(tx)}
    if not names:
        raise InvalidInput("nothing to evaluate: the catalogue is empty")
    listing = listed(source, split, part, seed, class_level)

    def holds(content: bytes) -> bool:
        with catalog._store.reading() as tx:
            return inventory.holds(tx, content)

    def ask(bound: Bound) -> Evaluation:
        found = gather(bound.embedder, listing, names, holds, progress)

        def judge(snapshot: JudgingSnapshot) -> Evaluation:
            there = {snapshot.moment.names[slot] for slot in snapshot.moment.order}
            if not {query.label for query in found.queries} <= there:
                raise Conflict("classes were changed while pictures were embedded; evaluate again")
            return score(
                found.queries, snapshot, bound.rows, strangers=found.strangers, precision=precision
            )

        return replace(
            bound.keeper.judge(judge),
            in_catalogue=found.in_catalogue,
            not_in_catalogue=found.not_in_catalogue,
            refused=tuple(found.refused),
        )

    return catalog._asking(ask)
