"""``catalog mcp`` as assistants meet it: by the protocol's own client, as a real process."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import photos
import pytest
from assistant import ALIKE, Assistant, ToolError, assistant
from mcp import MCPError
from tiny_network import command, environment, run

from catalog import Catalog
from catalog.cli import extras
from catalog.cli.mcp_arguments import MOST_NEIGHBOURS
from catalog.embedder.model_cache import Model

READING = {"audit", "classes", "info", "nearest", "predict"}
WRITING = {"add_class", "feedback"}


@pytest.fixture
def reading(made: Path, shop: Path, tiny_cache: Path) -> Iterator[Assistant]:
    """One who may ask about files of the folder that the catalogue was made of."""
    with assistant(tiny_cache, shop, "--allow", made) as started:
        yield started


@pytest.fixture
def writing(made: Path, shop: Path, tmp_path: Path, tiny_cache: Path) -> Iterator[Assistant]:
    """One who may change the catalogue, too."""
    with assistant(tiny_cache, shop, "--write", "--allow", made, "--allow", tmp_path) as started:
        yield started


def cup(made: Path) -> dict[str, str]:
    """A picture of a cup, by its path."""
    return {"path": str(made / "test" / "cup" / "020.jpg")}


def sent(content: bytes) -> dict[str, str]:
    """A picture by what is in its file."""
    return {"base64": base64.b64encode(content).decode()}


def told(shop: Path, cache: Path, *arguments: str | Path) -> Any:
    """What the command prints as JSON."""
    done = run(*arguments, "--json", "--catalog", shop, cache=cache, **ALIKE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tools_that_read(reading: Assistant) -> None:
    """Without --write nothing that changes the catalogue is listed, and nothing of it is done."""
    tools = reading.tools()
    assert set(tools) == READING
    for tool in tools.values():
        assert tool.description
        assert tool.annotations.read_only_hint
        assert tool.input_schema["additionalProperties"] is False
        assert "$ref" not in json.dumps(tool.input_schema)
    for name in WRITING:
        with pytest.raises(MCPError, match="was started without --write"):
            reading.call(name, label="pot")
    with pytest.raises(MCPError, match="there is no tool 'forget'"):
        reading.call("forget")


def test_tools_that_write(writing: Assistant) -> None:
    """With it they are, and say that they change something."""
    tools = writing.tools()
    assert set(tools) == READING | WRITING
    assert not any(tools[name].annotations.read_only_hint for name in WRITING)


def test_what_the_command_prints(
    made: Path, shop: Path, reading: Assistant, tiny_cache: Path
) -> None:
    """A tool answers what the command of its name prints with --json."""
    given = cup(made)
    near = reading.call("nearest", pictures=[given], k=3)["answers"]
    assert near == told(shop, tiny_cache, "nearest", given["path"], "-k", "3")
    for box in ({}, {"box": "0,0,30,30"}):
        words = [f"--{name}={value}" for name, value in box.items()]
        (said,) = reading.call("predict", pictures=[{**given, **box}], top=2)["answers"]
        assert [said] == told(shop, tiny_cache, "predict", given["path"], "--top", "2", *words)
    like = reading.call("nearest", item=1)["answers"]
    assert like == told(shop, tiny_cache, "nearest", "--item", "1")
    labels = told(shop, tiny_cache, "labels")
    assert reading.call("classes") == {"classes": labels, "total": 3}
    assert reading.call("info") == told(shop, tiny_cache, "info")


def test_bytes(made: Path, shop: Path, tiny_cache: Path) -> None:
    """A picture may be sent, which needs no folder to be allowed; a path then says what does."""
    with assistant(tiny_cache, shop) as asking:
        content = photos.photo(0, 30)
        for given in (sent(content), {"base64": base64.encodebytes(content).decode()}):
            (answer,) = asking.call("predict", pictures=[given])["answers"]
            assert (answer["picture"], answer["prediction"]["label"]) == (None, "cup")
        with pytest.raises(ToolError, match=r"send pictures as base64, or .* with --allow"):
            asking.call("predict", pictures=[cup(made)])


def test_pages(reading: Assistant) -> None:
    """Classes are told a page at a time, and searched for by their names."""
    page = reading.call("classes", offset=1, limit=1)
    assert ([row["label"] for row in page["classes"]], page["total"]) == (["jug"], 3)
    found = reading.call("classes", search="AN")
    assert ([row["label"] for row in found["classes"]], found["total"]) == (["pan"], 1)


def test_an_audit_is_cut(reading: Assistant) -> None:
    """Of each list so many are told, and how many are not."""
    whole, cut = reading.call("audit"), reading.call("audit", limit=1)
    assert "left_off" not in whole
    assert cut["found"]["classes"] == whole["found"]["classes"][:1]
    assert cut["left_off"]["found.classes"] == 2


def test_a_new_class_is_known_at_once(writing: Assistant, tmp_path: Path) -> None:
    """What is added is in the next answer."""
    pots = photos.draw(tmp_path / "pots", 9, 3)
    given = [{"path": str(pots[0])}, sent(pots[1].read_bytes())]
    added = writing.call("add_class", label="pot", pictures=given)
    assert (added["label"], added["created"], added["added"]) == ("pot", True, 2)
    (answer,) = writing.call("predict", pictures=[{"path": str(pots[2])}])["answers"]
    assert answer["prediction"]["label"] == "pot"
    with pytest.raises(ToolError, match=r"there is a class 'pot' .*; the tool feedback") as there:
        writing.call("add_class", label="pot", pictures=given)
    assert there.value.kind == "label-conflict"
    with pytest.raises(ToolError, match=r"no class 'urn'.*in class 'pot'.*move\S+ true"):
        writing.call("add_class", label="urn", pictures=given)
    moved = writing.call("add_class", label="urn", pictures=given, move=True)
    assert (moved["moved"], moved["emptied"]) == (2, ["pot"])


def test_feedback(writing: Assistant, made: Path, shop: Path) -> None:
    """What a picture shows is learnt, or only noted."""
    noted = writing.call("feedback", picture=cup(made), label="cup", note_only=True)
    assert (noted["outcome"], noted["added"]) == ("confirmed", False)
    taken = writing.call("feedback", picture=cup(made), label="mug")
    assert (taken["outcome"], taken["predicted"], taken["added"]) == ("new class", "cup", True)
    with Catalog.open(shop) as opened:
        assert [row.items for row in opened.labels() if row.label == "mug"] == [1]


def test_changes_of_the_shell_are_seen(reading: Assistant, shop: Path, tiny_cache: Path) -> None:
    """A question asked after a command is answered by what that did."""
    assert reading.call("info")["classes"] == 3
    done = run("rename-class", "cup", "Tasse", "--catalog", shop, cache=tiny_cache)
    assert done.returncode == 0
    assert reading.call("classes", search="tasse")["total"] == 1
    assert reading.call("nearest", item=1, k=1)["answers"][0]["neighbours"][0]["label"] == "Tasse"


@pytest.mark.parametrize(
    ("tool", "arguments", "kind", "words"),
    [
        ("nearest", {"item": 999}, "not-found", "there is no item 999"),
        ("nearest", {}, "invalid-input", "either pictures or an item"),
        ("nearest", {"item": 1, "k": 5000}, "invalid-input", "k is at most 100, not 5000"),
        ("nearest", {"item": 1, "k": 0}, "invalid-input", "k is at least 1, not 0"),
        ("nearest", {"item": 1, "n": 3}, "invalid-input", "there is no argument n"),
        ("nearest", {"pictures": []}, "invalid-input", "there are no pictures"),
        ("predict", {}, "invalid-input", "pictures is missing"),
        ("predict", {"pictures": [{}]}, "invalid-input", "picture 1 is given by its path, or"),
        ("predict", {"pictures": [{"base64": "@"}]}, "invalid-input", "base64 of picture 1 is not"),
        (
            "predict",
            {"pictures": [{"base64": "AAAA", "box": "1"}]},
            "invalid-input",
            "a box is x,y",
        ),
        ("predict", {"pictures": [sent(b"text")]}, "picture-error", "unsupported"),
        ("predict", {"pictures": [{"path": "/etc/passwd"}]}, "invalid-input", "outside of the"),
        ("predict", {"pictures": [{"path": "a\0b"}]}, "picture-error", "unreadable"),
        ("classes", {"limit": 10**6}, "invalid-input", "limit is at most 1000, not 1000000"),
    ],
)
def test_what_cannot_be(
    reading: Assistant, tool: str, arguments: dict[str, Any], kind: str, words: str
) -> None:
    """It is a tool's error: its kind, and a sentence that says what is wrong."""
    with pytest.raises(ToolError) as failed:
        reading.call(tool, **arguments)
    assert failed.value.kind == kind
    assert words in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_answers_are_not_endless(reading: Assistant, made: Path) -> None:
    """Pictures, and what is told of all of them, are counted."""
    with pytest.raises(ToolError, match="pictures are at most 100, not 101"):
        reading.call("predict", pictures=[cup(made)] * 101)
    with pytest.raises(ToolError, match="at most 1000 neighbours; ask with a lower k"):
        reading.call("nearest", pictures=[cup(made)] * 11, k=MOST_NEIGHBOURS)


