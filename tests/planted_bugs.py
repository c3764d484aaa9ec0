"""Bugs that a programmer could make, each with the suite that is to find it.

One entry a bug: what is wrong, which words of the product it stands in, and within how many steps
of which suite it is to be found. A step is a command of the model test, a kill, a call that fails,
a power cut, or one test of another file of tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from planting import edited

MODEL, LARGE = "test_model.py", "test_model.py, large"
KILLS, FAULTS, CUTS = "test_kills_everywhere.py", "test_faults.py", "test_power_cuts.py"

_OTHER_SUITES = 60
"""Tests that a file of tests may take to find a bug."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug to be found.

    Attributes:
        name: in a few words, as the table of what was found has it.
        suite: that claims its subject.
        place: the function that is wrong.
        old: what it says rightly.
        new: what it says instead.
        most: steps within which the suite is to find it.
        commands: to kill, to let fail or to cut off from power, by name; for other suites none.
        quick: whether it takes a second or two, and is planted in every run of the tests.
    """

    name: str
    suite: str
    place: str
    old: str
    new: str
    most: int = _OTHER_SUITES
    commands: tuple[str, ...] = ()
    quick: bool = False


DURABLE = (
    Bug(
        "a derived file is not synced",
        CUTS,
        "catalog.index.array_file:write",
        old="            os.fsync(file.fileno())\n",
        new="",
        most=100,
        commands=("close",),
    ),
    Bug(
        "a derived file gets its name before it is synced",
        CUTS,
        "catalog.index.array_file:write",
        old="            os.fsync(file.fileno())\n        temporary.replace(path)\n",
        new="            temporary.replace(path)\n            os.fsync(file.fileno())\n",
        most=100,
        commands=("close",),
        quick=True,
    ),
    Bug(
        "SQLite does not sync",
        CUTS,
        "catalog.store.connections:_connect",
        old="synchronous = EXTRA",
        new="synchronous = OFF",
        most=300,
        commands=("add",),
        quick=True,
    ),
    Bug(
        "SQLite does not sync that its journal is gone",
        CUTS,
        "catalog.store.connections:_connect",
        old="synchronous = EXTRA",
        new="synchronous = FULL",
        most=300,
        commands=("add",),
    ),
    Bug(
        "the name of a new copy is not synced",
        CUTS,
        "catalog.store.files:link",
        old="    sync_folder(path)\n",
        new="",
        most=300,
        commands=("backup",),
    ),
    Bug(
        "an exported file is not synced",
        CUTS,
        "catalog.store.files:write",
        old="sync(opened)",
        new="opened.flush()",
        most=100,
        commands=("export --replace",),
        quick=True,
    ),
)
"""What is not on the disk when it should be."""

WHOLE = (
    Bug(
        "a class lands by halves",
        KILLS,
        "catalog.store.journal:_record",
        old="    for change in changes:\n",
        new="    for number, change in enumerate(changes):\n"
        "        if number == 1:\n"
        "            tx.commit()\n"
        '            tx.execute("BEGIN IMMEDIATE")\n',
        most=100,
        commands=("move --new",),
    ),
    Bug(
        "an event is committed before its changes",
        KILLS,
        "catalog.store.journal:_record",
        old="    for change in changes:\n",
        new='    tx.commit()\n    tx.execute("BEGIN IMMEDIATE")\n    for change in changes:\n',
        most=100,
        commands=("remove",),
    ),
    Bug(
        "what a kill has left is never swept",
        KILLS,
        "catalog.store.files:sweep",
        old=".*.tmp*",
        new=".*.temp*",
        most=100,
        commands=("backup",),
        quick=True,
    ),
    Bug(
        "a commit that fails is taken for done",
        FAULTS,
        "catalog.store.store:Store._commit",
        old="        raise\n",
        new="        return\n",
        most=300,
        commands=("remove_class",),
    ),
    Bug(
        "an older file is upgraded in several transactions",
        "test_golden.py",
        "catalog.store.formats:upgrade",
        old="            tx.execute(statement)\n",
        new='            tx.executescript(statement)\n            tx.execute("BEGIN IMMEDIATE")\n',
        most=300,
    ),
    Bug(
        "a damaged backup is restored",
        "test_backup.py",
        "catalog.care.backup:_checked",
        old="    if problems:\n",
        new="    if problems and not path:\n",
    ),
    Bug(
        "a restored catalogue is another file than others have open",
        MODEL,
        "catalog.store.copying:overwrite",
        old="        _copy(copy, path, path)\n",
        new="        files.put_in_place(copy, path)\n",
        most=1600,
    ),
    Bug(
        "SQLite takes no locks",
        "test_two_writers.py",
        "catalog.store.connections:_connect",
        old='"?mode=rw"',
        new='"?mode=rw&nolock=1"',
    ),
    Bug(
        "a writer takes its lock with its first change",
        "test_two_writers.py",
        "catalog.store.store:Store.writing",
        old='"BEGIN IMMEDIATE"',
        new='"BEGIN"',
    ),
)
"""What is there by halves, or changed by two at once."""

DAMAGE = (
    Bug(
        "the checksum of a derived file is not looked at",
        "test_corruption_derived.py",
        "catalog.index.array_file:_read_array",
        old="if zlib.crc32(block) != checksum:",
        new="if zlib.crc32(block) == -1:",
    ),
    Bug(
        "rows of one table get no checksum",
        MODEL,
        "catalog.store.row_checksums:guard",
        old="    for table, covered in _covered(FORMAT_VERSION).items():\n",
        new="    for table, covered in _covered(FORMAT_VERSION).items():\n"
        '        if table == "kept":\n'
        "            continue\n",
        most=400,
    ),
    Bug(
        "a damaged row is changed, and gets a new checksum",
        "test_corruption_catalogue.py",
        "catalog.store.row_checksums:guard",
        old="WHEN old.checksum IS NOT {_of(table, covered, 'old.')} BEGIN ",
        new="WHEN old.checksum IS NULL BEGIN ",
    ),
    Bug(
        "the checksum of a descriptor is not looked at",
        "test_store.py",
        "catalog.store.descriptors:StoredDescriptors._rows",
        old="if zlib.crc32(blob) != checksum:",
        new="if zlib.crc32(blob) == -1:",
    ),
)
"""Damage that is believed."""

LEARNT = (
    Bug(
        "sums keep what was removed or undone",
        MODEL,
        "catalog.learning.kinds:_sums_caught_up",
        old="(change.item, change.before) for change in changes",
        new="(change.item, change.before) for change in changes if change.after is not None",
        most=400,
        quick=True,
    ),
    Bug(
        "sums of dropped descriptors are not kept",
        MODEL,
        "catalog.store.compaction:drop",
        old="        dropped.add(labels[block], stored.of(tx, items[block]))\n",
        new="        pass\n",
        most=3200,
    ),
    Bug(
        "what was learnt of another history is believed",
        "test_history.py",
        "catalog.learning.derived:DerivedThings.of",
        old="kept.version != moment.version",
        new="kept.version.generation != moment.version.generation",
    ),
    Bug(
        "an index of an older metric is taken for one of the present",
        LARGE,
        "catalog.learning.kinds:_items_caught_up",
        old="Items(epoch, index)",
        new="Items(moment.version, index)",
        most=1600,
    ),
    Bug(
        "a calibration is kept although few items were measured",
        "test_history.py",
        "catalog.learning.kinds:_still_holds",
        old="kept.thing.items <= MEASURED_ANEW or ",
        new="",
    ),
    Bug(
        "the answer after a change is of the state before",
        "test_threads.py",
        "catalog.learning.keeper:Keeper._present",
        old="            latest = build(self._learning, self._read_beside(read)[0])\n"
        "            self._latest = latest\n",
        new="            fresh = build(self._learning, self._read_beside(read)[0])\n"
        "            latest = latest if isinstance(latest, kind) else fresh\n"
        "            self._latest = fresh\n",
    ),
    Bug(
        "photos that were made up outlive their picture",
        "test_made_up.py",
        "catalog.store.erasure:erase",
        old="in _TABLES",
        new='in ("change", "source", "kept", "occasion", "thumbnail", "descriptor")',
    ),
    Bug(
        "what was said of a picture is not undone",
        "test_occasions.py",
        "catalog.store.journal:undo_last",
        old='("source", "occasion", "made_up", "active", "head_column", "generator", "head")',
        new='("source", "made_up", "active", "head_column", "generator", "head")',
    ),
    Bug(
        "a switch to another embedder is not undone",
        "test_reindex.py",
        "catalog.store.journal:undo_last",
        old='("source", "occasion", "made_up", "active", "head_column", "generator", "head")',
        new='("source", "occasion", "made_up", "head_column", "generator", "head")',
    ),
    Bug(
        "a question that a switch overtakes is put to the other embedder's head",
        "test_reindex.py",
        "catalog.learning.keeper:Keeper._require_active",
        old="if not self._ahead and",
        new="if False and",
    ),
    Bug(
        "what comes while another embedder is brought in is embedded by one alone",
        "test_reindex.py",
        "catalog.changes.embedding:_also",
        old="_loaded(bound) if lacking else None",
        new="None",
    ),
    Bug(
        "photos that were made up are taken for pictures that were held out",
        "test_stand_ins.py",
        "catalog.judging.cross_fit:Pool.cross_fit",
        old="        made_up[self.positions[alone]] = True\n",
        new="        pass\n",
    ),
    Bug(
        "a removed item stays in the index",
        "test_flat_index.py",
        "catalog.index.flat:FlatIndex.search",
        old="np.where(gone, -np.inf, scores)",
        new="scores",
    ),
    Bug(
        "an index is changed under those who search it",
        "test_item_index.py",
        "catalog.index.flat:FlatIndex.changed",
        old="left = self._left | np.isin(self._base, removed)",
        new="left = np.logical_or(self._left, np.isin(self._base, removed), out=self._left)",
    ),
    Bug(
        "ties are broken by the number of an item",
        MODEL,
        "catalog.store.moment:read",
        old="    astray = ",
        new="    by_number = np.argsort(rows[0])\n"
        "    rows = tuple(part[by_number] for part in rows)\n"
        "    astray = ",
        most=1600,
    ),
    Bug(
        "the picture itself is not first among its neighbours",
        "test_evaluation.py",
        "catalog.answers:rank",
        old="np.lexsort((tie_ranks(near.scores + own), near.scores < COPY_COSINE))",
        new='np.argsort(tie_ranks(near.scores + own), kind="stable")',
    ),
    Bug(
        "a wider head has other old columns",
        "test_frozen_head.py",
        "catalog.head.frozen:widen_frozen",
        old="    columns = widened.columns.copy()\n",
        new="    columns = widened.columns - widened.columns.mean(axis=0)\n",
    ),
    Bug(
        "undo leaves the head that was stored",
        MODEL,
        "catalog.store.journal:undo_last",
        old='("source", "occasion", "made_up", "active", "head_column", "generator", "head")',
        new='("source",)',
        most=400,
    ),
    Bug(
        "a head outlives that what it was trained on is forgotten",
        MODEL,
        "catalog.changes.forget:_forget",
        old="dropped = learnt and heads.have_seen_descriptors(tx)",
        new="dropped = False",
        most=6400,
    ),
)
"""What is learnt, and does not follow from what is there."""

DONE = (
    Bug(
        "names that differ by case are two classes",
        MODEL,
        "catalog.store.names:label_key",
        old='unicodedata.normalize("NFD", folded).casefold()',
        new='unicodedata.normalize("NFD", clean_label(name))',
        most=200,
    ),
    Bug(
        "a picture that is given twice is counted twice",
        MODEL,
        "catalog.changes.landing:_sort_out",
        old="item in changes or slot == label.slot",
        new="slot == label.slot",
        most=200,
    ),
    Bug(
        "a staged picture is embedded again",
        "test_kills.py",
        "catalog.store.descriptors:StoredDescriptors.holds",
        old="WHERE content = ? AND (",
        new="WHERE content = ? AND label IS NOT NULL AND (",
    ),
    Bug(
        "feedback takes a picture away from another class",
        MODEL,
        "catalog.changes.feedback:feedback",
        old='kind="feedback", note=note)',
        new='kind="feedback", note=note, move=True)',
        most=400,
    ),
    Bug(
        "a forgotten name stays in the journal",
        "test_forget.py",
        "catalog.changes.forget:_scrub",
        old="if clean != event.detail:",
        new="if not clean:",
    ),
    Bug(
        "a merge passes over classes that are here already",
        MODEL,
        "catalog.changes.merge:_take_over",
        old="        if row.slot in dropped:\n",
        new="        from catalog.store.classes import find_label\n"
        "        with store.reading() as tx:\n"
        "            here = find_label(tx, Name.parse(row.label))\n"
        "        if here is not None and here.items:\n"
        "            continue\n"
        "        if row.slot in dropped:\n",
        most=3200,
    ),
    Bug(
        "the spelling that an older file notes is not undone",
        "test_golden.py",
        "catalog.store.journal:undo_last",
        old='if respelt := one.detail.get("respelt")',
        new='if respelt := one.detail.get("spelt")',
    ),
)
"""Commands that do something else than they say."""

BUGS = (*DURABLE, *WHOLE, *DAMAGE, *LEARNT, *DONE)

BY_NAME = {bug.name: bug for bug in BUGS}


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """A bug in this process, for as long as the context lasts; without a name there is none."""
    if name is None:
        yield
        return
    bug = BY_NAME[name]
    with edited(bug.place, bug.old, bug.new):
        yield
