"""What a request passes before it is looked at: other sites' pages, caps and deadlines."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import photos
import pytest
from doubles import Patient
from served import JPEG, bearer, filled, head, parts, raw, serving

from catalog import Catalog
from catalog.descriptors import InvalidInput
from catalog.service import protocol
from catalog.service.bodies import DESCRIPTORS_TYPE
from catalog.service.keys import add_key
from catalog.service.settings import Settings


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A shop that may be changed."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file that has no keys yet."""
    return tmp_path / "keys.txt"


class TestOtherSites:
    """Without keys, a page that a browser shows must not be able to ask."""

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"origin": "{own}"}, 200),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"host": "evil.example"}, 403),
            ({"host": "evil.example:80", "origin": "http://evil.example:80"}, 403),
            ({"host": "localhost"}, 200),
            ({"host": "[::1]:80"}, 200),
            ({"host": "["}, 403),
            ({"host": "", "origin": "null"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "same-site"}, 403),
            ({"sec-fetch-site": "same-origin"}, 200),
            ({"sec-fetch-site": "none"}, 200),
        ],
    )
    def test_where_it_comes_from(self, shop: Catalog, headers: dict[str, str], status: int) -> None:
        """By the names that a browser tells."""
        with serving(shop) as client:
            own = str(client.base_url).rstrip("/")
            told = {name: value.format(own=own) for name, value in headers.items()}
            assert client.get("/v1/classes", headers=told).status_code == status
            said = client.post("/v1/undo", headers=told)
            assert said.status_code == status
            assert "access-control-allow-origin" not in said.headers

    def test_nobody_listens_where_others_are(self, tmp_path: Path) -> None:
        """Without keys, at this computer's own addresses alone, unless that is wished."""
        for host in ("0.0.0.0", "192.168.1.5", "::", "shop.example"):
            with pytest.raises(InvalidInput, match="no keys"):
                Settings(host=host)
            Settings(host=host, unprotected=True)
            Settings(host=host, keys=tmp_path / "keys.txt")
        for host in ("127.0.0.1", "127.5.5.5", "localhost", "::1"):
            assert Settings(host=host).is_local


