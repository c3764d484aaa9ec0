"""The examples of the documentation do what they say."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import photos
import pytest
from served import filled, process, serving
from tiny_network import command, environment
from typer.main import get_command

from catalog import Catalog
from catalog.cli.main import app
from catalog.service.keys import add_key

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalog]:
    """A shop that may be changed."""
    with filled(tmp_path / "shop.catalog") as made:
        yield made


def test_every_example_is_named() -> None:
    """The page of the service leads to each of them."""
    page = (ROOT / "docs" / "service.md").read_text()
    assert set(re.findall(r"\(examples/([\w.]+)\)", page)) == {
        file.name for file in EXAMPLES.iterdir() if file.is_file()
    }


def test_the_client(shop: Catalog, tmp_path: Path) -> None:
    """It says what each photo is, and what is wrong where something is."""
    key = add_key(tmp_path / "keys.txt", "till", "read")
    picture = tmp_path / "a.jpg"
    picture.write_bytes(photos.photo(2, 50))
    (tmp_path / "b.txt").write_text("no picture")
    with serving(shop, keys=tmp_path / "keys.txt") as client:

        def run(**variables: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, EXAMPLES / "client.py", picture, tmp_path / "b.txt"],
                env={**os.environ, "CATALOG_URL": str(client.base_url), **variables},
                capture_output=True,
                text=True,
                check=False,
            )

        done = run(CATALOG_KEY=key)
        said = shop.predict(picture)
        assert done.stdout.splitlines() == [
            f"a.jpg: {said.label} ({said.verdict})",
            "b.txt: refused, not a JPEG, PNG, WebP, GIF, BMP, HEIC, AVIF or TIFF",
        ]
        assert done.returncode == 0
        refused = run()
        assert (refused.returncode, "a key is needed" in refused.stderr) == (1, True)


class Studio(BaseHTTPRequestHandler):
    """What gives out the pictures of tasks, as Label Studio does."""

    def do_GET(self) -> None:
        """Give one."""
        content = photos.photo(*map(int, re.findall(r"\d+", self.path)))
        self.send_response(200 if self.headers["authorization"] == "Token secret" else 401)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def test_the_labelling_backend(shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """It predicts tasks, and tells the catalogue what was chosen, once."""
    studio = ThreadingHTTPServer(("127.0.0.1", 0), Studio)
    threading.Thread(target=studio.serve_forever, daemon=True).start()
    with serving(shop) as client, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        backend = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "label_backend:app", "--port", str(port)],
            cwd=EXAMPLES,
            env={
                **os.environ,
                "CATALOG_URL": str(client.base_url),
                "LABEL_STUDIO_URL": f"http://127.0.0.1:{studio.server_port}",
                "LABEL_STUDIO_KEY": "secret",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            transport = httpx.HTTPTransport(retries=20)
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=address, transport=transport, timeout=60) as asked:
                assert asked.get("/health").json() == {"status": "UP"}
                tasks = [{"data": {"image": f"/data/{thing}/50.jpg"}} for thing in (1, 4)]
                results = asked.post("/predict", json={"tasks": tasks}).json()["results"]
                for thing, result in zip((1, 4), results, strict=True):
                    said = shop.predict(photos.photo(thing, 50))
                    choices = [one["value"]["choices"] for one in result["result"]]
                    assert choices == ([] if said.verdict == "unknown" else [[said.label]])
                told = {
                    "action": "ANNOTATION_CREATED",
                    "task": {"data": {"image": "/data/30/100.jpg"}},
                    "annotation": {"id": 7, "result": [{"value": {"choices": ["pot"]}}]},
                }
                for _ in range(2):
                    assert asked.post("/webhook", json=told).status_code == 200
        finally:
            backend.terminate()
            backend.wait(30)
            studio.shutdown()
        assert [event.kind for event in shop.history()].count("feedback") == 1
        assert len(shop.items("pot")) == 1


def test_the_settings(tmp_path: Path) -> None:
    """The file sets what there is to be set; so do the variables of the image."""
    options = {option.name: option for option in get_command(app).commands["serve"].params}  # type: ignore[attr-defined]
    assert set(tomllib.loads((EXAMPLES / "serve.toml").read_text())) < set(options)
    known = {option.envvar for option in options.values()} | {"CATALOG_CACHE"}
    assert set(re.findall(r"CATALOG_\w+", (EXAMPLES / "Dockerfile").read_text())) < known
    line = re.search(r"ExecStart=\S+ (.*)", (EXAMPLES / "catalog.service").read_text())
    assert line is not None
    assert line[1] == "serve --config /srv/catalog/serve.toml"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")
def test_the_proxy(made: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """Keys, pictures and streams pass it, by TLS."""
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
               "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example",
               "-keyout", tmp_path / "key", "-out", tmp_path / "pem"]  # fmt: skip
    subprocess.run(openssl, check=True, capture_output=True)
    key = add_key(tmp_path / "keys.txt", "till", "read")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shop = shutil.copy(made / "shop.catalog", tmp_path)
    with process(tiny_cache, "--catalog", shop, "--keys", tmp_path / "keys.txt") as (_, client):
        behind = f"127.0.0.1:{client.base_url.port}"
        text = (EXAMPLES / "nginx.conf").read_text().replace("127.0.0.1:8765", behind)
        text = text.replace("443 ssl", f"127.0.0.1:{port} ssl")
        text = text.replace("/etc/ssl/shop.example.pem", str(tmp_path / "pem"))
        text = text.replace("/etc/ssl/shop.example.key", str(tmp_path / "key"))
        (tmp_path / "site.conf").write_text(text)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body; "
            f"proxy_temp_path {tmp_path}/proxy; include {tmp_path}/site.conf; }}"
        )
        proxy = subprocess.Popen(["nginx", "-c", tmp_path / "nginx.conf"])
        try:
            with httpx.Client(
                base_url=f"https://127.0.0.1:{port}",
                verify=False,
                headers={"host": "shop.example"},
                transport=httpx.HTTPTransport(retries=20, verify=False),
                timeout=60,
            ) as outside:
                bearer = {"authorization": f"Bearer {key}"}
                picture = {"picture": ("a.jpg", photos.photo(0, 30))}
                assert outside.post("/v1/predict", files=picture).status_code == 401
                said = outside.post("/v1/predict", files=picture, headers=bearer)
                assert said.json()["answers"][0]["prediction"]["label"] == "cup"
                assert outside.get("/metrics", headers=bearer).status_code == 404
                assert outside.get("/v1/jobs/9/events", headers=bearer).status_code == 404
        finally:
            proxy.terminate()
            proxy.wait(30)


def test_the_first_lines(made: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """What the page begins with works as it stands, with curl."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    shop = shutil.copy(made / "shop.catalog", tmp_path)
    (tmp_path / "photo.jpg").write_bytes(photos.photo(0, 30))
    with process(tiny_cache, "--catalog", shop) as (_, client):
        page = (ROOT / "docs" / "service.md").read_text()
        line = re.search(r"^\$ (curl .*)$", page, re.MULTILINE)
        assert line is not None
        asked = line[1].replace("127.0.0.1:8765", f"127.0.0.1:{client.base_url.port}")
        done = subprocess.run(
            asked, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert '"label":"cup"' in done.stdout
    shown = subprocess.run(
        command("serve", "--catalog", shop, "--show-config"),
        env=environment(tiny_cache), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    table = re.findall(r"`--([\w-]+)`", page.partition("## How it is set")[2])
    named = {name.replace("-", "_") for name in table}
    shown_names = set(re.findall(r"^(?:# )?(\w+) (?:=|is not set)", shown, re.MULTILINE))
    assert shown_names <= named
