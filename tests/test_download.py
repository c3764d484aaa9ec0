"""Archives come from each source whole or not at all, and are unpacked with care."""

from __future__ import annotations

import io
import socket
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hub_server import (
    HANDLE,
    KERAS,
    PAYLOAD,
    Cut,
    Fault,
    HubServer,
    Page,
    Portal,
    Silence,
    Slow,
    Status,
    pack,
)

from catalog.descriptors.errors import BackboneError, CatalogError, NoSpace
from catalog.embedder import download
from catalog.embedder.sources import IMAGENET_HANDLE, sources


@pytest.fixture(params=["hub", "keras"])
def url(request: pytest.FixtureRequest, hub: HubServer) -> str:
    """Where a source has its archive: the same random bytes at both."""
    hub.archives[KERAS] = PAYLOAD
    if request.param == "hub":
        return sources(HANDLE)[0].url
    return sources(IMAGENET_HANDLE, "keras")[0].url


def fetched(
    url: str, folder: Path, *, pauses: tuple[float, ...] = (0, 0)
) -> tuple[bytes, list[Any]]:
    """What a download gives, and what it says of its progress."""
    said: list[Any] = []
    with download.archive(
        url, folder, progress=lambda *step: said.append(step), pauses=pauses
    ) as part:
        return part.read_bytes(), said