class TestBodies:
    """However long, slow, or untrue."""

    def test_too_long(self, shop: Catalog) -> None:
        """It is said at once where the length is told, and else when it is passed."""
        with serving(shop, most_megabytes=1) as client:
            told = client.post("/v1/predict", content=bytes(1_000_001), headers=JPEG)
            assert (told.status_code, told.json()["type"]) == (413, "urn:catalog:too-large")

            def without_end() -> Iterator[bytes]:
                for _ in range(40):
                    yield bytes(50_000)

            chunked = client.post("/v1/predict", content=without_end(), headers=JPEG)
            assert chunked.status_code == 413
            assert client.get("/healthz").status_code == 200

    def test_a_body_without_end(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who goes on sending is not listened to for ever."""
        monkeypatch.setattr(protocol, "REST_SECONDS", 0.3)
        with serving(shop, most_megabytes=1) as client:
            address = (client.base_url.host, client.base_url.port or 80)
            with socket.create_connection(address) as line:
                line.sendall(head("/v1/predict", content_type="image/jpeg",
                                  transfer_encoding="chunked"))  # fmt: skip
                chunk = b"%x\r\n%s\r\n" % (65536, bytes(65536))

                def go_on() -> None:
                    for _ in range(1_000_000):
                        line.sendall(chunk)

                with pytest.raises(OSError):  # noqa: PT011 -- reset, or a broken pipe
                    go_on()

    def test_too_slow(self, shop: Catalog) -> None:
        """One byte at a time is not waited for."""
        with serving(shop, body_seconds=0.4) as client:
            address = (client.base_url.host, client.base_url.port or 80)
            with socket.create_connection(address) as line:
                line.sendall(head("/v1/predict", content_type="image/jpeg", content_length=1000))
                for _ in range(3):
                    line.sendall(b"x")
                    time.sleep(0.05)
                assert b" 408 " in line.recv(65536).splitlines()[0]

    def test_a_length_that_is_not_true(self, shop: Catalog) -> None:
        """More than was told is no request; less is waited for, and not for long."""
        with serving(shop, body_seconds=0.4) as client:
            picture = photos.photo(0, 50)
            more = raw(
                client,
                head("/v1/predict", content_type="image/jpeg", content_length=10),
                picture,
            )
            assert b" 422 " in more.splitlines()[0]
            less = raw(
                client,
                head("/v1/predict", content_type="image/jpeg", content_length=10**6),
                picture,
            )
            assert b" 408 " in less.splitlines()[0]
            both = head(
                "/v1/predict", content_type="image/jpeg", content_length=10,
                transfer_encoding="chunked",
            )  # fmt: skip
            assert b" 400 " in raw(client, both, b"0\r\n\r\n").splitlines()[0]
            assert client.get("/healthz").status_code == 200

    def test_ten_thousand_parts(self, shop: Catalog) -> None:
        """They are refused before most of them are read."""
        with serving(shop) as client:
            part = b'--x\r\ncontent-disposition: form-data; name="a"; filename="b"\r\n\r\n1\r\n'
            body = part * 10_000 + b"--x--\r\n"
            kind = {"content-type": "multipart/form-data; boundary=x"}
            said = client.post("/v1/predict", content=body, headers=kind)
            assert said.status_code == 400
            assert "100" in said.json()["detail"]

    def test_a_client_that_goes_away(self, shop: Catalog) -> None:
        """Nobody else notices, and nothing is left behind."""
        with serving(shop) as client:
            address = (client.base_url.host, client.base_url.port or 80)
            picture = photos.photo(0, 50)
            for sent in (b"", b"POST /v1/pre", head("/v1/predict", content_length=5)):
                for _ in range(20):
                    with socket.create_connection(address) as line:
                        line.sendall(sent)
            for _ in range(20):  # with the whole request sent, and nobody to hear the answer
                with socket.create_connection(address) as line:
                    line.sendall(
                        head("/v1/predict", content_type="image/jpeg",
                             content_length=len(picture)) + picture
                    )  # fmt: skip
            for _ in range(600):
                told = client.get("/metrics").text
                if 'catalog_under_way{line="questions"} 0.0' in told:
                    break
                time.sleep(0.05)
            assert 'catalog_under_way{line="questions"} 0.0' in told
            assert client.post("/v1/predict", content=picture, headers=JPEG).status_code == 200


class TestAnswers:
    """However much is asked for."""

    def test_so_many_at_once(self, shop: Catalog) -> None:
        """Descriptors and neighbours of one request are bounded, however they are sent."""
        with serving(shop, most_pictures=20) as client:
            row = np.asarray(shop.embed(photos.photo(0, 50)), "<f4")
            kind = {"content-type": DESCRIPTORS_TYPE}
            for count, status in ((20, 200), (21, 400)):
                by_bytes = client.post("/v1/predict", content=row.tobytes() * count, headers=kind)
                by_json = client.post("/v1/predict", json={"descriptors": [row.tolist()] * count})
                assert by_bytes.status_code == by_json.status_code == status
            near = client.post("/v1/nearest?k=1000", content=row.tobytes() * 11, headers=kind)
            assert (near.status_code, "at most 10000 neighbours" in near.text) == (400, True)


class TestHeads:
    """Before there is a request."""

    def test_too_slow(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """A connection on which no request comes is closed."""
        monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
        with serving(shop) as client:
            for sent in (b"", b"GET /healthz HTTP/1.1\r\nhost:"):
                assert raw(client, sent) == b""
            kept = client.get("/healthz").http_version  # and one on which requests come is not
            time.sleep(0.5)
            assert client.get("/healthz").http_version == kept

    def test_too_long(self, shop: Catalog) -> None:
        """A head has so many bytes."""
        with serving(shop) as client:
            long = b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"y" * (protocol.HEADER_BYTES + 1)
            assert b" 431 " in raw(client, long).splitlines()[0]
            fits = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            fits += b"x: " + b"y" * 20_000 + b"\r\n\r\n"
            assert b" 200 " in raw(client, fits).splitlines()[0]

    def test_too_many_at_once(self, shop: Catalog) -> None:
        """Who sends request after request, and hears no answer, is cut off."""
        with serving(shop) as client:
            one = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
            few = one * 5 + one.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
            assert raw(client, few).count(b"HTTP/1.1 200") == 6
            assert raw(client, one * 5000).count(b"HTTP/1.1 200") < 100
            assert client.get("/healthz").status_code == 200

    def test_an_address_without_end(self, shop: Catalog) -> None:
        """Leads nowhere."""
        with serving(shop) as client:
            assert client.get(f"/v1/items/{'9' * 5000}").status_code == 404

    def test_nonsense(self, shop: Catalog) -> None:
        """What is no HTTP is told so."""
        with serving(shop) as client:
            for sent in (b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
                assert b" 400 " in raw(client, sent).splitlines()[0]

    def test_too_many(self, shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """The service says so, and takes those that come later."""
        monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 5)
        with serving(shop) as client:
            address = (client.base_url.host, client.base_url.port or 80)
            lines = [socket.create_connection(address) for _ in range(5)]
            time.sleep(0.2)
            assert b" 503 " in raw(client, b"").splitlines()[0]
            for line in lines:
                line.close()
            for _ in range(200):
                if not raw(client, head("/healthz")).startswith(b"HTTP/1.1 503"):
                    break
                time.sleep(0.02)
            assert client.get("/healthz").status_code == 200

    def test_numbers(self, shop: Catalog) -> None:
        """A request keeps the number that it came with, if that is one."""
        with serving(shop) as client:
            for given, is_kept in (("abc-1.2_3", True), ("a b", False), ("x" * 65, False)):
                said = client.get("/nowhere", headers={"x-request-id": given})
                number = said.headers["x-request-id"]
                assert (number == given) == is_kept
                assert said.json()["request"] == number
            assert said.headers["x-content-type-options"] == "nosniff"
            assert said.headers["cache-control"] == "no-store"


class TestOnce:
    """A change that is sent again is done once."""

    def test_again(self, shop: Catalog) -> None:
        """The result is the first one's; another request is not taken for it."""
        with serving(shop) as client:
            once = {"idempotency-key": "a1"}
            pictures = [photos.photo(30, 100 + at) for at in range(2)]

            def add(label: str, *contents: bytes) -> httpx.Response:
                return client.post(
                    "/v1/classes", params={"label": label}, files=parts(*contents), headers=once
                )

            first, again = add("pot", *pictures), add("pot", *pictures)
            assert first.status_code == again.status_code == 201
            assert first.json() == again.json()
            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
            other = add("pan", *pictures)
            assert (other.status_code, other.json()["type"]) == (422, "urn:catalog:key-used")
            assert add("pot", pictures[0]).status_code == 422
            assert len(shop.items("pot")) == 2
            undone = [client.post("/v1/undo", headers={"idempotency-key": "b"}) for _ in range(3)]
            assert len({one.text for one in undone}) == 1
            assert len(shop.labels()) == 6  # undone once, not three times
            for key in ("", "a b", "é", "x" * 256):
                bad = client.post("/v1/undo", headers={"idempotency-key": key.encode()})
                assert bad.status_code == 400, key

    def test_at_the_same_time(self, shop: Catalog) -> None:
        """Those that come while the first is being done wait for it."""
        with serving(shop) as client, ThreadPoolExecutor(8) as pool:
            picture, once = photos.photo(30, 100), {"idempotency-key": "a"}

            def add(_: int) -> httpx.Response:
                return client.post("/v1/classes?label=pot", content=picture, headers=JPEG | once)

            said = list(pool.map(add, range(8)))
            assert {one.status_code for one in said} == {201}
            assert len({one.text for one in said}) == 1
            assert sum("idempotency-replayed" not in one.headers for one in said) == 1

    def test_one_that_failed_may_be_tried_again(self, shop: Catalog) -> None:
        """With the same key."""
        with serving(shop) as client:
            once = {"idempotency-key": "a"}
            rename = {"label": "pot", "name": "pan"}
            failed = client.post("/v1/classes/rename", json=rename, headers=once)
            assert failed.status_code == 404
            shop.rename_class("thing 0", "pot")
            done = client.post("/v1/classes/rename", json=rename, headers=once)
            assert done.status_code == 200

    def test_after_a_restart(self, shop: Catalog) -> None:
        """That it was done is known, though what came of it is lost; nothing is done twice."""
        picture, once = photos.photo(30, 100), {"idempotency-key": "a"}
        answers = []
        for _ in range(2):
            with serving(shop) as client:
                answers.append(
                    client.post("/v1/feedback?label=pot", content=picture, headers=JPEG | once)
                )
        first, again = answers
        with serving(shop) as client:
            other = client.post("/v1/feedback?label=pan", content=picture, headers=JPEG | once)
        assert (other.status_code, other.json()["type"]) == (422, "urn:catalog:key-used")
        assert (first.status_code, again.status_code) == (200, 409)
        with serving(shop) as client, ThreadPoolExecutor(8) as pool:
            ask = partial(
                client.post, "/v1/feedback?label=pot", content=picture, headers=JPEG | once
            )
            assert {one.result().status_code for one in [pool.submit(ask) for _ in range(8)]} == {
                409
            }
        assert again.json()["type"] == "urn:catalog:already-done"
        assert again.json()["event"] == first.json()["event"] == shop.history()[-1].id

    def test_keys_of_others(self, shop: Catalog, key_file: Path) -> None:
        """Two who call their requests the same do not get each other's results."""
        one, other = (bearer(add_key(key_file, name, "write")) for name in ("one", "other"))
        with serving(shop, keys=key_file) as client:
            said = [
                client.post("/v1/undo", headers=key | {"idempotency-key": "1"})
                for key in (one, other)
            ]
            assert all("idempotency-replayed" not in answer.headers for answer in said)


def test_an_orderly_end(tmp_path: Path) -> None:
    """What was begun when the service is told to end is done, and its answer is sent."""
    filled(tmp_path / "shop.catalog").close()
    slow = Patient()
    with Catalog.open(tmp_path / "shop.catalog", embedder=slow) as shop, ThreadPoolExecutor() as p:
        with serving(shop) as client:
            slow.go_on.clear()
            picture = photos.photo(30, 100)
            done = p.submit(client.post, "/v1/classes?label=pot", content=picture, headers=JPEG)
            while 'line="changes"} 1.0' not in client.get("/metrics").text:
                time.sleep(0.01)
            p.submit(lambda: (time.sleep(0.5), slow.go_on.set()))
        assert done.result().status_code == 201
        assert shop.items("pot")
