"""How near a converted network is to the one that it was made from: its answers, and what each layer makes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from core.compression.equalise import equalise

OUTPUT_LAYERS = {"embedding": "pool", "logits": "logits"}
"""Outputs of an explaining graph that are named otherwise than the layers that make them."""


@dataclass(frozen=True)
class LayerError:
    """What rounding does to one layer's output.

    Attributes:
        layer: name in the Keras graph.
        kind: its class.
        signal_to_noise_db: energy of the float32 output over energy of the difference, over all images.
    """

    layer: str
    kind: str
    signal_to_noise_db: float


def litert_answers(path: Path, images: np.ndarray, *, threads: int = 1) -> dict[str, np.ndarray]:
    """Every output of a LiteRT file for some images.

    Args:
        path: what `core.compression.litert.convert` wrote.
        images: (N, 224, 224, 3) uint8.
        threads: of the interpreter.

    Returns:
        Name of the output -> (N, ...) float32.
    """
    runner = Interpreter(model_content=path.read_bytes(), num_threads=threads).get_signature_runner()
    answers = [runner(image=np.asarray(image)[np.newaxis]) for image in images]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def layer_errors(
    graph: keras.Model, path: Path, images: np.ndarray, calibration: np.ndarray
) -> list[LayerError]:
    """Layer by layer, what an int8 file makes of the activations.

    LiteRT runs without its delegate, which would keep no activations; its own kernels round alike.

    Args:
        graph: the explaining graph that was converted.
        path: the int8 file.
        images: (N, 224, 224, 3) uint8 to compare on.
        calibration: that it was calibrated with: the conversion scales channels by them, and so does this.

    Returns:
        One row for each layer whose output the file holds, in the graph's order.
    """
    reference = keras.models.clone_model(graph)
    reference.set_weights(graph.get_weights())
    equalise(reference, calibration)
    interpreter = Interpreter(
        model_content=path.read_bytes(),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    tensors = _tensors(interpreter, reference)
    probe = keras.Model(reference.input, {name: reference.get_layer(name).output for name in tensors})
    signal, noise = dict.fromkeys(tensors, 0.0), dict.fromkeys(tensors, 0.0)
    pixels = interpreter.get_input_details()[0]["index"]
    for image in images:
        expected = probe.predict_on_batch(image[np.newaxis].astype(np.float32))
        interpreter.set_tensor(pixels, image[np.newaxis])
        interpreter.invoke()
        for name, detail in tensors.items():
            truth = np.asarray(expected[name], np.float64)
            signal[name] += float(np.square(truth).sum())
            noise[name] += float(np.square(truth - _values(interpreter, detail)).sum())
    kinds = {layer.name: type(layer).__name__ for layer in reference.layers}
    return [LayerError(name, kinds[name], _decibels(signal[name], noise[name])) for name in tensors]


def to_csv(errors: Sequence[LayerError]) -> bytes:
    """The rows as a file, `core.evaluation.cards` reads it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(LayerError)])
    writer.writerows([(layer, kind, round(db, 2)) for layer, kind, db in map(astuple, errors)])
    return text.getvalue().encode()


def _tensors(interpreter: Interpreter, graph: keras.Model) -> dict[str, dict]:
    """Name of a layer -> the tensor that holds its output, in the graph's order.

    A tensor's name lists the operations that were fused into it, `graph/block_1_expand_1/convolution;...`: what it
    holds is the output of the last of them. The scaling is left out, since the conversion changes it.
    """
    order = {
        layer.name: position
        for position, layer in enumerate(graph.layers)
        if not isinstance(layer, (keras.layers.InputLayer, keras.layers.Rescaling))
    }
    outputs = interpreter.get_signature_runner().get_output_details()
    found = {OUTPUT_LAYERS.get(name, name): detail for name, detail in outputs.items()}
    for detail in interpreter.get_tensor_details():
        names = [name for part in detail["name"].split(";") if (name := _layer_name(part, order))]
        if not names:
            continue
        last = max(names, key=order.__getitem__)
        if tuple(detail["shape"][1:]) == tuple(graph.get_layer(last).output.shape[1:]):
            found.setdefault(last, detail)
    return {name: found[name] for name in sorted(found, key=order.__getitem__)}


def _layer_name(operation: str, known: dict[str, int]) -> str | None:
    """The layer of `graph/layer_1/operation`; calls of a layer are numbered."""
    parts = operation.split("/")
    if len(parts) < 3:
        return None
    stem = parts[1].rpartition("_")[0] if parts[1].rpartition("_")[2].isdecimal() else ""
    return next((name for name in (stem, parts[1]) if name in known), None)


def _values(interpreter: Interpreter, detail: dict) -> np.ndarray:
    values = interpreter.get_tensor(detail["index"])
    if np.issubdtype(values.dtype, np.floating):
        return values
    scale, zero = detail["quantization"]
    return (values.astype(np.float64) - zero) * scale


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal else float("-inf")
