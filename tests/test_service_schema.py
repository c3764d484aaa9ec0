"""The description of the API is true: requests are drawn from it, and beside it, and compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soak_page
from served import filled, serving

from catalog.service.keys import add_key

SEED = 20_261_129
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

NOT_CHECKED = "positive_data_acceptance"
"""That whatever fits the description is taken: few bytes are a picture, and few words a class."""

EVERY_PHASE = "examples,coverage,fuzzing,stateful"


def drawn(
    folder: Path, *options: str, keys: bool, phases: str = EVERY_PHASE, seed: int = SEED
) -> tuple[int, str]:
    """How many requests were drawn, and what was found wrong; empty if nothing was."""
    settings: dict[str, Any] = {"keys": folder / "keys.txt"} if keys else {}
    headers = []
    if keys:
        headers = ["-H", f"Authorization: Bearer {add_key(settings['keys'], 'all', 'write')}"]
    with filled(folder / "shop.catalog") as shop, serving(shop, **settings) as client:
        address = str(client.base_url).rstrip("/")
        done = subprocess.run(
            [
                *(SCHEMATHESIS, "run", f"{address}/v1/openapi.json", "--url", address),
                *("--phases", phases, "--exclude-checks", NOT_CHECKED, "--no-color"),
                *("--request-timeout", "120", "--continue-on-failure", "--seed", str(seed)),
                *("--warnings", "off", "--generation-database", "none"),
                *headers,
                *options,
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shop.verify().sound
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return int(found[1].replace(",", "")), done.stdout if done.returncode else ""


@pytest.mark.parametrize("keys", [False, True], ids=["open", "keys"])
def test_some_requests(tmp_path: Path, *, keys: bool) -> None:
    """A few hundred: none fails the service, and no answer is other than described."""
    number, wrong = drawn(tmp_path, "-n", "3", keys=keys, phases="examples,fuzzing,stateful")
    assert not wrong, wrong
    assert number > 100


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_requests(tmp_path: Path) -> None:
    """Fifty thousand."""
    counts = dict.fromkeys(("without keys", "with keys"), 0)
    for turn in range(100):
        folder = tmp_path / str(turn)
        folder.mkdir()
        keys = bool(turn % 2)
        number, wrong = drawn(folder, "--max-time", "120", keys=keys, seed=SEED + turn)
        assert not wrong, wrong
        counts["with keys" if keys else "without keys"] += number
        if sum(counts.values()) >= 50_000:
            break
    soak_page.record(
        "Requests drawn from the description of the API",
        "By schemathesis, as its four phases draw them: examples, edges, any, and sequences; of "
        "what the description allows, and of what it does not. Checked: no answer 5xx, statuses, "
        "types, schemas and headers as described, what is not allowed refused, keys asked for.",
        {f"requests {where}": f"{number:,}" for where, number in counts.items()}
        | {"answers other than described": 0},
    )
