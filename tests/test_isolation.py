"""What a picture does to its decoder stays in the decoder's process, and the caller is told."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import heifs
import malformed
import numpy as np
import photos
import pytest
from attack_doors import LETHAL
from attack_run import children
from door import KINDS, VALID, child_command, run_child

from catalog.descriptors import CatalogError, InvalidInput, PictureError
from catalog.embedder import MobileNetEmbedder, Picture, thumbnail
from catalog.embedder.decode import decode
from catalog.embedder.isolation import IsolatedDecoder
from catalog.embedder.model_cache import Model

GOOD = VALID["jpeg"]
SPOILT = malformed.png(9, 8, 3, [bytes(9)])
LETHAL_PICTURE = malformed.jpeg_with_exif(GOOD, LETHAL)
SMALL = 2**28

Start = Callable[..., IsolatedDecoder]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes decoders whose children misbehave as told, and closes them."""
    with ExitStack() as stack:

        def started(
            door: str = "decode", *, seconds: float = 30.0, **options: int
        ) -> IsolatedDecoder:
            module = "catalog.embedder.decode" if door == "decode" else "attack_doors"
            decoder = IsolatedDecoder(seconds=seconds, door=f"{module}:{door}", **options)
            return stack.enter_context(closing(decoder))

        yield started


