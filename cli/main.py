"""The entry point: puts the commands together, and turns errors into messages and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from catalog.cli import (
    asking,
    completion,
    ending,
    exporting,
    health,
    inspecting,
    jobs,
    mcp,
    model,
    reindexing,
    serving,
    training,
    upkeep,
    writing,
)
from catalog.cli.output import say, tell
from catalog.text import visible

_UsageError: Any = typer.BadParameter.__base__


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        tell(f"catalog {version('catalog')}")
        raise typer.Exit


class _Commands(TyperGroup):
    """The commands; what they say of arguments that make no sense can be shown, too."""

    def make_context(self, *given: Any, **options: Any) -> Any:
        with _visible_refusals():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        with _visible_refusals():
            return super().invoke(ctx)


@contextmanager
def _visible_refusals() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.message = visible(error.message)
        raise


app = typer.Typer(
    name="catalog",
    cls=_Commands,
    help="Which of our things is this photo? Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, "
    "4 doubt, with --strict, 5 some pictures refused, 6 locked, 7 damaged.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show it.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on stderr what is done, and when.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    if verbose:
        _say_what_is_done()


def _say_what_is_done() -> None:
    """Write what the parts of the program log to stderr, with the time since the start."""
    import logging  # not earlier, since completion does without

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(self.format(record))

    handler = Handler()
    handler.setFormatter(logging.Formatter("%(relativeCreated)6.0f ms  %(name)s: %(message)s"))
    logger = logging.getLogger("catalog")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


app.command("init")(writing.init)
app.add_typer(model.app, name="model")
app.command("add-class")(writing.add_class)
app.command("add")(writing.add)
app.command("import")(writing.import_)
app.command("sync")(jobs.sync)
app.add_typer(jobs.app, name="jobs")
app.command("reindex")(reindexing.reindex)
app.command("nearest")(asking.nearest)
app.command("predict")(asking.predict)
app.command("feedback")(training.feedback)
app.command("train-head")(training.train_head)
app.command("evaluate")(asking.evaluate)
app.command("labels")(inspecting.labels)
app.command("items")(inspecting.items)
app.command("info")(inspecting.info)
app.command("history")(inspecting.history)
app.command("move")(upkeep.move)
app.command("rename-class")(upkeep.rename_class)
app.command("merge-classes")(upkeep.merge_classes)
app.command("remove")(writing.remove)
app.command("remove-class")(writing.remove_class)
app.command("forget")(upkeep.forget)
app.command("forget-places")(upkeep.forget_places)
app.command("compact")(writing.compact)
app.command("undo")(writing.undo)
app.command("merge")(upkeep.merge)
app.command("backup")(upkeep.backup)
app.command("restore")(upkeep.restore)
app.command("export")(exporting.export)
app.command("audit")(inspecting.audit)
app.command("verify")(inspecting.verify)
app.command("doctor")(health.doctor)
app.command("serve")(serving.serve)
app.command("mcp")(mcp.mcp)
app.add_typer(serving.keys, name="keys")


def main() -> None:
    """Run a command; an error becomes one line on stderr and its exit code."""

    def run() -> None:
        completion.answer(app)
        app()

    ending.run_to_end(run)


if __name__ == "__main__":
    main()
