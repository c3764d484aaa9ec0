"""Commands that keep a catalogue in step with a folder, and those about jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli import streams
from catalog.cli.answers import print_evaluation
from catalog.cli.options import (
    CatalogPath,
    GroupBy,
    Json,
    Level,
    NoMadeUp,
    level_of,
    read_listing,
)
from catalog.cli.output import (
    counted,
    note_odd,
    print_imported,
    print_json,
    print_json_lines,
    print_table,
    report_passed_over,
    report_refusals,
    resumable,
    say,
    steps_bar,
    tell,
)
from catalog.cli.reindexing import print_reindexed

if TYPE_CHECKING:
    from catalog import Job, Synced

_EXAMPLES = 3

JobId = Annotated[int, typer.Argument(help="Number of the job, as `catalog jobs` lists.")]

app = typer.Typer(
    name="jobs",
    help="What is being done over many pictures, and how it ended.",
    invoke_without_command=True,
)


def sync(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder tree (the folder that holds a picture names its class), or a CSV or "
            "JSONL file with path and label (and box or group)."
        ),
    ],
    catalog: CatalogPath,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove items that the source has no more.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Remove them also if more are gone than --most-gone."),
    ] = False,
    most_gone: Annotated[
        float,
        typer.Option(
            help="The largest share of the source's items that is removed; more look like a disk "
            "that is not mounted."
        ),
    ] = 0.25,
    class_level: Level = None,
    group_by: GroupBy = None,
    no_made_up: NoMadeUp = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and do it again whenever something changes.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing unless something is amiss.")
    ] = False,
    json: Json = False,
) -> None:
    """Keep a catalogue in step with a folder: new, changed, moved and gone pictures.

    What has the size and time that it had is not read. Run it again to go on where it was cut
    short; `catalog undo` takes a run back.
    """
    from catalog import Catalog

    if watch and dry_run:
        raise typer.BadParameter("--watch and --dry-run exclude each other")
    way: dict[str, Any] = {
        "delete": delete,
        "force": force,
        "most_gone": most_gone,
        "group_by": group_by,
        "made_up": not no_made_up,
    }
    with (
        resumable(),
        # One bad picture among thousands must not take the rest with it.
        Catalog.open(catalog, isolate=True) as opened,
        steps_bar("reading", quiet=quiet) as progress,
        steps_bar("training", quiet=quiet) as training,
    ):
        if watch:
            for result in opened.watch(
                source, class_level=level_of(class_level), **way, progress=progress
            ):
                for note in result.notes:
                    say(f"note: {note}")
                _report(result, quiet=quiet, json=json, one_line=True)
                streams.put()  # what is read by another program is to be there at once
            return
        listing = read_listing(
            source, None, None, 0, class_level, group_by=group_by, may_be_empty=True
        )
        result = opened.sync(listing, **way, dry_run=dry_run, progress=progress, training=training)
    _report(result, quiet=quiet, json=json)
    if result.failures:
        raise typer.Exit(5)


def _report(result: Synced, *, quiet: bool, json: bool, one_line: bool = False) -> None:
    if json and one_line:
        print_json_lines([result])
    elif json:
        print_json(result)
    elif not quiet:
        _print_synced(result)
    if not quiet:
        report_passed_over(result.passed_over)
        _note_by_hand(result)
        note_odd(replace(added, replaced=()) for added in result.classes)  # they are "changed"
        for label in result.emptied:
            say(f"class {label!r} has no items left, and is gone")
    report_refusals(result.failures)


def _print_synced(result: Synced) -> None:
    counts = {
        "new": len(result.new),
        "changed": len(result.changed),
        "moved": len(result.moved),
        "to another class": len(result.relabelled),
        "unchanged": result.unchanged,
        "left as you said": len(result.by_hand),
        "gone": len(result.gone),
        "refused": len(result.failures),
    }
    said = [f"{count:,} {what}" for what, count in counts.items() if count]
    tell(f"{'would be: ' if result.dry_run else ''}{', '.join(said) or 'no pictures'}")
    if result.dry_run:
        _print_plan(result)
    if result.removed:
        tell(f"{counted(result.removed, 'item')} removed; `catalog undo` brings them back")
    elif result.gone and not result.dry_run:
        why = "rows that cannot be used may be of them" if result.bad_rows else "--delete removes"
        what = "items have" if len(result.gone) > 1 else "item has"
        say(
            f"note: {len(result.gone)} {what} no picture in {result.source} any more, such as that "
            f"of {result.gone[0].places[0]}; {why}{'' if result.bad_rows else ' what is gone'}"
        )
    for said_so, label in result.renamed.items():
        say(f"note: what {result.source} calls {said_so!r} is class {label!r} here")


def _print_plan(result: Synced) -> None:
    """The pictures that something would be done about, one a line."""
    rows = [("new", one.place, "", one.label) for one in result.new]
    rows += [("changed", place, "", "") for place in result.changed]
    rows += [("moved", place, "", "") for place in result.moved]
    rows += [
        ("to another class", one.place, one.before or "", one.label) for one in result.relabelled
    ]
    rows += [("gone", place, one.label, "") for one in result.gone for place in one.places]
    print_table(rows, ("", "picture", "from", "to"))


def _note_by_hand(result: Synced) -> None:
    for one in result.by_hand[:_EXAMPLES]:
        where = f"in class {one.label!r}" if one.label is not None else "removed"
        say(f"note: {one.place} stays {where}, as it was told by hand, and not in {one.said!r}")
    if len(result.by_hand) > _EXAMPLES:
        say(f"note: and so do {len(result.by_hand) - _EXAMPLES} more")


@app.callback()
def jobs(
    context: typer.Context,
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog", envvar="CATALOG_PATH", help="The catalogue file.", readable=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the jobs that a catalogue knows, the latest last; the commands below are about one."""
    from catalog import Catalog

    if context.invoked_subcommand is not None:
        given = {"catalog": str(catalog)} if catalog is not None else {}
        context.default_map = {context.invoked_subcommand: given | ({"json": True} if json else {})}
        return
    if catalog is None:
        raise typer.BadParameter("say which catalogue: --catalog, or CATALOG_PATH")
    with Catalog.open(catalog) as opened:
        found = opened.jobs()
    if json:
        print_json(found)
        return
    print_table(
        (job.id, job.kind, job.state, job.began, job.request.get("source") or "", _how_far(job))
        for job in found
    )


