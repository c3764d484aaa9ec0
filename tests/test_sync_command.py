"""A folder kept in step with from the command line, and its jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from folders import write
from tiny_network import NAME, environment, run

from catalog import Catalog

Run = Callable[..., tuple[int, str, str]]


class TestCommand:
    """The same from the command line."""

    def test_a_night(self, shop: Path, in_process: Run, tmp_path: Path) -> None:
        """What is said of each run, and what its exit code is."""
        folder = tmp_path / "photos"
        for number in range(8):
            write(folder / "Tasse" / f"{number}.png", number)
        on = ("--catalog", shop)
        code, out, err = in_process("sync", folder, "--dry-run", *on)
        assert (code, out[:15], err) == (0, "would be: 8 new", "")
        assert in_process("sync", folder, *on)[:2] == (0, "8 new\n")
        assert in_process("sync", folder, "--quiet", *on) == (0, "", "")
        (folder / "Tasse" / "0.png").unlink()
        (folder / "Tasse" / "1.png").rename(folder / "Tasse" / "9.png")
        (folder / "Tasse" / "2.png").write_bytes(b"no picture")
        code, out, err = in_process("sync", folder, *on)
        assert (code, out) == (5, "1 moved, 5 unchanged, 1 gone, 1 refused\n")
        assert "--delete removes what is gone" in err
        assert "2.png" in err
        code, out, _ = in_process("sync", folder, "--delete", "--json", *on)
        assert (code, json.loads(out)["removed"]) == (5, 1)
        code, out, _ = in_process("jobs", "failures", "4", *on)
        assert [json.loads(line)["reason"] for line in out.splitlines()] == ["unsupported"]
        code, out, _ = in_process("jobs", *on)
        assert [line.split()[:3] for line in out.splitlines()] == [
            [str(number), "sync", "done"] for number in range(1, 5)
        ]
        assert "2.png" in in_process("jobs", "show", "4", *on)[2]
        for file in (folder / "Tasse").iterdir():
            file.unlink()
        code, out, err = in_process("sync", folder, "--delete", "--quiet", *on)
        assert (code, out) == (1, "")
        assert err.endswith("is a disk not mounted?; --force removes them all the same\n")
        assert in_process("jobs", "resume", "5", *on)[0] == 1

    def test_usage(self, shop: Path, in_process: Run, tmp_path: Path) -> None:
        """What makes no sense is refused, with what to do."""
        assert in_process("sync", tmp_path / "nothing", "--catalog", shop)[0] == 3
        assert in_process("sync", tmp_path, "--watch", "--dry-run", "--catalog", shop)[0] == 2
        assert in_process("jobs", "show", "7", "--catalog", shop)[0] == 3
        assert in_process("jobs")[0] == 2


def test_ended_by_the_system(tiny_cache: Path, tmp_path: Path) -> None:
    """What `systemctl stop` sends ends a watch in good order: its job has ended."""
    (tmp_path / "inbox").mkdir()
    file = tmp_path / "shop.catalog"
    begun = run("init", file, "--backbone", NAME, "--views", "fast", cache=tiny_cache)
    assert begun.returncode == 0, begun.stderr
    watching = subprocess.Popen(
        [sys.executable, "-m", "catalog", "sync", tmp_path / "inbox", "--watch", "--catalog", file],
        env=environment(tiny_cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline() == "no pictures\n"
    watching.terminate()
    _, err = watching.communicate()
    assert watching.returncode != 0
    assert "stopped; what was done is kept" in err
    with Catalog.open(file) as shop:
        assert shop.jobs()[0].state in {"cancelled", "done"}  # it was looking, or telling of it
