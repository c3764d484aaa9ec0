"""What can be done about an error, apart from how each face of the program words it.

An error says what is wrong in words that hold everywhere. What to do about it is another matter: an
option in a shell, an argument in Python. So an error carries a kind of advice, and each face has a
wording for every kind; the one for Python is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

AdviceKind: TypeAlias = Literal[
    "accept new archive",
    "accept other network",
    "add a list",
    "add pictures",
    "add single pictures",
    "add with move",
    "choose replay or force",
    "class level",
    "bring in embedder",
    "copy network",
    "copy projection",
    "drop embedder",
    "force",
    "force removal",
    "get network",
    "get network by hand",
    "get network from a copy",
    "install mcp",
    "install serve",
    "list classes",
    "list items",
    "list jobs",
    "make anew",
    "make class",
    "make keys",
    "make or name catalogue",
    "merge classes",
    "move here",
    "name existing class",
    "remove inexactly",
    "rename class",
    "replace",
    "restore",
    "switch without unreadable",
    "use pooled",
    "verify",
]
"""Every kind of advice."""

Wording: TypeAlias = Mapping[AdviceKind, str]
"""A sentence for each kind; ``{about}`` stands for what it is about."""

PYTHON: Final[Wording] = {
    "accept new archive": "accept_unverified=True takes the new one",
    "accept other network": "accept_unverified=True takes it, under its source as a name",
    "add a list": "add() takes a list of paths",
    "add pictures": "add() adds pictures to it",
    "add single pictures": "add() takes single pictures",
    "add with move": "add(..., move=True) takes it from there",
    "choose replay or force": "choose another replay, or force=True",
    "class level": "class_level=1 takes the folders directly below for classes, class_level='last' "
    "makes one class of folders of one name; a manifest names each picture's class",
    "bring in embedder": "reindex() brings another in",
    "copy network": "copy its file {about}.tflite from a machine that has it, and import it here: "
    "catalog.embedder.models.import_model",
    "copy projection": "copy the file whose name ends in {about}.npz from the folder "
    "measured/projections of the model cache where it was measured",
    "drop embedder": "drop_old() or drop_new() drops the one that is not in use",
    "force": "force=True does it all the same",
    "force removal": "force=True removes them all the same",
    "get network": "catalog.embedder.models.fetch downloads the ImageNet network; import_model "
    "takes a SavedModel, a .tar.gz of one, Keras MobileNetV2 weights (.h5) or an exported .tflite",
    "get network by hand": "download {about} in a browser or on another computer, and give the "
    "file to catalog.embedder.models.import_model",
    "get network from a copy": "catalog.embedder.models.import_model takes a local copy",
    "install mcp": "pip install 'catalog[mcp]' brings it",
    "install serve": "pip install 'catalog[serve]' brings it",
    "list classes": "labels() lists them",
    "list items": "items() lists them",
    "list jobs": "jobs() lists them",
    "make anew": "train_head('exact') makes it anew",
    "make class": "new=True makes it",
    "make keys": "catalog.service.keys.add_key makes some, and unprotected=True does without",
    "make or name catalogue": "say where yours is, or make one with Catalog.init",
    "merge classes": "merge_classes() makes one of the two",
    "move here": "move=True takes it to {about}",
    "name existing class": "without new=True, items go to a class that exists",
    "remove inexactly": "remove_class(..., inexact=True) takes the class out of answers, and "
    "leaves its share of the metric",
    "rename class": "rename_class() gives it another name",
    "replace": "choose another name, or replace=True",
    "restore": "restore it from a backup, or make it anew",
    "switch without unreadable": "see that they lie where they were, or take them out: "
    "without_unreadable=True",
    "use pooled": "descriptor='pooled' takes the last layer alone",
    "verify": "verify() says what else is wrong",
}
"""How advice is worded for those who call the library."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What can be done about an error.

    Attributes:
        kind: of advice.
        about: a name, path or hash that the wording mentions, where the kind has one.
    """

    kind: AdviceKind
    about: str = ""

    def worded(self, wording: Wording) -> str:
        """It in the words of a face."""
        return wording[self.kind].replace("{about}", self.about)

    def __str__(self) -> str:
        return self.worded(PYTHON)
