"""Every kind of file with bits flipped or its end cut off: noticed, refused by name, or harmless.

The subjects are the golden catalogues of the present format. What may change an answer in silence
is counted by table, and held to a short list.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak_page
from doubles import FakeEmbedder
from golden import make
from hypothesis import example, given, settings
from hypothesis import strategies as st

import data.priors
from catalog import Catalog, binding
from catalog.learnt_files import KINDS
from catalog.store import Store, cache_folder
from descriptors import CatalogError, Locked
from embedder import models
from index import derived

SUBJECTS = ("format-2-exact", "format-2-frozen", "format-2-document")

UNPROTECTED = {
    *("event", "head", "head_column", "compacted", "compacted_gram", "kept", "label", "source")
}
"""Tables some of whose values have no checksum, and no other value that they must agree with."""

Outcome = str


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory, if there is such a place: every commit is synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def unpacked(name: str, path: Path) -> bytes:
    """Put a golden catalogue at a path, without anything beside it; its bytes."""
    content = gzip.decompress((make.HERE / f"{name}.catalog.gz").read_bytes())
    write(path, content)
    return content


def write(path: Path, content: bytes) -> None:
    """Put these bytes in a catalogue's place, without anything beside it."""
    shutil.rmtree(cache_folder(path), ignore_errors=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
    path.write_bytes(content)


def opened(path: Path) -> Catalog:
    """Open a golden catalogue."""
    return Catalog.open(path, embedder=make.embedder())


def rounded(value: Any) -> Any:
    """A JSON value with its floats to five digits."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return value


def asked(catalog: Catalog) -> dict[str, Any]:
    """All that a catalogue says, its journal and its training among it, and what undo comes to."""
    said = {"curves": repr(catalog.training_curves()), "audit": repr(catalog.audit())}
    with catalog._store.reading() as tx:
        rows = tx.execute("SELECT id, command, at, kind, detail, undone_by FROM event ORDER BY id")
        said["journal"] = repr(rows.fetchall())
    said |= make.answers(catalog) | {"undo": make.undone(catalog)}
    rounded_said: dict[str, Any] = rounded(said)
    return rounded_said


def flipped(content: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit of one of them turned over."""
    spoilt = bytearray(content)
    spoilt[at] ^= 1 << bit
    return bytes(spoilt)


def spoilt(content: bytes, rng: random.Random) -> bytes:
    """The bytes with a bit flipped, or some of the end cut off."""
    if rng.random() < 0.8:
        return flipped(content, rng.randrange(len(content)), rng.randrange(8))
    return content[: rng.randrange(len(content))]


# --- derived files -------------------------------------------------------------------------------


class Learnt:
    """A catalogue with every derived file beside it, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.catalog"
        unpacked("format-2-exact", self.path)
        self.expected = self.ask()
        self.files = {kind: (cache_folder(self.path) / kind).read_bytes() for kind in KINDS}

    def ask(self) -> dict[str, Any]:
        """What it answers, opened anew."""
        with opened(self.path) as catalog:
            said: dict[str, Any] = rounded(make.answers(catalog))
        return said

    def spoil(self, kind: str, content: bytes) -> Path:
        """Put a damaged file in place of a derived one."""
        file = cache_folder(self.path) / kind
        file.write_bytes(content)
        return file

    def endure(self, kind: str, content: bytes) -> None:
        """Check that a damaged file is found by name, changes no answer, and is made again."""
        file = self.spoil(kind, content)
        assert derived.read(file, kind) is None
        assert (derived.fault(file, kind) or "").startswith(f"{kind}: ")
        assert self.ask() == self.expected
        assert file.read_bytes() == self.files[kind]


def endure_damage(folder: Path, times: int, seed: int) -> Counter[str]:
    """Damage derived files so many times, and ask the catalogue each time; how often which."""
    learnt, rng, done = Learnt(folder), random.Random(seed), Counter[str]()
    for number in range(times):
        kind = KINDS[number % len(KINDS)]
        learnt.endure(kind, spoilt(learnt.files[kind], rng))
        done[kind] += 1
    return done


def read_every_flip(folder: Path, step: int) -> Counter[str]:
    """Flip one bit in so many of every derived file, and cut off every length; how often which."""
    learnt, done = Learnt(folder), Counter[str]()
    for kind, content in learnt.files.items():
        file = cache_folder(learnt.path) / kind
        for bit in range(0, 8 * len(content), step):
            file.write_bytes(flipped(content, *divmod(bit, 8)))
            assert derived.read(file, kind) is None, f"{kind}, bit {bit}"
            done[kind] += 1
        for length in range(0, len(content), step):
            file.write_bytes(content[:length])
            assert derived.read(file, kind) is None, f"{kind}, cut to {length}"
            done[kind] += 1
    return done


def test_damaged_derived_files_change_no_answer(room: Path) -> None:
    """A damaged derived file is as good as absent: answers stay, and it is made again."""
    endure_damage(room, 40, 1)


def test_flips_of_derived_files_are_noticed(room: Path) -> None:
    """Wherever a bit of a real derived file is flipped, it reads as absent."""
    read_every_flip(room, 97)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_flip_of_derived_files(room: Path) -> None:
    """Every bit and every length of every derived file, and ten thousand ways through answers."""
    (room / "read").mkdir()
    (room / "asked").mkdir()
    read = read_every_flip(room / "read", 1)
    done = endure_damage(room / "asked", 10_000, 2)
    soak_page.record(
        "Damaged derived files",
        "Bits of `sums`, `metric`, `items`, `head` and `calibration` were flipped and their ends "
        "cut off: every bit and every length read once, and others at random while a catalogue was "
        "asked all it can be asked. Each was noticed, no answer changed, and the file was made "
        "again to the last byte.",
        {
            "flips and lengths read": read.total(),
            "of these noticed": read.total(),
            "damaged files under a catalogue that was asked": done.total(),
            "of these noticed, with the same answers": done.total(),
        },
    )


@pytest.mark.parametrize("kind", KINDS)
def test_verify_names_a_damaged_derived_file(room: Path, kind: str) -> None:
    """Verify says which file is damaged, deletes it, and still calls the catalogue sound."""
    learnt = Learnt(room)
    content = learnt.files[kind]
    file = learnt.spoil(kind, flipped(content, len(content) // 2, 3))
    with opened(learnt.path) as catalog:
        found = catalog.verify()
        assert found.sound
        assert [fault.split(":")[0] for fault in found.derived] == [kind]
        assert not file.exists()
        assert rounded(make.answers(catalog)) == learnt.expected
    assert file.read_bytes() == learnt.files[kind]


def test_a_flipped_length_asks_for_no_memory(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that claims gigabytes is refused before they are asked for."""
    file = room / "sums"
    derived.write(file, "sums", {}, {"numbers": np.arange(9)})
    file.write_bytes(flipped(file.read_bytes(), 11, 7))
    wanted: list[int] = []
    unwatched = derived._read_header

    def watched(prefix: bytes, size: int, read: Callable[[int], bytes]) -> dict[str, Any]:
        return unwatched(prefix, size, lambda count: (wanted.append(count), read(count))[1])

    monkeypatch.setattr(derived, "_read_header", watched)
    assert derived.read(file, "sums") is None
    assert not wanted


# --- the catalogue file --------------------------------------------------------------------------


def regions(path: Path) -> list[tuple[str, int, int]]:
    """The bytes of a file that are in use, as table or index, start and end."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        try:
            pages = connection.execute("SELECT name, pageno FROM dbstat").fetchall()
        except sqlite3.OperationalError:  # an SQLite without that table
            return [("file", 0, len(content))]
    used = []
    for name, number in pages:
        start = (number - 1) * size
        page = content[start : start + size]
        head = 100 if number == 1 else 0
        if page[head] not in {2, 5, 10, 13}:  # an overflow page
            used.append((name, start, start + size))
            continue
        cells = int.from_bytes(page[head + 3 : head + 5], "big")
        first = int.from_bytes(page[head + 5 : head + 7], "big") or 65536
        used.append((name, start, start + head + 12 + 2 * cells))
        used.append((name, start + first, start + size))
    return [region for region in used if region[1] < region[2]]


class Damaged:
    """A catalogue that is damaged again and again, and what came of it, by table."""

    def __init__(self, name: str, folder: Path) -> None:
        self.path = folder / f"{name}.catalog"
        self.sound = unpacked(name, self.path)
        self.expected = asked_of(self.path)
        write(self.path, self.sound)
        self.regions = regions(self.path)
        self.outcomes: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)

    def flip(self, rng: random.Random) -> None:
        """Flip a bit that is in use: of any table alike, or of any byte alike."""
        weights = [end - start for _, start, end in self.regions] if rng.random() < 0.5 else None
        ((table, start, end),) = rng.choices(self.regions, weights)
        at, bit = rng.randrange(start, end), rng.randrange(8)
        self.try_out(table, flipped(self.sound, at, bit), f"byte {at}, bit {bit}")

    def cut(self, rng: random.Random) -> None:
        """Cut off the end, between two pages or within one."""
        length = rng.randrange(len(self.sound))
        if rng.random() < 0.5:
            length -= length % 16384
        self.try_out("(cut off)", self.sound[:length], f"cut to {length}")

    def try_out(self, table: str, content: bytes, what: str) -> None:
        """Use a file of these bytes."""
        write(self.path, content)
        try:
            outcome = outcome_of(self.path, self.expected)
        except Exception as error:
            error.add_note(f"{self.path.name}, {table}, {what}")
            raise
        self.outcomes[table][outcome] += 1


def asked_of(path: Path) -> dict[str, Any]:
    """All that a catalogue says, opened for it."""
    with opened(path) as catalog:
        return asked(catalog)


def outcome_of(path: Path, expected: dict[str, Any]) -> Outcome:
    """What comes of using a file.

    ``refused``: a typed error, with or without verify; ``noticed``: verify says what is wrong;
    ``silent``: verify finds nothing, and yet it says something else; ``harmless``: else.
    """
    try:
        with opened(path) as catalog:
            found = catalog.verify()
            said = asked(catalog)
    except CatalogError:
        return "refused"
    if not found.sound:
        return "noticed"
    return "harmless" if said == expected else "silent"


def endure_flips(folder: Path, flips: int, cuts: int, seed: int) -> dict[str, Counter[Outcome]]:
    """Damage each of the golden catalogues so many times; outcomes by table."""
    rng = random.Random(seed)
    total: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
    for name in SUBJECTS:
        subject = Damaged(name, folder)
        for _ in range(flips):
            subject.flip(rng)
        for _ in range(cuts):
            subject.cut(rng)
        for table, outcomes in subject.outcomes.items():
            total[table] += outcomes
    silent = {table for table, outcomes in total.items() if outcomes["silent"]}
    assert silent <= UNPROTECTED
    return total


def test_damaged_catalogues_are_answers_or_typed_errors(room: Path) -> None:
    """Damage anywhere in the file ends in an answer or a typed error, never in anything else."""
    endure_flips(room, 60, 8, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_damaged_catalogues(room: Path) -> None:
    """Thousands of flips end as a few dozen do, and what verify misses is of a few tables alone."""
    found = endure_flips(room, 2_000, 200, 4)
    cut = found.pop("(cut off)")
    whole = sum(found.values(), Counter[Outcome]())
    rows: dict[str, str | int] = {
        "flips": whole.total(),
        "with the same answers": whole["harmless"],
        "a typed error": whole["refused"],
        "said by verify": whole["noticed"],
        "silent": whole["silent"],
        "ends cut off": cut.total(),
        "of these silent": cut["silent"],
    }
    for table, outcomes in sorted(found.items()):
        if outcomes["silent"]:
            rows[f"silent in `{table}`"] = f"{outcomes['silent']} of {outcomes.total()}"
    soak_page.record(
        "Damaged catalogue files",
        "A bit of the file was flipped where it is in use, of any table or of any byte alike, "
        "or its end cut off; then it was opened, verified, and asked all it can be asked. No "
        "exception was without a name. Silent: verify found nothing, and something was said "
        "differently, if only a place where a picture was found.",
        rows,
    )


class TestTypes:
    """Values of another type than they should be, which SQLite lets pass, are damage."""

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("UPDATE label SET name = 'Blåbar' WHERE slot = 1", None),
            ("UPDATE label SET name = 'Blaberr' WHERE slot = 1", "name of class 1"),
            ("UPDATE label SET name = '' WHERE slot = 1", "name of class 1"),
            ("UPDATE label SET name = x'00ff' WHERE slot = 1", "1 rows of label"),
            ("UPDATE item SET content = 'text' WHERE id = 1", "1 rows of item"),
            ("UPDATE item SET content = x'00' WHERE id = 1", "1 pictures whose hash"),
            ("UPDATE event SET at = 'never' WHERE id = 2", "event 2 cannot be read"),
            ("UPDATE event SET kind = 'adl' WHERE id = 2", "event 2 cannot be read"),
            ("UPDATE event SET detail = '[]' WHERE id = 2", "event 2 cannot be read"),
            (
                "UPDATE event SET detail = replace(detail, '\"added\": 2', '\"added\": 3') "
                "WHERE id = 2",
                "event 2 says of itself what was not done",
            ),
            ("UPDATE event SET command = 3 WHERE id = 2", "1 events that are of no command"),
            ("UPDATE event SET undone_by = 8 WHERE id = 9", "1 events undone by"),
            ("UPDATE change SET before = 2 WHERE event = 7", "2 changes of an item that do not"),
            ("UPDATE meta SET value = 'x' WHERE key = 'id'", "lost its id"),
            ("DELETE FROM meta WHERE key = 'created'", "when the catalogue was made"),
            ("UPDATE head SET event = 3", "1 heads that begin with no event"),
            ("UPDATE head_column SET bias = bias + 1 WHERE position = 1", "the head's columns"),
            (
                "UPDATE compacted SET items = items + 1 WHERE label IS NOT NULL",
                "1 classes whose number of dropped descriptors",
            ),
            ("UPDATE compacted SET total = zeroblob(128)", "cannot be sums of descriptors"),
            ("UPDATE compacted SET total = zeroblob(120)", "have lost a part"),
            ("UPDATE compacted_gram SET value = zeroblob(2048)", "cannot be sums of descriptors"),
        ],
    )
    def test_verify_finds(self, room: Path, statement: str, problem: str | None) -> None:
        """What contradicts something else in the file is named."""
        path = room / "shop.catalog"
        unpacked("format-2-frozen", path)
        with closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(statement).rowcount > 0
        with opened(path) as catalog:
            problems = catalog.verify().problems
        if problem is None:
            assert problems == ()
        else:
            assert any(problem in one for one in problems), problems

    def test_damaged_curves(self, room: Path) -> None:
        """Curves of a training that cannot be read are damage, by verify and when asked for."""
        path = room / "shop.catalog"
        content = unpacked("format-2-document", path)
        at = content.index(b"loss.npy") + 180
        path.write_bytes(flipped(content, at, 2))
        with opened(path) as catalog:
            assert any("cannot be read" in one for one in catalog.verify().problems)
            with pytest.raises(CatalogError, match="cannot be read"):
                catalog.training_curves()


@pytest.mark.parametrize("name", ["format-1", *SUBJECTS])
def test_sound_catalogues_are_called_sound(room: Path, name: str) -> None:
    """What is checked holds of every golden catalogue."""
    path = room / "shop.catalog"
    unpacked(name, path)
    with opened(path) as catalog:
        assert catalog.verify().problems == ()
        make.undone(catalog)
        assert catalog.verify().problems == ()


@pytest.mark.parametrize("scale", [4, pytest.param(80, marks=pytest.mark.soak)])
def test_commands_on_damaged_catalogues(
    room: Path, scale: int, in_process: Callable[..., tuple[int, str, str]]
) -> None:
    """The command ends with an exit code that is documented, and never with a traceback."""
    path, rng = room / "shop.catalog", random.Random(5)
    content = unpacked("format-2-frozen", path)
    used = regions(path)
    for _ in range(scale):
        for command in ("verify", "labels", "items", "info", "undo"):
            ((_, start, end),) = rng.choices(used)
            write(path, flipped(content, rng.randrange(start, end), rng.randrange(8)))
            code, _, said = in_process(command, "--catalog", path)
            assert code in range(8)
            assert "Traceback" not in said


# --- a rollback journal --------------------------------------------------------------------------


def interrupted(folder: Path) -> tuple[Path, bytes, bytes]:
    """A file and its journal as a kill in the middle of writing leaves them; also their bytes."""
    path, left = folder / "shop.catalog", folder / "left.catalog"
    unpacked("format-2-exact", path)
    with opened(path) as catalog:
        # Pages are written to the file before the transaction ends, so that there is a mixture.
        catalog._store._connection.execute("PRAGMA cache_size = 1")
        catalog._store._connection.execute("PRAGMA cache_spill = ON")
        with catalog._store.writing() as tx:
            tx.execute("UPDATE descriptor SET value = zeroblob(32), checksum = 0")
            tx.execute("UPDATE item SET label = NULL")
            tx.execute("UPDATE label SET name = upper(name), key = key || '!'")
            for source in (path, path.with_name(path.name + "-journal")):
                shutil.copy(source, left.with_name(source.name.replace("shop", "left")))
            tx.rollback()
    return left, left.read_bytes(), left.with_name(left.name + "-journal").read_bytes()


def test_an_interrupted_transaction_is_rolled_back(room: Path) -> None:
    """A file that was left in the middle of writing is as it was before."""
    left, content, _ = interrupted(room)
    sound = gzip.decompress((make.HERE / "format-2-exact.catalog.gz").read_bytes())
    assert content != sound
    expected = asked_of(unpacked_at(room / "whole.catalog"))
    assert outcome_of(left, expected) == "harmless"


def unpacked_at(path: Path) -> Path:
    """A golden catalogue at a path."""
    unpacked("format-2-exact", path)
    return path


def endure_journals(folder: Path, times: int, seed: int) -> Counter[Outcome]:
    """Damage the journal of an interrupted transaction so many times; what came of it."""
    rng, outcomes = random.Random(seed), Counter[Outcome]()
    expected = asked_of(unpacked_at(folder / "whole.catalog"))
    left, content, journal = interrupted(folder)
    for _ in range(times):
        write(left, content)
        left.with_name(left.name + "-journal").write_bytes(spoilt(journal, rng))
        outcomes[outcome_of(left, expected)] += 1
    assert outcomes["harmless"]
    return outcomes


@pytest.mark.parametrize("scale", [25, pytest.param(1500, marks=pytest.mark.soak)])
def test_damaged_journals(room: Path, scale: int) -> None:
    """A rollback journal that is damaged is used, refused, or its mixture is noticed."""
    outcomes = endure_journals(room, scale, 6)
    if scale > 100:
        soak_page.record(
            "Damaged rollback journals",
            "The journal of an interrupted transaction had a bit flipped or its end cut off before "
            "the file was opened again.",
            {
                "journals": outcomes.total(),
                "rolled back": outcomes["harmless"],
                "a typed error": outcomes["refused"],
                "said by verify": outcomes["noticed"],
                "silent": outcomes["silent"],
            },
        )


# --- small files of JSON -------------------------------------------------------------------------

DEEP = b"[" * 2_000
"""Deeper than a parser of JSON can go."""

awkward = (
    st.binary(max_size=60)
    | st.sampled_from(
        [b"[" * 100_000, b"{}", b"[]", b"null", b'{"pid": []}', b"\xff\xfe{", b"1" * 9000]
    )
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(st.sampled_from(["pid", "command", "since", "embedder", "x"]), part)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden catalogue that is left as it is."""
    path = tmp_path_factory.mktemp("small") / "shop.catalog"
    unpacked("format-2-frozen", path)
    cache_folder(path).mkdir()
    return path


@settings(deadline=None, max_examples=60)
@given(content=awkward)
@example(content=DEEP)
def test_any_word_of_a_writer(small_shop: Path, content: bytes) -> None:
    """Whatever lies in writer.json, a locked catalogue is said to be locked."""
    (cache_folder(small_shop) / "writer.json").write_bytes(content)
    with closing(sqlite3.connect(small_shop, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            closing(Store(small_shop, busy_seconds=0)) as store,
            pytest.raises(Locked, match="is being written by"),
            store.writing(),
        ):
            pass


@settings(deadline=None, max_examples=60)
@given(content=awkward)
@example(content=DEEP)
def test_any_record_of_a_machine(small_shop: Path, content: bytes) -> None:
    """Whatever lies in machine.json, the machine is checked, and what was checked is written."""
    cache = cache_folder(small_shop)
    (cache / "machine.json").write_bytes(content)
    with closing(Store(small_shop)) as store, store.reading() as tx:
        bound = binding.read(tx)
    binding._check_machine(make.embedder(), bound, cache)
    written = json.loads((cache / "machine.json").read_text())
    assert written["embedder"] == bound.fingerprint[:12]


RECORD = {
    "name": "tiny", "origins": [{"source": "a", "archive_sha256": "b"}], "input_size": 48,
    "width": 16, "imagenet_cosine": None, "imported_at": "2024-02-29T00:00:00+00:00",
}  # fmt: skip

any_record = st.fixed_dictionaries(
    {}, optional={name: st.just(value) | st.none() | st.integers() | st.text(max_size=3)
                  | st.lists(st.integers(), max_size=1) for name, value in RECORD.items()},
).map(lambda record: json.dumps({**RECORD, **record}).encode())  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(content=awkward | any_record)
@example(content=DEEP)
@example(content=json.dumps({**RECORD, "imported_at": 5}).encode())
@example(content=json.dumps({**RECORD, "origins": []}).encode())
@example(content=json.dumps({**RECORD, "imagenet_cosine": "1"}).encode())
def test_any_record_of_a_network(content: bytes) -> None:
    """Whatever lies in a network's record, the others are found, and it is none or as it says."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", folder)
        cache = Path(folder, "models")
        cache.mkdir()
        (cache / f"{'0' * 64}.json").write_text(json.dumps(RECORD))
        (cache / f"{'1' * 64}.json").write_bytes(content)
        found = {model.sha256[0]: model for model in models.recorded()}
        assert "0" in found
        for model in found.values():
            assert model.sources
            assert model.is_imagenet in {True, False}
        with pytest.raises(CatalogError):
            models.find("nobody")


# --- what comes with the program -----------------------------------------------------------------


@pytest.mark.parametrize("scale", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_damaged_networks_are_never_loaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch, scale: int, tmp_path: Path
) -> None:
    """A starter network that is not the one that was shipped is refused before it is loaded."""
    sound = models.starter()  # from here on the cache has it
    content, rng = sound.read(), random.Random(7)
    shipped = tmp_path / "starter.tflite"
    monkeypatch.setattr(models.shipped, "FLATBUFFER", shipped)
    for _ in range(scale):
        damaged = spoilt(content, rng)
        sound.path.write_bytes(damaged)
        shipped.write_bytes(damaged)
        assert not sound.is_intact
        with pytest.raises(CatalogError):
            sound.read()
        with pytest.raises(CatalogError, match="install"):
            models.starter()


@pytest.mark.parametrize("scale", [6, pytest.param(200, marks=pytest.mark.soak)])
def test_damaged_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int) -> None:
    """A prior that is damaged is found as it was, or refused with a word on what to do."""
    (file,) = Path(data.priors.__file__).parent.glob("starter-fast.npz")
    content, rng = file.read_bytes(), random.Random(8)
    with np.load(file) as arrays:
        probes = arrays["probes"].astype(np.float32)
    (tmp_path / "notes.txt").write_text("no prior")
    monkeypatch.setattr(data.priors, "files", lambda _: tmp_path)
    known = None
    for number in range(scale):
        (tmp_path / "a.npz").write_bytes(spoilt(content, rng) if number else content)
        try:
            found = data.priors.prior_for(probes)
        except CatalogError as error:
            assert "install" in str(error)  # noqa: PT017
            continue
        known = known or found
        assert found is None or known is None or found.digest == known.digest
    assert known is not None


def test_a_double_is_not_harmed() -> None:
    """The subjects are asked through the embedder that they were made with."""
    assert make.embedder().specification == FakeEmbedder(width=make.WIDTH).specification
    assert copy.copy(make.asked()[0]).shape == (6, 6, 3)
