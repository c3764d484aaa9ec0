"""Whether the ImageNet network can be downloaded, which is only asked if that is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest
from hub_server import KERAS, PAYLOAD, HubServer, Portal, Status

from catalog.care import doctor
from catalog.embedder.sources import IMAGENET_HANDLE, published
from catalog.machine import Check, libraries

InProcess = Callable[..., tuple[int, str, str]]


def by_name(checks: object) -> dict[str, Check]:
    """Checks by their names."""
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


class TestSources:
    """Whether the ImageNet network could be downloaded is asked only where that is wanted."""

    @pytest.fixture
    def given(self, hub: HubServer) -> HubServer:
        """Both sources have the network."""
        hub.archives |= {IMAGENET_HANDLE: PAYLOAD, KERAS: PAYLOAD}
        return hub

    def test_both_have_it(self, given: HubServer) -> None:
        """Each is asked once, for a few bytes."""
        checks = by_name(doctor.examine_sources())
        assert list(checks) == ["TF Hub", "Keras applications"]
        assert {check.state for check in checks.values()} == {"ok"}
        assert {check.advice for check in checks.values()} == {""}
        assert given.sent == [64, 64]

    def test_one_has_it(self, given: HubServer) -> None:
        """The reason of the one is said, and that the other is there."""
        given.faults.append(Status(403))
        checks = by_name(doctor.examine_sources())
        assert checks["TF Hub"].state == "warning"
        assert "status 403" in checks["TF Hub"].found
        assert checks["TF Hub"].advice == "`catalog model fetch` takes it from Keras applications"
        assert checks["Keras applications"].state == "ok"

    def test_none_has_it(self, given: HubServer) -> None:
        """Each has its reason, and the advice names the files to get in another way."""
        given.faults.extend([Portal(), Status(404)])
        hub, keras = doctor.examine_sources()
        assert (hub.state, keras.state) == ("warning", "warning")
        assert "a web page" in hub.found
        assert "there is nothing at" in keras.found
        assert all(address in hub.advice for address in published())
        assert "`catalog model import`" in keras.advice

    def test_a_variable_that_names_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mirror that is none is bad, by the name of its variable."""
        monkeypatch.setenv("CATALOG_KERAS_URL", "mirror")
        (check,) = doctor.examine_sources()
        assert (check.state, "CATALOG_KERAS_URL must be" in check.found) == ("bad", True)

    def test_the_command(
        self, in_process: InProcess, given: HubServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No server is asked without ``--online``; with it, JSON has what the call returns."""
        monkeypatch.setattr(libraries, "IMPORTED", ())
        in_process("doctor", "--json")
        assert given.seen == []
        without = doctor.examine()
        given.faults.append(Status(403))
        found = json.loads(in_process("doctor", "--online", "--json")[1])
        assert len(given.seen) == 2
        own = {check["name"]: check for check in found}
        assert len(own) == len(without) + 2
        assert own["TF Hub"]["state"] == "warning"
        assert own["Keras applications"]["state"] == "ok"
        given.faults.append(Status(403))
        assert own["TF Hub"] == asdict(by_name(doctor.examine(online=True))["TF Hub"])
        given.faults.extend([Status(403), Status(403)])
        out = in_process("doctor", "--online")[1]
        assert set(published()) <= set(out.split())  # an address can be copied in one piece
