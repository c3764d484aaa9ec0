"""The head trained on command, in one of four ways."""

from __future__ import annotations

from catalog.descriptors import InvalidInput
from catalog.head import TrainingOptions
from catalog.learning.opened import Opened
from catalog.learning.training import Trained, TrainingProgress, switch_head, train_document
from catalog.store import heads
from catalog.store.heads import training_named


def train_head(
    catalog: Opened,
    head: str,
    *,
    epochs: int | None = None,
    batch: int | None = None,
    dropout: float | None = None,
    learning_rate: float | None = None,
    validation_split: float | None = None,
    start: str | None = None,
    replay: str | None = None,
    seed: int | None = None,
    force: bool = False,
    training: TrainingProgress | None = None,
) -> Trained:
    """Train the head in one of four ways, now and from now on. Can be undone.

    ``exact`` solves it from everything, whenever it is needed. ``frozen`` keeps its columns as
    they are, and trains only those of new classes. ``document`` trains it as the documents do,
    in Keras. ``none`` leaves it out.

    Args:
        head: the way.
        epochs: of ``document``: how often each descriptor is seen; 5 by default.
        batch: of ``document``: descriptors per step; 64 by default.
        dropout: of ``document``: share of components left out at each step; .5 by default.
        learning_rate: of ``document``: of Adam; .001 by default.
        validation_split: of ``document``: share of descriptors held out for the curves; .2 by
            default.
        start: of ``document``: the column of a new class begins with ``zeros`` or ``random``.
        replay: of ``document``: old classes are trained on with ``stored`` descriptors, with
            some drawn from their sums (``gaussian``) or by a generative network (``gan``), or
            not at all (``none``).
        seed: of ``document``; 0 by default.
        force: train on new classes alone although the old ones are forgotten.
        training: told of each batch.

    Raises:
        InvalidInput: an option makes no sense, there are fewer than two classes or pictures, or
            old classes would be forgotten.
        Conflict: the catalogue was changed meanwhile; nothing was written.
    """
    way = training_named(head)
    given = {
        "epochs": epochs,
        "batch": batch,
        "dropout": dropout,
        "learning_rate": learning_rate,
        "validation_split": validation_split,
        "start": start,
        "replay": replay,
        "seed": seed,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if way != "document":
        if chosen:
            raise InvalidInput(f"{', '.join(chosen)}: only a document head has such options")
        return switch_head(catalog._store, catalog._keeper, way)
    with catalog._store.reading() as tx:
        options = TrainingOptions.from_dict({**heads.current(tx).options, **chosen})
    return train_document(catalog._store, catalog._keeper, options, force=force, progress=training)
