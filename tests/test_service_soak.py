"""The service for half an hour, killed again and again, and shown what is no picture."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import httpx
import photos
import pytest
import soak_page
from attack_recipes import build, recipes
from served import JPEG, parts, process, ready
from tiny_network import command, environment

from catalog import Catalog

READERS, WRITERS = 8, 2
QUICK_SECONDS, SOAK_SECONDS = 6.0, 1800.0
QUICK_KILLS, SOAK_KILLS = 3, 200
QUICK_PICTURES, SOAK_PICTURES = 200, 10_000
READY_SECONDS = 2.0


class Trouble(Exception):
    """Something was answered that should not have been."""


class Traffic:
    """Callers of a service, until they are stopped.

    Attributes:
        counts: of what was done.
        acknowledged: classes that were made, and not removed, as far as was answered.
    """

    def __init__(self, address: str) -> None:
        self.counts: Counter[str] = Counter()
        self.acknowledged: set[str] = set()
        self._address = address
        self._stop = threading.Event()
        self._counting = threading.Lock()

    def stop(self) -> None:
        """Let every caller come to an end."""
        self._stop.set()

    def count(self, what: str) -> None:
        """Note that something was done."""
        with self._counting:
            self.counts[what] += 1

    def read(self, number: int) -> None:
        """Ask one thing after another."""
        asks: list[Callable[[httpx.Client, bytes], httpx.Response]] = [
            lambda client, picture: client.post("/v1/predict", content=picture, headers=JPEG),
            lambda client, picture: client.post("/v1/nearest", content=picture, headers=JPEG),
            lambda client, picture: client.post("/v1/predict", files=parts(picture, picture)),
            lambda client, _: client.post("/v1/nearest", json={"item": 1}),
            lambda client, _: client.get("/v1/classes"),
            lambda client, _: client.get("/v1/items?limit=20"),
            lambda client, _: client.get("/v1/history?last=5"),
            lambda client, _: client.get("/v1/info"),
        ]
        rng = Random(number)
        with httpx.Client(base_url=self._address, timeout=60) as client:
            while not self._stop.is_set():
                said = rng.choice(asks)(client, photos.photo(rng.randrange(3), rng.randrange(40)))
                if said.status_code != 200:
                    raise Trouble(said.text)
                self.count("questions")

    def write(self, number: int) -> None:
        """Make a class, find it, and remove it; what was acknowledged is in the next answer."""
        with httpx.Client(base_url=self._address, timeout=60) as client:
            for turn in range(1_000_000):
                if self._stop.is_set():
                    return
                label = f"new {number} {turn}"
                picture = photos.photo(30 + number, 100 + turn)
                self._done(
                    client.post(
                        "/v1/classes",
                        params={"label": label},
                        content=picture,
                        headers=JPEG | {"idempotency-key": label.replace(" ", "-")},
                    ),
                    201,
                )
                self.acknowledged.add(label)
                near = client.post("/v1/nearest?k=1", content=picture, headers=JPEG)
                self._require(near, label, there=True)
                self.acknowledged.discard(label)  # it is not known what becomes of it until
                self._done(client.delete("/v1/classes", params={"label": label}), 200)
                near = client.post("/v1/nearest?k=50", content=picture, headers=JPEG)
                self._require(near, label, there=False)

    def write_and_leave(self, number: int) -> None:
        """Make one class after another."""
        with httpx.Client(base_url=self._address, timeout=60) as client:
            for turn in range(1_000_000):
                label = f"left {number} {os.urandom(4).hex()}"
                picture = photos.photo(30 + number, 1000 + turn)
                said = client.post(
                    "/v1/items/move", json={"items": [1], "label": label, "new": True}
                ) if turn % 3 == 0 else client.post(
                    "/v1/classes", params={"label": label, "move": True}, content=picture,
                    headers=JPEG,
                )  # fmt: skip
                if said.status_code not in {200, 201}:
                    raise Trouble(said.text)
                self.acknowledged.add(str(said.json()["event"]))
                self.count("changes acknowledged")

    def _done(self, said: httpx.Response, status: int) -> None:
        if said.status_code != status:
            raise Trouble(said.text)
        self.count("changes")

    def _require(self, said: httpx.Response, label: str, *, there: bool) -> None:
        near = said.json()["answers"][0]["neighbours"]
        if any(one["label"] == label for one in near) != there:
            raise Trouble(f"stale: {label} {'is not' if there else 'is still'} there")
        self.count("answers after an acknowledged change, none stale")


def shell(
    shop: Path, cache: Path, client: httpx.Client, traffic: Traffic, stop: threading.Event
) -> None:
    """Change the catalogue by the command; the service knows of it at once."""
    folder = shop.parent / "shell"
    photos.draw(folder, 50, 1, first=900)
    while not stop.is_set():
        for line, total in (
            (("add-class", "by the shell", folder), 1),
            (("remove-class", "by the shell", "--yes"), 0),
        ):
            done = subprocess.run(
                command(*line, "--catalog", shop),
                env=environment(cache), capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise Trouble(done.stderr)
            said = client.get("/v1/classes", params={"search": "by the shell"}).json()
            if said["total"] != total:
                raise Trouble("what the shell did is not seen")
            traffic.count("changes by the shell, each seen")


def memory_of(pid: int) -> float:
    """Megabytes that a process and its children hold."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    pages = 0
    for one in (pid, *map(int, found.stdout.split())):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def go_on(shop: Path, cache: Path, seconds: float) -> dict[str, Any]:
    """Let many read, two write, and one work in the shell; what was done."""
    held = list[float]()
    with (
        process(cache, "--catalog", shop, "--log", "error") as (running, client),
        ThreadPoolExecutor(READERS + WRITERS + 1) as pool,
    ):
        ready(client)
        traffic, stop = Traffic(str(client.base_url)), threading.Event()
        callers: list[Future[None]] = [
            *(pool.submit(traffic.read, number) for number in range(READERS)),
            *(pool.submit(traffic.write, number) for number in range(WRITERS)),
            pool.submit(shell, shop, cache, client, traffic, stop),
        ]
        until = time.monotonic() + seconds
        while time.monotonic() < until and not any(one.done() for one in callers):
            time.sleep(min(5.0, seconds / 6))
            held.append(memory_of(running.pid))
        traffic.stop()
        stop.set()
        for one in callers:
            one.result()
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
    sixth = max(1, len(held) // 6)
    early, late = statistics.median(held[sixth : 2 * sixth]), statistics.median(held[-sixth:])
    return {**traffic.counts, "MB early on": round(early), "MB at the end": round(late)}


def test_a_moment(shop: Path, tiny_cache: Path) -> None:
    """Eight readers, two writers and a shell at once: no error, and nothing stale."""
    found = go_on(shop, tiny_cache, QUICK_SECONDS)
    assert found["questions"] > 10
    assert found["answers after an acknowledged change, none stale"] > 1
    with Catalog.open(shop) as opened:
        assert opened.verify().sound


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_half_an_hour(shop: Path, tiny_cache: Path) -> None:
    """The same for half an hour: memory stays what it is."""
    found = go_on(shop, tiny_cache, SOAK_SECONDS)
    assert found["MB at the end"] < 1.1 * found["MB early on"]
    with Catalog.open(shop) as opened:
        assert opened.verify().sound
    soak_page.record(
        "The service for half an hour",
        f"{READERS} callers that read, {WRITERS} that write over HTTP, and one who writes by the "
        "command, which starts a process each time. Every answer was looked at; memory is that of "
        "the service and its children, in the second sixth of the time and in the last.",
        {"minutes": SOAK_SECONDS / 60, **found, "errors": 0},
    )


def kill_again_and_again(shop: Path, cache: Path, kills: int) -> dict[str, Any]:
    """Kill a service under load; what was acknowledged is there when it is started again."""
    rng, took, acknowledged = Random(1), list[float](), set[int]()
    for _ in range(kills):
        began = time.monotonic()
        with (
            process(cache, "--catalog", shop, "--log", "error") as (running, client),
            ThreadPoolExecutor(READERS + WRITERS) as pool,
        ):
            ready(client)
            took.append(time.monotonic() - began)
            events = client.get("/v1/history?last=10000").json()["events"]
            lost = acknowledged - {event["id"] for event in events}
            assert not lost
            traffic = Traffic(str(client.base_url))
            callers = [pool.submit(traffic.read, number) for number in range(READERS)]
            callers += [pool.submit(traffic.write_and_leave, number) for number in range(WRITERS)]
            time.sleep(rng.uniform(0.05, 0.9))
            os.kill(running.pid, signal.SIGKILL)
            running.wait(60)
            traffic.stop()
            for one in callers:
                error = one.exception()
                assert error is None or isinstance(error, httpx.TransportError), error
            acknowledged |= set(map(int, traffic.acknowledged))
    with Catalog.open(shop) as opened:
        assert opened.verify().sound
        assert acknowledged <= {event.id for event in opened.history()}
    return {
        "kills": kills,
        "changes acknowledged": len(acknowledged),
        "of these lost": 0,
        "ready again within, median, s": round(statistics.median(took), 2),
        "ready again within, at most, s": round(max(took), 2),
    }


def test_some_kills(shop: Path, tiny_cache: Path) -> None:
    """A few."""
    assert kill_again_and_again(shop, tiny_cache, QUICK_KILLS)["of these lost"] == 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills(shop: Path, tiny_cache: Path) -> None:
    """Two hundred."""
    found = kill_again_and_again(shop, tiny_cache, SOAK_KILLS)
    soak_page.record(
        "The service killed under load",
        f"{READERS} callers that read and {WRITERS} that write; the process was killed at a random "
        "moment, and started again. Starting counts from the command to `/readyz`.",
        found,
    )


def show(shop: Path, cache: Path, count: int) -> Counter[str]:
    """Show a service what is no picture, or hardly; how each was answered."""
    with process(cache, "--catalog", shop, "--log", "error") as (running, client):
        ready(client)

        def ask(made: Any) -> str:
            said = client.post(
                "/v1/predict",
                content=build(made),
                headers={"content-type": "application/octet-stream"},
            )
            if said.status_code == 200:
                return "answered"
            told = said.json()
            return f"refused: {told['reason']}" if said.status_code == 422 else said.text

        with ThreadPoolExecutor(8) as pool:
            found = Counter(pool.map(ask, recipes(count, seed=7)))
        assert running.poll() is None
        assert client.post(
            "/v1/predict", content=photos.photo(0, 30), headers=JPEG
        ).status_code == 200  # fmt: skip
    return found


def check(found: Counter[str]) -> None:
    """Every one was answered, or refused with a reason."""
    assert all(name == "answered" or name.startswith("refused: ") for name in found), found
    assert found["answered"]
    assert found["refused: corrupt"]


def test_some_malformed_pictures(shop: Path, tiny_cache: Path) -> None:
    """A few hundred."""
    check(show(shop, tiny_cache, QUICK_PICTURES))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_malformed_pictures(shop: Path, tiny_cache: Path) -> None:
    """Ten thousand."""
    found = show(shop, tiny_cache, SOAK_PICTURES)
    check(found)
    soak_page.record(
        "Malformed pictures sent to the service",
        "Drawn and spoilt by recipes, of every accepted format, eight at a time.",
        {"pictures": SOAK_PICTURES, **dict(sorted(found.items())), "anything else": 0},
    )