@app.command("show")
def show(job: JobId, catalog: CatalogPath, json: Json = False) -> None:
    """Show a job: what was asked, how far it is, how it ended, and what it could not take."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.job(job)
        refused = opened.job_failures(job)
    if json:
        print_json(found)
        return
    _print_job(found)
    report_refusals(refused[:_EXAMPLES])
    if len(refused) > _EXAMPLES:
        say(f"and {len(refused) - _EXAMPLES} more: `catalog jobs failures {job}`")


@app.command("failures")
def failures(job: JobId, catalog: CatalogPath) -> None:
    """Print the pictures that a job could not take as JSON lines: place, reason, detail."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        refused = opened.job_failures(job)
    print_json_lines({"place": r.place, "reason": r.reason, "detail": r.detail} for r in refused)


@app.command("cancel")
def cancel(job: JobId, catalog: CatalogPath, json: Json = False) -> None:
    """Ask a job to stop; it does at its next step, and what it has done is kept."""
    from catalog import Catalog

    with Catalog.open(catalog) as opened:
        found = opened.cancel_job(job)
    if json:
        print_json(found)
    elif found.state == "running":
        tell(f"job {job} is asked to stop")
    else:
        tell(f"job {job} is {found.state} already: its process is no more")


@app.command("resume")
def resume(job: JobId, catalog: CatalogPath, json: Json = False) -> None:
    """Take up a job that waits, died, failed or was cancelled; nothing is done twice."""
    from catalog import Catalog, Evaluation, Reindexed, Synced

    with (
        resumable(),
        Catalog.open(catalog, isolate=True) as opened,
        steps_bar("reading") as progress,
        steps_bar("training") as training,
    ):
        result = opened.resume_job(job, progress=progress, training=training)
    if isinstance(result, Reindexed):
        print_reindexed(result, json=json)
        return
    if isinstance(result, Evaluation):
        if json:
            print_json(result)
        else:
            print_evaluation(result)
        report_refusals(result.refused)
        failures = result.refused
    else:
        if isinstance(result, Synced):
            _report(result, quiet=False, json=json)
        else:
            print_imported(result, json=json)
        failures = result.failures
    if failures:
        raise typer.Exit(5)


def _print_job(job: Job) -> None:
    rows = [
        ("job", f"{job.id}, {job.kind}, {job.state}"),
        ("began", job.began),
        *([("ended", job.ended)] if job.ended else [("last seen", job.seen)]),
        ("process", f"{job.process} on {job.machine}"),
        ("how far", _how_far(job)),
        *((name.replace("_", "-"), value) for name, value in job.request.items() if value),
    ]
    for name, value in rows:
        tell(f"{name:<12} {value}")


def _how_far(job: Job) -> str:
    if job.state in {"running", "died"}:
        far = f"{job.stage}, {job.done:,}"
        if job.total is not None:
            far += f" of {job.total:,}"
        if job.rate is not None:
            far += f", {job.rate:g}/s"
        return far if job.left is None else f"{far}, {timedelta(seconds=job.left)} left"
    outcome = job.outcome or {}
    if "error" in outcome:
        return str(outcome["error"])
    return ", ".join(f"{count:,} {what}" for what, count in outcome.items() if count)
