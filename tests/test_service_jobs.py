"""Jobs of the service, in processes of their own; and what of this computer may be read."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import photos
import pytest
from served import serving
from tiny_network import NAME

from catalog import Catalog, InvalidInput, PictureError
from catalog.embedder.model_cache import Model
from catalog.machine import reading
from catalog.reports.plain import plain
from catalog.service import job_process, job_runner
from catalog.service.advice import HTTP
from catalog.store.files import cache_folder

LABELS = ("cup", "jug", "pan")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of three classes of four photos."""
    return photos.draw_tree(tmp_path / "photos", LABELS, 4)


@pytest.fixture
def shop(tmp_path: Path, tiny_model: Model) -> Iterator[Catalog]:
    """An empty catalogue, with a network that other processes find, too."""
    with Catalog.init(tmp_path / "shop.catalog", backbone=NAME, views="fast") as made:
        yield made


@pytest.fixture
def client(shop: Catalog, tree: Path) -> Iterator[httpx.Client]:
    """A client of its service, which may read the photos."""
    with serving(shop, allow=(tree,)) as made:
        yield made


def ended(client: httpx.Client, job: int) -> Any:
    """A job, once it has ended, as its events tell it."""
    told: list[tuple[str, Any]] = []
    with client.stream("GET", f"/v1/jobs/{job}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((kind, json.loads(line.removeprefix("data: "))))
    assert [kind for kind, _ in told] == [*["progress"] * (len(told) - 1), "end"]
    assert told[-1][1] == client.get(f"/v1/jobs/{job}").json()
    return told[-1][1]


def begin(client: httpx.Client, **job: Any) -> int:
    """The id of a job that was begun."""
    begun = client.post("/v1/jobs", json=job)
    assert begun.status_code == 202, begun.text
    assert begun.headers["location"] == f"/v1/jobs/{begun.json()['id']}"
    assert begun.json()["state"] == "waiting"
    return int(begun.json()["id"])


def test_every_kind(client: httpx.Client, shop: Catalog, tree: Path) -> None:
    """Import, sync, evaluate and reindex, one after another; each has a result."""
    job = begin(client, kind="import", source=str(tree))
    told = ended(client, job)
    assert told["outcome"] == {"new": 12, "moved": 0, "unchanged": 0, "refused": 0}
    assert (told["done"], told["total"]) == (12, 12)
    assert {row.label: row.items for row in shop.labels()} == dict.fromkeys(LABELS, 4)
    result = client.get(f"/v1/jobs/{job}/result").json()
    assert [added["label"] for added in result["classes"]] == list(LABELS)

    photos.draw(tree / "pot", 9, 2)
    (tree / "cup" / "spoilt.jpg").write_bytes(b"no picture")
    job = begin(client, kind="sync", source=str(tree))
    assert ended(client, job)["failures"] == 1
    (failure,) = client.get(f"/v1/jobs/{job}/failures").json()["failures"]
    assert failure["place"].endswith("spoilt.jpg")
    assert {row.label for row in shop.labels()} == {*LABELS, "pot"}

    asked = client.post("/v1/evaluate", json={"source": str(tree)})
    assert asked.status_code == 202
    told = ended(client, asked.json()["id"])
    assert (told["kind"], told["outcome"]["pictures"]) == ("evaluate", 14)
    result = client.get(f"/v1/jobs/{told['id']}/result").json()
    assert result == plain(shop.evaluate(tree), HTTP)
    assert told["outcome"]["top1"] == round(result["cross_check"]["top1"], 4)

    job = begin(client, kind="reindex", views="standard")
    assert ended(client, job)["outcome"]["embedded"] == 14
    assert begin(client, kind="reindex")  # what is derived anew
    listed = client.get("/v1/jobs").json()["jobs"]
    assert [job["kind"] for job in listed] == ["import", "sync", "evaluate", *["reindex"] * 2]
    assert ended(client, listed[-1]["id"])["state"] == "done"
    assert shop.verify().sound


def test_what_was_forgotten_is_in_no_result(
    client: httpx.Client, shop: Catalog, tree: Path
) -> None:
    """With a class that is forgotten go the results of jobs, which name it."""
    ended(client, begin(client, kind="import", source=str(tree)))
    asked = client.post("/v1/evaluate", json={"source": str(tree)}).json()["id"]
    ended(client, asked)
    assert "jug" in client.get(f"/v1/jobs/{asked}/result").text
    shop.forget(labels=["jug"])
    kept = [file for file in cache_folder(shop.path).rglob("*") if file.is_file()]
    assert not any(b"jug" in file.read_bytes() for file in kept)
    assert client.get(f"/v1/jobs/{asked}/result").status_code == 404


def test_what_is_forgotten_while_a_job_is_done(
    shop: Catalog,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Its result would name it, and is not kept; the job is done all the same."""
    shop.import_(tree)
    waiting = shop.enqueue_job("evaluate", source=str(tree))
    run = Catalog.run_job

    def forget_meanwhile(self: Catalog, job: int) -> object:
        result = run(self, job)
        self.forget(labels=["jug"])
        return result

    monkeypatch.setattr(Catalog, "run_job", forget_meanwhile)
    monkeypatch.setattr(job_process.logs, "prepare", lambda _: None)  # this process has its own
    request.addfinalizer(lambda: reading.allow_only(None))
    assert job_process.main(str(shop.path), str(waiting.id), str(tree)) == 0
    assert not job_process.result_file(shop, waiting.id).exists()


def test_results_of_jobs_that_are_not_known_go(
    client: httpx.Client, shop: Catalog, tree: Path
) -> None:
    """What came of a job that the list has no more is deleted when the next one ends."""
    old = job_process.result_file(shop, 999)
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    job = begin(client, kind="import", source=str(tree))
    ended(client, job)
    assert client.get(f"/v1/jobs/{job}/result").status_code == 200
    assert not old.exists()


def test_where_the_service_was_started(
    client: httpx.Client, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in that folder is not run, whatever it is called."""
    for name in ("secrets", "json", "catalog", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this was run')\n")
    monkeypatch.chdir(tmp_path)
    assert ended(client, begin(client, kind="import", source=str(tree)))["state"] == "done"


def test_one_that_cannot_begin(
    client: httpx.Client, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose process ends at once has failed, and says so; nobody has stopped it."""
    monkeypatch.setattr(job_runner, "command", lambda *_: [sys.executable, "-c", "exit(1)"])
    told = ended(client, begin(client, kind="import", source=str(tree)))
    assert (told["state"], "could not begin" in told["outcome"]["error"]) == ("failed", True)


def test_what_makes_no_sense(client: httpx.Client, shop: Catalog, tree: Path) -> None:
    """Said at once where that can be seen, and by the job where it cannot."""
    for job, status in (
        ({"kind": "import"}, 400),
        ({"kind": "bake", "source": str(tree)}, 400),
        ({"kind": "import", "source": str(tree), "delete": True}, 400),
        ({"kind": "import", "source": str(tree), "backbone": "x"}, 400),
        ({"kind": "reindex", "backbone": str(tree / "cup")}, 400),
        ({"kind": "reindex", "embedder": "x"}, 400),
        ({"kind": "import", "source": "/etc"}, 403),
        ({"kind": "import", "source": str(tree.parent)}, 403),
        ({"kind": "import", "source": f"{tree}/../../etc/passwd"}, 403),
        ({"kind": "import", "source": "a\0b"}, 403),
        ({"kind": "import", "source": str(tree / "nothing")}, 404),
    ):
        said = client.post("/v1/jobs", json=job)
        assert said.status_code == status, (job, said.text)
        assert client.post("/v1/evaluate", json={"source": "/etc"}).status_code == 403
    (tree / "empty").mkdir()
    job = begin(client, kind="import", source=str(tree / "empty"))
    told = ended(client, job)
    assert (told["state"], "no pictures" in told["outcome"]["error"]) == ("failed", True)
    lost = client.get(f"/v1/jobs/{job}/result")
    assert (lost.status_code, "it is failed: there are no pictures" in lost.text) == (409, True)
    for path in ("", "/failures", "/result", "/events"):
        assert client.get(f"/v1/jobs/999{path}").status_code == 404
    with pytest.raises(InvalidInput):
        shop.enqueue_job("bake")
    with pytest.raises(InvalidInput):
        shop.enqueue_job("import", source="x", progress=1)


def test_stopped_and_gone_on_with(client: httpx.Client, shop: Catalog, tree: Path) -> None:
    """A job that waits, or goes on, is stopped; then it is done after all."""
    first = begin(client, kind="sync", source=str(tree))
    second = begin(client, kind="import", source=str(tree))
    stopped = client.post(f"/v1/jobs/{second}/cancel").json()
    told = ended(client, second)
    assert told["state"] in {"cancelled", "done"}
    assert stopped["state"] in {"cancelled", "running"}
    ended(client, first)
    if told["state"] == "cancelled":
        again = client.post(f"/v1/jobs/{second}/resume")
        assert again.status_code == 202
        assert ended(client, again.json()["id"])["state"] == "done"
    assert client.post(f"/v1/jobs/{first}/resume").status_code == 409
    assert client.post(f"/v1/jobs/{first}/cancel").status_code == 409
    assert len(shop) == 12


def test_a_restart(shop: Catalog, tree: Path) -> None:
    """What was begun goes on, and what waits is begun by the next service."""
    with serving(shop, allow=(tree,)) as client:
        jobs = [begin(client, kind="import", source=str(tree / label)) for label in LABELS]
    for _ in range(600):  # the one that had begun comes to its end with no service
        if not any(job.state == "running" for job in shop.jobs()):
            break
        time.sleep(0.05)
    assert {job.state for job in shop.jobs()} <= {"done", "failed", "waiting"}
    with serving(shop, allow=(tree,)) as client:
        states = {ended(client, job)["state"] for job in jobs}
    assert "waiting" not in states


def test_a_job_waits_for_whoever_takes_it_up(shop: Catalog, tree: Path) -> None:
    """Without a service, too: it is done once, as the job that was noted."""
    noted = shop.enqueue_job("import", source=str(tree), made_up=False)
    assert (noted.state, noted.stage, noted.ended) == ("waiting", "waiting", None)
    done = shop.resume_job(noted.id)
    assert len(done.classes) == 3  # type: ignore[union-attr]
    (job,) = shop.jobs()
    assert (job.id, job.state, job.request["made_up"]) == (noted.id, "done", False)
    with pytest.raises(Exception, match="does not wait"):
        shop.run_job(noted.id)
    waits = shop.enqueue_job("evaluate", source=str(tree))
    assert shop.cancel_job(waits.id).state == "cancelled"
    with pytest.raises(Exception, match="cancelled"):
        shop.run_job(waits.id)


def test_who_listens_does_not_hold_up_the_end(shop: Catalog, tree: Path) -> None:
    """The stream of a job that goes on is closed in order when the service ends."""
    with httpx.Client(timeout=60) as listener, ExitStack() as stack:
        client = stack.enter_context(serving(shop, allow=(tree,)))
        shop.enqueue_job("import", source=str(tree))  # which nobody has told the service to begin
        with listener.stream("GET", f"{client.base_url}/v1/jobs/1/events") as response:
            lines = response.iter_lines()
            assert next(lines) == "event: progress"
            began = time.monotonic()
            stack.close()
            assert time.monotonic() - began < 20  # and not the 30 seconds that others may take
            assert "event: end" not in list(lines)


class TestWhatMayBeRead:
    """Nothing outside of the folders that are allowed, by whichever way it is named."""

    def test_by_a_job(self, client: httpx.Client, shop: Catalog, tree: Path) -> None:
        """By a link, a list of pictures, or a folder within."""
        secret = photos.draw(tree.parent / "secret" / "safe", 20, 2)[0]
        (tree / "link").symlink_to(tree.parent / "secret")
        (tree / "cup" / "linked.jpg").symlink_to(secret)
        rows = [f"{secret},safe", f"{tree}/cup/000.jpg,cup", f"../secret/safe/{secret.name},safe"]
        (tree / "list.csv").write_text("\n".join(["path,label", *rows]))
        for source in (tree, tree / "list.csv"):
            told = ended(client, begin(client, kind="import", source=str(source)))
            assert told["state"] == "done"
            assert told["failures"] >= 1
            failures = client.get(f"/v1/jobs/{told['id']}/failures").json()["failures"]
            assert all("may be read" in f["detail"] or "cannot be read" in f["detail"]
                       for f in failures)  # fmt: skip
        assert {row.label for row in shop.labels()} <= set(LABELS)
        linked = client.post("/v1/jobs", json={"kind": "import", "source": str(tree / "link")})
        assert linked.status_code == 403

    def test_by_a_thumbnail(
        self, shop: Catalog, tree: Path, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        """Of what the owner has imported from elsewhere, and of what lies there no more."""
        shop.import_(tree)
        elsewhere = photos.draw(tmp_path / "elsewhere" / "pot", 9, 1)[0]
        shop.import_(tmp_path / "elsewhere")
        items = shop.items()
        request.addfinalizer(lambda: reading.allow_only(None))
        reading.allow_only([tree])  # as `serve` does
        with serving(shop, allow=(tree,)) as client:
            shown = client.get(f"/v1/items/{items[0].id}/thumbnail?side=64")
            assert shown.headers["content-type"] == "image/jpeg"
            assert shown.content.startswith(b"\xff\xd8")
            (own,) = [one.id for one in items if one.sources == (str(elsewhere),)]
            assert client.get(f"/v1/items/{own}/thumbnail").status_code == 404
            shutil.copy(items[1].sources[0], items[0].sources[0])  # another picture lies there
            assert client.get(f"/v1/items/{items[0].id}/thumbnail").status_code == 404

    def test_by_any_call(self, tmp_path: Path, tree: Path) -> None:
        """What the process may read is told once, for all of it; links are looked through."""
        inside, outside = tree / "cup" / "000.jpg", tmp_path / "secret.jpg"
        shutil.copy(inside, outside)
        (tree / "link.jpg").symlink_to(outside)
        (tmp_path / "photos-too").mkdir()
        shutil.copy(inside, tmp_path / "photos-too" / "a.jpg")
        reading.allow_only([tree])
        try:
            with Catalog.init(tmp_path / "other.catalog", backbone="starter") as shop:
                assert shop.embed(inside).size
                for path in (
                    outside, tree / "link.jpg", tree / ".." / "secret.jpg",
                    tmp_path / "photos-too" / "a.jpg", tmp_path / "nothing.jpg", "/etc/passwd",
                ):  # fmt: skip
                    with pytest.raises(PictureError, match="outside"):
                        shop.embed(path)
                assert not shop.add_class("a", [outside]).added
                assert shop.add_class("b", [inside]).added
        finally:
            reading.allow_only(None)
        with Catalog.open(tmp_path / "other.catalog") as shop:
            assert shop.embed(outside).size
