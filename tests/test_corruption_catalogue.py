"""A catalogue file with bits flipped, its end cut off or values of another type in it.

No bit that flips may change an answer, or anything else that is said, in silence.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import soak_page
from damage import SUBJECTS, Outcome, asked_of, flipped, opened, outcome_of, unpacked, write
from doubles import FakeEmbedder
from golden import make

from catalog import Catalog
from catalog.descriptors import CatalogError, errors

pytest_plugins = ["trial_fixtures"]


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
    assert not [table for table, outcomes in total.items() if outcomes["silent"]]
    return total


def test_damaged_catalogues_are_answers_or_typed_errors(room: Path) -> None:
    """Damage anywhere in the file ends in an answer or a typed error, never in anything else."""
    endure_flips(room, 60, 8, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_damaged_catalogues(room: Path) -> None:
    """Thousands of flips end as a few dozen do: none is silent."""
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
    soak_page.record(
        "Damaged catalogue files",
        "A bit of the file was flipped where it is in use, of any table or of any byte alike, "
        "or its end cut off; then it was opened, verified, and asked all it can be asked. No "
        "exception was without a name. Silent: verify found nothing, and something was said "
        "differently, if only a place where a picture was found.",
        rows,
    )


def rename(catalog: Catalog) -> None:
    """Change the row of the first class."""
    catalog.rename_class("BLÅBÄR", "Krypton")


def remove(catalog: Catalog) -> None:
    """Change the row of the first item."""
    catalog.remove([1])


class TestTypes:
    """Values of another type than they should be, which SQLite lets pass, are damage."""

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("UPDATE label SET name = 'Blåbar' WHERE slot = 1", "1 rows of label do not match"),
            ("UPDATE source SET place = place || 'x' WHERE item = 1", "1 rows of source do not"),
            ("UPDATE kept SET at = 'never'", "2 rows of kept do not match"),
            ("UPDATE event SET token = zeroblob(16) WHERE id = 2", "1 rows of event do not"),
            (
                "UPDATE meta SET value = '2020-01-01T00:00:00+00:00' WHERE key = 'created'",
                "of meta",
            ),
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
    def test_verify_finds(self, room: Path, statement: str, problem: str) -> None:
        """What contradicts something else in the file is named."""
        path = room / "shop.catalog"
        unpacked("format-5-frozen", path)
        with closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(statement).rowcount > 0
        with opened(path) as catalog:
            problems = catalog.verify().problems
        assert any(problem in one for one in problems), problems

    @pytest.mark.parametrize(
        ("statement", "change"),
        [
            ("UPDATE label SET name = 'BLÅBÄR' WHERE slot = 1", rename),
            ("UPDATE item SET content = zeroblob(32) WHERE id = 1", remove),
        ],
        ids=["label", "item"],
    )
    def test_no_new_checksum(
        self, room: Path, statement: str, change: Callable[[Catalog], object]
    ) -> None:
        """A command does not change a row that is damaged, which would make it a sound one."""
        path = room / "shop.catalog"
        unpacked("format-5-exact", path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)
        before = path.read_bytes()
        with (
            opened(path) as catalog,
            pytest.raises(errors.Damaged, match="does not match its checksum"),
        ):
            change(catalog)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("at", [18, 19])
    @pytest.mark.parametrize("bit", range(8))
    def test_how_it_is_written(self, room: Path, at: int, bit: int) -> None:
        """A file that says it is written by a later SQLite could be read, and never written."""
        path = room / "shop.catalog"
        content = unpacked("format-5-exact", path)
        expected = asked_of(path)
        write(path, flipped(content, at, bit))
        assert outcome_of(path, expected) in {"noticed", "refused"}

    @pytest.mark.parametrize("bit", range(8))
    def test_the_type_of_a_name(self, room: Path, bit: int) -> None:
        """A name that becomes a number, in its table or in an index of it alone, is damage."""
        path = room / "shop.catalog"
        content = unpacked("format-5-exact", path)
        expected = asked_of(path)
        for found in re.finditer(b"blabar", content):
            write(path, flipped(content, found.start() - 2, bit))
            assert outcome_of(path, expected) != "silent"

    def test_damaged_curves(self, room: Path) -> None:
        """Curves of a training that cannot be read are damage, by verify and when asked for."""
        path = room / "shop.catalog"
        content = unpacked("format-5-document", path)
        at = content.index(b"loss.npy") + 180
        path.write_bytes(flipped(content, at, 2))
        with opened(path) as catalog:
            assert any("cannot be read" in one for one in catalog.verify().problems)
            with pytest.raises(CatalogError, match="cannot be read"):
                catalog.training_curves()


@pytest.mark.parametrize("name", ["format-1", "format-2-frozen", *SUBJECTS])
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
    content = unpacked("format-5-frozen", path)
    used = regions(path)
    for _ in range(scale):
        for command in ("verify", "labels", "items", "info", "undo"):
            ((_, start, end),) = rng.choices(used)
            write(path, flipped(content, rng.randrange(start, end), rng.randrange(8)))
            code, _, said = in_process(command, "--catalog", path)
            assert code in range(8)
            assert "Traceback" not in said


def test_a_double_is_not_harmed() -> None:
    """The subjects are asked through the embedder that they were made with."""
    assert make.embedder().specification == FakeEmbedder(width=make.WIDTH).specification
    assert make.asked()[0].shape == (6, 6, 3)
