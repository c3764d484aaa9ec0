"""A service of which more is asked than it can do."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import photos
import pytest
from doubles import Patient
from served import JPEG, filled, head, raw, serving

from catalog import Catalog


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A shop that may be changed."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


@contextmanager
def slowly(folder: Path, **limits: Any) -> Iterator[tuple[Patient, httpx.Client]]:
    """A client of a service that embeds nothing until its embedder is let go on."""
    filled(folder / "shop.catalog").close()
    slow = Patient()
    with (
        Catalog.open(folder / "shop.catalog", embedder=slow) as shop,
        serving(shop, **limits) as client,
    ):
        slow.go_on.clear()
        yield slow, client


def wait_for(client: httpx.Client, line: str, count: int) -> None:
    """Wait until so much is under way."""
    while f'line="{line}"}} {count}.0' not in client.get("/metrics").text:
        time.sleep(0.01)


class TestTooMuch:
    """More than can be done is refused at once, and what was taken is done."""

    def test_questions(self, tmp_path: Path) -> None:
        """A full queue is said before a body is read, and when to come again."""
        with slowly(tmp_path, queue=4) as (slow, client), ThreadPoolExecutor(8) as pool:
            picture = photos.photo(0, 50)

            def ask() -> int:
                return client.post("/v1/predict", content=picture, headers=JPEG).status_code

            taken = [pool.submit(ask) for _ in range(4)]
            wait_for(client, "questions", 4)
            refused = client.post("/v1/predict", content=picture, headers=JPEG)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["type"] == "urn:catalog:busy"
            unread = raw(client, head("/v1/predict", content_type="image/jpeg", content_length=100))
            assert b" 503 " in unread.splitlines()[0]
            assert client.get("/v1/classes").status_code == 200
            slow.go_on.set()
            assert [one.result() for one in taken] == [200] * 4
            assert ask() == 200

    def test_told_at_once_as_later(self, tmp_path: Path) -> None:
        """By whichever way, it is told the same, and a connection that stays is good for more."""
        with slowly(tmp_path, queue=1) as (slow, client), ThreadPoolExecutor(1) as pool:
            sent = {"content": photos.photo(0, 50), "headers": JPEG}
            taken = pool.submit(client.post, "/v1/predict", **sent)
            wait_for(client, "questions", 1)
            at_once = client.post("/v1/predict", **sent)
            later = client.post(
                "/v1/predict", content=sent["content"], headers={**JPEG, "connection": "close"}
            )
            assert at_once.status_code == later.status_code == 503
            assert {**at_once.json(), "request": 0} == {**later.json(), "request": 0}
            assert at_once.json()["request"] == at_once.headers["x-request-id"]
            left_out = {"date", "connection", "x-request-id"}
            assert {name: at_once.headers[name] for name in at_once.headers.keys() - left_out} == {
                name: later.headers[name] for name in later.headers.keys() - left_out
            }
            question = head("/v1/predict", content_type="image/jpeg", content_length=5)
            question = question.replace(b"connection: close\r\n", b"")
            told = raw(client, (question + b"12345") * 3 + head("/v1/nothing", content_length=0))
            assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"503", b"503", b"503", b"404"]
            counted = '{method="POST",route="/v1/predict",status="503"} 4.0'
            assert counted in client.get("/metrics").text
            slow.go_on.set()
            assert taken.result().status_code == 200

    def test_changes(self, tmp_path: Path) -> None:
        """Likewise."""
        with slowly(tmp_path, write_queue=2) as (slow, client), ThreadPoolExecutor(8) as pool:

            def add(number: int) -> int:
                return client.post(
                    f"/v1/classes?label=new{number}",
                    content=photos.photo(30, 100 + number),
                    headers=JPEG,
                ).status_code

            taken = [pool.submit(add, number) for number in range(2)]
            wait_for(client, "changes", 2)
            assert add(3) == 503
            slow.go_on.set()
            assert [one.result() for one in taken] == [201] * 2
            assert add(3) == 201

    def test_large_bodies_at_a_time(self, shop: Catalog) -> None:
        """What all requests together may hold is bounded."""
        with serving(shop, most_megabytes=1, body_seconds=20) as client:
            address = (client.base_url.host, client.base_url.port or 80)
            lines = [socket.create_connection(address) for _ in range(5)]
            for line in lines:
                line.sendall(
                    head("/v1/predict", content_type="image/jpeg", content_length=1_000_000)
                )
                line.sendall(bytes(950_000))
            told = b""
            for _ in range(400):
                for line in lines:
                    line.settimeout(0.01)
                    try:
                        told += line.recv(65536)
                    except TimeoutError:
                        continue
                if told:
                    break
            assert b" 503 " in told.splitlines()[0]
            for line in lines:
                line.close()
            picture = photos.photo(0, 50)
            for _ in range(200):
                said = client.post("/v1/predict", content=picture, headers=JPEG)
                if said.status_code == 200:
                    break
                time.sleep(0.02)
            assert said.status_code == 200
