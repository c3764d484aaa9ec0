"""How advice is worded for those who use the command, and for programs that call its tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from catalog.descriptors import CatalogError
    from catalog.descriptors.advice import Wording

COMMAND: Final[Wording] = {
    "accept new archive": "--accept-unverified takes the new one",
    "accept other network": "--accept-unverified takes it, under its source as a name",
    "add a list": "for a list of paths there is `catalog add NAME -`",
    "add pictures": "`catalog add` adds pictures to it",
    "add single pictures": "`catalog add` takes single pictures",
    "add with move": "`catalog add` takes it from there with --move",
    "bring in embedder": "`catalog reindex` brings another in by --backbone, --descriptor or "
    "--views",
    "choose replay or force": "choose another --replay, or --force it",
    "class level": "--class-level 1 takes the folders directly below for classes, --class-level "
    "last makes one class of folders of one name; a manifest names each picture's class",
    "copy network": "copy its file {about}.tflite from a machine that has it (`catalog model list` "
    "shows where), and `catalog model import` it here",
    "copy projection": "copy the file whose name ends in {about}.npz from the folder "
    "measured/projections of the model cache where it was measured",
    "drop embedder": "`catalog reindex --drop-old` or --drop-new drops the one that is not in use",
    "force": "--force does it all the same",
    "force removal": "--force removes them all the same",
    "get network": "`catalog model fetch` downloads the ImageNet network; `catalog model import "
    "FOLDER` takes a SavedModel, a .tar.gz of one, Keras MobileNetV2 weights (.h5) or an exported "
    ".tflite",
    "get network by hand": "download {about} in a browser or on another computer, and `catalog "
    "model import` the file",
    "get network from a copy": "or use a local copy: `catalog model import FOLDER`",
    "install mcp": "`pip install 'catalog[mcp]'` brings it",
    "install serve": "`pip install 'catalog[serve]'` brings it",
    "list classes": "`catalog labels` lists them",
    "list items": "`catalog items` lists them",
    "list jobs": "`catalog jobs` lists them",
    "make anew": "`catalog train-head --head exact` makes it anew",
    "make class": "--new makes it",
    "make keys": "`catalog keys add NAME --keys FILE` makes one, and --unprotected does without",
    "make or name catalogue": "say where yours is (--catalog or CATALOG_PATH), or make one with "
    "`catalog init`",
    "merge classes": "`catalog merge-classes` makes one of the two",
    "move here": "--move takes it to {about}",
    "name existing class": "without --new, items go to a class that exists",
    "remove inexactly": "`catalog remove-class --inexact` takes the class out of answers, and "
    "leaves its share of the metric",
    "rename class": "`catalog rename-class` gives it another name",
    "replace": "choose another name, or --replace it",
    "restore": "restore it from a backup (`catalog restore`), or make it anew",
    "switch without unreadable": "see that they lie where they were, or take them out: "
    "--without-unreadable",
    "use pooled": "`--descriptor pooled` takes the last layer alone",
    "verify": "`catalog verify` says what else is wrong",
}
"""A sentence for each kind of advice."""

MCP: Final[Wording] = {
    **COMMAND,  # it is at hand wherever the tools are
    "add pictures": "the tool feedback takes a picture in; `catalog add` takes many",
    "list classes": "the tool classes lists them",
    "move here": '"move": true takes it to {about}',
}
"""The same, where a tool does it."""


def said(error: CatalogError, wording: Wording = COMMAND) -> str:
    """What is wrong and what to do about it, in one line."""
    if error.advice is None:
        return error.fact
    return f"{error.fact}; {error.advice.worded(wording)}"
