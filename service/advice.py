"""How advice is worded for those who call the service."""

from __future__ import annotations

from typing import Final

from catalog.descriptors import CatalogError
from catalog.descriptors.advice import Wording

_BY_THE_OWNER = "whoever runs the service can"

HTTP: Final[Wording] = {
    "accept new archive": f"{_BY_THE_OWNER} fetch the network anew",
    "accept other network": f"{_BY_THE_OWNER} import the network under another name",
    "add a list": "several pictures are parts of one multipart body",
    "add pictures": "POST /v1/items?label= adds pictures to it",
    "add single pictures": "POST /v1/items?label= takes single pictures",
    "add with move": "POST /v1/items?label=&move=true takes it from there",
    "bring in embedder": "a job of the kind reindex brings another in",
    "choose replay or force": f"{_BY_THE_OWNER} choose another replay",
    "class level": '"class_level": 1 takes the folders directly below for classes, "class_level": '
    '"last" makes one class of folders of one name; a manifest names each picture\'s class',
    "copy network": f"{_BY_THE_OWNER} copy its file {{about}}.tflite from a machine that has it",
    "copy projection": f"{_BY_THE_OWNER} copy the file whose name ends in {{about}}.npz from the "
    "folder measured/projections of the model cache where it was measured",
    "drop embedder": f"{_BY_THE_OWNER} drop the one that is not in use",
    "force": '"force": true does it all the same',
    "force removal": '"force": true removes them all the same',
    "get network": f"{_BY_THE_OWNER} fetch or import it",
    "get network by hand": f"{_BY_THE_OWNER} download {{about}} and import it",
    "get network from a copy": f"{_BY_THE_OWNER} import a copy",
    "install mcp": f"{_BY_THE_OWNER} install it: pip install 'catalog[mcp]'",
    "install serve": f"{_BY_THE_OWNER} install it: pip install 'catalog[serve]'",
    "list classes": "GET /v1/classes lists them",
    "list items": "GET /v1/items lists them",
    "list jobs": "GET /v1/jobs lists them",
    "make anew": f"{_BY_THE_OWNER} make it anew",
    "make class": '"new": true makes it',
    "make keys": f"{_BY_THE_OWNER} make keys",
    "make or name catalogue": f"{_BY_THE_OWNER} make one",
    "merge classes": "POST /v1/classes/merge makes one of the two",
    "move here": "move=true takes it to {about}",
    "name existing class": 'without "new", items go to a class that exists',
    "remove inexactly": "inexact=true at DELETE /v1/classes takes the class out of answers, "
    "and leaves its share of the metric",
    "rename class": "POST /v1/classes/rename gives it another name",
    "replace": "choose another name",
    "restore": f"{_BY_THE_OWNER} restore it from a backup",
    "switch without unreadable": f"{_BY_THE_OWNER} take them out",
    "use pooled": '"descriptor": "pooled" takes the last layer alone',
    "verify": f"{_BY_THE_OWNER} verify the catalogue, which says what else is wrong",
}
"""A sentence for each kind of advice."""


def said(error: CatalogError) -> str:
    """What is wrong and what to do about it, in one line."""
    if error.advice is None:
        return error.fact
    return f"{error.fact}; {error.advice.worded(HTTP)}"
