"""The page in a real browser: asking, saying, naming, and all that may come between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photos
import pytest
from browser import choose, drop, given, heading, shot, until
from doubles import FakeEmbedder
from inside import keep
from served import ready, serving
from sure_shop import learn, seen
from tiny_network import NAME
from visiting import browser, client, complaints, shop, visit

from catalog import Catalog
from catalog.embedder.model_cache import Model

__all__ = ["browser", "client", "complaints", "shop", "visit"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Catalog]:
    """Nothing yet, with room for small copies."""
    with Catalog.init(tmp_path / "empty.catalog", embedder=FakeEmbedder(), thumbnails=True) as made:
        yield made


def side_by_side(left: int, right: int) -> bytes:
    """Two things in one photo, each 64 pixels wide."""
    both = np.hstack([photos.scene(left, 9), photos.scene(right, 9)])
    return photos.encode(".png", both)


class TestAsking:
    """A photo in, the answer out."""

    def test_dropped(self, client: Any, visit: Any, shop: Catalog) -> None:
        """The answer is what Python gives, with its neighbours and all that speak for it."""
        page = visit(client)
        drop(page, shot(2))
        said = shop.predict(photos.photo(2, 9))
        assert said.label is not None
        assert said.label in heading(page)
        assert page.locator(".near li b").first.inner_text() == "thing 2"
        assert page.locator(".witnesses h3").count() == 3
        word = {"match": "sure", "ambiguous": "likely", "disagree": "in doubt"}[said.verdict]
        if said.verdict == "ambiguous" and (said.probability or 0) < 0.5:
            word = "a guess"
        assert page.locator(".headline .verdict").inner_text() == word

    def test_chosen_pasted_and_taken(self, client: Any, visit: Any) -> None:
        """Whichever way a photo comes."""
        page = visit(client)
        choose(page, [shot(1)])
        assert "thing 1" in heading(page)
        drop(page, shot(1, 10), events=("paste",))
        page.wait_for_selector("text=2 of 2 answered")
        page.click("text=Take a photo")
        until(page, "document.querySelector('dialog video')?.videoWidth > 0")
        page.click("dialog >> text=Take it")
        page.wait_for_selector("text=3 of 3 answered")

    def test_a_box(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Drawn round one of two things, by hand or by keys, it is the answer's subject."""
        page = visit(client)
        drop(page, ("both.png", side_by_side(0, 3)), kind="image/png")
        heading(page)
        frame = page.locator(".canvas img").bounding_box()
        page.mouse.move(frame["x"] + frame["width"] * 0.52, frame["y"] + 1)
        page.mouse.down()
        page.mouse.move(frame["x"] + frame["width"] - 1, frame["y"] + frame["height"] - 1, steps=4)
        page.mouse.up()
        until(page, "document.querySelector('.headline h2')?.innerText.includes('thing 3')")
        page.click("text=Whole photo again")
        page.wait_for_selector(".box", state="detached")
        page.focus(".canvas")
        page.keyboard.press("Enter")
        page.wait_for_selector(".box")
        for _ in range(14):
            page.keyboard.press("ArrowLeft")
        until(page, "document.querySelector('.headline h2')?.innerText.includes('thing 0')")
        page.keyboard.press("Escape")
        page.wait_for_selector(".box", state="detached")

    def test_a_picture_that_is_refused(self, client: Any, visit: Any) -> None:
        """It says why, and the others are answered."""
        page = visit(client)
        drop(page, ("a.jpg", b"no picture at all"), shot(1))
        page.wait_for_selector("text=2 of 2 answered")
        assert "cannot be read" in page.locator(".refused h2").inner_text()
        assert len(page.locator(".refused p").inner_text()) > 10
        page.locator(".list li").nth(1).click()
        assert "thing 1" in heading(page)

    def test_fifty_at_once_by_keys(self, client: Any, visit: Any, shop: Catalog) -> None:
        """A list that is worked through without a mouse: right, wrong, new, and back."""
        before = len(shop)
        page = visit(client)
        drop(page, *[shot(number % 6, 20 + number) for number in range(50)])
        page.wait_for_selector("text=50 of 50 answered")
        page.keyboard.press("Enter")  # nothing need be clicked first
        page.wait_for_selector("text=1 done")
        page.keyboard.press("w")
        page.keyboard.type("thing 5")
        page.wait_for_selector("dialog [role=option] >> text=/^thing 5$/")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=2 done")
        page.keyboard.press("n")
        page.keyboard.type("something new")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=3 done")
        assert len(shop) == before + 3
        assert shop.labels()[0].label == "something new"
        page.keyboard.press("Home")
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("u")
        page.wait_for_selector("text=2 done")
        assert len(shop) == before + 2

    def test_what_is_unknown_is_not_right(self, visit: Any, empty: Catalog) -> None:
        """Of an answer that nobody knows the photo, Enter says nothing; it is named."""
        shop = learn(empty)
        strange, known = (photos.encode(".png", seen(thing, 30)) for thing in (40, 2))
        assert shop.predict(strange).verdict == "unknown"
        before = len(shop)
        with serving(shop) as client:
            ready(client)
            page = visit(client)
            drop(page, ("strange.png", strange), ("known.png", known), kind="image/png")
            page.wait_for_selector("text=2 of 2 answered")
            assert heading(page) == "None of yours, it seems"
            assert page.get_by_role("button", name="Right", exact=True).count() == 0
            page.focus("[role=listbox]")
            page.keyboard.press("Enter")
            page.wait_for_timeout(300)
            assert len(shop) == before

    def test_a_key_that_is_held_down(self, client: Any, visit: Any, shop: Catalog) -> None:
        """It says what one press says."""
        before = len(shop)
        page = visit(client)
        drop(page, *[shot(number, 60 + number) for number in range(5)])
        page.wait_for_selector("text=5 of 5 answered")
        page.focus("[role=listbox]")
        for _ in range(12):  # without letting go
            page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        page.wait_for_selector("text=1 done")
        page.wait_for_timeout(300)
        assert len(shop) == before + 1

    def test_another_box_is_another_question(self, client: Any, visit: Any) -> None:
        """What was said of the whole photo is not said of a part of it."""
        page = visit(client)
        drop(page, ("both.png", side_by_side(0, 3)), kind="image/png")
        heading(page)
        page.locator(".deeds button").first.click()
        page.wait_for_selector("text=Undo")
        page.focus(".canvas")
        page.keyboard.press("Enter")
        page.wait_for_selector(".box")
        page.wait_for_selector(".deeds button:enabled")

    def test_while_another_writes(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Answers come while classes come and go."""
        page = visit(client)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                shop.add_class("passing", photos.shots(30, 2))
                shop.undo()

        writing = threading.Thread(target=write)
        writing.start()
        try:
            drop(page, *[shot(number % 6, 40 + number) for number in range(12)])
            page.wait_for_selector("text=12 of 12 answered")
            assert page.locator(".list .verdict").count() == 12
        finally:
            stop.set()
            writing.join()


class TestSaying:
    """What the reader says is learnt, and can be taken back."""

    def test_right(self, client: Any, visit: Any, shop: Catalog) -> None:
        """One photo more for the class."""
        page = visit(client)
        drop(page, shot(4))
        page.locator(".deeds button").first.click()
        page.wait_for_selector(".headline >> text=Confirmed")
        assert {row.label: row.items for row in shop.labels()}["thing 4"] == 4

    def test_wrong(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Another class, found as one types; asked again, it is that; and taken back."""
        page = visit(client)
        drop(page, ("odd.jpg", photos.photo(40)))
        page.click("text=Wrong: it is")
        page.fill("dialog input", "ing 5")
        page.click("dialog [role=option] >> text=/^thing 5$/")
        page.wait_for_selector(".headline >> text=Corrected")
        assert len(shop.items("thing 5")) == 4
        page.click(".says >> text=Ask again")
        until(page, "document.querySelector('.near li b')?.innerText === 'thing 5'")
        page.click(".says >> text=Undo")
        page.wait_for_selector("text=Taken back")
        assert len(shop.items("thing 5")) == 3

    def test_a_photo_that_is_known(self, client: Any, visit: Any, shop: Catalog) -> None:
        """It is said to be, and what is under a wrong name goes where it belongs, and back."""
        known = ("known.jpg", photos.photo(3, 0))
        assert shop.nearest(known[1], 1)[0].score > 0.9999
        page = visit(client)
        drop(page, known)
        page.locator(".deeds button").first.click()
        page.wait_for_selector(".headline >> text=this photo was known already")
        assert len(shop.items("thing 3")) == 3
        page = visit(client)
        drop(page, known)
        page.click("text=Wrong: it is")
        page.fill("dialog input", "thing 5")
        page.click("dialog [role=option] >> text=/^thing 5$/")
        page.wait_for_selector("dialog >> text=This photo is in thing 3 already")
        page.click("dialog >> text=Move to thing 5")
        page.wait_for_selector(".headline >> text=Corrected")
        assert (len(shop.items("thing 3")), len(shop.items("thing 5"))) == (2, 4)
        page.click(".says >> text=Undo")
        page.wait_for_selector("text=Taken back")
        assert (len(shop.items("thing 3")), len(shop.items("thing 5"))) == (3, 3)

    def test_enter_before_the_suggestions_are_there(
        self, client: Any, visit: Any, shop: Catalog
    ) -> None:
        """It waits for them, and takes the first: not a new class of half a name."""
        shop.rename_class("thing 3", "zebra crossing")
        page = visit(client)
        drop(page, shot(1))
        heading(page)
        page.click("text=Wrong: it is")
        page.wait_for_selector("dialog [role=option]")

        def late(route: Any) -> None:
            time.sleep(0.6)
            route.continue_()

        page.route("**/v1/classes?search=zebra*", late)
        page.keyboard.type("zebra")
        page.keyboard.press("Enter")
        page.wait_for_selector(".headline >> text=Corrected")
        assert len(shop.items("zebra crossing")) == 4

    def test_a_name_that_others_hold(self, client: Any, visit: Any, shop: Catalog) -> None:
        """A class whose name is part of many others comes first where it is typed."""
        for number in range(10):
            shop.add_class(f"1{number} mug", photos.shots(70 + number, 1))
        shop.add_class("mug", photos.shots(90, 1))
        page = visit(client)
        drop(page, shot(1))
        heading(page)
        page.click("text=Wrong: it is")
        page.fill("dialog input", "mug")
        page.click("dialog [role=option] >> nth=0")
        page.wait_for_selector(".headline >> text=Corrected")
        assert len(shop.items("mug")) == 2

    def test_a_new_class_is_found_at_once(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Named once, known from then on."""
        page = visit(client)
        drop(page, ("new.jpg", photos.photo(52)))
        page.click("text=New class")
        page.fill("dialog input", "Tea pot")
        page.click("dialog [role=option] >> text=New: “Tea pot”")
        page.wait_for_selector(".headline >> text=New: Tea pot")
        drop(page, ("again.jpg", photos.photo(52, 1)))
        page.wait_for_selector("text=2 of 2 answered")
        assert page.locator(".near li b").first.inner_text() == "Tea pot"

    def test_one_minute_from_nothing(self, empty: Catalog, visit: Any) -> None:
        """Three things named and shown, and one of them recognised."""
        with serving(empty) as client:
            ready(client)
            page = visit(client)
            page.wait_for_selector("text=Name three things")
            for place, name in enumerate(("Mug", "Pot", "Salt")):
                slot = page.locator(".slot").nth(place)
                slot.locator("input:not([type=file])").fill(name)
                files = given(shot(60 + place, 0), shot(60 + place, 1))
                slot.locator("input[type=file]").first.set_input_files(files)
                page.wait_for_selector(f".slot.made >> nth={place}")
            page.click("text=Try it")
            page.wait_for_selector("text=Which one is this?")
            drop(page, ("try.jpg", photos.photo(61, 9)))
            heading(page)
            assert page.locator(".near li b").first.inner_text() == "Pot"
            until(page, "document.querySelector('.near img')?.naturalWidth > 0")


class TestClasses:
    """A curator's work."""

    def test_found_renamed_and_back(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Found as one types; its name changed, and changed back."""
        page = visit(client, "classes")
        page.wait_for_selector("text=6 classes")
        page.fill("input[type=search]", "THING 3")
        page.wait_for_selector("text=1 class found")
        page.click(".entry")
        page.click("text=Rename")
        page.fill("dialog input", "Blue mug")
        page.keyboard.press("Enter")
        page.wait_for_selector("h1 >> text=Blue mug")
        assert "Blue mug" in {row.label for row in shop.labels()}
        page.click(".note >> text=Undo")
        page.wait_for_selector("text=Taken back")
        assert "thing 3" in {row.label for row in shop.labels()}

    def test_back_where_one_was(self, client: Any, visit: Any) -> None:
        """From a class back to the list, at the place and with the search that one had."""
        page = visit(client, "classes", viewport={"width": 360, "height": 400})
        page.fill("input[type=search]", "thing")
        page.wait_for_selector("text=6 classes found")
        page.locator(".entry", has_text="thing 4").scroll_into_view_if_needed()
        page.evaluate("scrollTo(0, 300)")
        page.wait_for_timeout(100)  # as a hand needs to come to the class
        top = page.evaluate("scrollY")
        assert top > 100
        page.locator(".entry", has_text="thing 5").evaluate("(entry) => entry.click()")
        page.wait_for_selector("h1 >> text=thing 5")
        page.go_back()
        until(page, f"scrollY === {top}")
        assert page.input_value("input[type=search]") == "thing"

    def test_merged(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Two classes become one, and two again."""
        page = visit(client, "classes/thing%201")
        page.click("text=Merge")
        page.fill("dialog input", "thing 2")
        page.click("dialog [role=option]")
        page.wait_for_selector("dialog >> text=All photos of thing 1 go to thing 2")
        page.click("dialog >> text=Merge them")
        page.wait_for_selector("h1 >> text=thing 2")
        until(page, "document.querySelectorAll('.photos li').length === 6")
        page.click(".note >> text=Undo")
        page.wait_for_selector("text=Taken back")
        assert {row.label: row.items for row in shop.labels()}["thing 1"] == 3

    def test_moved_removed_and_deleted(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Photos go to a class that is made for them; one is removed; the class is deleted."""
        page = visit(client, "classes/thing%201")
        page.locator(".pick").first.click()
        page.locator(".pick").nth(1).click()
        page.click("text=Move to")
        page.fill("dialog input", "apart")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=2 photos moved to apart")
        assert len(shop.items("apart")) == 2
        page.goto(f"{client.base_url}/#/classes/apart")
        page.locator(".pick").first.click()
        page.get_by_role("button", name="Remove", exact=True).click()
        page.wait_for_selector("text=1 photo removed")
        page.get_by_role("button", name="Delete", exact=True).click()
        page.click("dialog >> .danger")
        page.wait_for_selector("text=apart is deleted")
        assert "apart" not in {row.label for row in shop.labels()}

    def test_what_is_gone_is_not_chosen_any_more(
        self, client: Any, visit: Any, shop: Catalog
    ) -> None:
        """What another has moved is left alone."""
        page = visit(client, "classes/thing%201")
        page.locator(".pick").first.click()
        page.wait_for_selector("text=1 chosen")
        shop.move([shop.items("thing 1")[0].id], "thing 2")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_selector("text=1 chosen", state="detached")

    def test_made_with_photos(self, client: Any, visit: Any, shop: Catalog) -> None:
        """A new class of chosen photos, one of which is none."""
        page = visit(client, "classes")
        page.click("text=New class")
        page.fill("dialog input:not([type=file])", "Pan")
        with page.expect_file_chooser() as chooser:
            page.click("dialog >> text=Choose photos")
        chooser.value.set_files(given(shot(70), ("bad.jpg", b"nothing")))
        page.click("dialog >> text=Make it")
        page.wait_for_selector("h1 >> text=Pan")
        assert "refused" in page.locator(".note").first.inner_text()
        assert len(shop.items("Pan")) == 1


class TestKeeping:
    """What is to be done, what was done, and what goes on."""

    def test_unknown_photos_are_named(self, client: Any, visit: Any, shop: Catalog) -> None:
        """Photos that nobody knew become a class in one step."""
        keep(shop, [photos.scene(90, number) for number in range(4)])
        page = visit(client, "todo")
        page.get_by_role("button", name="Name them").click()
        page.fill("dialog input", "Lamp")
        page.click("dialog [role=option] >> text=New")
        page.wait_for_selector("text=moved to Lamp")
        assert len(shop.items("Lamp")) >= 2

    def test_a_wrong_name_is_mended(self, shop: Catalog, visit: Any) -> None:
        """A photo under the wrong name is listed with what it looks like, and moved."""
        for thing in range(6):
            shop.add(f"thing {thing}", photos.shots(thing, 6, first=30))
        wrong = shop.items("thing 2")[4]
        shop.move([wrong.id], "thing 5")
        with serving(shop) as client:
            ready(client)
            page = visit(client, "todo")
            page.click("text=Move to thing 2")
            page.wait_for_selector("text=1 photo moved to thing 2")
            assert shop.item(wrong.id).label == "thing 2"

    def test_history(self, client: Any, visit: Any, shop: Catalog) -> None:
        """The latest command is taken back, and shown as such."""
        shop.rename_class("thing 0", "Mug")
        page = visit(client, "history")
        page.wait_for_selector("text=thing 0 renamed Mug")
        page.click(".history >> text=Undo")
        page.click("dialog >> .danger")
        page.wait_for_selector("text=(taken back)")
        page.wait_for_selector("text=Taken back: thing 0 renamed Mug")
        assert "thing 0" in {row.label for row in shop.labels()}
        shop.merge_classes(["thing 1", "thing 2"], "thing 3")
        page.reload()
        page.wait_for_selector("text=thing 1, thing 2 merged into thing 3")

    def test_a_job_with_its_progress(self, tmp_path: Path, visit: Any, tiny_model: Model) -> None:
        """An import is begun, followed to its end, and what it could not take is listed."""
        tree = photos.draw_tree(tmp_path / "tree", ("cup", "jug"), 20)
        (tree / "cup" / "bad.jpg").write_bytes(b"nothing")
        path = tmp_path / "jobs.catalog"
        with (
            Catalog.init(path, backbone=NAME, views="fast") as made,
            serving(made, allow=(tmp_path,)) as client,
        ):
            page = visit(client, "jobs")
            page.fill(".begin input", str(tree))
            page.get_by_role("button", name="Begin").click()
            page.wait_for_selector(".job progress, .job .state.done")
            page.wait_for_selector(".job .state.done", timeout=60_000)
            assert "new: 40" in page.locator(".job > p").first.inner_text()
            page.click("text=1 picture not taken")
            assert "bad.jpg" in page.locator(".failures").inner_text()
            page.goto(f"{client.base_url}/#/accuracy")
            page.fill(".begin input", str(tree))
            page.get_by_role("button", name="Begin").click()
            page.wait_for_selector("text=What the verdicts are worth", timeout=60_000)
            page.wait_for_selector("text=40 of these photos are in the catalogue, which flatters")
            (tree / "jug").rename(tree / "pot")
            page.fill(".begin input", str(tree))
            page.get_by_role("button", name="Begin").click()
            page.wait_for_selector("text=Not counted: 20 photos of classes that are not here (pot)")
            assert page.locator(".growth >> text=tree").count() == 2
            (made.results_folder / f"{made.jobs()[-1].id}.json").unlink()
            page.reload()
            page.wait_for_selector("text=40 of these photos are in the catalogue, which flatters")
