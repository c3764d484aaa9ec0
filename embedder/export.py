"""Turn a TensorFlow network into a LiteRT flatbuffer: the only module that imports TensorFlow.

TensorFlow takes 3 s and 570 MB to import and fills stderr with notes, so :func:`export` does the
work in a child process, ``python -m catalog.embedder.export SOURCE OUT``. A SavedModel is a
program: export only what you would run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from catalog.descriptors.errors import BackboneError
from catalog.embedder import probes
from catalog.embedder.layers import expanded_maps, parts_of, with_layers
from catalog.embedder.litert import LiteRTNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Call = Callable[[Any], Any]

TOLERANCE: Final = 1e-4
"""Largest difference allowed between LiteRT's unit descriptors and TensorFlow's."""

_DEFAULT_SIZE: Final = 224
_TIMEOUT: Final = 900
_OUTPUTS: Final = ("feature_vector", "default")
_REFUSED: Final = 3
_NOISE: Final = re.compile(r"[IWEF]\d{4} |[IWEF]0{4}|\d{4}-\d\d-\d\d |WARNING|INFO|\s|$")
_QUIET: Final = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
}


def export(source: Path, called: str | None = None) -> bytes:
    """Export a SavedModel folder or a Keras weights file in a child process, without a sound.

    Args:
        source: a folder with ``saved_model.pb``, or an HDF5 file of MobileNetV2 weights.
        called: what messages call it; None for its path.

    Returns:
        The flatbuffer: [1, S, S, 3] float32 in [0, 1] -> [1, width] float32. The same source and
        TensorFlow give the same bytes.

    Raises:
        BackboneError: TensorFlow cannot load or convert it, or the result computes something else;
            the message has TensorFlow's last line.
    """
    called = called or str(source)
    with tempfile.TemporaryDirectory(prefix="catalog-") as scratch:
        out = Path(scratch) / "network.tflite"
        command = [
            sys.executable,
            "-P",
            "-m",
            "catalog.embedder.export",
            str(source.resolve()),
            str(out),
        ]
        try:
            # The command is this interpreter and this module.
            child = subprocess.run(  # noqa: S603
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BackboneError(f"the export of {called} took over {_TIMEOUT} s") from error
        if child.returncode:
            raise BackboneError(_failure(called, child.returncode, child.stderr))
        return out.read_bytes()


def export_saved_model(folder: Path) -> bytes:
    """Export a SavedModel, here and now: imports TensorFlow. See :func:`export`.

    The object that ``tensorflow_hub.load`` gives is called if it is callable, else its signature
    ``serving_default``, or the only one. The input size is the one it states, else 224.
    """
    import tensorflow_hub as hub

    loaded = hub.load(str(folder))
    call, shape = _entry(loaded)
    return _convert(call, _side(shape))


def export_keras_weights(file: Path) -> bytes:
    """Export Keras applications' MobileNetV2 with weights from a file: imports TensorFlow.

    Scaling from [0, 1] to the [-1, 1] that these weights expect goes into the graph. Only arrays
    are read from the file, in either layout (``.h5`` and ``.weights.h5``); nothing in it is run.
    See :func:`export`.
    """
    network = _keras_network(file, ".h5") or _keras_network(file, ".weights.h5")
    if network is None:
        raise BackboneError(
            "it must hold the weights of Keras applications' MobileNetV2, width 1.0, without its "
            "top (mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5)"
        )
    return _convert(lambda x: network(x * 2.0 - 1.0, training=False), _DEFAULT_SIZE)


def main(arguments: list[str]) -> int:
    """Export SOURCE to OUT; the last line of stderr is the reason where the status is not 0."""
    source, out = map(Path, arguments)
    try:
        content = export_saved_model(source) if source.is_dir() else export_keras_weights(source)
    except BackboneError as error:
        sys.stderr.write(f"\n{error}\n")
        return _REFUSED
    except Exception as error:  # noqa: BLE001 - TensorFlow raises anything; the parent shows it
        line = next(filter(None, str(error).splitlines()), "no reason given")
        sys.stderr.write(f"\n{type(error).__name__}: {line}\n")
        return 1
    out.write_bytes(content)
    return 0


def _environment() -> dict[str, str]:
    """This process's environment, for a child that finds this package, and whose log is short."""
    home = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return os.environ | _QUIET | {"PYTHONPATH": path}


def _failure(source: str, status: int, stderr: bytes) -> str:
    lines = [
        line for line in stderr.decode(errors="replace").splitlines() if not _NOISE.match(line)
    ]
    last = lines[-1] if lines else "it said nothing"
    if status == _REFUSED:
        return f"{source}: {last}"
    if status < 0:
        return (
            f"TensorFlow was stopped by signal {-status} on {source}: too little memory? ({last})"
        )
    return f"TensorFlow could not export {source}: {last}"


def _keras_network(file: Path, ending: str) -> Any:
    """MobileNetV2 with a file's weights, read by that ending; None if they do not fit."""
    import tensorflow as tf

    shape = (_DEFAULT_SIZE, _DEFAULT_SIZE, 3)
    with tempfile.TemporaryDirectory(prefix="catalog-") as scratch:
        named = Path(scratch) / f"network{ending}"  # Keras goes by the name
        named.symlink_to(file.resolve())
        with suppress(ValueError, KeyError, AttributeError, TypeError, OSError):
            return tf.keras.applications.MobileNetV2(
                input_shape=shape, include_top=False, pooling="avg", weights=str(named)
            )
    return None


