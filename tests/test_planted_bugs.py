"""The suites find what they are there for: bugs are planted, and each is found by its suite."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import planted_bugs
import pytest
import soak_page
from interpose import NOT_HERE
from planted_bugs import BUGS, LARGE, MODEL, Bug, planted
from planted_trials import Finding, search
from planting import edited

from catalog.store.names import label_key

pytest_plugins = ["trial_fixtures"]
pytestmark = pytest.mark.skipif(bool(NOT_HERE), reason=str(NOT_HERE))

IN_THIS_PROCESS = {MODEL, LARGE}
"""Suites of which one step after another is taken here."""

QUICK = [bug for bug in BUGS if bug.quick]


def find(pool: ProcessPoolExecutor, folder: Path, bug: Bug) -> Finding:
    """Let the suite of a bug look for it, and check that it finds it in time."""
    found = search(pool, folder, bug, most=bug.most)
    assert found.words is not None, f"{bug.suite} does not find that {bug.name}"
    return found


@pytest.mark.parametrize("bug", QUICK, ids=lambda bug: bug.name)
def test_its_suite_finds_it(pool: ProcessPoolExecutor, room: Path, bug: Bug) -> None:
    """A bug is found by the suite that claims its subject; without it the same steps find none."""
    found = find(pool, room / "planted", bug)
    sound = search(pool, room / "sound", bug, most=found.steps, sound=True)
    assert sound.words is None


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_every_suite_finds_its_bugs(pool: ProcessPoolExecutor, room: Path) -> None:
    """Every bug of the table is found, and no suite finds anything where there is none."""
    with ThreadPoolExecutor(4) as threads:  # each waits for a process
        looking = {
            bug: threads.submit(find, pool, room / f"{number}", bug)
            for number, bug in enumerate(BUGS)
            if bug.suite not in IN_THIS_PROCESS
        }
        found = {
            bug: find(pool, room / f"{number}", bug)
            for number, bug in enumerate(BUGS)
            if bug.suite in IN_THIS_PROCESS
        }
        found |= {bug: one.result() for bug, one in looking.items()}
    for suite in sorted({bug.suite for bug in BUGS}):
        latest = max((b for b in BUGS if b.suite == suite), key=lambda b: found[b].steps)
        sound = search(pool, room / suite, latest, most=found[latest].steps, sound=True)
        assert sound.words is None, f"{suite}: {sound.words}"
    soak_page.record(
        "Planted bugs",
        "Each of these was made in the product by a test, which then ran the suite that claims its "
        "subject until it was found. A step is a command of the model test, a kill, a call that "
        "fails, a power cut, or one test of another file. Without a bug, as many steps of each "
        "suite found nothing.",
        {bug.name: f"{bug.suite}, step {found[bug].steps}" for bug in BUGS},
    )


class TestPlanting:
    """How a bug is planted."""

    @pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
    def test_the_words_are_there(self, bug: Bug) -> None:
        """Every bug of the table changes words that the product has, and nothing outlasts it."""
        before = label_key("Äpfel")
        with planted(bug.name):
            pass
        assert label_key("Äpfel") == before

    def test_it_lasts_as_long_as_the_block(self) -> None:
        """A function is another one within the block alone, under the names it was imported by."""
        with planted("names that differ by case are two classes"):
            assert label_key("Äpfel") == "Äpfel"
        assert label_key("Äpfel") == "äpfel"

    def test_words_that_are_gone(self) -> None:
        """A bug that does not fit the product any more is an error, not one that was found."""
        with (
            pytest.raises(LookupError, match=re.escape("does not have these words once: 'NFKE'")),
            edited("catalog.store.names:label_key", "NFKE", "NFKC"),
        ):
            pass

    def test_names_and_suites(self) -> None:
        """No two bugs have one name, and each has a suite that there is."""
        assert len(planted_bugs.BY_NAME) == len(BUGS) >= 20
        here = Path(__file__).parent
        assert all((here / bug.suite.split(",")[0]).is_file() for bug in BUGS)
        assert {MODEL, LARGE} < {bug.suite for bug in BUGS}
