"""Which network a new catalogue gets when its maker names none."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hub_server import HubServer, Status, pack
from terminal import answered
from tiny_network import command, environment, run

from catalog import Catalog, NotFound
from catalog.embedder import models
from catalog.embedder.sources import published

OFFER = "Download it from TF Hub (127.0.0.1:"


def mirrors(server: str) -> dict[str, str]:
    """What has both sources asked of one server."""
    return {"CATALOG_HUB_URL": server, "CATALOG_KERAS_URL": f"{server}/keras-applications"}


def on_a_terminal(answer: str, *arguments: str | Path, cache: Path, hub: str, code: int = 0) -> str:
    """Run ``catalog`` on a terminal where someone types an answer; all that appears there."""
    env = environment(cache, TERM="xterm", COLUMNS="300", no_proxy="*", **mirrors(hub))
    seen, ended = answered(answer, command(*arguments), env)
    assert ended == code, seen
    return seen


def test_without_a_terminal_the_starter_is_used(cache: Path, tmp_path: Path) -> None:
    """Nobody is asked and nothing is downloaded; one line says so, and how to do better."""
    done = run("init", tmp_path / "shop.catalog", cache=cache, **mirrors("http://127.0.0.1:1"))
    assert done.returncode == 0
    assert "backbone   starter (" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "catalog model fetch" in done.stderr
    told = run("info", "--catalog", tmp_path / "shop.catalog", cache=cache)
    assert "starter (" in told.stdout


def test_a_script_gets_the_starter(cache: Path, tmp_path: Path) -> None:
    """``Catalog.init`` takes what is there, and downloads nothing."""
    with Catalog.init(tmp_path / "shop.catalog") as shop:
        assert shop.info().backbone.startswith("starter (")


def test_fetch_says_what_it_does(cache: Path, hub: HubServer) -> None:
    """The command says when it turns to Keras, and what to do where neither gives the network."""
    hub.faults.extend([Status(403), Status(403)])
    done = run("model", "fetch", cache=cache, no_proxy="*", **mirrors(hub.url))
    assert (done.returncode, done.stdout) == (1, "")
    _, note, message = done.stderr.splitlines()
    assert "so Keras applications (127.0.0.1:" in note
    assert message.startswith("error: no source gives the ImageNet network. TF Hub: ")
    assert all(address in message for address in published())
    assert "`catalog model import` the file" in message
    one = ("model", "fetch", "--source", "keras")
    done = run(*one, cache=cache, no_proxy="*", **mirrors(hub.url))
    assert (done.returncode, "TF Hub" in done.stderr) == (1, False)
    assert len(hub.seen) == 3


def test_someone_who_declines_gets_the_starter(cache: Path, tmp_path: Path, hub: HubServer) -> None:
    """The download is offered on a terminal, and is not made where the answer is no."""
    seen = on_a_terminal("n\n", "init", tmp_path / "shop.catalog", cache=cache, hub=hub.url)
    assert re.search(
        r"TF Hub \(\S+\) or, where that fails, from Keras applications \(\S+\)\?", seen
    )
    assert OFFER in seen
    assert "backbone   starter (" in seen
    assert "catalog model fetch" in seen
    assert hub.seen == []


def test_a_download_that_fails_is_made_up_for(cache: Path, tmp_path: Path, hub: HubServer) -> None:
    """Where neither source gives it, the reasons are given, and the starter is used."""
    hub.faults.extend([Status(404), Status(403)])
    seen = on_a_terminal("\n", "init", tmp_path / "shop.catalog", cache=cache, hub=hub.url)
    assert "so Keras applications (127.0.0.1:" in seen
    assert "it cannot be had: " in seen
    assert "backbone   starter (" in seen
    assert len(hub.seen) == 2


@pytest.mark.real
def test_someone_who_agrees_gets_the_real_network(
    cache: Path, tmp_path: Path, hub: HubServer, saved_model: Path
) -> None:
    """Return is yes: the network is fetched and used, and is not asked about again."""
    hub.archives[models.IMAGENET_HANDLE] = pack(saved_model)
    seen = on_a_terminal("\n", "init", tmp_path / "shop.catalog", cache=cache, hub=hub.url)
    assert "backbone   imagenet (" in seen
    again = on_a_terminal("\n", "init", tmp_path / "next.catalog", cache=cache, hub=hub.url)
    assert OFFER not in again
    assert "backbone   imagenet (" in again
    with Catalog.init(tmp_path / "third.catalog") as shop:
        assert shop.info().backbone.startswith("imagenet (")


def test_the_real_network_can_be_demanded(cache: Path, tmp_path: Path, hub: HubServer) -> None:
    """``--backbone imagenet`` is never answered with another network."""
    wanted = ("--backbone", "imagenet")
    made = ("init", tmp_path / "x.catalog", *wanted)
    seen = on_a_terminal("", *made, cache=cache, hub=hub.url, code=3)
    assert "catalog model fetch" in seen
    assert not (tmp_path / "x.catalog").exists()
    with pytest.raises(NotFound, match=r"models\.fetch"):
        Catalog.init(tmp_path / "x.catalog", backbone="imagenet")


def test_no_answer_makes_no_catalogue(cache: Path, tmp_path: Path, hub: HubServer) -> None:
    """Where input ends before the question is answered, nothing is made or downloaded."""
    made = ("init", tmp_path / "x.catalog")
    on_a_terminal("\x04", *made, cache=cache, hub=hub.url, code=1)
    assert not (tmp_path / "x.catalog").exists()
    assert hub.seen == []


def test_nobody_is_asked_in_vain(cache: Path, tmp_path: Path, hub: HubServer) -> None:
    """A path that is taken, or a preset that is none, is said before a download is offered."""
    (tmp_path / "x.catalog").write_text("mine")
    taken = ("init", tmp_path / "x.catalog")
    assert OFFER not in on_a_terminal("", *taken, cache=cache, hub=hub.url, code=1)
    mistyped = ("init", tmp_path / "y.catalog", "--views", "thorogh")
    assert OFFER not in on_a_terminal("", *mistyped, cache=cache, hub=hub.url, code=2)


def test_a_closed_stdin_is_no_terminal(cache: Path, tmp_path: Path) -> None:
    """A program without a stdin gets the starter like any other without a terminal."""
    made = command("init", tmp_path / "x.catalog")
    shell = f"{shlex.join(made)} <&-"
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "starter (" in done.stdout
