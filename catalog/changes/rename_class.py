"""A class given another name."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.descriptors import Advice, LabelConflict
from catalog.learning.opened import Opened
from catalog.store import journal
from catalog.store.classes import find_label, require_label, spell
from catalog.store.names import Name


@dataclass(frozen=True, slots=True)
class Renamed:
    """A class's name before and now, and the journal's entry; None if nothing changed."""

    before: str
    label: str
    event: int | None


def rename_class(catalog: Opened, label: str, name: str) -> Renamed:
    """Give a class another name. Can be undone.

    Args:
        label: the class.
        name: its name from now on.

    Raises:
        NotFound: there is no such class.
        LabelConflict: there is another class of the new name.
        InvalidLabel: that cannot be a name.
    """
    present, wanted = Name.parse(label), Name.parse(name)
    with catalog._store.writing() as tx:
        found = require_label(tx, present)
        other = find_label(tx, wanted)
        names = [found.row]
        if found.name == wanted.text:
            return Renamed(found.name, found.name, None)
        if other is not None and other.slot != found.slot:
            if other.items:
                raise LabelConflict(
                    f"there is a class {other.name!r} with {other.items} items",
                    Advice("merge classes"),
                    existing=other.name,
                )
            names.append(other.row)  # of a class that was removed, which loses its name
        spell(tx, found.slot, wanted)
        detail = {"label": wanted.text, "before": found.name, "names": names}
        return Renamed(found.name, wanted.text, journal.record(tx, "rename-class", detail, ()))
