"""Commands and Python calls go by the same names."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from catalog import Catalog
from catalog.care.doctor import examine
from catalog.cli.main import app
from catalog.embedder import models
from catalog.service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


NOT_OF_CATALOGUES = {"model", "keys", "serve", "mcp"}


class TestCorrespondence:
    """Commands and Python calls go by the same names."""

    COMMANDS = get_command(app).commands
    NETWORKS = COMMANDS["model"].commands
    KEYS = COMMANDS["keys"].commands
    OF_A_JOB = COMMANDS["jobs"].commands

    def call_of(self, name: str) -> Callable[..., Any]:
        """The Python call of a command of catalogues."""
        if name == "doctor":  # which has to work where no catalogue can be opened
            return examine
        return getattr(Catalog, "import_" if name == "import" else name.replace("-", "_"))

    def test_every_command_has_a_call(self) -> None:
        """What the shell can do a script can do, by the same name."""
        names = set(self.COMMANDS) - NOT_OF_CATALOGUES
        assert all(callable(self.call_of(name)) for name in names)
        wanted = "init add-class add import nearest predict evaluate labels items info remove"
        assert names >= {*wanted.split(), "remove-class", "undo", "verify"}
        assert set(self.NETWORKS) == {"fetch", "import", "list", "measure"}
        assert all(callable(call) for call in (models.fetch, models.import_model, models.models))
        assert set(self.OF_A_JOB) == {"show", "failures", "cancel", "resume"}
        of_a_job = (Catalog.job, Catalog.job_failures, Catalog.cancel_job, Catalog.resume_job)
        assert all(callable(call) for call in of_a_job)

    def test_every_option_has_a_keyword(self) -> None:
        """Options mean what keywords of that name mean; one with ``no`` before it turns it off."""
        of_the_shell = {"help", "json", "html", "yes", "strict", "catalog", "box", "plot", "null"}
        of_the_shell |= {"dry_run", "watch"}  # preview_class, and watch
        of_the_shell |= {"quiet"}
        calls = {
            name: self.call_of(name) for name in self.COMMANDS if name not in NOT_OF_CATALOGUES
        }
        commands = [(self.COMMANDS[name], call) for name, call in calls.items()]
        commands += [
            (self.NETWORKS["fetch"], models.fetch),
            (self.NETWORKS["import"], models.import_model),
        ]
        of_reindex = (Catalog.compare, Catalog.promote, Catalog.back)
        for one, call in commands:
            known = set(inspect.signature(call).parameters)
            if call is Catalog.reindex:  # some of its options name calls
                known |= {
                    name for other in of_reindex for name in inspect.signature(other).parameters
                }
                known |= {"compare", "promote", "back", "drop_old", "drop_new"} & set(vars(Catalog))
            options = {option.name for option in one.params if option.param_type_name == "option"}
            if options & {"html", "plot"}:  # the functions that write them have it
                options -= {"replace"}
            options = {name.removeprefix("no_") for name in options - of_the_shell}
            assert options <= known, one.name

    def test_every_setting_has_an_option(self) -> None:
        """The service is set by options, variables and entries of a file of one name."""
        options = {option.name: option for option in self.COMMANDS["serve"].params}
        settings = {field.name for field in dataclasses.fields(Settings)}
        others = {"catalog", "log", "config", "show_config", "open_page"}
        assert settings | others == set(options)
        for name in settings:
            assert options[name].envvar == f"CATALOG_SERVE_{name.upper()}"
            assert options[name].opts == [f"--{name.replace('_', '-')}"]

    def test_every_command_takes_a_catalogue_and_gives_json(self) -> None:
        """Every command has ``--json``; all but init and model take the catalogue as an option."""
        of_catalogues = {
            name: one for name, one in self.COMMANDS.items() if name not in NOT_OF_CATALOGUES
        }
        of_a_job = [one for name, one in self.OF_A_JOB.items() if name != "failures"]  # JSON alone
        of_keys = self.KEYS.values()
        for one in [*of_catalogues.values(), *self.NETWORKS.values(), *of_a_job, *of_keys]:
            assert "json" in {option.name for option in one.params}, one.name
            assert one.help, one.name
        for name in of_catalogues.keys() - {"init"}:
            options = {option.name: option for option in of_catalogues[name].params}
            assert options["catalog"].envvar == "CATALOG_PATH", name
