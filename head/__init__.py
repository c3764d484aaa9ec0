"""The expanding softmax head. Knows nothing of pictures, files or FAISS."""

from catalog.head.document import Curves, TrainingOptions, count_batches, train
from catalog.head.exact import EXACT_RULE, Blocks, solve, solve_blocks
from catalog.head.frozen import widen_frozen
from catalog.head.gan import GanOptions, Generator, train_gan, widen_generator
from catalog.head.head import Head, Start, softmax, widen
from catalog.head.replay import Replay, draw_classes, draw_gaussian, spreads

__all__ = [
    "EXACT_RULE",
    "Blocks",
    "Curves",
    "GanOptions",
    "Generator",
    "Head",
    "Replay",
    "Start",
    "TrainingOptions",
    "count_batches",
    "draw_classes",
    "draw_gaussian",
    "softmax",
    "solve",
    "solve_blocks",
    "spreads",
    "train",
    "train_gan",
    "widen",
    "widen_frozen",
    "widen_generator",
]
