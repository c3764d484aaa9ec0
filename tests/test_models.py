"""Networks are fetched, imported, recognised, kept and found; what is wrong is said plainly."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import made_networks
import numpy as np
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
    Status,
    pack,
)
from tiny_network import run

from catalog.data.starter import FLATBUFFER
from catalog.descriptors.errors import BackboneError, InvalidInput, NoSpace, NotFound
from catalog.embedder import download, export, models, probes
from catalog.embedder.litert import LiteRTNetwork
from catalog.embedder.model_cache import Model
from catalog.embedder.sources import IMAGENET_HANDLE, published, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Built in one process that imports TensorFlow, so that this one does not.


@pytest.fixture(scope="session")
def tensorflow() -> Iterator[Callable[..., Any]]:
    """Calls a function in the process that has TensorFlow."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


@pytest.fixture(scope="session")
def tiny(tensorflow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SavedModel, 32 x 32 -> 1280."""
    folder = tmp_path_factory.mktemp("tiny") / "shoes"
    tensorflow(made_networks.build_tiny, folder, 0)
    return folder


@pytest.fixture(scope="session")
def imported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A cache into which the tiny network's tar was imported; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("imported")
    packed = folder / "shoes.tar.gz"
    packed.write_bytes(pack(tiny, "shoes"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_CACHE", str(folder / "cache"))
        return folder / "cache", models.import_model(packed)


@pytest.fixture
def held(imported: tuple[Path, Model], cache: Path) -> Model:
    """The tiny network, in a cache of the test's own."""
    shutil.copytree(imported[0], cache)
    return models.models()[0]


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting anything fails."""

    def refuse(source: Path) -> bytes:
        raise AssertionError(source)

    monkeypatch.setattr(export, "export", refuse)


class TestImport:
    """Networks from files and folders."""

    def test_a_tar(self, held: Model, imported: tuple[Path, Model]) -> None:
        """A tar is exported, named after its file, and recorded with its hash."""
        model = imported[1]
        archive = imported[0].parent / "shoes.tar.gz"
        assert (model.name, model.input_size, model.width, model.fresh) == ("shoes", 32, 1280, True)
        assert model.archive_sha256 == sha256(archive.read_bytes()).hexdigest()
        assert model.source == str(archive)
        assert not model.is_imagenet
        assert models.models() == [held]
        assert sha256(held.read()).hexdigest() == held.sha256 == held.path.stem

    def test_again_costs_nothing(
        self, held: Model, imported: tuple[Path, Model], no_export: None
    ) -> None:
        """The same bytes are not exported again, under whatever path; a new name is taken."""
        archive = imported[0].parent / "shoes.tar.gz"
        again = models.import_model(archive)
        assert (again, again.fresh) == (held, False)
        copy = held.path.parent.parent / "copy.tar.gz"
        shutil.copy(archive, copy)
        named = models.import_model(copy, name="boots")
        assert (named.sha256, named.name, named.fresh) == (held.sha256, "boots", False)
        assert models.find("boots").source == str(copy)

    def test_other_cache_folders(
        self, held: Model, cache: Path, monkeypatch: pytest.MonkeyPatch, no_export: None
    ) -> None:
        """A cache that cannot be written is said with the setting that moves it."""
        monkeypatch.setenv("CATALOG_CACHE", str(held.path / "below a file"))
        with pytest.raises(BackboneError, match="CATALOG_CACHE"):
            models.import_model(held.path)

    def test_the_same_folder_gives_the_same_bytes(
        self, held: Model, tiny: Path, tmp_path: Path
    ) -> None:
        """A folder and its tar, exported by two processes from two places, are one network."""
        elsewhere = shutil.copytree(tiny, tmp_path / "elsewhere" / "copy")
        model = models.import_model(elsewhere)
        assert (model.sha256, model.name, model.fresh) == (held.sha256, "shoes", False)
        assert len(model.origins) == 2

    def test_a_flatbuffer_moves_machines(
        self, held: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_export: None
    ) -> None:
        """An exported file is taken as it is: the same bytes, the same hash."""
        monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "other machine"))
        model = models.import_model(held.path, name="shoes")
        assert (model.sha256, model.fresh) == (held.sha256, True)
        assert models.find(held.sha256[:8]) == model

    def test_keras_weights(
        self, tensorflow: Callable[..., Any], cache: Path, tmp_path: Path, hub: HubServer
    ) -> None:
        """Keras weights are recognised by their bytes and compute what Keras computes, to 1e-4."""
        file = tmp_path / "net.weights.h5"
        expected = tensorflow(made_networks.build_weights, file, 1.0)
        plain = file.rename(tmp_path / "plain")
        model = models.import_model(plain)
        assert (model.name, model.input_size, model.width) == ("plain", 224, 1280)
        computed = probes.describe(LiteRTNetwork(model.path))
        assert np.abs(computed - expected).max() < 1e-4

        hub.archives[KERAS] = plain.read_bytes()
        with pytest.raises(BackboneError, match="is not the ImageNet MobileNetV2 on record"):
            models.fetch(source="keras")

        assert model.layers is not None
        (outputs,) = LiteRTNetwork(models.layered(model) or b"").outputs(probes.pictures()[:1])
        assert [one.shape[-1] for one in outputs] == [1280, 576, 192]
        file.symlink_to(plain)
        with pytest.raises(BackboneError, match=r"differ by .* within it: refused"):
            tensorflow(made_networks.export_with_other_maps, file)

    @pytest.mark.real
    @pytest.mark.soak
    def test_the_real_keras_weights(
        self,
        tensorflow: Callable[..., Any],
        saved_model: Path,
        cache: Path,
        tmp_path: Path,
        hub: HubServer,
    ) -> None:
        """Where the Hub refuses, Keras's file is taken, and known by what it computes."""
        tensorflow(made_networks.build_real_weights, saved_model, tmp_path / "net.h5")
        hub.archives[KERAS] = (tmp_path / "net.h5").read_bytes()
        hub.faults.append(Status(403))
        mirrors = {"CATALOG_HUB_URL": hub.url, "CATALOG_KERAS_URL": hub.keras, "no_proxy": "*"}
        done = run("model", "fetch", "--json", cache=cache, **mirrors)
        assert done.returncode == 0, done.stderr
        assert "so Keras applications (127.0.0.1:" in done.stderr
        assert "status 403" in done.stderr
        assert json.loads(done.stdout)["name"] == models.IMAGENET
        assert models.find(models.IMAGENET).source == published()[0]
        assert list((cache / "downloads").iterdir()) == []

    def test_other_keras_weights(self, tensorflow: Callable[..., Any], tmp_path: Path) -> None:
        """Weights of another network are refused, with the name of the right file."""
        tensorflow(made_networks.build_weights, tmp_path / "half.h5", 0.35)
        with pytest.raises(BackboneError, match=r"_1\.0_224_no_top\.h5"):
            tensorflow(export.export_keras_weights, tmp_path / "half.h5")

    def test_a_signature(self, tensorflow: Callable[..., Any], cache: Path, tmp_path: Path) -> None:
        """A SavedModel that cannot be called is used by its signature, at the size it states."""
        tensorflow(made_networks.build_signature_only, tmp_path / "net")
        flatbuffer = tmp_path / "net.tflite"
        flatbuffer.write_bytes(tensorflow(export.export_saved_model, tmp_path / "net"))
        model = models.import_model(flatbuffer)
        assert (model.input_size, model.width, model.imagenet_cosine) == (48, 64, None)

    @pytest.mark.parametrize(
        ("kind", "message"),
        [("map", "not one feature vector"), ("two", "a, b: which is the feature vector")],
    )
    def test_what_is_no_feature_vector(
        self, tensorflow: Callable[..., Any], tmp_path: Path, kind: str, message: str
    ) -> None:
        """A network that gives maps, or several vectors, is refused."""
        tensorflow(made_networks.build_tiny, tmp_path / kind, 0, kind)
        with pytest.raises(BackboneError, match=message):
            tensorflow(export.export_saved_model, tmp_path / kind)

    def test_a_constant_network(
        self, tensorflow: Callable[..., Any], cache: Path, tmp_path: Path
    ) -> None:
        """A network that sees no difference between pictures is refused."""
        tensorflow(made_networks.build_tiny, tmp_path / "net", 0, "constant")
        flatbuffer = tmp_path / "net.tflite"
        flatbuffer.write_bytes(tensorflow(export.export_saved_model, tmp_path / "net"))
        with pytest.raises(BackboneError, match="one descriptor for any picture"):
            models.import_model(flatbuffer)
        assert models.models() == []

    def test_a_damaged_saved_model(self, tiny: Path, cache: Path, tmp_path: Path) -> None:
        """What TensorFlow cannot load is refused with its reason, in one line."""
        broken = shutil.copytree(tiny, tmp_path / "broken")
        (broken / "saved_model.pb").write_bytes(b"\xff" * 100)
        with pytest.raises(BackboneError, match=r"broken: \S+") as refusal:
            models.import_model(broken)
        assert "\n" not in str(refusal.value)
        assert models.models() == []

    def test_what_is_no_network(self, cache: Path, tmp_path: Path) -> None:
        """Missing paths, other files and other folders are refused, saying what is taken."""
        photo = tmp_path / "photo.jpg"
        photo.write_bytes(b"\xff\xd8\xff\xe0" * 9)
        with pytest.raises(NotFound, match="nothing at"):
            models.import_model(tmp_path / "gone")
        with pytest.raises(BackboneError, match=r"SavedModel folder, a \.tar\.gz"):
            models.import_model(photo)
        with pytest.raises(BackboneError, match=r"no saved_model\.pb"):
            models.import_model(tmp_path)

    @pytest.mark.parametrize("name", ["", " x", "a\nb", models.IMAGENET])
    def test_names(self, held: Model, name: str) -> None:
        """Names that cannot be one are refused, and so is ``imagenet`` for another network."""
        with pytest.raises(InvalidInput):
            models.import_model(held.path, name=name)


class TestFind:
    """Networks by name, source and hash."""

    def test_by_name_source_hash_and_path(self, held: Model, no_export: None) -> None:
        """A name, a source, the start of a hash and a path lead to the same network."""
        for reference in ("shoes", held.source, held.sha256, held.sha256[:6], str(held.path)):
            assert models.find(reference).sha256 == held.sha256

    def test_what_is_not_there(self, held: Model) -> None:
        """What is not found is said with what there is, and how to get one."""
        with pytest.raises(NotFound, match=r"'hats'.*here: shoes.*import_model"):
            models.find("hats")
        with pytest.raises(NotFound, match="no network"):
            models.find("x" * 5000)
        with pytest.raises(NotFound, match=r"no ImageNet network.*fetch"):
            models.find(models.IMAGENET)

    def test_a_damaged_flatbuffer(self, held: Model) -> None:
        """A flipped bit is found out when the network is asked for."""
        content = bytearray(held.path.read_bytes())
        content[len(content) // 2] ^= 1
        held.path.write_bytes(content)
        with pytest.raises(BackboneError, match="damaged"):
            models.find("shoes")

    def test_a_missing_flatbuffer(self, held: Model) -> None:
        """A record alone is not listed, and asked for, says what to do."""
        held.path.unlink()
        assert models.models() == []
        with pytest.raises(BackboneError, match="fetch or import it again"):
            models.find("shoes")

    @pytest.mark.parametrize("record", ["", "[]", "{}", '{"name": 1, "origins": 2}', "\0"])
    def test_a_damaged_record(self, held: Model, record: str) -> None:
        """A record that cannot be read is passed over."""
        held.path.with_suffix(".json").write_text(record)
        assert models.models() == []

    def test_records_are_plain(self, held: Model) -> None:
        """A record is JSON that a person can read."""
        record = json.loads(held.path.with_suffix(".json").read_text())
        assert record["origins"][0]["archive_sha256"] == held.archive_sha256


class TestFetch:
    """Networks from the Hub."""

    @pytest.mark.real
    @pytest.mark.soak
    def test_the_real_network(self, saved_model: Path, cache: Path, hub: HubServer) -> None:
        """The default handle is fetched, exported, recognised and kept; then nothing is fetched."""
        packed = pack(saved_model)
        hub.archives[models.IMAGENET_HANDLE] = packed
        hub.faults.append(Cut(len(packed) // 2))
        said: list[Any] = []
        model = models.fetch(progress=lambda *step: said.append(step))
        assert (model.name, model.fresh, model.source) == (
            models.IMAGENET,
            True,
            models.IMAGENET_HANDLE,
        )
        assert model.archive_sha256 == sha256(packed).hexdigest()
        assert said[-1] == (len(packed), len(packed))
        assert list((cache / "downloads").iterdir()) == []
        again = models.fetch("https://tfhub.dev/" + models.IMAGENET_HANDLE)
        assert (again, again.fresh) == (model, False)
        assert models.find(models.IMAGENET) == model
        assert len(hub.seen) == 2

    def test_another_network_under_the_default_handle(
        self, held: Model, imported: tuple[Path, Model], hub: HubServer
    ) -> None:
        """What computes other descriptors is refused with its cosine, unless told."""
        packed = (imported[0].parent / "shoes.tar.gz").read_bytes()
        hub.archives[models.IMAGENET_HANDLE] = packed
        with pytest.raises(BackboneError, match=rf"cosine of {held.imagenet_cosine}"):
            models.fetch()
        assert models.models() == [held]
        model = models.fetch(accept_unverified=True)
        assert (model.name, model.source) == ("shoes", models.IMAGENET_HANDLE)
        with pytest.raises(BackboneError, match="not the ImageNet"):
            models.fetch()
        with pytest.raises(NotFound):
            models.find(models.IMAGENET)

    def test_a_changed_archive(
        self, held: Model, tiny: Path, imported: tuple[Path, Model], hub: HubServer
    ) -> None:
        """Another archive under a pinned handle is refused, naming both hashes, unless told."""
        first = (imported[0].parent / "shoes.tar.gz").read_bytes()
        second = pack(tiny, "renamed")
        hub.archives[HANDLE] = first
        models.fetch(HANDLE)
        held.path.unlink()
        hub.archives[HANDLE], hub.etag = second, '"two"'
        both = rf"{sha256(first).hexdigest()}.*{sha256(second).hexdigest()}"
        with pytest.raises(BackboneError, match=both):
            models.fetch(HANDLE)
        model = models.fetch(HANDLE, accept_unverified=True)
        assert (model.sha256, model.archive_sha256) == (held.sha256, sha256(second).hexdigest())

    def test_what_is_no_archive_leaves_nothing(self, cache: Path, hub: HubServer) -> None:
        """Random bytes under a handle are refused, and deleted."""
        with pytest.raises(BackboneError, match=r"what came from .* is no network"):
            models.fetch(HANDLE)
        assert list((cache / "downloads").iterdir()) == []
        assert models.models() == []


class TestSources:
    """The ImageNet network from the Hub, or else from Keras applications."""

    @pytest.fixture
    def network(
        self, imported: tuple[Path, Model], cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> bytes:
        """The tiny network, which passes for the ImageNet network; nothing is in the cache."""
        file = imported[1].path
        record = probes.describe(LiteRTNetwork(file))
        monkeypatch.setattr(probes, "recorded", lambda: record)
        return file.read_bytes()

    @pytest.mark.parametrize(
        ("fault", "given", "reason"),
        [
            (Status(403), b"", "status 403"),
            (Status(404), b"", "there is nothing at"),
            (Page(), b"", "a web page"),
            (Portal(), b"", "a web page"),
            (Silence(), b"", "it said nothing"),
            (None, PAYLOAD, "is no network"),
            (None, FLATBUFFER.read_bytes(), "is not the ImageNet MobileNetV2"),
        ],
        ids=["refused", "nothing", "page", "portal", "silence", "noise", "another network"],
    )
    def test_keras_makes_up_for_the_hub(
        self,
        network: bytes,
        cache: Path,
        hub: HubServer,
        monkeypatch: pytest.MonkeyPatch,
        *,
        fault: Fault | None,
        given: bytes,
        reason: str,
    ) -> None:
        """Whatever the Hub gives in place of the network, Keras's is taken, and that is said."""
        hub.archives |= {IMAGENET_HANDLE: given, KERAS: network}
        if fault is not None:
            hub.faults.append(fault)
        if fault == Silence():
            monkeypatch.setattr(download, "TIMEOUT", 1)
        said: list[str] = []
        model = models.fetch(note=said.append)
        (sentence,) = said
        assert "TF Hub (127.0.0.1:" in sentence
        assert "so Keras applications (127.0.0.1:" in sentence
        assert reason in sentence
        assert (model.name, model.source, model.fresh) == (models.IMAGENET, published()[0], True)
        assert models.find(IMAGENET_HANDLE) == model
        assert models.models() == [model]
        assert list((cache / "downloads").iterdir()) == []

    def test_what_is_here_is_not_fetched(self, network: bytes, hub: HubServer) -> None:
        """What came from one source is not fetched from another, nor is what was imported."""
        hub.archives |= {IMAGENET_HANDLE: network, KERAS: network}
        model = models.fetch(source="keras")
        asked = len(hub.seen)
        for source in (None, "hub", "keras", f"{hub.url}/net.h5"):
            again = models.fetch(source=source)
            assert (again, again.fresh) == (model, False)
        assert len(hub.seen) == asked == 1

    @pytest.mark.parametrize("source", ["hub", "keras"])
    def test_a_source_that_is_named_is_the_only_one(
        self, network: bytes, hub: HubServer, source: str
    ) -> None:
        """It fails with its own reason, and no other is asked."""
        hub.archives |= {IMAGENET_HANDLE: network, KERAS: network}
        hub.faults.append(Status(403))
        with pytest.raises(BackboneError, match="status 403") as refusal:
            models.fetch(source=source)
        assert "Keras applications" not in str(refusal.value)
        assert len(hub.seen) == 1
        assert models.fetch(source=source).source == sources(IMAGENET_HANDLE, source)[0].origin

    def test_an_address(self, network: bytes, hub: HubServer) -> None:
        """An address is asked as it stands, and what comes is held to the same probes."""
        url = f"{hub.url}/store/net.tflite"
        hub.archives["net.tflite"] = FLATBUFFER.read_bytes()
        with pytest.raises(BackboneError, match="is not the ImageNet MobileNetV2"):
            models.fetch(source=url)
        hub.archives["net.tflite"] = network
        assert models.fetch(source=url).source == url
        assert [(one.path, one.query) for one in hub.seen] == [("/store/net.tflite", {})] * 2

    def test_another_network_does_not_fall_back(self, cache: Path, hub: HubServer) -> None:
        """Keras applications has nothing in place of another handle."""
        hub.faults.append(Status(403))
        with pytest.raises(BackboneError, match="status 403"):
            models.fetch(HANDLE)
        with pytest.raises(InvalidInput, match="no other source"):
            models.fetch(HANDLE, source="keras")
        assert len(hub.seen) == 1

    def test_both_fail(self, cache: Path, hub: HubServer) -> None:
        """One message says why neither gives it, and which files to get in another way."""
        hub.faults.extend([Status(403), Portal()])
        with pytest.raises(BackboneError) as refusal:
            models.fetch()
        message = str(refusal.value)
        assert message.startswith("no source gives the ImageNet network. TF Hub: 127.0.0.1:")
        assert "(status 403 Forbidden). Keras applications: 127.0.0.1:" in message
        assert "a web page" in message
        assert all(address in message for address in published())
        assert "import_model" in message
        assert models.models() == []

    def test_each_source_has_a_pin(self, network: bytes, hub: HubServer) -> None:
        """A file that has changed is refused at its source, and is no matter at the other."""
        hub.archives |= {IMAGENET_HANDLE: network, KERAS: network}
        model = models.fetch(source="keras")
        model.path.unlink()
        hub.archives[KERAS] = FLATBUFFER.read_bytes()
        with pytest.raises(BackboneError, match=f"under {published()[0]} has changed"):
            models.fetch(source="keras")
        assert models.fetch().source == IMAGENET_HANDLE

    def test_a_line_that_breaks(self, network: bytes, hub: HubServer) -> None:
        """Keras's file is taken up where it broke off."""
        hub.archives[KERAS] = network
        hub.faults.extend([Status(403), Cut(len(network) // 2)])
        assert models.fetch().is_imagenet
        assert sum(hub.sent) == len(network)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_no_fault_of_the_hub(
        self, network: bytes, cache: Path, hub: HubServer
    ) -> None:
        """Where the disk is full, the other source is not asked in vain."""
        hub.archives |= {IMAGENET_HANDLE: network, KERAS: network}
        url = sources(IMAGENET_HANDLE)[0].url
        (cache / "downloads").mkdir(parents=True)
        (cache / "downloads" / f"{sha256(url.encode()).hexdigest()}.part").symlink_to("/dev/full")
        with pytest.raises(NoSpace):
            models.fetch()
        assert len(hub.seen) == 1
