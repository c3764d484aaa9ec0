"""Record covers drawn by rule, and photos of them: pictures for the demo that come from nowhere.

Everything follows from a number, so that every machine draws the same shop; but for the letters,
which OpenCV 5 draws in other fonts than OpenCV 4.
"""

from catalog.data.covers.canvas import SIDE
from catalog.data.covers.photos import photo
from catalog.data.covers.records import cover, title

__all__ = ["SIDE", "cover", "photo", "title"]
