"""Commands about the networks on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli import backbone
from catalog.cli.completion import backbone_names
from catalog.cli.options import Json
from catalog.cli.output import counted, print_json, print_table, say, steps_bar, tell

if TYPE_CHECKING:
    from catalog.embedder.model_cache import Model

app = typer.Typer(help="The networks on this machine.", no_args_is_help=True)


@app.command()
def fetch(
    handle: Annotated[
        str | None,
        typer.Argument(help="A TF Hub handle or address; the ImageNet MobileNetV2 by default."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where alone to have the ImageNet network from: hub, keras (Keras applications' "
            "weights), or the address of a file. By default hub, and keras where that fails."
        ),
    ] = None,
    accept_unverified: Annotated[
        bool,
        typer.Option(
            "--accept-unverified", help="Take it even if it is not what was expected there."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Download a network and export it for use."""
    from catalog.embedder import models

    wanted = handle or models.IMAGENET_HANDLE
    found = backbone.fetch(wanted, source=source, accept_unverified=accept_unverified)
    _show(found, json=json)


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A SavedModel folder or a .tar.gz of one, Keras weights (.h5), or a .tflite."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    json: Json = False,
) -> None:
    """Take a network from a file or folder."""
    from catalog.embedder import models

    say(f"importing {path}; a network that is new is exported, which takes some ten seconds")
    _show(models.import_model(path, name=name), json=json)


@app.command()
def measure(
    pictures: Annotated[
        list[Path], typer.Argument(help="Folders of many pictures of all sorts, without labels.")
    ],
    backbone: Annotated[
        str, typer.Option(help="Which network.", autocompletion=backbone_names)
    ] = "imagenet",
    json: Json = False,
) -> None:
    """Measure how photos of one thing differ for a network that catalog does not know.

    New catalogues of that network have a descriptor of several layers then. It takes 300 pictures
    of all sorts; more are better, up to 20,000, which take half an hour.
    """
    from catalog import find_pictures
    from catalog.embedder import models
    from catalog.embedder.measuring import measure as run

    model = models.find(backbone)
    found = [one.source for one in find_pictures(pictures)]
    with steps_bar("measuring") as progress:
        measured = run(model, found, progress=progress)
    if json:
        print_json(measured)
        return
    refused = f", {measured.refused} could not be read" if measured.refused else ""
    tell(
        f"{measured.network}: a {measured.kind} from {counted(measured.pictures, 'picture')}"
        f"{refused}: {measured.file}"
    )
    say("catalogues that are made from now on use it; those that exist stay as they are")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the networks."""
    from catalog.embedder import models

    found = models.models()
    if json:
        print_json(found)
    elif found:
        rows = [(m.name, m.sha256[:12], m.input_size, m.width, str(m.path)) for m in found]
        print_table(rows, ("name", "sha256", "input", "width", "file"))
    else:
        say(
            "no networks yet but the starter, which comes with catalog; `catalog model fetch` "
            "downloads the ImageNet network, `catalog model import` takes another"
        )


def _show(model: Model, *, json: bool) -> None:
    if json:
        print_json(model)
        return
    state = "ready" if model.fresh else "was here already"
    tell(f"{model.name} ({model.sha256[:12]}) {state}: {model.path}")
