"""Who may ask and who may change: keys, and what goes without one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import photos
import pytest
from served import JPEG, bearer, filled, head, raw, serving

from catalog import Catalog
from catalog.descriptors import Conflict, InvalidInput, NotFound
from catalog.service import keys as key_files
from catalog.service import protocol
from catalog.service.guard import reads_only
from catalog.service.keys import Key, Keys, add_key, read_keys, remove_key

OPEN = {"/healthz", "/readyz"}
QUESTIONS = {"/v1/nearest", "/v1/predict"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A shop that may be changed."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file that has no keys yet."""
    return tmp_path / "keys.txt"


class TestKeys:
    """Who may ask, and who may write."""

    def test_no_route_without_a_key(self, shop: Catalog, key_file: Path) -> None:
        """Each route that there is, and each that there is not, asks for one that is good."""
        reading, writing = (add_key(key_file, scope, scope) for scope in ("read", "write"))
        wrong = [{}, bearer("x"), bearer(reading[:-1]), {"authorization": f"Basic {reading}"},
                 {"authorization": "Bearer"}, {"authorization": reading}, bearer("é")]  # fmt: skip
        with serving(shop, keys=key_file) as client:
            described = client.get("/v1/openapi.json", headers=bearer(reading)).json()
            routes = [
                (method.upper(), path.replace("{item}", "1").replace("{job}", "1"))
                for path, methods in described["paths"].items()
                for method in methods
            ]
            assert len(routes) > 25
            state = shop.state
            for (method, path), headers in itertools.product(
                [*routes, ("GET", "/nowhere"), ("GET", "/v1/openapi.json")], wrong
            ):
                said = client.request(
                    method, path, headers={k: v.encode() for k, v in headers.items()}
                )
                if path in OPEN:
                    assert said.status_code in {200, 503}
                else:
                    assert said.status_code == 401, (method, path)
                    assert said.headers["www-authenticate"].startswith("Bearer")
                    assert said.json()["type"] == "urn:catalog:unauthorized"
            for method, path in routes:
                said = client.request(method, path, headers=bearer(reading))
                is_question = method == "GET" or path in QUESTIONS
                assert reads_only(method, path) == is_question
                assert (said.status_code == 403) != is_question, (method, path)
                assert client.request(method, path, headers=bearer(writing)).status_code not in {
                    401, 403
                }  # fmt: skip
            assert shop.history()[0].id  # a key to write has undone what there was
            assert state != shop.state

    def test_a_key_to_read_writes_nothing(self, shop: Catalog, key_file: Path) -> None:
        """Nor does it by a parameter of a question."""
        reading = bearer(add_key(key_file, "till", "read"))
        state, staged = shop.state, shop.info().staged
        with serving(shop, keys=key_file) as client:
            picture = photos.photo(40, 9)
            kept = client.post(
                "/v1/predict?keep_unknown=true", content=picture, headers=reading | JPEG
            )
            assert kept.status_code == 403
            preview = client.post(
                "/v1/classes/preview?label=a", content=picture, headers=reading | JPEG
            )
            assert preview.status_code == 403
            asked = client.post("/v1/predict", content=picture, headers=reading | JPEG)
            assert asked.status_code == 200
        assert (shop.state, shop.info().staged) == (state, staged)

    def test_the_key_is_looked_at_before_the_body(self, shop: Catalog, key_file: Path) -> None:
        """A body of which nothing comes is answered at once."""
        add_key(key_file, "till", "write")
        with serving(shop, keys=key_file) as client:
            began = time.monotonic()
            told = raw(client, head("/v1/classes?label=a", content_length=1_000_000))
            assert b" 401 " in told.splitlines()[0]
            assert time.monotonic() - began < protocol.REST_SECONDS + 10

    def test_keys_come_and_go(
        self, shop: Catalog, key_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While the service runs; and a file that is spoilt lets nobody in."""
        monkeypatch.setattr(key_files, "_LOOKED_AT_EVERY", 0.0)
        first = add_key(key_file, "first", "read")
        with serving(shop, keys=key_file) as client:

            def is_let_in(key: str) -> bool:
                return client.get("/v1/classes", headers=bearer(key)).status_code == 200

            assert is_let_in(first)
            second = add_key(key_file, "second", "write")
            assert is_let_in(second)
            remove_key(key_file, "first")
            assert not is_let_in(first)
            assert is_let_in(second)
            kept = key_file.read_text()
            key_file.write_text("nonsense")
            assert not is_let_in(second)
            key_file.write_text(kept)
            assert is_let_in(second)
            key_file.unlink()
            assert not is_let_in(second)

    def test_taken_back_while_it_is_read(
        self, key_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key that goes while a service starts is good no more."""
        monkeypatch.setattr(key_files, "_LOOKED_AT_EVERY", 0.0)
        first = add_key(key_file, "first", "read")
        add_key(key_file, "second", "read")
        read = key_files.read_keys

        def read_and_lose(file: Path) -> list[Key]:
            found = read(file)
            monkeypatch.setattr(key_files, "read_keys", read)
            remove_key(file, "first")
            return found

        monkeypatch.setattr(key_files, "read_keys", read_and_lose)
        assert Keys(key_file).find(first) is None

    def test_the_file(self, key_file: Path) -> None:
        """Only hashes are in it, and only its owner reads it; what is no key is said, by line."""
        key = add_key(key_file, "till-3", "read")
        assert key not in key_file.read_text()
        assert key_file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(Conflict):
            add_key(key_file, "till-3", "write")
        for name, scope in (("", "read"), ("a b", "read"), ("a", "admin"), ("#", "read")):
            with pytest.raises(InvalidInput):
                add_key(key_file, name, scope)
        with pytest.raises(NotFound):
            remove_key(key_file, "nobody")
        with pytest.raises(NotFound):
            read_keys(key_file.with_name("none"))
        key_file.write_text(f"# keys\n\n{key_file.read_text()}till read 12\n")
        with pytest.raises(InvalidInput, match=r"line 4 of .*keys.txt"):
            Keys(key_file)
