"""A real service on loopback, of a catalogue of photos, and clients of it."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import photos
from doubles import FakeEmbedder
from tiny_network import command, environment

from catalog import Catalog, Entry, Picture
from catalog.service.app import create_app
from catalog.service.serve import server
from catalog.service.settings import Settings

CLASSES, SHOTS = 6, 3
JPEG = {"content-type": "image/jpeg"}


def bearer(key: str) -> dict[str, str]:
    """The header that brings a key."""
    return {"authorization": f"Bearer {key}"}


def raw(client: httpx.Client, *sent: bytes, wait: float = 20.0) -> bytes:
    """What comes back of bytes as they are, until the service closes the connection."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as line:
        line.settimeout(wait)
        for one in sent:
            line.sendall(one)
        found = b""
        while True:
            try:
                got = line.recv(65536)
            except ConnectionResetError:
                return found
            if not got:
                return found
            found += got


def head(address: str, **fields: object) -> bytes:
    """The head of a request that posts."""
    lines = [f"POST {address} HTTP/1.1", "host: localhost", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def filled(path: Path) -> Catalog:
    """Six classes of three photos."""
    made = Catalog.init(path, embedder=FakeEmbedder())
    made.import_(
        Entry(f"thing {thing}", Picture(content))
        for thing in range(CLASSES)
        for content in photos.shots(thing, SHOTS)
    )
    return made


@contextmanager
def serving(catalog: Catalog, *, at: int = 0, **settings: Any) -> Iterator[httpx.Client]:
    """A service of a catalogue on a port, a free one by default, and a client of it."""
    app = create_app(catalog, Settings(**settings))
    listener = socket.create_server(("127.0.0.1", at))
    running = server(app)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60
    ) as client:
        try:
            yield client
        finally:
            running.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def ready(client: httpx.Client) -> None:
    """Wait until a service is ready."""
    for _ in range(600):
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(client.get("/readyz").text)


def parts(*contents: bytes, names: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Pictures as the parts of a body."""
    called = names or tuple(f"{at}.jpg" for at in range(len(contents)))
    return [
        ("picture", (name, content, "image/jpeg"))
        for name, content in zip(called, contents, strict=True)
    ]


@contextmanager
def process(
    cache: Path, *arguments: str | Path, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A service on a free port, once it can be called, and a client of it."""
    running = subprocess.Popen(
        command("serve", "--port", "0", *arguments),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(cache, **variables),
    )
    try:
        assert running.stderr is not None
        found = None
        for line in running.stderr:
            if found := re.search(r"serving at (http://\S+);", line):
                break
        assert found is not None
        with httpx.Client(base_url=found[1], timeout=60) as client:
            yield running, client
    finally:
        running.kill()
        running.communicate()