def _entry(loaded: Any) -> tuple[Call, list[int | None] | None]:
    """What to call in a loaded SavedModel, and the shape of its input where it states one."""
    signatures = dict(loaded.signatures)
    name = next(iter(signatures)) if len(signatures) == 1 else "serving_default"
    named = signatures[name].structured_input_signature[1] if name in signatures else {}
    if callable(loaded):
        traced = getattr(loaded.__call__, "concrete_functions", [])
        specs = [spec for one in traced for spec in one.structured_input_signature[0][:1]]
        return loaded, _stated([*specs, *named.values()])
    if len(named) != 1:
        raise BackboneError(
            "it is no feature vector: it can be neither called nor used by a signature "
            "`serving_default` with one input"
        )
    (argument,) = named
    return lambda x: signatures[name](**{argument: x}), _stated(list(named.values()))


def _stated(specs: list[Any]) -> list[int | None] | None:
    shapes = [spec.shape for spec in specs if getattr(spec, "shape", None) is not None]
    shape: list[int | None] | None = shapes[0].as_list() if shapes and shapes[0].rank else None
    return shape


def _side(shape: list[int | None] | None) -> int:
    match shape or [None, None, None, 3]:
        case [_, None, None, 3 | None]:
            return _DEFAULT_SIZE
        case [_, int(height), int(width), 3 | None] if height == width:
            return height
    raise BackboneError(f"it takes {shape}, not square pictures of three colours, [N, S, S, 3]")


def _convert(call: Call, size: int) -> bytes:
    import tensorflow as tf

    picture = tf.TensorSpec([1, size, size, 3], tf.float32, name="picture")
    function = tf.function(lambda x: _vector(call(x)), autograph=False)
    function = function.get_concrete_function(picture)
    # Without the object that owns the variables: given it, TensorFlow 2.21 leaves a Keras network's
    # variables out of the flatbuffer; without it, they are frozen into constants.
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    expected = probes.describe(_InTensorFlow(function, size))
    difference = float(np.abs(probes.describe(LiteRTNetwork(content)) - expected).max())
    if not difference <= TOLERANCE:  # so that a NaN is refused too
        raise BackboneError(f"LiteRT and TensorFlow differ by {difference:.1e} on it: refused")
    _compare_layers(content, function, size)
    return content


def _compare_layers(content: bytes, function: Call, size: int) -> None:
    """Compare what several layers see with TensorFlow's, where they can be told in both.

    Raises:
        BackboneError: they differ, or TensorFlow's network has another structure.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    layers = with_layers(content)
    if layers is None:
        return
    frozen = convert_variables_to_constants_v2(function)
    inputs = [
        operation.inputs[0]
        for operation in frozen.graph.get_operations()
        if operation.type == "DepthwiseConv2dNative"
    ]
    padded = {"Pad", "PadV2"}
    maps = expanded_maps([one.op.inputs[0] if one.op.type in padded else one for one in inputs])
    if maps is None:
        raise BackboneError("LiteRT sees another structure in it than TensorFlow: refused")
    expected = frozen.prune([frozen.inputs[0].name], [*frozen.outputs, *maps])
    pictures = probes.pictures(size)
    for view, found in zip(pictures, LiteRTNetwork(layers).outputs(pictures), strict=True):
        scaled = np.divide(view[np.newaxis], 255, dtype=np.float32)
        wanted = [np.asarray(one)[0] for one in expected(tf.constant(scaled))]
        for one, other in zip(
            parts_of(found[0], found[1:]), parts_of(wanted[0], wanted[1:]), strict=True
        ):
            difference = float(np.abs(one - other).max())
            if not difference <= TOLERANCE:
                raise BackboneError(
                    f"LiteRT and TensorFlow differ by {difference:.1e} within it: refused"
                )


def _vector(output: Any) -> Any:
    """The [1, width] feature vector in what a network returns."""
    import tensorflow as tf

    if isinstance(output, dict):
        names = [name for name in _OUTPUTS if name in output] or sorted(output)
        if len(names) != 1 and names[0] not in _OUTPUTS:
            raise BackboneError(f"it gives {', '.join(names)}: which is the feature vector?")
        output = output[names[0]]
    shape = output.shape.as_list() if tf.is_tensor(output) and output.shape.rank else []
    match shape:
        case [1, *ones, int(width)] if all(one == 1 for one in ones) and width > 1:
            return tf.reshape(output, [1, width]) if ones else output
    raise BackboneError(f"it gives {shape or 'something'}, not one feature vector, [N, width]")


class _InTensorFlow:
    """The network as TensorFlow computes it, for comparison."""

    def __init__(self, function: Call, input_size: int) -> None:
        self._function = function
        self.input_size = input_size

    def __call__(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        import tensorflow as tf

        scaled = np.divide(views, 255, dtype=np.float32)
        return np.concatenate([self._function(tf.constant(one[np.newaxis])) for one in scaled])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
