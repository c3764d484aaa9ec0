"""Turn trained weights into a flatbuffer: ``python -m recipes.starter.export --help``.

The weights go into Keras' own MobileNetV2, and from there through the project's exporter, as any
other network's would. Needs TensorFlow, not PyTorch; what PyTorch computed lies beside the weights.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from catalog.descriptors import unit_rows
from catalog.embedder import probes
from catalog.embedder.export import export_saved_model
from catalog.embedder.litert import LiteRTNetwork
from recipes.starter.weights import PROBE_SIDE, Weights, probe_pictures, read, write

TOLERANCE: Final = 1e-3
"""Largest difference allowed between the descriptors of PyTorch, Keras and LiteRT."""

LIKENESS: Final = 0.9999
"""Least cosine allowed between descriptors of the network that is written and Keras' of 32 bits."""

_PER_CONVOLUTION: Final = 5


def keras_network(weights: Weights, side: int) -> Any:
    """Keras' MobileNetV2 with these weights, for pictures (N, side, side, 3) in [0, 1].

    Raises:
        ValueError: the weights are of another network.
    """
    network = tf.keras.applications.MobileNetV2(
        (side, side, 3), alpha=weights.alpha, include_top=False, pooling="avg", weights=None
    )
    layers = [layer for layer in network.layers if layer.weights]
    arrays = list(weights.arrays.values())
    if len(layers) * _PER_CONVOLUTION != len(arrays) * 2:
        raise ValueError(f"{len(arrays)} arrays do not fit {len(layers)} layers")
    for number in range(0, len(layers), 2):
        kernel, *norm = arrays[number // 2 * _PER_CONVOLUTION :][:_PER_CONVOLUTION]
        depthwise = isinstance(layers[number], tf.keras.layers.DepthwiseConv2D)
        layers[number].set_weights([kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
        layers[number + 1].set_weights(norm)
    return _of_pictures(network, side)


def _of_pictures(network: Any, side: int) -> Any:
    """The network for pixels in [0, 1] instead of [-1, 1]."""
    pictures = tf.keras.Input((side, side, 3), name="picture")
    scaled = tf.keras.layers.Rescaling(2.0, -1.0)(pictures)
    return tf.keras.Model(pictures, network(scaled, training=False))


def flatbuffer(network: Any) -> bytes:
    """A flatbuffer with 32-bit weights, made and checked by the project's exporter."""
    with tempfile.TemporaryDirectory(prefix="starter-") as folder:
        network.export(folder, verbose=False)
        return export_saved_model(Path(folder))


def half_flatbuffer(network: Any) -> bytes:
    """A flatbuffer with 16-bit weights, which LiteRT widens as it loads them."""
    side = network.input_shape[1]
    function = tf.function(lambda x: network(x, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec([1, side, side, 3], tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def check(weights: Weights) -> dict[str, float]:
    """The largest differences from PyTorch's descriptors, by runtime.

    Raises:
        ValueError: one is larger than :data:`TOLERANCE`.
    """
    network = keras_network(weights, PROBE_SIDE)
    pictures = probe_pictures()
    found = {
        "Keras": network(pictures.astype(np.float32) / 255, training=False).numpy(),
        "LiteRT": LiteRTNetwork(flatbuffer(network))(pictures),
    }
    apart = {name: float(np.abs(one - weights.probed).max()) for name, one in found.items()}
    if max(apart.values()) > TOLERANCE:
        raise ValueError(f"the networks do not agree: {apart}")
    return apart


def likeness(content: bytes, network: Any) -> float:
    """The least cosine between a flatbuffer's descriptors of the probe pictures and Keras'.

    Raises:
        ValueError: it is less than :data:`LIKENESS`.
    """
    pictures = probes.pictures(network.input_shape[1])
    wanted = unit_rows(network(pictures.astype(np.float32) / 255, training=False).numpy())
    least = float((unit_rows(LiteRTNetwork(content)(pictures)) * wanted).sum(axis=1).min())
    if least < LIKENESS:
        raise ValueError(f"the flatbuffer's descriptors have a cosine of {least} with Keras'")
    return least


def rounded(weights: Weights) -> Weights:
    """The same network with every weight rounded to 16 bits, to keep and to train on from."""
    arrays = {name: one.astype(np.float16) for name, one in weights.arrays.items()}
    wide = {name: one.astype(np.float32) for name, one in arrays.items()}
    network = keras_network(Weights(weights.alpha, wide, weights.probed), PROBE_SIDE)
    probed = network(probe_pictures().astype(np.float32) / 255, training=False).numpy()
    return Weights(weights.alpha, arrays, probed)


def untrained(side: int, alpha: float = 0.5) -> Any:
    """A network of the same shape that has learnt nothing: He-normal kernels, plain norms."""
    random = np.random.default_rng(0)
    network = tf.keras.applications.MobileNetV2(
        (side, side, 3), alpha=alpha, include_top=False, pooling="avg", weights=None
    )
    for layer in network.layers:
        kernels = [one for one in layer.get_weights() if one.ndim == 4]
        if kernels:
            depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
            inputs = np.prod(kernels[0].shape[: 2 if depthwise else 3])
            layer.set_weights([random.normal(0, np.sqrt(2 / inputs), kernels[0].shape)])
    return _of_pictures(network, side)


def main() -> None:
    """Check the weights, then write the flatbuffer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="a snapshot (.npz)")
    parser.add_argument("out", type=Path, help="the flatbuffer to write (.tflite)")
    parser.add_argument("--side", type=int, default=PROBE_SIDE, help="of a view, in pixels")
    parser.add_argument("--keep", type=Path, help="also keep the weights, in 16 bits (.npz)")
    given = parser.parse_args()
    weights = read(given.weights)
    for name, apart in check(weights).items():
        print(f"{name} differs from PyTorch by {apart:.1e}")
    if given.keep:
        write(given.keep, rounded(weights))
    network = keras_network(weights, given.side)
    content = half_flatbuffer(network)
    print(f"as written it has a cosine of {likeness(content, network):.6f} with Keras")
    given.out.write_bytes(content)
    print(f"{given.out}: {len(content)} bytes")


if __name__ == "__main__":
    main()
