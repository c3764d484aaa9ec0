"""Classes as the catalogue file keeps them: found by name, made, renamed and retired."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from catalog.descriptors import Advice, Damaged, InvalidInput, LabelConflict, NotFound
from catalog.store import Slot
from catalog.store.names import Name, label_key, likeness
from catalog.text import natural


@dataclass(frozen=True, slots=True)
class Label:
    """A class as the store knows it: ``items`` is 0 for one that was removed."""

    slot: Slot
    name: str
    key: str
    items: int

    @property
    def row(self) -> tuple[int, str, str]:
        """Slot, name and key: what the journal keeps of a class that is renamed."""
        return self.slot, self.name, self.key

    def spelling(self, name: Name) -> Name:
        """How the class is spelt: as it is if it exists, else as it was given."""
        return Name(self.name, self.key) if self.items else name


def find_label(tx: sqlite3.Connection, name: Name) -> Label | None:
    """The class of that name, however it is spelt, whether it has items or not."""
    row = tx.execute(
        "SELECT slot, name, key, (SELECT count(*) FROM item WHERE label = slot) "
        "FROM label WHERE key = ?",
        (name.key,),
    ).fetchone()
    return Label(*row) if row else None


def require_label(tx: sqlite3.Connection, name: Name) -> Label:
    """The class of that name, however it is spelt.

    Raises:
        NotFound: there is none.
    """
    label = find_label(tx, name)
    if label is None or not label.items:
        raise _not_found(tx, name)
    return label


def _not_found(tx: sqlite3.Connection, name: Name) -> NotFound:
    close = get_close_matches(name.text, live_names(tx), n=3)
    if close:
        meant = " or ".join(map(repr, close))
        return NotFound(f"there is no class {name.text!r} (did you mean {meant}?)")
    return NotFound(f"there is no class {name.text!r}", Advice("list classes"))


def refuse_existing(tx: sqlite3.Connection, name: Name) -> None:
    """Make sure that a class could be made.

    Raises:
        LabelConflict: it exists.
    """
    label = find_label(tx, name)
    if label is not None and label.items:
        raise LabelConflict(
            f"there is a class {label.name!r} with {label.items} items",
            Advice("add pictures"),
            existing=label.name,
        )


def open_label(tx: sqlite3.Connection, name: Name) -> Label:
    """The class of that name, made if need be, whether it has items or not."""
    label = find_label(tx, name)
    if label is None:
        tx.execute("INSERT INTO label (name, key) VALUES (?, ?)", (name.text, name.key))
        label = find_label(tx, name)
    if label is None:
        raise NotFound(f"the class {name.text!r} could not be made")
    return label


def spell(tx: sqlite3.Connection, slot: Slot, name: Name) -> None:
    """Give a class a name; a class without items that has it gives it up."""
    rows = tx.execute("SELECT slot FROM label WHERE key = ? AND slot != ?", (name.key, slot))
    for (other,) in rows.fetchall():
        retire(tx, other)
    tx.execute("UPDATE label SET name = ?, key = ? WHERE slot = ?", (name.text, name.key, slot))


def give_back(tx: sqlite3.Connection, slot: Slot, name: str) -> None:
    """Give a class the name that it had before, or none if it had none."""
    if name:
        spell(tx, slot, Name(name, label_key(name)))
    else:
        retire(tx, slot)


def retire(tx: sqlite3.Connection, slot: Slot) -> None:
    """Take a class's name away; what is left keeps its slot from being used again."""
    # No name that is given begins with a control character.
    tx.execute("UPDATE label SET name = '', key = ? WHERE slot = ?", (f"\0{slot}", slot))


def alike(tx: sqlite3.Connection, name: Name) -> tuple[str, ...]:
    """The other classes whose names look like one, in natural order."""
    look = likeness(name.text)
    names = [one for one in live_names(tx) if one != name.text and likeness(one) == look]
    return tuple(sorted(names, key=natural))


def emptied(tx: sqlite3.Connection, slots: Iterable[Slot]) -> tuple[str, ...]:
    """Which of some classes have no items, by name, in natural order."""
    names = [
        tx.execute(
            "SELECT name FROM label WHERE slot = ? "
            "AND NOT EXISTS (SELECT 1 FROM item WHERE label = slot)",
            (slot,),
        ).fetchone()
        for slot in slots
    ]
    return tuple(sorted((row[0] for row in names if row), key=natural))


def names_of(tx: sqlite3.Connection, slots: Sequence[int]) -> list[str]:
    """The names of classes by their slots.

    Raises:
        Damaged: a class has lost its name.
    """
    names = dict(tx.execute("SELECT slot, name FROM label"))
    missing = [slot for slot in slots if not isinstance(names.get(slot), str)]
    if missing:
        raise Damaged(f"class {missing[0]} has lost its name", Advice("verify"))
    return [names[slot] for slot in slots]


def live(tx: sqlite3.Connection) -> list[tuple[Slot, str]]:
    """Slot and key of every class that has items, in the order of keys."""
    return tx.execute(
        "SELECT slot, key FROM label "
        "WHERE EXISTS (SELECT 1 FROM item WHERE item.label = label.slot) ORDER BY key"
    ).fetchall()


def live_names(tx: sqlite3.Connection) -> list[str]:
    """The names of the classes that have items."""
    rows = tx.execute(
        "SELECT name FROM label WHERE EXISTS (SELECT 1 FROM item WHERE item.label = label.slot)"
    )
    return [name for (name,) in rows]


def listed_names(values: Iterable[str]) -> list[str]:
    """A list of names, where one name by itself would be taken for a list of letters.

    Raises:
        InvalidInput: it is one name.
    """
    if isinstance(values, str):
        raise InvalidInput("classes come as a list, also when there is only one")
    return list(values)
