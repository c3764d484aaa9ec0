"""Whether what is asked drifts: seldom said of what has not changed, and soon of what has."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import photos
import pytest
from cups_and_jugs import fill, slots
from golden import make
from hypothesis import given
from hypothesis import strategies as st
from inside import keep
from numpy.typing import NDArray

from catalog import Catalog, Drift
from catalog.judging.shares import day_effect, rise_p_value, surely_risen
from catalog.store import Slot, asked, journal
from catalog.store.asked import Count

InProcess = Callable[..., tuple[int, str, str]]

TODAY = datetime.now(UTC).date()
HISTORIES = 1000


def one_day(hits: int, of: int) -> NDArray[np.int64]:
    """A period of one day."""
    return np.array([[hits, of]], np.int64)


def history(
    rng: np.random.Generator, days: int, share: float, alike: float = 0.0
) -> NDArray[np.int64]:
    """Days with some forty pictures each, of which a share counts.

    ``alike`` is the correlation of the pictures of a day: the share differs from day to day.
    """
    of = rng.poisson(40, days)
    odds = (1 - alike) / alike if alike else 0.0
    own = rng.beta(share * odds, (1 - share) * odds, days) if alike else np.full(days, share)
    return np.stack([rng.binomial(of, own), of], axis=1)


def alarms(days: int, share: float, now: float, level: float, alike: float = 0.0) -> float:
    """In what part of many histories a share is called risen that went to another one."""
    rng = np.random.default_rng(0)
    found = [
        rise_p_value(history(rng, 7, now, alike), history(rng, days, share, alike)) <= level
        for _ in range(HISTORIES)
    ]
    return float(np.mean(found))


class TestStatistics:
    """A share that rises, told from numbers."""

    @given(st.data())
    def test_it_is_fisher_s_test(self, data: st.DataObject) -> None:
        """Of one day each, the p-value is the exact one, by whole numbers."""
        of, before_of = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 40))
        hits, before = data.draw(st.integers(0, of)), data.draw(st.integers(0, before_of))
        marked, total = hits + before, of + before_of
        exact = sum(
            Fraction(comb(marked, count) * comb(total - marked, of - count), comb(total, of))
            for count in range(hits, min(marked, of) + 1)
            if of - count <= total - marked
        )
        p_value = rise_p_value(one_day(hits, of), one_day(before, before_of))
        assert p_value == pytest.approx(float(exact), rel=1e-9, abs=1e-12)

    def test_very_many_pictures(self) -> None:
        """Neither a rise nor a fall that is far out of all proportion loses its sense."""
        few, many = one_day(1_000, 100_000), one_day(90_000, 100_000)
        assert rise_p_value(many, few) < 1e-100
        assert rise_p_value(few, many) == pytest.approx(1)
        assert rise_p_value(one_day(0, 0), few) == rise_p_value(few, one_day(0, 0)) == 1

    @pytest.mark.parametrize("level", [0.01, 0.05])
    @pytest.mark.parametrize("days", [3, 60])
    @pytest.mark.parametrize("share", [0.02, 0.12, 0.4])
    def test_quiet_histories(self, days: int, share: float, level: float) -> None:
        """Where nothing changes, an alarm is as rare as is said."""
        assert alarms(days, share, share, level) <= level

    @pytest.mark.parametrize("days", [3, 60])
    def test_days_that_differ(self, days: int) -> None:
        """Days that differ by themselves are no change; without regard to that they would be."""
        assert alarms(days, 0.12, 0.12, 0.01, alike=0.1) <= 0.015
        rng = np.random.default_rng(0)
        blind = [
            rise_p_value(
                history(rng, 7, 0.12, 0.1).sum(axis=0, keepdims=True),
                history(rng, days, 0.12, 0.1).sum(axis=0, keepdims=True),
            )
            for _ in range(HISTORIES)
        ]
        assert np.mean(np.array(blind) <= 0.01) > 0.1

    def test_a_change_is_found(self) -> None:
        """A share of unknown photos that doubles within a week is nearly always noticed."""
        assert alarms(60, 0.12, 0.24, 0.01) > 0.95
        assert alarms(60, 0.12, 0.36, 0.01, alike=0.05) > 0.9

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9))
    def test_the_effect_of_days(self, days: list[tuple[int, int]]) -> None:
        """It is never less than none, nor is there any where all days are alike."""
        table = np.array([(min(day), max(day)) for day in days], np.int64).reshape(-1, 2)
        assert day_effect([table, table[:0]]) >= 1
        assert day_effect([np.tile(one_day(2, 9), (5, 1)), np.tile(one_day(7, 9), (5, 1))]) == 1

    def test_the_effect_of_bursts(self) -> None:
        """If each picture is asked about four times, four count as one."""
        rng = np.random.default_rng(0)
        effect = day_effect([4 * history(rng, 2000, 0.2)])
        assert effect == pytest.approx(4, rel=0.1)

    def test_many_classes(self) -> None:
        """By Holm's procedure, each is held against the number of those that are left."""
        assert surely_risen([], 0.05) == []
        assert surely_risen([0.02, 0.5, 0.01, 0.04], 0.05) == [2]
        assert surely_risen([0.015, 0.5, 0.01, 0.02], 0.05) == [2, 0, 3]
        assert surely_risen([0.02, 0.02, 0.02, 0.02], 0.05) == []
        rng = np.random.default_rng(0)
        any_found = [bool(surely_risen(rng.uniform(size=50), 0.05)) for _ in range(HISTORIES)]
        assert 0.02 < np.mean(any_found) < 0.07


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of three classes with three items each."""
    with fill(tmp_path / "shop.catalog") as made:
        yield made


def day(ago: int) -> str:
    """The day that was so many days ago."""
    return (TODAY - timedelta(ago)).isoformat()


def ask(catalog: Catalog, days: range, verdicts: dict[str, int], label: str = "cup") -> None:
    """Let a class have been named with some verdicts on each of some days, counted back."""
    slot = Slot(slots(catalog)[label])
    with catalog._store.writing() as tx:
        asked.add(tx, [Count(day(ago), slot, *one) for ago in days for one in verdicts.items()])


def drift_of(catalog: Catalog) -> Drift:
    """How what is asked drifts."""
    found = catalog.audit().drift
    assert found is not None
    return found


QUIET = {"match": 30, "ambiguous": 4, "disagree": 2, "unknown": 4}


class TestDrift:
    """What an audit says of what was asked."""

    def test_nothing_asked(self, shop: Catalog) -> None:
        """Where nothing was asked there is nothing to say."""
        report = shop.audit()
        assert (report.asked, report.drift) == (0, None)

    @pytest.mark.parametrize(
        ("days", "verdicts"),
        [
            (range(9), QUIET),  # two days before the last seven
            (range(10), {"match": 5}),  # the last fifty pictures are all there are
            (range(7), QUIET),
        ],
    )
    def test_too_little(self, shop: Catalog, days: range, verdicts: dict[str, int]) -> None:
        """Of a few days or a few pictures nothing is said but how many there are."""
        ask(shop, days, verdicts)
        report = shop.audit()
        assert (report.asked, report.drift) == (len(days) * sum(verdicts.values()), None)

    def test_quiet(self, shop: Catalog) -> None:
        """Where all days are alike nothing has risen, and the numbers are those of the days."""
        ask(shop, range(30), QUIET)
        found = drift_of(shop)
        assert (found.since, found.first) == (day(6), day(29))
        unknown, doubtful = found.unknown, found.doubtful
        assert (unknown.recent, unknown.of_recent) == (7 * 4, 7 * 40)
        assert (unknown.before, unknown.of_before) == (23 * 4, 23 * 40)
        assert (doubtful.recent, doubtful.before) == (7 * 6, 23 * 6)
        assert not unknown.risen
        assert not doubtful.risen
        assert (found.tested, found.less_sure) == (1, ())

    def test_unknown_things(self, shop: Catalog) -> None:
        """If more photos than before are unknown, that is said, and nothing of the others."""
        ask(shop, range(7, 30), QUIET)
        ask(shop, range(7), {**QUIET, "match": 20, "unknown": 14})
        found = drift_of(shop)
        assert found.unknown.risen
        assert found.unknown.p_value < 1e-6
        assert not found.doubtful.risen

    def test_doubtful_things(self, shop: Catalog) -> None:
        """If more are ambiguous, or witnesses disagree, that is said."""
        ask(shop, range(7, 30), QUIET)
        ask(shop, range(7), {"match": 30, "ambiguous": 6, "disagree": 8, "unknown": 1})
        found = drift_of(shop)
        assert found.doubtful.risen
        assert not found.unknown.risen

    def test_a_class_by_itself(self, shop: Catalog) -> None:
        """A class whose answers are less often a match is named as it is called now."""
        for label in ("cup", "jug", "pan"):
            ask(shop, range(7, 30), {"match": 9, "ambiguous": 1}, label)
        ask(shop, range(7), {"match": 4, "ambiguous": 3, "unknown": 3}, "jug")
        ask(shop, range(7), {"match": 9, "ambiguous": 1}, "cup")
        ask(shop, range(7), {"match": 1, "ambiguous": 1}, "pan")  # 14 pictures tell nothing
        shop.rename_class("jug", "ewer")
        found = drift_of(shop)
        assert found.tested == 2
        (ewer,) = found.less_sure
        assert (ewer.label, ewer.recent, ewer.of_recent) == ("ewer", 42, 70)
        assert (ewer.before, ewer.of_before, ewer.risen) == (23, 230, True)
        shop.remove_class("ewer")
        assert drift_of(shop).less_sure == ()

    def test_few_a_day(self, shop: Catalog) -> None:
        """Where little is asked, the recent period is as many days as fifty pictures take."""
        ask(shop, range(0, 60, 2), {"match": 4, "unknown": 1})
        assert drift_of(shop).since == day(18)

    def test_a_wrong_clock(self, shop: Catalog) -> None:
        """Days that are still to come are none of the last ones."""
        ask(shop, range(30), QUIET)
        before = drift_of(shop)
        ask(shop, range(-400, -390), {"unknown": 99})
        assert drift_of(shop) == before

    def test_what_was_just_asked(self, shop: Catalog) -> None:
        """What this process has asked is in the report."""
        shop.predict(photos.photo(0, 9))
        assert shop.audit().asked == 1


class TestSwitch:
    """Counts of one embedder say nothing about those of another."""

    @pytest.fixture
    def switched(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> Catalog:
        """A catalogue that went over to another embedder ten days ago."""
        ask(shop, range(60), QUIET)
        monkeypatch.setattr(journal, "now", lambda: f"{day(10)}T12:00:00+00:00")
        with shop._store.writing() as tx:
            journal.record(tx, "switch-embedder", {}, ())
        return shop

    def test_only_since(self, switched: Catalog) -> None:
        """Only the days after the switch are looked at."""
        report = switched.audit()
        assert report.asked == 10 * 40
        assert report.drift is not None
        assert report.drift.first == day(9)

    def test_undone(self, switched: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Taking a switch back is one, too."""
        monkeypatch.setattr(journal, "now", lambda: f"{day(4)}T12:00:00+00:00")
        switched.undo()
        assert switched.audit().asked == 4 * 40


