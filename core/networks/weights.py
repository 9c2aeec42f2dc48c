"""A model's weights in one .npz: kernels as float16, statistics and biases as float32.

A kernel that its layer uses in bfloat16 keeps only the eight significant bits that bfloat16 has: the rest takes no part
in training, and without it the file is a sixth smaller. So do the large networks' kernels that are used in float32: the
logits of a trained ResNet50 are 49 dB above what that changes.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from core.errors import UserError
from core.files import replacing
from core.lesions import CODES, check_class_order

_CLASSES = "__classes__"
_NETWORK = "__network__"

COARSE = frozenset({"resnet50", "densenet169"})
"""Networks whose kernels are stored as bfloat16 has them, whatever they were trained in."""
SMALL_KERNEL = 4096
"""Numbers of a kernel below which it keeps float32, at 78 kB for a MobileNetV2."""


class WeightFileError(UserError):
    """A weight file that does not fit the network, or is damaged."""


def save_weights(model: keras.Model, path: Path, network: str) -> None:
    """Write the weights, atomically.

    Kernels (two dimensions and more) are float16; small ones and vectors stay float32, since a rounding of the first
    goes through all layers, and a moving variance can pass float16's 65,504. No pickle takes part.
    """
    in_bfloat16 = {
        v.path for layer in model.layers if layer.compute_dtype == "bfloat16" for v in layer.weights
    }
    arrays = {
        v.path: _compact(
            keras.ops.convert_to_numpy(v.value), coarse=network in COARSE or v.path in in_bfloat16
        )
        for v in model.weights
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, **arrays, **{_CLASSES: np.array(CODES), _NETWORK: np.array(network)})


def load_weights(model: keras.Model, path: Path, network: str) -> None:
    """Fill `model` from `path`.

    Raises:
        WeightFileError: the file is damaged, belongs to another network, or lacks a variable.
        ClassOrderError: it was trained with another class order.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with loaded as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightFileError(f"{path}: expected a weight file (.npz), found {error}") from error
    check_class_order(arrays.pop(_CLASSES, np.array([])).tolist(), str(path))
    stored = str(arrays.pop(_NETWORK, ""))
    if stored != network:
        raise WeightFileError(f"{path}: expected weights of {network}, found {stored or 'none named'}")
    expected = {v.path: tuple(v.shape) for v in model.weights}
    found = {key: array.shape for key, array in arrays.items()}
    if expected != found:
        odd = sorted(set(expected.items()) ^ set(found.items()))[:3]
        raise WeightFileError(f"{path}: expected the variables of {network}, found differences such as {odd}")
    for variable in model.weights:
        variable.assign(arrays[variable.path].astype(np.float32))


def _compact(array: np.ndarray, *, coarse: bool) -> np.ndarray:
    # The first, thin kernels decide how exact a whole network is: with these in float16 a MobileNetV2's logits were
    # 41 dB above their error, with them in float32 55 dB.
    if array.ndim < 2 or (array.size < SMALL_KERNEL and not coarse):
        return array.astype(np.float32)
    half = array.astype(np.float16)
    return _eight_bits(half) if coarse else half


def _eight_bits(half: np.ndarray) -> np.ndarray:
    """float16 rounded to bfloat16's eight significant bits: the lowest three of its eleven become zero."""
    bits = half.view(np.uint16).astype(np.uint32)
    # The exponent lies above the mantissa, so a carry out of it is the next power of two, as it should be.
    return ((bits + 4) & 0xFFF8).astype(np.uint16).view(np.float16)
