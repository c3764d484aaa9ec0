"""Colours that go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from catalog.data.covers.canvas import Colour


@dataclass(frozen=True)
class Palette:
    """The colours of a cover.

    Attributes:
        ground: what lies under everything.
        inks: four others, the last of which stands out.
    """

    ground: Colour
    inks: tuple[Colour, ...]

    @property
    def every(self) -> tuple[Colour, ...]:
        """The ground, then the inks."""
        return (self.ground, *self.inks)

    @property
    def faint(self) -> Palette:
        """The same ground, and inks that hardly differ from it: for what lies behind."""
        return Palette(self.ground, tuple(between(self.ground, ink, 0.3) for ink in self.inks))


_MOODS: Final = (  # lightness and chroma of the ground, then of each ink
    ((93, 8), (48, 70), (66, 55), (28, 38), (80, 60)),  # poster
    ((12, 16), (72, 52), (55, 60), (36, 42), (90, 22)),  # night
    ((9, 8), (62, 90), (74, 80), (50, 85), (90, 70)),  # neon
    ((56, 68), (94, 10), (24, 35), (74, 60), (40, 62)),  # bold
    ((87, 20), (68, 40), (58, 44), (76, 34), (34, 30)),  # pastel
    ((96, 2), (14, 3), (42, 4), (66, 4), (52, 80)),  # print
    ((34, 40), (82, 45), (60, 55), (18, 24), (92, 30)),  # deep
)
_HARMONIES: Final = (  # hue of each ink against the ground's, in degrees
    (0, 30, 60, 180),
    (120, 240, 30, 180),
    (180, 200, 20, 90),
    (15, -15, 30, 150),
    (60, 90, 200, 300),
)


def palette(random: np.random.Generator) -> Palette:
    """Mix the colours of a cover: a mood, a hue, and a harmony to it."""
    mood = _MOODS[int(random.integers(len(_MOODS)))]
    harmony = _HARMONIES[int(random.integers(len(_HARMONIES)))]
    hue = random.uniform(0, 360)
    hues = [hue, *(hue + apart + random.uniform(-8, 8) for apart in harmony)]
    ground, *inks = (
        mixed(lightness, chroma, one) for (lightness, chroma), one in zip(mood, hues, strict=True)
    )
    return Palette(ground, tuple(inks))


def mixed(lightness: float, chroma: float, hue: float) -> Colour:
    """The colour of CIE lightness 0 to 100, chroma and hue in degrees, brought into sRGB."""
    angle = np.deg2rad(hue)
    lab = np.array([[[lightness, chroma * np.cos(angle), chroma * np.sin(angle)]]], np.float32)
    rgb = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0], 0, 1) * 255
    return (round(float(rgb[0])), round(float(rgb[1])), round(float(rgb[2])))


def between(one: Colour, other: Colour, share: float) -> Colour:
    """The colour some share of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)


def brightness(colour: Colour) -> float:
    """How bright a colour looks, 0 to 255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
