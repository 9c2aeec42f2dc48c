"""Where rounding weights harms a network: its convolutions and dense layers, what they read, and what can mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

BATCH = 8

Depthwise = keras.layers.DepthwiseConv2D


@dataclass(frozen=True)
class Site:
    """A layer whose weights get rounded, and the variable of its mean output.

    Attributes:
        layer: a convolution or a dense layer.
        source: what the rounded weights are multiplied with.
        scale: what the converter multiplies the layer's kernel with before it rounds; it broadcasts with the kernel.
        variable: what is added to its output: the bias, or that of the batch normalisation behind it.
    """

    layer: keras.layers.Layer
    source: keras.KerasTensor
    scale: np.ndarray
    variable: keras.Variable

    @property
    def kernel(self) -> np.ndarray:
        """The weights as they get rounded, float64."""
        return to_array(self.layer.kernel) * self.scale

    @property
    def is_depthwise(self) -> bool:
        """Whether each output reads one channel."""
        return isinstance(self.layer, Depthwise)

    @property
    def axis(self) -> int:
        """Of the kernel: its output channels, each of which has a step size of its own in int8."""
        return 2 if self.is_depthwise else -1

    def put(self, kernel: np.ndarray) -> None:
        """Give the layer a kernel that was rounded; where the scale is 0 nothing of it matters."""
        own = to_array(self.layer.kernel)
        scale = np.broadcast_to(self.scale, own.shape)
        self.layer.kernel.assign(np.divide(kernel, scale, out=own, where=scale != 0).astype(np.float32))


def sites(model: keras.Model) -> list[Site]:
    """Convolutions before a batch normalisation, which LiteRT multiplies into their kernels, and dense layers."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            before, scale = producer(layer), norm_scale(layer)
            if isinstance(before, Depthwise):
                found.append(Site(before, before.input, scale[:, np.newaxis], layer.beta))
            elif isinstance(before, keras.layers.Conv2D):
                found.append(Site(before, before.input, scale, layer.beta))
        elif isinstance(layer, keras.layers.Dense):
            found.append(dense_site(layer))
    return found


def dense_site(layer: keras.layers.Dense) -> Site:
    """LiteRT multiplies a batch normalisation before a dense layer into its rows before it rounds them."""
    before = producer(layer)
    if isinstance(before, keras.layers.Dropout):
        before = producer(before)
    if not isinstance(before, keras.layers.BatchNormalization):
        return Site(layer, layer.input, np.ones(1), layer.bias)
    return Site(layer, before.input, norm_scale(before)[:, np.newaxis], layer.bias)


def norm_scale(norm: keras.layers.BatchNormalization) -> np.ndarray:
    """(channels,) what a batch normalisation multiplies with."""
    return to_array(norm.gamma) / np.sqrt(to_array(norm.moving_variance) + norm.epsilon)


def producer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer whose output a layer reads."""
    return layer.input._keras_history.operation


def consumers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that read a layer's output."""
    return [node.operation for node in layer._outbound_nodes]


def to_array(variable: keras.Variable) -> np.ndarray:
    """A variable's value, float64."""
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Images as float32, `BATCH` at a time."""
    for start in range(0, len(images), BATCH):
        yield np.asarray(images[start : start + BATCH], np.float32)
