"""The starter backbone: a small MobileNetV2, trained from random weights for this program.

README.md beside this file says how good it is and what it is not for; its recipe is
``recipes/starter`` in the source.
"""

from pathlib import Path
from typing import Final

FLATBUFFER: Final = Path(__file__).with_name("starter.tflite")
"""The network, for LiteRT, with 16-bit weights."""

SHA256: Final = "3e9ac6c3277d0021f764d57add936be9f24313e5e5c78057d59704a4b0cb2a39"
"""Of its bytes, so that a damaged one is not taken for another network."""