def test_refused_pictures(writing: Assistant, made: Path, tmp_path: Path) -> None:
    """One of several stands among the answers; where nothing else is given, it is an error."""
    (text := tmp_path / "notes.jpg").write_text("no picture")
    spoilt = {"path": str(text)}
    answers = writing.call("predict", pictures=[spoilt, cup(made)])["answers"]
    assert [one.get("refused") for one in answers] == ["unsupported", None]
    assert answers[0]["picture"] == str(text)
    for tool, arguments in (
        ("nearest", {"pictures": [spoilt]}),
        ("feedback", {"picture": spoilt, "label": "cup"}),
        ("add_class", {"label": "notes", "pictures": [spoilt]}),
    ):
        with pytest.raises(ToolError, match="not a JPEG, PNG"):
            writing.call(tool, **arguments)
    assert writing.call("info")["classes"] == 3


def test_files_elsewhere(reading: Assistant, made: Path, shop: Path, tmp_path: Path) -> None:
    """No link leads out of the folders that are allowed, and nobody learns what lies there."""
    (made / "link.jpg").unlink(missing_ok=True)
    (outside := tmp_path / "outside.jpg").write_bytes(photos.photo(0, 30))
    (made / "link.jpg").symlink_to(outside)
    said = []
    for path in (made / "link.jpg", outside, tmp_path / "nowhere.jpg", made / ".." / shop.name):
        with pytest.raises(ToolError, match=f"outside of the folders .* {made}") as failed:
            reading.call("nearest", pictures=[cup(made), {"path": str(path)}])
        said.append(str(failed.value).removeprefix(str(path)))
    assert len(set(said)) == 1
    (made / "link.jpg").unlink()


