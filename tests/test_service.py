"""What the service answers, on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import photos
import pytest
from doubles import FakeEmbedder
from served import CLASSES, JPEG, SHOTS, filled, parts, ready, serving

from catalog import Catalog
from catalog.reports.plain import plain
from catalog.service.advice import HTTP
from catalog.service.bodies import DESCRIPTORS_TYPE


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A shop that is asked, and not changed."""
    with filled(tmp_path_factory.mktemp("shop") / "shop.catalog") as made:
        yield made


@pytest.fixture(scope="module")
def client(shop: Catalog) -> Iterator[httpx.Client]:
    """A client of its service."""
    with serving(shop) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Catalog]:
    """A shop that may be changed."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


@pytest.fixture
def writer(own: Catalog) -> Iterator[httpx.Client]:
    """A client of its service."""
    with serving(own) as made:
        yield made


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """The detail of a problem, once it is seen to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert (told["status"], told["type"]) == (status, f"urn:catalog:{kind}")
    assert told["request"] == response.headers["x-request-id"]
    return str(told["detail"])


class TestQuestions:
    """Pictures, descriptors and items."""

    def test_one_picture(self, client: httpx.Client, shop: Catalog) -> None:
        """The body is the picture; the answer is the one of Python."""
        picture = photos.photo(2, 50)
        said = client.post("/v1/predict?top=3", content=picture, headers=JPEG).json()
        assert said == {
            "answers": [{"picture": None, "prediction": plain(shop.predict(picture, 3), HTTP)}]
        }
        near = client.post("/v1/nearest?k=4", content=picture, headers=JPEG).json()
        assert near["answers"][0]["neighbours"] == plain(shop.nearest(picture, 4), HTTP)

    def test_several_pictures(self, client: httpx.Client, shop: Catalog) -> None:
        """They come as parts; those that are refused stand among the answers, by name."""
        pictures = [photos.photo(1, 50), b"no picture", photos.photo(4, 50)]
        names = ("a.jpg", "../../etc/passwd", "ü.png")
        said = client.post("/v1/predict", files=parts(*pictures, names=names)).json()["answers"]
        assert [one["picture"] for one in said] == list(names)
        assert said[1]["refused"] == "unsupported"
        for at in (0, 2):
            assert said[at]["prediction"]["label"] == shop.predict(pictures[at]).label

    def test_a_box(self, client: httpx.Client, shop: Catalog) -> None:
        """Only a part of the picture is asked about."""
        picture = photos.photo(2, 50)
        said = client.post("/v1/nearest?k=1&box=0,0,20,20", content=picture, headers=JPEG)
        near = shop.nearest(_boxed(picture), 1)
        assert said.json()["answers"][0]["neighbours"] == plain(near, HTTP)

    def test_an_item(self, client: httpx.Client, shop: Catalog) -> None:
        """More like one that is there, without its picture."""
        said = client.post("/v1/nearest?k=3", json={"item": 1}).json()
        assert said["answers"][0]["neighbours"] == plain(shop.nearest(k=3, item=1), HTTP)
        missing = client.post("/v1/nearest", json={"item": 999})
        assert "GET /v1/items lists them" in problem(missing, 404, "not-found")
        problem(client.post("/v1/predict", json={"item": 1}), 400, "invalid-input")

    def test_descriptors(self, client: httpx.Client, shop: Catalog) -> None:
        """As numbers, or as they lie in memory."""
        rows = np.stack([shop.embed(photos.photo(thing, 50)) for thing in range(3)])
        expected = [shop.predict(row).label for row in rows]
        by_json = client.post("/v1/predict", json={"descriptors": rows.tolist()})
        by_bytes = client.post(
            "/v1/predict",
            content=rows.astype("<f4").tobytes(),
            headers={"content-type": DESCRIPTORS_TYPE},
        )
        for said in (by_json, by_bytes):
            answers = said.json()["answers"]
            assert [one["prediction"]["label"] for one in answers] == expected
        short = client.post("/v1/predict", json={"descriptors": [[1.0]]})
        assert "floating-point numbers" in problem(short, 400, "invalid-input")
        odd = client.post("/v1/nearest", content=b"123", headers={"content-type": DESCRIPTORS_TYPE})
        problem(odd, 400, "invalid-input")

    def test_what_cannot_be_asked(self, client: httpx.Client) -> None:
        """Each in plain words, and nothing is passed over."""
        picture = photos.photo(2, 50)
        ask = "/v1/predict"
        for address in ("?top=0", "?top=x", "?precision=2", "?nonsense=1", "?box=1,2"):
            problem(client.post(ask + address, content=picture, headers=JPEG), 400, "invalid-input")
        spoilt = problem(
            client.post(ask, content=b"no picture", headers=JPEG), 422, "picture-error"
        )
        assert "unsupported" in spoilt
        problem(client.post(ask, content=b"", headers=JPEG), 422, "picture-error")
        problem(client.post(ask, content=picture), 415, "unsupported-media-type")
        problem(
            client.post(ask, content=picture, headers={"content-type": "text/plain"}),
            415,
            "unsupported-media-type",
        )
        field = client.post(ask, data={"top": "3"}, files=parts(picture))
        assert "'top' is no file" in problem(field, 400, "invalid-input")
        for body in (b"{", b"[]", b"{}", b'{"item": 1, "descriptors": [[1]]}', b'{"x": 1}',
                     b"[" * 100_000, b'{"descriptors": [[1e999]]}'):  # fmt: skip
            said = client.post(
                "/v1/nearest", content=body, headers={"content-type": "application/json"}
            )
            problem(said, 400, "invalid-input")
        for large in (1e39, -1e300):  # finite, but not as float32
            said = client.post("/v1/nearest", json={"descriptors": [[large] + 63 * [0.1]]})
            assert "finite" in problem(said, 400, "invalid-input")
        problem(client.get(ask), 405, "method-not-allowed")
        problem(client.get("/nowhere"), 404, "not-found")

    def test_a_form_without_files(self, client: httpx.Client) -> None:
        """A multipart body has pictures, or is refused."""
        kind = {"content-type": "multipart/form-data; boundary=x"}
        for body in (b"--x--\r\n", b"", b"--x\r\nnonsense", b"--y\r\n\r\n--y--"):
            said = client.post("/v1/predict", content=body, headers=kind)
            assert said.status_code == 400, body
        many = parts(*([b"1"] * 101))
        assert client.post("/v1/predict", files=many).status_code == 400


