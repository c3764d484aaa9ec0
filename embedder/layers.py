"""What several layers of a MobileNetV2 see, from the one pass that gives its last.

The mean over the places of the last map, which is what a network gives by itself, has lost much of
what the same pass computed on the way. Here further maps become outputs of an exported network.
They are found by its structure, since names differ from one source to another: a MobileNetV2 has 17
blocks, each with one depthwise convolution, and the input of that convolution is what the block
expands its own input to. Nothing else changes: what the network gave before it gives still, bit for
bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS: Final = (13, 6)
"""The blocks, counted from 0, whose expanded maps a descriptor is made of beside the last map.

They are the last to see places of a sixteenth and of an eighth of the picture's side;
``benchmarks/LAYERS.md`` compares other choices.
"""

POWER: Final = 0.5
"""What each number is raised to, its sign kept, so that a few large ones do not outweigh all."""

LAYERS_RULE: Final = (
    "mean of the last map; mean and deviation of what is expanded in the blocks "
    f"{', '.join(map(str, BLOCKS))}; to the power {POWER:g}; each of unit length a view"
)
"""How the maps become one row; part of an embedder's specification."""

_ALL_BLOCKS: Final = 17

_Map = TypeVar("_Map")
_Float = TypeVar("_Float", np.float32, np.float64)


def with_layers(content: bytes) -> bytes | None:
    """Make the expanded maps of :data:`BLOCKS` further outputs of an exported network.

    Args:
        content: a flatbuffer that :class:`LiteRTNetwork` has loaded.

    Returns:
        The flatbuffer with more outputs, in the order of ``BLOCKS``; None where its structure is
        not that of a MobileNetV2.
    """
    # Reading and writing flatbuffers takes 60 ms to import, which a query should not pay.
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    try:
        network = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = network.subgraphs
        kinds = schema.BuiltinOperator
        codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in network.operatorCodes]
        unpadded: dict[int, int] = {}  # a map that was only padded, and what it was before
        inputs = []
        for operator in graph.operators:
            kind, taken = codes[operator.opcodeIndex], int(operator.inputs[0])
            if kind in {kinds.PAD, kinds.PADV2}:
                unpadded[int(operator.outputs[0])] = taken
            elif kind == kinds.DEPTHWISE_CONV_2D:
                inputs.append(unpadded.get(taken, taken))
        maps = expanded_maps(inputs)
        if maps is None:
            return None
        graph.outputs = [*map(int, graph.outputs), *maps]
        builder = flatbuffers.Builder(len(content))
        builder.Finish(network.Pack(builder), b"TFL3")
    except (AttributeError, IndexError, TypeError, ValueError, struct.error):
        return None
    return bytes(builder.Output())


def expanded_maps(inputs: Sequence[_Map]) -> list[_Map] | None:
    """The expanded maps of :data:`BLOCKS`, in a graph of whatever program.

    Args:
        inputs: what goes into each depthwise convolution, before it is padded, in the order of
            computation.

    Returns:
        The maps; None where the structure is not that of a MobileNetV2.
    """
    return [inputs[block] for block in BLOCKS] if len(inputs) == _ALL_BLOCKS else None


def parts_of(
    vector: NDArray[np.float32], maps: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """The parts of what one view gives: the mean of the last map, and statistics of the others.

    Args:
        vector: float32 (D,), the mean of the last map.
        maps: float32 (H, W, C) each, in the order of :data:`BLOCKS`.

    Returns:
        float32 arrays, each raised to :data:`POWER` and of unit length (or zero).
    """
    parts = [vector]
    for one in maps:
        places = one.reshape(-1, one.shape[-1])
        mean = places.mean(axis=0)
        variance = np.einsum("ij,ij->j", places, places) / np.float32(len(places)) - mean * mean
        parts += [mean, np.sqrt(np.maximum(variance, 0))]
    return [_unit(np.copysign(np.abs(part) ** np.float32(POWER), part)) for part in parts]


def joined(views: Sequence[Sequence[NDArray[np.float32]]]) -> NDArray[np.float64]:
    """One row of what some views gave: the mean of each part over the views, side by side.

    Args:
        views: the parts of each, as :func:`parts_of` gives them.

    Returns:
        float64 (F,), each part of unit length before the whole is brought to it.
    """
    parts = [_unit(np.mean(part, axis=0, dtype=np.float64)) for part in zip(*views, strict=True)]
    row: NDArray[np.float64] = np.concatenate(parts) / np.sqrt(len(parts))
    return row


def _unit(part: NDArray[_Float]) -> NDArray[_Float]:
    """A vector of unit length, or of zeros."""
    length = np.sqrt(np.sum(np.square(part, dtype=np.float64)))
    return np.asarray(part / length, part.dtype) if length > 0 else part