def test_a_client_of_the_handshake(made: Path, shop: Path, tiny_cache: Path) -> None:
    """Those that speak the protocol as it was until 2025 are answered, too."""
    with assistant(tiny_cache, shop, "--allow", made, mode="legacy") as asking:
        assert set(asking.tools()) == READING
        assert asking.call("info")["items"] == 12
        assert str(made) in (asking.client.instructions or "")


HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
BEGUN = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    """A message that calls a tool."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def say(running: subprocess.Popen[str], *messages: object) -> None:
    """Send messages; texts as they are."""
    assert running.stdin is not None
    for one in messages:
        running.stdin.write(f"{one if isinstance(one, str) else json.dumps(one)}\n")
    running.stdin.flush()


@contextmanager
def process(
    cache: Path, shop: Path, *options: str | Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A server that has said hello."""
    running = subprocess.Popen(
        command(*options, "mcp", "--catalog", shop),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cache, **variables),
    )
    try:
        say(running, HELLO, BEGUN)
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["id"] == 0
        yield running
    finally:
        running.kill()
        running.communicate()


def test_nothing_but_the_protocol(shop: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """Whatever is printed meanwhile, by Python or by a library in C, goes to standard error."""
    (tmp_path / "sitecustomize.py").write_text(
        "import json, os\n"
        "dumps = json.dumps\n"
        "def noisy(*given, **named):\n"
        "    print('noise of Python')\n"
        "    os.write(1, b'noise of C\\n')\n"
        "    return dumps(*given, **named)\n"
        "json.dumps = noisy\n"
    )
    with process(tiny_cache, shop, "-v", PYTHONPATH=str(tmp_path)) as running:
        say(
            running, call(1, "info"), "no JSON", "", "[1]", call(2, "predict", pictures=[sent(b"")])
        )
        assert running.stdout is not None
        answers = [json.loads(running.stdout.readline()) for _ in range(2)]
        assert {one["id"]: one["result"]["isError"] for one in answers} == {1: False, 2: True}
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (0, "")
    assert "noise of Python" in err
    assert "noise of C" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("told_by", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_ends_when_told(shop: Path, tiny_cache: Path, told_by: signal.Signals) -> None:
    """Although nothing more comes on standard input."""
    with process(tiny_cache, shop) as running:
        running.send_signal(told_by)
        assert running.wait(timeout=30) == 0
        assert running.stderr is not None
        assert running.stderr.read() == f"serving {shop} by MCP, to read\n"


def test_nobody_reads_on(shop: Path, tiny_cache: Path) -> None:
    """Where the client has gone without a word, it ends without one."""
    with process(tiny_cache, shop) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        say(running, call(1, "info"))
        assert running.wait(timeout=30) == 1
        assert running.stderr.read().count("\n") == 1
        running.stdout = None


@pytest.mark.parametrize(
    ("redirected", "code", "words"),
    [
        ("<&-", 2, "standard input is closed"),
        (">&-", 1, "standard output cannot be used: it is closed"),
        (">/dev/full", 1, "standard output cannot be used: No space left on device"),
        ("2>&-", 0, ""),
        ("--allow /nowhere", 3, "there is no folder /nowhere"),
        ("--catalog /nowhere", 3, "/nowhere"),
    ],
)
def test_what_it_cannot_be_started_with(
    shop: Path, tiny_cache: Path, redirected: str, code: int, words: str
) -> None:
    """It is said in a line."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "bash", *command("mcp", "--catalog", shop)],
        input=f"{json.dumps(HELLO)}\n",
        env=environment(tiny_cache),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr


def test_a_fault_of_the_program(
    shop: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a tool's error that says where to look, and the log has it."""
    from catalog.cli import mcp_server, mcp_tools

    monkeypatch.setattr(Catalog, "info", lambda _: 1 / 0)
    info = next(tool for tool in mcp_tools.TOOLS if tool.name == "info")
    with Catalog.open(shop) as opened:
        tools = mcp_tools.Tools(opened, (), write=False)
        answer = mcp_server._call(tools, info, {})
    assert answer.is_error
    assert answer.structured_content["error"] == "fault"
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in answer.model_dump_json()


def test_without_the_extra(
    shop: Path,
    in_process: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What to install is said, also where the version is one that lacks what is needed."""
    found = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if "mcp_" in name else found(name))
    code, _, err = in_process("mcp", "--catalog", shop)
    assert code == 1
    assert err == (
        "error: the MCP server needs libraries that are not installed: mcp_types; "
        "`pip install 'catalog[mcp]'` brings it\n"
    )


def test_other_commands_do_without(shop: Path, tiny_cache: Path) -> None:
    """No other command, and not the list of them, waits for the protocol to be imported."""
    look = (
        "import atexit, sys, catalog.cli.main as entry\n"
        "atexit.register(lambda: print({'mcp', 'mcp_types', 'anyio'} & {*sys.modules}))\n"
        "entry.main()"
    )
    for arguments in (["--help"], ["labels", "--catalog", str(shop)]):
        done = subprocess.run(
            [*command()[:1], "-c", look, *arguments],
            env=environment(tiny_cache),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "set()"
