"""Named arrays in an artifact: numpy's own file format, without pickle, checked before anything uses it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np

from core.artifacts import ArtifactError


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes, expected: Mapping[str, tuple[str, int]], what: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file.

    Args:
        data: its bytes.
        expected: name -> kind of the elements ("f", "i", "U", as in `numpy.dtype.kind`) and number of dimensions.
        what: the file, for errors.

    Raises:
        ArtifactError: it is no such file, or an array is missing, of another kind or not finite.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in expected}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{what}: expected the arrays {', '.join(expected)}, found: {error}") from error
    for name, (kind, dimensions) in expected.items():
        array = arrays[name]
        if (array.dtype.kind, array.ndim) != (kind, dimensions):
            raise ArtifactError(
                f"{what}: expected {name} of kind {kind} with {dimensions} dimensions, "
                f"found {array.dtype} {array.shape}"
            )
        if kind == "f" and not np.isfinite(array).all():
            raise ArtifactError(f"{what}: expected finite numbers in {name}, found NaN or infinity")
    return arrays
