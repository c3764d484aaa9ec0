"""``catalog serve`` as a process: how it is set, started, ended, and killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import photos
import pytest
from served import JPEG, process, ready
from tiny_network import command, environment

from catalog import Catalog
from catalog.cli import extras


def told(cache: Path, *arguments: str | Path, **variables: str) -> tuple[int, str, str]:
    """What comes of a service that does not start."""
    done = subprocess.run(
        command("serve", *arguments),
        capture_output=True,
        text=True,
        env=environment(cache, **variables),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def libraries(pid: int) -> str:
    """The files that a process has mapped."""
    return Path(f"/proc/{pid}/maps").read_text()


def test_from_start_to_end(shop: Path, tiny_cache: Path) -> None:
    """It answers, brings no TensorFlow, and ends in order when it is told to."""
    with process(tiny_cache, "--catalog", shop) as (running, client):
        ready(client)
        said = client.post("/v1/predict", content=photos.photo(0, 30), headers=JPEG)
        assert said.json()["answers"][0]["prediction"]["label"] == "cup"
        assert "tensorflow" not in libraries(running.pid)
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=30)
        assert (running.returncode, out) == (0, "")
        assert '"says": "request"' in err
        assert photos.photo(0, 30)[:20].hex() not in err
        for line in err.splitlines()[1:]:  # after the note that there are no keys
            assert line.startswith("{")
            assert line.endswith("}")
    with Catalog.open(shop) as opened:
        assert opened.info().items == 12


def test_what_it_is_set_by(shop: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """An option goes before a variable, that before the file, and the file before what is so."""
    file = tmp_path / "serve.toml"
    file.write_text(
        f'catalog = "{shop}"\nport = 1\nqueue = 2\nmost-pictures = 3\nallow = ["{tmp_path}"]\n'
    )
    code, out, err = told(
        tiny_cache, "--config", file, "--queue", "5", "--show-config",
        CATALOG_SERVE_PORT="4", CATALOG_SERVE_QUEUE="6",
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = dict(line.split(" = ") for line in out.splitlines() if " = " in line)
    assert lines["queue"] == "5  # an option"
    assert lines["port"] == "4  # the environment"
    assert lines["most_pictures"] == "3  # the file"
    assert lines["allow"] == f'["{tmp_path}"]  # the file'
    assert lines["body_seconds"] == "30.0  # the default"
    assert "# keys is not set" in out
    shown = tmp_path / "shown.toml"
    shown.write_text(out)
    again = told(tiny_cache, "--config", shown, "--show-config")[1]
    assert re.sub("  #.*", "", again) == re.sub("  #.*", "", out)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--host", "0.0.0.0"), 2, "there are no keys; `catalog keys add NAME --keys FILE`"),
        (("--host", "192.0.2.1", "--unprotected"), 1, "cannot listen at 192.0.2.1"),
        (("--port", "70000"), 2, "a port is a number"),
        (("--keys", "none.txt"), 3, "there is no file of keys"),
        (("--allow", "/nowhere"), 3, "there is no folder /nowhere"),
        (("--queue", "0"), 2, "queue has to be positive"),
        (("--log", "loud"), 2, "not from 'loud'"),
        (("--config", "none.toml"), 1, "none.toml cannot be read"),
    ],
)
def test_what_cannot_be(
    shop: Path, tiny_cache: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """It is said in a line, with what can be done."""
    ended, _, err = told(tiny_cache, "--catalog", shop, *arguments)
    assert (ended, len(err.splitlines())) == (code, 1), err
    assert words in err


def test_files_of_settings_that_make_no_sense(shop: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """Each in a line."""
    file = tmp_path / "serve.toml"
    for content, words in (
        ("port = ", "is not TOML"),
        ("prot = 1", "sets 'prot'; what can be set is allow, body_seconds"),
        ("show_config = true", "sets 'show_config'"),
        ('allow = "photos"', "sets allow to 'photos', which is of another kind"),
        ('port = "x"', "sets port to 'x', which is of another kind"),
        ('unprotected = "yes"', "sets unprotected to 'yes'"),
        ("queue = true", "sets queue to True"),
    ):
        file.write_text(content)
        code, _, err = told(tiny_cache, "--catalog", shop, "--config", file)
        assert (code, words in err) == (2, True), err


def test_a_port_that_is_taken(shop: Path, tiny_cache: Path) -> None:
    """It is said which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = told(tiny_cache, "--catalog", shop, "--port", str(port))
    assert code == 1
    assert f"cannot listen at 127.0.0.1, port {port}: Address already in use" in err


