"""Networks that tests make: small ones, and the real one in other forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from catalog.embedder import export, probes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def build_tiny(folder: Path, seed: int, kind: str = "vector") -> None:
    """Save a callable network of one convolution, 32 x 32 -> 1280, or an odd variant of it."""
    import tensorflow as tf

    class Tiny(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            kernel = np.random.default_rng(seed).normal(0, 0.3, (3, 3, 3, 1280))
            self.kernel = tf.Variable(kernel.astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32)])
        def __call__(self, images: Any) -> Any:
            maps = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 4, "SAME"))
            vector = tf.reduce_mean(maps, [1, 2])
            answers = {
                "vector": vector,
                "map": maps,
                "two": {"a": vector, "b": vector},
                "constant": vector * 0 + self.kernel[0, 0, 0],
            }
            return answers[kind]

    tf.saved_model.save(Tiny(), str(folder))


def build_signature_only(folder: Path) -> None:
    """Save a network the way Keras 3 does: a signature, and nothing to call."""
    import keras

    picture = keras.layers.Input((48, 48, 3))
    maps = keras.layers.Conv2D(64, 3, strides=4, activation="relu")(picture)
    keras.Model(picture, keras.layers.GlobalAveragePooling2D()(maps)).export(str(folder))


def build_weights(file: Path, alpha: float) -> NDArray[np.float32]:
    """Save a random MobileNetV2's weights; give its unit descriptors of the probe pictures."""
    import keras

    keras.utils.set_random_seed(3)
    network = keras.applications.MobileNetV2(
        input_shape=(224, 224, 3), alpha=alpha, include_top=False, weights=None, pooling="avg"
    )
    for layer in network.layers:  # else the signal is lost in a random network of this depth
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(layer.gamma * 2)
    network.save_weights(file) if file.name.endswith(".weights.h5") else network.save(file)
    raw = network(probes.pictures().astype(np.float32) / 127.5 - 1, training=False).numpy()
    unit: NDArray[np.float32] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def export_with_other_maps(file: Path) -> None:
    """Export Keras weights, while other maps are taken in TensorFlow than in the flatbuffer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "expanded_maps", lambda inputs: [inputs[12], inputs[6]])
        export.export_keras_weights(file)


def build_real_weights(saved_model: Path, file: Path) -> None:
    """Save the real backbone's weights as Keras does."""
    import keras
    import tensorflow as tf

    saved = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    shape = (224, 224, 3)
    network = keras.applications.MobileNetV2(shape, include_top=False, weights=None, pooling="avg")
    for layer in network.layers:
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        for variable in layer.weights:
            name = "depthwise_kernel" if depthwise else variable.path.split("/")[-1]
            key = f"_v/{layer.name}__{name}/.ATTRIBUTES/VARIABLE_VALUE"
            variable.assign(saved.get_tensor(key))
    network.save(file)
