"""Archives of arrays (``.npz``) that may be damaged."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog.descriptors.errors import InvalidInput

# What NumPy and zipfile raise for damaged bytes.
_UNREADABLE: Final = (
    AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive, by name.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _UNREADABLE as error:
        raise InvalidInput(f"an archive of arrays cannot be read: {error}") from error
