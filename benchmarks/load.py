"""A load of requests on one address, from a process of its own: ``python -m benchmarks.load``.

Reads a :class:`Load` as JSON from standard input, and prints an :class:`Outcome` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how fast.

    Attributes:
        address: of the service, and what is posted to.
        kind: the type of the bodies.
        bodies: files, which are sent in turn.
        seconds: for how long.
        connections: how many there are.
        rate: how many requests a second are begun, whether or not those before were answered; None
            lets each connection send the next when the last was answered.
        from_due: whether an answer's time counts from when its request was due, or from when it was
            sent, where a rate was given.
    """

    address: str
    kind: str
    bodies: tuple[str, ...]
    seconds: float
    connections: int
    rate: float | None = None
    from_due: bool = True


@dataclass(slots=True)
class Outcome:
    """What came of a load.

    Attributes:
        statuses: how many answers there were of each.
        seconds: how long each answer took, by its status; from when it was due, where a rate was
            given.
        errors: how many requests got no answer.
        took: how long all of it took.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: int = 0
    took: float = 0.0

    def add(self, status: str, seconds: float) -> None:
        """Note an answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.seconds.setdefault(status, []).append(seconds)


async def apply(load: Load) -> Outcome:
    """Send requests, and note the answers."""
    outcome = Outcome()
    requests = _requests(load)
    free: asyncio.Queue[_Line] = asyncio.Queue()
    for _ in range(load.connections):
        free.put_nowait(_Line(load.address))
    began = time.perf_counter()
    until = began + load.seconds
    if load.rate is None:
        lines = [free.get_nowait() for _ in range(load.connections)]
        await asyncio.gather(
            *(
                _one_after_another(line, requests, at, until, outcome)
                for at, line in enumerate(lines)
            )
        )
    else:
        tasks = []
        for number in range(int(load.rate * load.seconds)):
            due = began + number / load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            request = requests[number % len(requests)]
            began_at = due if load.from_due else None
            tasks.append(asyncio.create_task(_when_free(free, request, began_at, outcome)))
        await asyncio.gather(*tasks)
    outcome.took = time.perf_counter() - began
    return outcome


async def _one_after_another(
    line: _Line, requests: Sequence[bytes], first: int, until: float, outcome: Outcome
) -> None:
    number = first
    while time.perf_counter() < until:
        await _send(line, requests[number % len(requests)], time.perf_counter(), outcome)
        number += 7  # each connection takes its own way through the bodies


async def _when_free(
    free: asyncio.Queue[_Line], request: bytes, due: float | None, outcome: Outcome
) -> None:
    line = await free.get()
    try:
        await _send(line, request, due or time.perf_counter(), outcome)
    finally:
        free.put_nowait(line)


async def _send(line: _Line, request: bytes, began: float, outcome: Outcome) -> None:
    try:
        status = await line.ask(request)
    except (OSError, asyncio.IncompleteReadError):
        outcome.errors += 1
        return
    outcome.add(status, time.perf_counter() - began)


class _Line:
    """A connection, made when it is needed."""

    def __init__(self, address: str) -> None:
        found = urlsplit(address)
        self._host, self._port = found.hostname, found.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> str:
        """Send a request, and read the answer.

        Returns:
            The status.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self._close()
            raise
        if b"connection: close" in head.lower():
            self._close()
        return head[9:12].decode()

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _requests(load: Load) -> list[bytes]:
    found = urlsplit(load.address)
    path = f"{found.path}?{found.query}" if found.query else found.path
    requests = []
    for file in load.bodies:
        content = Path(file).read_bytes()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {found.netloc}\r\ncontent-type: {load.kind}\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        requests.append(head.encode() + content)
    return requests


def main() -> None:
    """Apply the load that is asked for."""
    load = Load(**json.load(sys.stdin))
    print(json.dumps(asdict(uvloop.run(apply(load)))))


if __name__ == "__main__":
    main()
