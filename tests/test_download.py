"""Archives come from the Hub whole or not at all, and are unpacked with care."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hub_server import HANDLE, PAYLOAD, Cut, HubServer, Page, Status, pack

from catalog.descriptors.errors import BackboneError, InvalidInput
from catalog.embedder import download


def fetched(folder: Path, *, pauses: tuple[float, ...] = (0, 0)) -> tuple[bytes, list[Any]]:
    """What a download gives, and what it says of its progress."""
    said: list[Any] = []
    url = download.address(HANDLE)
    with download.archive(
        url, folder, progress=lambda *step: said.append(step), pauses=pauses
    ) as part:
        return part.read_bytes(), said


class TestDownload:
    """The transfer of an archive."""

    def test_follows_the_hub_protocol(self, hub: HubServer, tmp_path: Path) -> None:
        """A handle is asked for in compressed form, by redirect, and nothing is left afterwards."""
        body, said = fetched(tmp_path)
        assert body == PAYLOAD
        assert [done for done, _ in said] == sorted(done for done, _ in said)
        assert (said[0], said[-1]) == ((0, len(PAYLOAD)), (len(PAYLOAD), len(PAYLOAD)))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("etag", "ranges", "resumed"),
        [
            ('"one"', True, True),
            ('"one"', False, False),
            ('W/"one"', True, False),
            (None, True, False),
        ],
        ids=["ranges", "no ranges", "weak tag", "no tag"],
    )
    def test_a_cut_connection_is_taken_up(
        self, hub: HubServer, tmp_path: Path, *, etag: str | None, ranges: bool, resumed: bool
    ) -> None:
        """A transfer cut half-way goes on where the server allows it, else starts again."""
        hub.etag, hub.ranges = etag, ranges
        hub.faults.append(Cut(200_000))
        body, said = fetched(tmp_path)
        assert body == PAYLOAD
        assert [done for done, _ in said] == sorted(done for done, _ in said)
        assert said[-1] == (len(PAYLOAD), len(PAYLOAD))
        assert hub.sent == [200_000, 100_000 if resumed else 300_000]

    def test_parts_of_two_versions_are_not_joined(self, hub: HubServer, tmp_path: Path) -> None:
        """A file that changed between two tries is fetched whole."""
        hub.faults.append(Cut(100_000))
        with pytest.raises(BackboneError, match="what came is kept"):
            fetched(tmp_path, pauses=())
        changed = PAYLOAD[::-1]
        hub.archives[HANDLE], hub.etag = changed, '"two"'
        assert fetched(tmp_path)[0] == changed

    def test_ctrl_c_keeps_the_part(self, hub: HubServer, tmp_path: Path) -> None:
        """Interrupted, only the part and its version stay, and the next call goes on from there."""

        def interrupt(done: int, _: int | None) -> None:
            if done > 100_000:
                raise KeyboardInterrupt

        with (
            pytest.raises(KeyboardInterrupt),
            download.archive(download.address(HANDLE), tmp_path, progress=interrupt),
        ):
            pass
        assert {file.suffix for file in tmp_path.iterdir()} == {".part", ".version"}
        assert fetched(tmp_path)[0] == PAYLOAD
        assert int(hub.seen[1].headers["Range"].strip("bytes=-")) > 100_000

    def test_a_complete_part_is_not_fetched_again(self, hub: HubServer, tmp_path: Path) -> None:
        """Interrupted after the last byte, the next call asks, and fetches nothing."""
        with (
            pytest.raises(KeyboardInterrupt),
            download.archive(download.address(HANDLE), tmp_path),
        ):
            raise KeyboardInterrupt
        body, said = fetched(tmp_path)
        assert (body, said) == (PAYLOAD, [(len(PAYLOAD), len(PAYLOAD))])

    def test_a_busy_server_is_asked_again(self, hub: HubServer, tmp_path: Path) -> None:
        """Status 503 is waited out; if it stays, the message says so and what to do."""
        hub.faults.extend([Status(503), Status(502)])
        assert fetched(tmp_path)[0] == PAYLOAD
        hub.faults.extend([Status(503)] * 3)
        with pytest.raises(BackboneError, match=r"status 503.*3 times.*import_model"):
            fetched(tmp_path)

    def test_a_length_is_not_needed(self, hub: HubServer, tmp_path: Path) -> None:
        """Without a length the total is None."""
        hub.sized = False
        body, said = fetched(tmp_path)
        assert (body, said[-1]) == (PAYLOAD, (len(PAYLOAD), None))

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (Status(404), r"nothing at http.*404.*check the handle.*import_model"),
            (Status(403), r"refuses http.*403.*import_model"),
            (Page(), r"a web page instead of an archive.*import_model"),
            (Page("application/gzip"), r"a web page instead of an archive"),
        ],
    )
    def test_what_is_no_archive_is_said(
        self, hub: HubServer, tmp_path: Path, fault: Status | Page, message: str
    ) -> None:
        """No such handle, a refusal and a web page each give their own message, at once."""
        hub.faults.append(fault)
        with pytest.raises(BackboneError, match=message):
            fetched(tmp_path)
        assert len(hub.seen) == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("sized", [True, False])
    def test_too_large_is_refused(
        self, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sized: bool
    ) -> None:
        """An archive over the cap is refused, told or not, and not kept."""
        hub.sized = sized
        monkeypatch.setattr(download, "MAX_ARCHIVE", 100_000)
        with pytest.raises(BackboneError, match="refused"):
            fetched(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_no_listener(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing listens, the message says so, names the server and the way round."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            monkeypatch.setenv("no_proxy", "*")
            monkeypatch.setenv("CATALOG_HUB_URL", f"http://{address}")
            with pytest.raises(BackboneError, match=rf"cannot reach {address}.*import_model"):
                fetched(tmp_path, pauses=(60,))

    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a network the message is plain, and comes at once."""

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(BackboneError, match=r"cannot reach tfhub\.dev.*is there a network"):
            fetched(tmp_path, pauses=(60,))

    def test_two_at_once_are_refused(self, hub: HubServer, tmp_path: Path) -> None:
        """A second download to the same folder is refused while the first is at it."""
        with (
            download.archive(download.address(HANDLE), tmp_path),
            pytest.raises(BackboneError, match="another process"),
        ):
            fetched(tmp_path)