def test_without_the_extra(
    shop: Path,
    in_process: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What to install is said."""
    found = extras.find_spec
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == "fastapi" else found(name)
    )
    code, _, err = in_process("serve", "--catalog", shop)
    assert code == 1
    assert err == (
        "error: the service needs libraries that are not installed: fastapi; "
        "`pip install 'catalog[serve]'` brings it\n"
    )


def test_keys_by_the_command(
    shop: Path, tiny_cache: Path, tmp_path: Path, in_process: Callable[..., tuple[int, str, str]]
) -> None:
    """Made, used, listed and taken back."""
    file = tmp_path / "keys.txt"
    code, out, err = in_process("keys", "add", "till", "--keys", file)
    assert (code, "shown only now" in err) == (0, True)
    assert in_process("keys", "add", "desk", "--keys", file, "--scope", "write")[0] == 0
    assert in_process("keys", "list", "--keys", file)[1] == "till  read\ndesk  write\n"
    with process(tiny_cache, "--catalog", shop, "--keys", file) as (_, client):
        bearer = {"authorization": f"Bearer {out.strip()}"}
        assert client.get("/v1/info").status_code == 401
        assert client.get("/v1/info", headers=bearer).status_code == 200
        assert in_process("keys", "remove", "till", "--keys", file)[0] == 0
        for _ in range(100):
            if client.get("/v1/info", headers=bearer).status_code == 401:
                break
            time.sleep(0.05)
        assert client.get("/v1/info", headers=bearer).status_code == 401
    assert in_process("keys", "remove", "till", "--keys", file)[0] == 3
    assert in_process("keys", "add", "desk", "--keys", file)[0] == 1


def test_killed(shop: Path, tiny_cache: Path) -> None:
    """What was acknowledged is there when it is started again."""
    acknowledged = []
    for turn in range(3):
        with process(tiny_cache, "--catalog", shop) as (running, client):
            for number in range(3):
                label = f"new {turn} {number}"
                picture = photos.photo(30 + turn, 100 + number)
                said = client.post(
                    "/v1/classes", params={"label": label}, content=picture, headers=JPEG
                )
                assert said.status_code == 201
                acknowledged.append(label)
            os.kill(running.pid, signal.SIGKILL)
            running.wait(30)
    with Catalog.open(shop) as opened:
        assert {row.label for row in opened.labels()} > set(acknowledged)
        assert opened.verify().sound


def test_a_document_head_is_trained_in_a_child(shop: Path, tiny_cache: Path) -> None:
    """TensorFlow comes and goes with it; the service goes on answering."""
    with process(tiny_cache, "--catalog", shop) as (running, client):
        ready(client)
        said = client.post(
            "/v1/classes?label=pot&head=document",
            content=photos.photo(30, 100),
            headers=JPEG | {"idempotency-key": "1"},
            timeout=300,
        )
        assert said.status_code == 201, said.text
        assert "tensorflow" not in libraries(running.pid)
        assert client.get("/v1/info").json()["head"] == "document"
        again = client.post(
            "/v1/classes?label=pot&head=document",
            content=photos.photo(30, 100),
            headers=JPEG | {"idempotency-key": "1"},
        )
        assert again.json() == said.json()
    with Catalog.open(shop) as opened:
        assert {event.kind for event in opened.history()[-2:]} == {"add", "train-head"}
        marks = [event.detail.get("mark") for event in opened.history()[-2:]]
        assert marks[0] is not None
        assert marks[0] == marks[1]
