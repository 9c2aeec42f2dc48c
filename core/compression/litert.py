"""Keras -> LiteRT, and what every file that comes out of it looks like.

Input: one tensor `image`, uint8 (batch, 224, 224, 3), the pixels of `core.data.pixels.to_input` as they are, for every
kind; the scaling is inside, and the quantisation too (int8's input has scale 1 and zero point 0: a pixel is its own
value). The batch is 1 unless an interpreter resizes it.

Outputs: float32 tensors, for int8 dequantised inside. They are found by name in the signature `serving_default`:
`logits` (batch, 7), `maps` (batch, 7, h, w) and `embedding` (batch, D) of an explaining graph, `logits` alone of a
plain network. The tensors' own names mean nothing, nor does their order.

    runner = Interpreter(model_content=data, num_threads=1).get_signature_runner()
    answer = runner(image=pixels[np.newaxis])      # {"logits": ..., "maps": ..., "embedding": ...}

and `runner.get_output_details()[name]["index"]` leads to the tensor for those who set and get tensors themselves.

Kinds:
- `float32`: the network as it is, batch normalisation folded into the convolutions.
- `float16`: weights stored in half precision, computed in float32: half the size, the same time.
- `dynamic`: weights in int8, activations in float32 rounded on the fly: a quarter of the size. Slower than float32
  where convolutions are depthwise.
- `int8`: weights and activations in int8, activations in the ranges that the representative images take: a quarter
  of the size and half the time. The maps and the embedding are int8 inside as well, each in a range of its own.

For `int8`, and for `dynamic` and `float16` where representative images are given, the network is first made ready
(`core.compression.eight_bits`, `core.compression.half`).
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from core.artifacts import write_atomically
from core.compression.eight_bits import prepare_weights, prepare_whole
from core.compression.half import prepare_half

KINDS = ("float32", "float16", "dynamic", "int8")
SIGNATURE = "serving_default"
INPUT = "image"

_SMALLEST_DYNAMIC = 1024
"""Elements from which on LiteRT's dynamic-range quantisation rounds a kernel."""


def convert(
    model: keras.Model, path: Path, kind: str = "float32", representative: np.ndarray | None = None
) -> Path:
    """Write a network as a LiteRT file.

    Args:
        model: an explaining graph, or a network with fixed input size (`core.networks.explaining.fixed_size`), from raw
            RGB 0..255 to logits or to a dict of outputs.
        path: the file, replaced as a whole.
        kind: one of `KINDS`.
        representative: (N, 224, 224, 3) uint8, needed for `int8`, of use for `dynamic` and `float16`: images of all
            classes that the network was trained on, never of the test part. Some hundred are enough.

    Returns:
        `path`.

    Raises:
        ValueError: unknown kind, no representative images for int8 or of another shape, or an input without size.
    """
    _check(model, kind, representative)
    if kind == "int8" and representative is not None:
        model, representative = prepare_whole(model, representative)
    elif kind == "float16" and representative is not None:
        model = prepare_half(model, representative)
    elif kind == "dynamic" and representative is not None:
        model = prepare_weights(model, representative, smallest=_SMALLEST_DYNAMIC)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(*_frozen(model, folder, tf.float32 if kind == "int8" else tf.uint8))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        _set_kind(converter, kind, representative)
        with warnings.catch_warnings():
            # The converter calibrates with the interpreter that it deprecates.
            warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            data = converter.convert()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    return path


def _check(model: keras.Model, kind: str, representative: np.ndarray | None) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    shape = tuple(model.input.shape[1:])
    if None in shape:
        raise ValueError(
            f"{model.name}: expected a fixed input size, found {shape}; convert fixed_size(model)"
        )
    if representative is None:
        if kind == "int8":
            raise ValueError("int8: expected representative images, found none")
        return
    found = (representative.dtype, tuple(representative.shape[1:]), len(representative) > 0)
    if found != (np.uint8, shape, True):
        raise ValueError(
            f"representative: expected uint8 images (N, {', '.join(map(str, shape))}), found {representative.dtype} "
            f"{representative.shape}"
        )


def _frozen(model: keras.Model, folder: str, dtype: tf.DType) -> tuple[tf.Module, str, dict]:
    """The arguments of `saved_model.save`: the network from pixels of some type, its weights constants.

    Keras' own export leaves the weights variables, which the converter keeps as such: they are not quantised, and
    the file needs a runtime with resource variables.
    """
    names = list(model.output) if isinstance(model.output, dict) else ["logits"]
    pixels = tf.TensorSpec((None, *model.input.shape[1:]), dtype, name=INPUT)

    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        found = model(tf.cast(image, tf.float32), training=False)
        return found if isinstance(found, dict) else {"logits": found}

    constant = convert_variables_to_constants_v2(
        tf.function(answer, input_signature=[pixels]).get_concrete_function()
    )
    module = tf.Module()
    module.constant = constant
    # Outputs of a concrete function come in the order of their sorted names.
    module.serve = tf.function(
        lambda image: dict(zip(sorted(names), constant(image), strict=True)), input_signature=[pixels]
    )
    return module, folder, {SIGNATURE: module.serve.get_concrete_function()}


def _set_kind(converter: tf.lite.TFLiteConverter, kind: str, representative: np.ndarray | None) -> None:
    if kind == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif kind == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

        def images() -> Iterator[dict[str, np.ndarray]]:
            for image in representative:
                yield {INPUT: np.asarray(image, np.float32)[np.newaxis]}

        converter.representative_dataset = images
        converter.inference_input_type = tf.uint8