@pytest.mark.parametrize(
    ("reference", "handle", "address"),
    [
        ("a/b/5", "a/b/5", "https://tfhub.dev/a/b/5?tf-hub-format=compressed"),
        ("https://tfhub.dev/a/b/5", "a/b/5", "https://tfhub.dev/a/b/5?tf-hub-format=compressed"),
        (
            "https://tfhub.dev/a/b/5?tf-hub-format=compressed",
            "a/b/5",
            "https://tfhub.dev/a/b/5?tf-hub-format=compressed",
        ),
        (
            "http://host/x.tar.gz?key=1",
            "http://host/x.tar.gz?key=1",
            "http://host/x.tar.gz?key=1&tf-hub-format=compressed",
        ),
    ],
)
def test_handles(
    reference: str, handle: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handle and its URL are one; other URLs stay whole; the query is added once."""
    monkeypatch.delenv("CATALOG_HUB_URL", raising=False)
    assert download.handle_of(reference) == handle
    assert download.address(handle) == address


@pytest.mark.parametrize("reference", ["", "  ", "file:///etc/passwd", "ftp://host/x"])
def test_what_is_no_handle(reference: str) -> None:
    """Other schemes than http and https are refused."""
    with pytest.raises(InvalidInput):
        download.handle_of(reference)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar of a SavedModel and one more member."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("saved_model.pb"))
        one = tarfile.TarInfo(name)
        one.type, one.linkname = kind, link
        tar.addfile(one)
    return packed.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        member("../outside"),
        member("a/../../outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "saved_model.pb"),
        member("device", tarfile.CHRTYPE),
        member("fifo", tarfile.FIFOTYPE),
        b"",
        b"\x1f\x8b" + PAYLOAD[:1000],
        PAYLOAD[:5000],
    ],
    ids=["up", "inside up", "symlink", "link", "device", "fifo", "empty", "bad gzip", "noise"],
)
def test_unsafe_and_damaged_archives(packed: bytes, tmp_path: Path) -> None:
    """Members that leave the folder, links, devices and damage are refused."""
    (tmp_path / "x.tar.gz").write_bytes(packed)
    (tmp_path / "in").mkdir()
    with pytest.raises(BackboneError, match=r"x\.tar\.gz"):
        download.unpack(tmp_path / "x.tar.gz", tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_archives_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many members and too many bytes are refused."""
    file = tmp_path / "x.tar.gz"
    file.write_bytes(member("other"))
    monkeypatch.setattr(download, "MAX_MEMBERS", 1)
    with pytest.raises(BackboneError, match="over 1 members"):
        download.unpack(file, tmp_path)


def test_a_tar_without_a_network(tmp_path: Path) -> None:
    """A tar of something else is named as such."""
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "x.tar.gz").write_bytes(pack(tmp_path))
    with pytest.raises(BackboneError, match=r"no saved_model\.pb in x\.tar\.gz"):
        download.unpack(tmp_path / "x.tar.gz", tmp_path)