def is_running(process: int) -> bool:
    """Whether a process is there; one that ended and was not asked for its status is not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def ends(process: int) -> bool:
    """Wait until a process has ended, for a while."""
    until = time.monotonic() + 30
    while is_running(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_running(process)


def refused(decoder: IsolatedDecoder, data: bytes) -> PictureError:
    """Decode what must be refused."""
    with pytest.raises(PictureError) as refusal:
        decoder.decode(data)
    return refusal.value


class TestPixels:
    """What comes back is what decoding here gives."""

    def test_pixels_are_those_of_the_decoder(self, start: Start) -> None:
        """Every kind of file gives the same pixels, at every scale and orientation."""
        decoder = start()
        for kind in KINDS:
            for scale in (1, 2, 4, 8):
                found = decoder.decode(VALID[kind], scale)
                assert np.array_equal(found, decode(VALID[kind], scale))
                assert found.flags.c_contiguous
                assert found.dtype == np.uint8
        for orientation in range(1, 9):
            turned = malformed.jpeg_with_exif(GOOD, malformed.exif(orientation))
            assert np.array_equal(decoder.decode(turned, 4), decode(turned, 4))

    def test_large_pictures_pass_whole(self, start: Start) -> None:
        """A file and a picture of many socket buffers come through unharmed."""
        noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
        assert np.array_equal(start().decode(malformed.encode(".png", noise)), noise)

    def test_refusals_are_those_of_the_decoder(self, start: Start) -> None:
        """A bad picture has the same reason and detail, and the child lives on."""
        decoder = start()
        decoder.decode(GOOD)
        before = children(decoder)
        for data in (b"", b"text", GOOD[:-2], SPOILT, malformed.black_png(12_000)):
            with pytest.raises(PictureError) as expected:
                decode(data)
            found = refused(decoder, data)
            assert (found.reason, found.detail) == (expected.value.reason, expected.value.detail)
        assert children(decoder) == before

    def test_other_scales_are_a_mistake_of_the_caller(self, start: Start) -> None:
        """A scale without a fast path is refused before a child is asked."""
        decoder = start()
        with pytest.raises(InvalidInput, match="scale"):
            decoder.decode(GOOD, 3)
        assert not children(decoder)

    @pytest.mark.parametrize(
        "limits", [{"workers": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"memory": 0}]
    )
    def test_limits_make_sense(self, limits: dict[str, int]) -> None:
        """No worker, no time and no memory are refused at once."""
        with pytest.raises(InvalidInput):
            IsolatedDecoder(**limits)

    def test_threads_get_their_own_pictures(self, start: Start) -> None:
        """More threads than children: nobody waits for ever or sees another's picture."""
        decoder = start(workers=2)
        flat = [np.full((8 + i, 9, 3), i, np.uint8) for i in range(60)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda p: decoder.decode(malformed.encode(".png", p)), flat))
        assert all(map(np.array_equal, found, flat))
        assert len(children(decoder)) <= 2

    def test_what_a_child_writes_is_no_answer(
        self, start: Start, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Lines of a decoder's libraries spoil no answer and reach no terminal."""
        assert start("chatter").decode(GOOD).shape == (32, 48, 3)
        refused(start(), SPOILT)
        assert capfd.readouterr() == ("", "")


class TestHarm:
    """A picture that harms its decoder is refused, and the next one is decoded."""

    @pytest.mark.parametrize(
        ("door", "reason", "detail"),
        [
            ("crash", "corrupt", "crashed on it (SIGSEGV)"),
            ("leave", "corrupt", "crashed on it (exit status 3)"),
            ("fail", "corrupt", "crashed on it (exit status 1)"),
            ("lie", "corrupt", "crashed on it"),
            ("hang", "timeout", "not decoded within 1 s"),
            ("devour", "too_large", "memory"),
        ],
    )  # fmt: skip
    def test_harm_is_contained(self, start: Start, door: str, reason: str, detail: str) -> None:
        """Crash, exit, nonsense, endless work and endless memory each have their refusal."""
        decoder = start(door, seconds=1 if door == "hang" else 30, memory=SMALL)
        for _ in range(2):
            found = refused(decoder, LETHAL_PICTURE)
            assert found.reason == reason
            assert detail in found.detail
            assert np.array_equal(decoder.decode(GOOD), decode(GOOD))

    def test_a_true_crash_is_contained(self, start: Start) -> None:
        """An APNG that ends any process which hands it to OpenCV ends only the child."""
        decoder = start("unguarded")
        assert refused(decoder, malformed.lethal_apng()).reason == "corrupt"
        assert decoder.decode(GOOD).shape == (32, 48, 3)

    def test_an_innocent_picture_survives_the_death_of_a_child(self, start: Start) -> None:
        """A child that was killed between two pictures is replaced, and nothing is refused."""
        decoder = start()
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            decoder.decode(GOOD)
            (process,) = children(decoder)
            os.kill(process, number)
            assert decoder.decode(GOOD).shape == (32, 48, 3)
            assert children(decoder) != [process]

    @pytest.mark.parametrize("size", [0, 2**22])
    def test_a_stopped_child_is_not_waited_for(self, start: Start, size: int) -> None:
        """A child that was stopped is killed when time is up, also with a file half sent."""
        decoder = start(seconds=1)
        decoder.decode(GOOD)
        (process,) = children(decoder)
        os.kill(process, signal.SIGSTOP)
        assert refused(decoder, GOOD + bytes(size)).reason == "timeout"
        assert not is_running(process)
        assert decoder.decode(GOOD).shape == (32, 48, 3)

    def test_too_little_memory_to_decode_in_is_told(self, start: Start) -> None:
        """A limit below what the picture takes refuses it as too large, not as corrupt."""
        image = np.zeros((3000, 4000, 3), np.uint8)
        data = malformed.encode(".png", image)
        assert refused(start(memory=2**27), data).reason == "too_large"
        assert start().decode(data).shape == image.shape

    def test_a_child_that_cannot_start_is_no_fault_of_the_picture(self, start: Start) -> None:
        """Where no child starts, the caller hears of that, at once and every time."""
        decoder = start("there_is_no_such_door")
        for _ in range(2):
            with pytest.raises(CatalogError, match="does not start") as raised:
                decoder.decode(GOOD)
            assert not isinstance(raised.value, PictureError)


class TestLife:
    """Children start late, and outlive neither their decoder nor its process."""

    def test_children_start_when_there_is_work(self, start: Start) -> None:
        """Making a decoder starts nothing, and one caller at a time keeps to one child."""
        decoder = start(workers=3)
        assert not children(decoder)
        for _ in range(5):
            decoder.decode(GOOD)
        assert len(children(decoder)) == 1

    def test_closing_ends_the_children(self, start: Start) -> None:
        """A closed decoder has no process left, not even a dead one; it may be used again."""
        decoder = start()
        decoder.decode(GOOD)
        (process,) = children(decoder)
        decoder.close()
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
        decoder.close()
        assert decoder.decode(GOOD).shape == (32, 48, 3)

    def test_a_forgotten_decoder_takes_its_children_along(self) -> None:
        """Without a call to close, a child ends with its decoder."""
        decoder = IsolatedDecoder()
        decoder.decode(GOOD)
        (process,) = children(decoder)
        del decoder
        gc.collect()
        with pytest.raises(ProcessLookupError):  # a dead one that nobody asked after would be there
            os.kill(process, 0)

    @pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
    def test_a_child_does_not_outlive_a_killed_process(self, *, busy: bool) -> None:
        """SIGKILL leaves no time to tidy up; the child ends none the less."""
        with start_script(f"""
            import threading, time
            from attack_run import children
            from catalog.embedder.isolation import IsolatedDecoder
            from test_isolation import GOOD, LETHAL_PICTURE
            decoder = IsolatedDecoder(seconds=1.5, door="attack_doors:hang")
            decoder.decode(GOOD)
            print(*children(decoder), flush=True)
            if {busy}:
                decoder.decode(LETHAL_PICTURE)
            time.sleep(60)
        """) as script:
            child = int(script.stdout.readline())
            script.kill()
        assert ends(child)

    def test_ctrl_c_interrupts_the_wait(self) -> None:
        """The caller of a picture that hangs can interrupt, and go on with the next."""
        # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
        with start_script("""
            import signal
            from catalog.embedder.isolation import IsolatedDecoder
            from test_isolation import GOOD, LETHAL_PICTURE
            signal.signal(signal.SIGINT, signal.default_int_handler)
            decoder = IsolatedDecoder(seconds=50, door="attack_doors:hang")
            decoder.decode(GOOD)
            print("ready", flush=True)
            try:
                decoder.decode(LETHAL_PICTURE)
            except KeyboardInterrupt:
                print(decoder.decode(GOOD).shape, flush=True)
        """) as script:
            assert script.stdout.readline() == "ready\n"
            time.sleep(0.2)
            script.send_signal(signal.SIGINT)
            assert script.stdout.readline() == "(32, 48, 3)\n"
            assert script.wait(30) == 0

    def test_ctrl_c_at_a_terminal_reaches_the_caller_alone(self, start: Start) -> None:
        """A child is in another process group, to which the terminal sends nothing."""
        decoder = start()
        decoder.decode(GOOD)
        (process,) = children(decoder)
        assert os.getpgid(process) != os.getpgid(0)

    def test_a_forked_copy_asks_a_child_of_its_own(self) -> None:
        """After a fork, parent and copy never read each other's answers."""
        script = run_child("""
            import os
            import malformed
            from attack_run import children
            from catalog.embedder.isolation import IsolatedDecoder
            pictures = [malformed.encode(".png", malformed.noise(9, 9, i)) for i in range(50)]
            decoder = IsolatedDecoder()
            whole = [decoder.decode(p).tobytes() for p in pictures]
            first = children(decoder)
            copy = os.fork()
            order = reversed(range(50)) if copy else range(50)
            right = all(decoder.decode(pictures[i]).tobytes() == whole[i] for i in order)
            if not copy:
                os._exit(0 if right and children(decoder) != first else 1)
            print(right, children(decoder) == first, os.waitpid(copy, 0)[1])
        """)
        assert script.stdout.split() == ["True", "True", "0"], script.stderr

    def test_nothing_but_decoding_is_imported(self) -> None:
        """A child starts soon: no TensorFlow, no LiteRT, no FAISS, and not the caller's script."""
        script = run_child("""
            import sys
            from catalog.embedder.isolation import IsolatedDecoder
            print(*sorted(sys.modules))
        """)
        heavy = {"tensorflow", "ai_edge_litert", "faiss", "matplotlib", "rich", "PIL", "pi_heif"}
        loaded = set(script.stdout.split())
        assert not heavy & {name.partition(".")[0] for name in loaded}
        assert "catalog.embedder.isolation" in loaded
        assert "catalog.catalog" not in loaded

    def test_libraries_of_rare_formats_are_imported_when_one_comes(self) -> None:
        """Neither the command nor a JPEG brings Pillow or libheif along; a HEIC does."""
        script = run_child("""
            import sys
            import catalog.cli.main
            from catalog.embedder.decode import decode
            import cv2, malformed, numpy as np
            decode(malformed.encode(".jpg", malformed.quarters()))
            print(*{"PIL", "pi_heif"} & {*sys.modules}, "and then")
            decode(malformed.valid_pictures()["heic"])
            print("pi_heif" in sys.modules)
        """)
        assert script.stdout.splitlines() == ["and then", "True"], script.stderr


class TestEmbedder:
    """The real embedder, with its decoding isolated."""

    def test_descriptors_are_the_same_bits(self, tiny_model: Model) -> None:
        """Isolation changes no descriptor and no refusal."""
        large = malformed.encode(".jpg", malformed.noise(700, 900))
        pictures = [*VALID.values(), large, b"", SPOILT, photos.scene(1)]
        with (
            closing(MobileNetEmbedder(tiny_model)) as plain,
            closing(MobileNetEmbedder(tiny_model, threads=3, isolate=True)) as isolated,
        ):
            here, there = plain.embed_each(pictures), isolated.embed_each(pictures)
            for one, other in zip(here, there, strict=True):
                if isinstance(one, PictureError):
                    assert str(other) == str(one)
                else:
                    assert isinstance(other, np.ndarray)
                    assert other.tobytes() == one.tobytes()

    def test_closing_the_embedder_ends_its_children(self, tiny_model: Model) -> None:
        """No process is left of an embedder that was closed."""
        embedder = MobileNetEmbedder(tiny_model, isolate=True)
        embedder.embed(GOOD)
        assert embedder._workers._isolated is not None
        (process,) = children(embedder._workers._isolated)
        embedder.close()
        assert not is_running(process)


def start_script(code: str) -> subprocess.Popen[str]:
    """Run Python code beside this process, with the tests on its path, and go on."""
    command, environment = child_command(code)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_heic_is_decoded_apart(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else is isolated, too; thumbnails as well, and a crash takes nothing along."""
    picture = heifs.heic(malformed.quarters(64, 96))
    seen: list[int] = []

    def note(_: object, data: bytes, *__: object) -> object:
        seen.append(len(data))
        raise PictureError("corrupt", "seen apart")

    with closing(MobileNetEmbedder(tiny_model)) as embedder:
        apart = embedder.embed(picture)
    with closing(MobileNetEmbedder(tiny_model, isolate=True)) as embedder:
        assert np.array_equal(apart, embedder.embed(picture))
    assert thumbnail(Picture(picture)).startswith(b"\xff\xd8")
    monkeypatch.setattr(IsolatedDecoder, "decode", note)
    with closing(MobileNetEmbedder(tiny_model)) as embedder:
        embedder.embed(GOOD)
        with pytest.raises(PictureError, match="seen apart"):
            embedder.embed(picture)
    with pytest.raises(PictureError, match="seen apart"):
        thumbnail(Picture(picture))
    assert seen == [len(picture)] * 2