class TestDownload:
    """The transfer of an archive."""

    def test_all_is_had(self, url: str, tmp_path: Path) -> None:
        """The Hub is asked for a compressed archive, by redirect; nothing is left afterwards."""
        body, said = fetched(url, tmp_path)
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
        self,
        hub: HubServer,
        url: str,
        tmp_path: Path,
        *,
        etag: str | None,
        ranges: bool,
        resumed: bool,
    ) -> None:
        """A transfer cut half-way goes on where the server allows it, else starts again."""
        hub.etag, hub.ranges = etag, ranges
        hub.faults.append(Cut(200_000))
        body, said = fetched(url, tmp_path)
        assert body == PAYLOAD
        assert [done for done, _ in said] == sorted(done for done, _ in said)
        assert said[-1] == (len(PAYLOAD), len(PAYLOAD))
        assert hub.sent == [200_000, 100_000 if resumed else 300_000]

    def test_parts_of_two_versions_are_not_joined(
        self, hub: HubServer, url: str, tmp_path: Path
    ) -> None:
        """A file that changed between two tries is fetched whole."""
        hub.faults.append(Cut(100_000))
        with pytest.raises(BackboneError, match="what came is kept"):
            fetched(url, tmp_path, pauses=())
        changed = PAYLOAD[::-1]
        hub.archives |= dict.fromkeys((HANDLE, KERAS), changed)
        hub.etag = '"two"'
        assert fetched(url, tmp_path)[0] == changed

    def test_ctrl_c_keeps_the_part(self, hub: HubServer, url: str, tmp_path: Path) -> None:
        """Interrupted, only the part and its version stay, and the next call goes on from there."""

        def interrupt(done: int, _: int | None) -> None:
            if done > 100_000:
                raise KeyboardInterrupt

        with (
            pytest.raises(KeyboardInterrupt),
            download.archive(url, tmp_path, progress=interrupt),
        ):
            pass
        assert {file.suffix for file in tmp_path.iterdir()} == {".part", ".version"}
        assert fetched(url, tmp_path)[0] == PAYLOAD
        assert int(hub.seen[1].headers["Range"].strip("bytes=-")) > 100_000

    def test_a_complete_part_is_not_fetched_again(
        self, hub: HubServer, url: str, tmp_path: Path
    ) -> None:
        """Interrupted after the last byte, the next call asks, and fetches nothing."""
        with (
            pytest.raises(KeyboardInterrupt),
            download.archive(url, tmp_path),
        ):
            raise KeyboardInterrupt
        body, said = fetched(url, tmp_path)
        assert (body, said) == (PAYLOAD, [(len(PAYLOAD), len(PAYLOAD))])

    def test_a_busy_server_is_asked_again(self, hub: HubServer, url: str, tmp_path: Path) -> None:
        """Status 503 is waited out; if it stays, the message says so and what to do."""
        hub.faults.extend([Status(503), Status(502)])
        assert fetched(url, tmp_path)[0] == PAYLOAD
        hub.faults.extend([Status(503)] * 3)
        with pytest.raises(BackboneError, match=r"status 503.*3 times.*import_model"):
            fetched(url, tmp_path)

    def test_a_length_is_not_needed(self, hub: HubServer, url: str, tmp_path: Path) -> None:
        """Without a length the total is None."""
        hub.sized = False
        body, said = fetched(url, tmp_path)
        assert (body, said[-1]) == (PAYLOAD, (len(PAYLOAD), None))

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (Status(404), r"nothing at http.*404.*import_model"),
            (Status(403), r"refuses http.*403.*import_model"),
            (Page(), r"a web page instead of an archive.*import_model"),
            (Page("application/gzip"), r"a web page instead of an archive"),
            (Portal(), r"a web page instead of an archive.*sign-in"),
        ],
        ids=["not found", "refused", "page", "page as gzip", "portal"],
    )
    def test_what_is_no_archive_is_said(
        self, hub: HubServer, url: str, tmp_path: Path, fault: Fault, message: str
    ) -> None:
        """No such handle, a refusal and a web page each give their own message, at once."""
        hub.faults.append(fault)
        with pytest.raises(BackboneError, match=message):
            fetched(url, tmp_path)
        assert len(hub.seen) == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("sized", [True, False])
    def test_too_large_is_refused(
        self,
        hub: HubServer,
        url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        sized: bool,
    ) -> None:
        """An archive over the cap is refused, told or not, and not kept."""
        hub.sized = sized
        monkeypatch.setattr(download, "MAX_ARCHIVE", 100_000)
        with pytest.raises(BackboneError, match="refused"):
            fetched(url, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_slow_line_goes_on(
        self, hub: HubServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What comes slowly and steadily is had in one go, however long that takes in all."""
        monkeypatch.setattr(download, "TIMEOUT", 1)
        hub.ranges = False  # what breaks off begins anew, and would never get to its end
        hub.faults.extend([Slow(30, 0.05)] * 5)
        assert fetched(url, tmp_path, pauses=(0,) * 4)[0] == PAYLOAD

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (Silence(), "cannot reach 127.*it said nothing for 0 s.*import_model"),
            (Silence(headers=True), "timed out.*2 times|said nothing"),
            (Slow(300_000, 0.05), "no more than .* bytes came in.*2 times|timed out|said nothing"),
        ],
        ids=["no answer", "no content", "a trickle"],
    )
    def test_a_line_that_stands_still_is_given_up(
        self,
        hub: HubServer,
        url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        fault: Fault,
        message: str,
    ) -> None:
        """A server that says nothing, or next to nothing, is not waited for."""
        monkeypatch.setattr(download, "TIMEOUT", 0.3)
        hub.faults.extend([fault] * 2)
        with pytest.raises(BackboneError, match=message):
            fetched(url, tmp_path, pauses=(0,))

    def test_no_listener(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing listens, the message says so, names the server and the way round."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            monkeypatch.setenv("no_proxy", "*")
            with pytest.raises(BackboneError, match=rf"cannot reach {address}.*import_model"):
                fetched(f"http://{address}/x", tmp_path, pauses=(60,))

    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a network the message is plain, and comes at once."""

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(BackboneError, match=r"cannot reach tfhub\.dev.*is there a network"):
            fetched("https://tfhub.dev/x", tmp_path, pauses=(60,))

    def test_two_at_once_are_refused(self, tmp_path: Path) -> None:
        """A second download to the same folder is refused while the first is at it."""
        with (
            download.only_one(tmp_path),
            pytest.raises(BackboneError, match="another process"),
            download.only_one(tmp_path),
        ):
            pass

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk(self, url: str, tmp_path: Path) -> None:
        """A disk that takes no more is said to be full; no source is blamed for it."""
        part = tmp_path / f"{sha256(url.encode()).hexdigest()}.part"
        part.symlink_to("/dev/full")
        with pytest.raises(NoSpace, match=f"no space left on the disk of {part}"):
            fetched(url, tmp_path)

    def test_a_part_that_cannot_be_written(self, url: str, tmp_path: Path) -> None:
        """A fault of this machine is no fault of a network."""
        (tmp_path / f"{sha256(url.encode()).hexdigest()}.part").mkdir()
        with pytest.raises(CatalogError, match="cannot write") as fault:
            fetched(url, tmp_path)
        assert not isinstance(fault.value, BackboneError)


class TestLook:
    """Whether there is an archive, without downloading it."""

    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_glance(self, hub: HubServer, url: str, *, ranges: bool) -> None:
        """Some bytes are asked for, and no more are read, whether or not the server gives parts."""
        hub.ranges = ranges
        download.look(url)
        (request,) = hub.seen
        assert request.headers["Range"] == "bytes=0-63"
        assert hub.sent == [64 if ranges else len(PAYLOAD)]

    def test_no_more_than_a_glance_is_read(self, hub: HubServer, url: str) -> None:
        """A server that knows no parts, and would take hours to send all, is left at once."""
        hub.ranges = False
        hub.faults.append(Slow(300_000, 0.05))
        download.look(url)

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (Status(403), "refuses http.*403"),
            (Status(404), "nothing at http"),
            (Status(503), "the server is not ready"),
            (Status(416), "416"),
            (Page(), "a web page instead"),
            (Portal(), "a web page instead"),
            (Silence(), "it said nothing"),
            (Silence(headers=True), "timed out|said nothing"),
        ],
        ids=lambda value: "" if isinstance(value, str) else repr(value),
    )
    def test_why_not(
        self,
        hub: HubServer,
        url: str,
        monkeypatch: pytest.MonkeyPatch,
        *,
        fault: Fault,
        message: str,
    ) -> None:
        """What would keep a download from working is said, after one question."""
        if isinstance(fault, Silence):
            monkeypatch.setattr(download, "TIMEOUT", 0.3)
        hub.faults.append(fault)
        with pytest.raises(BackboneError, match=message):
            download.look(url)
        assert len(hub.seen) == 1


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
