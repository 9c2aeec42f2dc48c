"""Taking whole channels out of a network: which belong together, and the narrower network with the weights kept.

The channels that a convolution makes run through layers that treat each on its own (batch normalisation, ReLU,
depthwise convolution, pooling) into layers that mix them again. Where a sum with another branch lies in between, they
belong to the residual stream, whose width is left alone: it is narrow as it is. What remains in a MobileNetV2 are the
stem, the expansions of the inverted residuals, the two bottlenecks that take part in no sum, the last features and the
head's hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from core.networks.classifiers import narrowed

_L = keras.layers
_CARRIERS = (
    _L.BatchNormalization,
    _L.ReLU,
    _L.Activation,
    _L.Dropout,
    _L.ZeroPadding2D,
    _L.GlobalAveragePooling2D,
    _L.DepthwiseConv2D,
)
"""Layers whose output channel i depends on input channel i alone."""

Kept = Mapping[str, np.ndarray]
"""Producer's name -> indices of the channels that stay, rising."""


@dataclass(frozen=True)
class Channels:
    """Channels that can be taken out.

    Attributes:
        producer: name of the convolution or dense layer that makes them.
        carriers: of the layers that they run through, in order.
        consumer: of the convolution or dense layer that mixes them.
        width: how many.
    """

    producer: str
    carriers: tuple[str, ...]
    consumer: str
    width: int


def find_channels(model: keras.Model) -> list[Channels]:
    """All channels of a flat graph that can be taken out, in the graph's order."""
    after = _followers(model)
    outputs = {tensor._keras_history.operation.name for tensor in model.outputs}
    found = []
    for layer in model.layers:
        if not isinstance(layer, (_L.Conv2D, _L.Dense)):
            continue
        carriers, at = [], layer
        while at.name not in outputs and len(after.get(at.name, [])) == 1:
            at = after[at.name][0]
            if isinstance(at, (_L.Conv2D, _L.Dense)):
                width = int(layer.output.shape[-1])
                found.append(Channels(layer.name, tuple(carriers), at.name, width))
                break
            if not isinstance(at, _CARRIERS):
                break
            carriers.append(at.name)
    return found


def narrow(model: keras.Model, kept: Kept) -> keras.Model:
    """The network without the other channels, its weights those that are left.

    Args:
        model: a flat graph.
        kept: for some of `find_channels`' producers; channels of the others stay.

    Returns:
        A graph with the same layer names that answers as `masked(model, kept)` does.

    Raises:
        KeyError: channels that cannot be taken out.
    """
    copy = narrowed(model, {name: len(indices) for name, indices in kept.items()})
    inputs, outputs = _by_layer(find_channels(model), kept)
    for layer in copy.layers:
        arrays = model.get_layer(layer.name).get_weights()
        layer.set_weights([_taken(layer, a, inputs.get(layer.name), outputs.get(layer.name)) for a in arrays])
    return copy


def masked(model: keras.Model, kept: Kept) -> keras.Model:
    """A copy as wide as before that does not listen to the other channels: what `narrow` must equal."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for group in find_channels(model):
        if group.producer in kept:
            kernel = copy.get_layer(group.consumer).kernel
            heard = np.zeros(group.width, np.float32)
            heard[kept[group.producer]] = 1
            # The inputs' axis is the last but one of every kernel here.
            kernel.assign(keras.ops.convert_to_numpy(kernel.value) * heard[:, np.newaxis])
    return copy


def _followers(model: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """Name of a layer -> the layers of this model that take its output."""
    found: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        if isinstance(layer, _L.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
        for tensor in inputs:
            found.setdefault(tensor._keras_history.operation.name, []).append(layer)
    return found


def _by_layer(groups: list[Channels], kept: Kept) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Layer's name -> the input channels, and the output channels, that stay."""
    by_producer = {group.producer: group for group in groups}
    inputs: dict[str, np.ndarray] = {}
    outputs: dict[str, np.ndarray] = {}
    for name, indices in kept.items():
        group = by_producer[name]
        outputs |= dict.fromkeys((group.producer, *group.carriers), indices)
        inputs[group.consumer] = indices
    return inputs, outputs


def _taken(
    layer: keras.layers.Layer, array: np.ndarray, inputs: np.ndarray | None, outputs: np.ndarray | None
) -> np.ndarray:
    """One weight of a layer, with the channels that stay."""
    if isinstance(layer, _L.DepthwiseConv2D) and array.ndim == 4:
        return array if outputs is None else array.take(outputs, axis=2)
    if outputs is not None:
        array = array.take(outputs, axis=-1)
    if inputs is not None and array.ndim > 1:
        array = array.take(inputs, axis=-2)
    return array