class TestTheCommand:
    """What `catalog audit` prints of it."""

    def said(self, in_process: InProcess, shop: Path) -> str:
        """The words."""
        code, out, _ = in_process("audit", "--catalog", shop)
        assert code == 0
        return out

    def test_words(self, in_process: InProcess, shop: Catalog) -> None:
        """A change is said with both shares, and how to keep what is unknown."""
        assert "asked" not in self.said(in_process, shop.path)
        ask(shop, range(7, 10), QUIET)
        assert "120 photos asked: too little to tell whether what is asked changes" in self.said(
            in_process, shop.path
        )
        ask(shop, range(7), {**QUIET, "match": 20, "unknown": 14})
        words = self.said(in_process, shop.path)
        assert (
            f"35.0% of 280 photos asked since {day(6)} were unknown, before that 10.0% of 120 "
            f"since {day(9)}: what is asked has changed\n"
            "15.0% of 280 were ambiguous, or head and mean disagreed, before that 15.0% of 120: "
            "no more than by chance\n"
        ) in words
        assert "classes, of 1 named often, whose answers have become less sure: 1\n" in words
        assert "none of the 98 was kept: `catalog predict --keep-unknown` keeps" in words

    def test_what_would_be_next(self, in_process: InProcess, shop: Catalog) -> None:
        """Where unknown photos were kept, it leads on to the classes that they make."""
        ask(shop, range(30), {"match": 30, "unknown": 5})
        keep(shop, [photos.photo(40)])
        assert "alike enough yet to make a class" in self.said(in_process, shop.path)
        keep(shop, photos.shots(40, 4))
        words = self.said(in_process, shop.path)
        assert "the next classes may be among those below" in words
        assert words.index("the next classes") < words.index("unknown photos could make: 1")

    def test_few_unknown(self, in_process: InProcess, shop: Catalog) -> None:
        """Where few are unknown nothing is said about keeping them."""
        ask(shop, range(30), {"match": 30, "unknown": 1})
        words = self.said(in_process, shop.path)
        assert "3.2% of 217 photos" in words
        assert "keep" not in words

    def test_json(self, in_process: InProcess, shop: Catalog) -> None:
        """Scripts get all of it."""
        ask(shop, range(30), QUIET)
        code, out, _ = in_process("audit", "--catalog", shop.path, "--json")
        report = json.loads(out)
        assert (code, report["asked"]) == (0, 1200)
        assert report["drift"]["unknown"]["of_recent"] == 280
        assert report["drift"]["less_sure"] == []


def test_a_catalogue_of_an_older_format(tmp_path: Path) -> None:
    """One that has no counts yet is audited as ever."""
    path = tmp_path / "old.catalog"
    path.write_bytes(gzip.decompress((make.HERE / "format-6-exact.catalog.gz").read_bytes()))
    with Catalog.open(path, embedder=make.embedder()) as catalog:
        report = catalog.audit()
    assert (report.asked, report.drift) == (0, None)
