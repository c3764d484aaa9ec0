"""A record: its title and its cover."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog.data.covers import creatures, landscapes, lettering, patterns, things, windows
from catalog.data.covers.canvas import Canvas, Pixels
from catalog.data.covers.colours import palette

_ADJECTIVES: Final = (
    "Silent",
    "Golden",
    "Northern",
    "Velvet",
    "Electric",
    "Lost",
    "Winter",
    "Broken",
    "Second",
    "Hollow",
    "Distant",
    "Slow",
)
MOTIFS: Final = {
    "Hills": landscapes.hills,
    "Harbour": landscapes.sea,
    "Avenues": landscapes.skyline,
    "Forest": landscapes.forest,
    "Desert": landscapes.desert,
    "Planets": landscapes.night,
    "Morning": patterns.rays,
    "Rings": patterns.rings,
    "Machines": patterns.tiles,
    "Signals": patterns.lines,
    "Rivers": patterns.marble,
    "Static": patterns.dots,
    "Stones": patterns.terrazzo,
    "Mirrors": patterns.squares,
    "Threads": patterns.plaid,
    "Circles": patterns.spiral,
    "Crystals": patterns.crystal,
    "Paper": patterns.paper,
    "Birds": creatures.birds,
    "Fish": creatures.fish,
    "Gardens": things.flowers,
    "Branches": things.tree,
    "Wings": creatures.butterfly,
    "Eyes": creatures.eye,
    "Faces": creatures.mask,
    "Cats": creatures.cat,
    "Guitars": things.guitar,
    "Balloons": things.balloons,
    "Meadows": things.mushrooms,
    "Rain": things.umbrellas,
    "Houses": things.house,
    "Letters": things.letter,
}
"""What is on the cover of a record, by what it is called."""

_NOUNS: Final = tuple(MOTIFS)
_BACKDROPS: Final = (
    patterns.rays,
    patterns.rings,
    patterns.dots,
    patterns.marble,
    patterns.plaid,
    patterns.squares,
    patterns.spiral,
    patterns.terrazzo,
    patterns.crystal,
)


def title(number: int) -> str:
    """The name of a record, unlike those of the 383 before it."""
    group, noun = divmod(number, len(_NOUNS))
    return f"{_ADJECTIVES[(group + 5 * noun) % len(_ADJECTIVES)]} {_NOUNS[noun]}"


def cover(number: int) -> Pixels:
    """Draw the cover of a record: uint8 (SIDE, SIDE, 3), RGB."""
    random = np.random.default_rng([number, 1])
    colours, name = palette(random), title(number)
    canvas = Canvas(colours.ground)
    motif = MOTIFS[name.split()[1]]
    is_figure = motif.__module__ in {creatures.__name__, things.__name__}
    if is_figure and random.random() < 0.6:
        behind = _BACKDROPS[int(random.integers(len(_BACKDROPS)))]
        behind(canvas, random, colours.faint)
    motif(canvas, random, colours)
    if not is_figure and random.random() < 0.6:
        windows.cut(canvas, random, colours)
    if random.random() < 0.3:
        lettering.frame(canvas, random, colours)
    lettering.write(canvas, random, colours, name)
    return canvas.finished()