class TestLists:
    """Classes, items and the journal, page by page."""

    def test_classes(self, client: httpx.Client, shop: Catalog) -> None:
        """In the order in which people look for names."""
        everything = client.get("/v1/classes").json()
        assert everything == {"classes": plain(shop.labels(), HTTP), "total": CLASSES}
        page = client.get("/v1/classes?offset=2&limit=2").json()
        assert page == {"classes": everything["classes"][2:4], "total": CLASSES}
        assert client.get("/v1/classes?search=ING%203").json()["total"] == 1

    def test_items(self, client: httpx.Client, shop: Catalog) -> None:
        """All pages come to the whole."""
        found, after = [], 0
        while after is not None:
            page = client.get(f"/v1/items?limit=4&after={after}").json()
            found += page["items"]
            after = page["next"]
        assert found == plain(shop.items(), HTTP)
        own = client.get("/v1/items", params={"label": "thing 1"}).json()["items"]
        assert own == plain(shop.items("thing 1"), HTTP)
        assert client.get(f"/v1/items/{own[0]['id']}").json() == own[0]
        problem(client.get("/v1/items/999"), 404, "not-found")
        problem(client.get("/v1/items?label=nothing"), 404, "not-found")
        problem(client.get("/v1/items?limit=0"), 400, "invalid-input")
        problem(client.get("/v1/items/1/thumbnail"), 404, "no-picture")

    def test_a_thumbnail_that_was_kept(self, tmp_path: Path) -> None:
        """Of a picture that was only sent, as Python has it."""
        made = Catalog.init(tmp_path / "kept.catalog", embedder=FakeEmbedder(), thumbnails=True)
        with made, serving(made) as client:
            sent = photos.shots(0, 1)[0]
            client.post("/v1/classes?label=mug", content=sent, headers=JPEG).raise_for_status()
            shown = client.get("/v1/items/1/thumbnail")
            assert shown.headers["content-type"] == "image/jpeg"
            assert shown.content == made.thumbnail(1)
            problem(client.get("/v1/items/2/thumbnail"), 404, "not-found")

    def test_history_and_reports(self, client: httpx.Client, shop: Catalog) -> None:
        """As Python has them."""
        said = client.get("/v1/history?last=2").json()["events"]
        assert said == plain(shop.history(2), HTTP)
        assert client.get("/v1/info").json() == plain(shop.info(), HTTP)
        audit = client.get("/v1/audit").json()
        assert audit["found"] == plain(shop.audit().found, HTTP)
        assert client.get("/v1/jobs").json() == {"jobs": [], "folders": []}

    def test_what_has_not_changed_is_not_sent(self, writer: httpx.Client, own: Catalog) -> None:
        """The ETag is the state of the catalogue, whoever changes it."""
        for address in ("/v1/classes", "/v1/items", "/v1/items/1", "/v1/history"):
            first = writer.get(address)
            known = {"if-none-match": first.headers["etag"]}
            assert first.headers["etag"] == f'"{own.state}"'
            again = writer.get(address, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            with Catalog.open(own.path, embedder=FakeEmbedder()) as other:
                other.rename_class("thing 0", f"other {address}")
                changed = writer.get(address, headers=known)
                assert changed.status_code == 200
                other.undo()


class TestChanges:
    """What is written is there at once."""

    def test_a_class(self, writer: httpx.Client, own: Catalog) -> None:
        """Made, found, named, merged, removed, and taken back."""
        pictures = [photos.photo(30, 100 + at) for at in range(2)]
        made = writer.post("/v1/classes", params={"label": "pot"}, files=parts(*pictures))
        assert made.status_code == 201
        told = made.json()
        assert (told["label"], told["created"], told["added"]) == ("pot", True, 2)
        near = writer.post("/v1/nearest?k=1", content=pictures[0], headers=JPEG).json()
        assert near["answers"][0]["neighbours"][0]["label"] == "pot"
        again = writer.post("/v1/classes?label=pot", content=pictures[0], headers=JPEG)
        assert "POST /v1/items?label= adds" in problem(again, 409, "label-conflict")
        assert again.json()["existing"] == "pot"
        renamed = writer.post("/v1/classes/rename", json={"label": "pot", "name": "Topf/1?"})
        assert renamed.json()["label"] == "Topf/1?"
        listed = writer.get("/v1/items", params={"label": "Topf/1?"}).json()["items"]
        assert len(listed) == 2
        moved = writer.post("/v1/items/move", json={"items": [listed[0]["id"]], "label": "thing 0"})
        assert moved.json()["moved"] == 1
        merged = writer.post("/v1/classes/merge", json={"labels": ["Topf/1?"], "into": "thing 0"})
        assert merged.json()["label"] == "thing 0"
        gone = writer.delete("/v1/classes", params={"label": "thing 0"})
        event = own.history()[-1].id
        assert gone.json() == {"items": SHOTS + 2, "classes": ["thing 0"], "event": event}
        assert gone.headers["etag"] == f'"{own.state}"'
        undone = writer.post("/v1/undo").json()["events"]
        assert [event["kind"] for event in undone] == ["remove-class"]
        problem(writer.post("/v1/undo?command=1"), 409, "conflict")
        removed = writer.delete("/v1/items", params={"item": [1, 2]})
        assert removed.json()["items"] == 2
        problem(writer.delete("/v1/items?item=1"), 404, "not-found")
        assert own.verify().sound

    def test_pictures_that_are_refused(self, writer: httpx.Client) -> None:
        """They are named as the client named them; if all are, nothing is done."""
        pictures = [photos.photo(30, 100), b"no picture"]
        added = writer.post("/v1/items", params={"label": "thing 0"}, files=parts(*pictures))
        assert (added.status_code, added.json()["added"]) == (201, 1)
        (refused,) = added.json()["refused"]
        assert (refused["place"], refused["reason"]) == ("1.jpg", "unsupported")
        none = writer.post("/v1/classes?label=pot", files=parts(b"no", b"picture"))
        assert "no picture was taken" in problem(none, 422, "picture-error")
        assert [one["place"] for one in none.json()["refused"]] == ["0.jpg", "1.jpg"]
        assert writer.get("/v1/classes?search=pot").json()["total"] == 0
        foreign = writer.post(
            "/v1/items?label=thing%201", content=photos.shots(0, 1)[0], headers=JPEG
        )
        assert "is in class 'thing 0'" in problem(foreign, 409, "conflict")

    def test_feedback(self, writer: httpx.Client, own: Catalog) -> None:
        """Said and learnt; or only noted."""
        picture = photos.photo(31, 100)
        said = writer.post("/v1/feedback?label=new", content=picture, headers=JPEG).json()
        assert (said["outcome"], said["added"]) == ("new class", True)
        assert own.predict(picture).label == "new"
        noted = writer.post(
            "/v1/feedback?label=new&note_only=true", content=photos.photo(31, 101), headers=JPEG
        )
        assert noted.json()["added"] is False
        two = writer.post("/v1/feedback?label=new", files=parts(picture, picture))
        problem(two, 400, "invalid-input")

    def test_a_preview(self, writer: httpx.Client, own: Catalog) -> None:
        """Nothing is changed by it."""
        state, picture = own.state, photos.photo(30, 100)
        said = writer.post("/v1/classes/preview?label=pot", content=picture, headers=JPEG)
        assert said.json() == plain(own.preview_class("pot", [picture]), HTTP)
        assert own.state == state

    def test_what_is_unknown_is_kept(self, writer: httpx.Client, own: Catalog) -> None:
        """If that is wished."""
        picture = photos.photo(40, 9)
        writer.post("/v1/predict?keep_unknown=true", content=picture, headers=JPEG)
        assert own.audit().kept == (own.predict(picture).verdict == "unknown")


def _boxed(picture: bytes) -> object:
    from catalog import Box, Picture

    return Picture(picture, Box(0, 0, 20, 20))


def test_head(client: httpx.Client) -> None:
    """What can be got can be looked at without its body."""
    for address in ("/healthz", "/v1/classes", "/v1/items/1", "/nowhere", "/v1/undo"):
        got, seen = client.get(address), client.head(address)
        assert (seen.status_code, seen.content) == (got.status_code, b"")
        for name in ("content-type", "content-length", "etag", "allow"):
            assert seen.headers.get_list(name) == got.headers.get_list(name)
    assert client.get("/v1/undo").headers["allow"] == "POST"


def test_ready(client: httpx.Client, shop: Catalog) -> None:
    """It says what it is ready for, and that it is up."""
    ready(client)
    assert client.get("/readyz").json() == {
        "ready": True, "state": shop.state, "prepared": shop.state, "trouble": None
    }  # fmt: skip
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_while_items_are_asked_about(own: Catalog, writer: httpx.Client) -> None:
    """Questions about items that wait for what is being learnt keep nobody from looking."""
    ready(writer)
    items = [item.id for item in own.items()]
    learning, go_on = threading.Event(), threading.Event()

    def learn(*_: object) -> None:
        learning.set()
        assert go_on.wait(60)

    def ask(item: int) -> int:
        return writer.post("/v1/nearest", json={"item": item}).status_code

    with ThreadPoolExecutor(13) as pool:
        busy = pool.submit(own._keeper.compute, learn)
        assert learning.wait(60)
        own.remove(items[-1:])  # so that each question needs something that was not learnt yet
        asked = [pool.submit(ask, item) for item in items[:12]]
        go_on.wait(0.5)  # until they have come; with fewer the rest is easier
        assert writer.get("/readyz", timeout=30).status_code in {200, 503}
        assert writer.get("/v1/classes", timeout=30).status_code == 200
        go_on.set()
        busy.result()
        assert {one.result() for one in asked} == {200}


def test_metrics(client: httpx.Client, shop: Catalog) -> None:
    """They count what was asked, by route, stage and verdict."""
    client.post("/v1/predict", content=photos.photo(2, 50), headers=JPEG)
    client.get("/nowhere/secret")
    told = client.get("/metrics").text
    counted = 'catalog_requests_total{method="POST",route="/v1/predict",status="200"}'
    assert counted in told
    for word in (
        'catalog_stage_seconds_count{stage="embed"}',
        'catalog_stage_seconds_count{stage="answer"}',
        "catalog_verdicts_total{verdict=",
        f"catalog_generation {float(shop.history()[-1].id)}",
        "process_resident_memory_bytes",
        'catalog_under_way{line="questions"} 0.0',
        'route="other",status="404"',
    ):
        assert word in told, word
    assert "secret" not in told
