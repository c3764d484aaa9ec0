"""The starter backbone: a small MobileNetV2, trained from random weights for this program.

README.md beside this file says how good it is and what it is not for; ``train`` is its recipe.
"""

from pathlib import Path
from typing import Final

FLATBUFFER: Final = Path(__file__).with_name("starter.tflite")
"""The network, for LiteRT, with 16-bit weights."""
