"""Scaling channels so that one step size serves all of them: the same function in float32, more steps in eight bits.

LiteRT has one step size for all channels of an activation, the largest channel's. Between two layers that are linear in
a channel, the first may make it any factor larger if the second makes it smaller by that: cross-layer equalisation, as
in Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019).

All of it changes a network in place; at inference it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from core.compression.sites import Depthwise, batches, consumers, dense_site, to_array

_ASLEEP = 0.02
"""Share of the largest hidden value that a silent unit is taken to reach."""

_MOST = 16.0
"""Times that a channel grows at most beside the largest: what calibration images hardly wake may wake for others."""


def equalise(model: keras.Model, images: np.ndarray) -> None:
    """All that this module can do.

    Args:
        model: a network with fixed input size, or its explaining graph.
        images: (N, s, s, 3) uint8, some tens of typical images.
    """
    equalise_streams(model, images)
    equalise_head(model, images)


def equalise_streams(model: keras.Model, images: np.ndarray) -> None:
    """Give the channels of each linear bottleneck, and of all those that are added to it, one range."""
    for stream in _streams(model):
        readers = [
            each for layer in stream for each in consumers(layer) if not isinstance(each, keras.layers.Add)
        ]
        if not _only_convolutions(model, stream, readers):
            continue
        found = _largest(model, stream, images).values()
        share = np.max([values / max(values.max(), np.finfo(np.float32).tiny) for values in found], axis=0)
        norms = [layer for layer in stream if isinstance(layer, keras.layers.BatchNormalization)]
        _scale(norms, readers, 1 / np.maximum(share, 1 / _MOST))


def equalise_head(model: keras.Model, images: np.ndarray) -> None:
    """Give hidden units and their rows of the logits' kernel one range; a linear head stays as it is.

    Unit j becomes a_j times as large and its row smaller by that, with a_j = sqrt(largest weight of the row / largest
    value of the unit).
    """
    layers = {layer.name: layer for layer in model.layers}
    if "hidden" not in layers:
        return
    hidden, norm = layers["hidden"], layers["hidden_bn"]
    values = _largest(model, [layers["hidden_relu"]], images)["hidden_relu"]
    rows = np.abs(dense_site(layers["logits"]).kernel).max(axis=1)
    largest = max(float(values.max()), np.finfo(np.float32).tiny)
    # A unit that none of these images woke may wake for another: it keeps a share of the range.
    factor = np.sqrt(np.maximum(rows, 1e-6 * rows.max()) / np.maximum(values, _ASLEEP * largest))
    for variable, by in ((hidden.kernel, factor), (hidden.bias, factor), (norm.moving_mean, factor),
                         (norm.gamma, 1 / factor)):  # fmt: skip
        variable.assign((to_array(variable) * by).astype(np.float32))


def _streams(model: keras.Model) -> list[list[keras.layers.Layer]]:
    """Batch normalisations, each together with all sums that it is part of and with what else those are sums of.

    What is added to each other has to be scaled alike. A sum with something else in it is in none, nor are its parts.
    """
    streams: list[list[keras.layers.Layer]] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            streams.append([layer])
        elif isinstance(layer, keras.layers.Add):
            parts = {tensor._keras_history.operation for tensor in layer.input}
            joined = [stream for stream in streams if parts & set(stream)]
            streams = [stream for stream in streams if stream not in joined]
            # What comes from elsewhere cannot be scaled, nor can what it is added to.
            if parts <= {each for stream in joined for each in stream}:
                streams.append([*(each for stream in joined for each in stream), layer])
    return streams


def _only_convolutions(
    model: keras.Model, layers: Sequence[keras.layers.Layer], readers: Sequence[keras.layers.Layer]
) -> bool:
    """Whether nothing but convolutions sees what the layers answer."""
    outputs = {tensor._keras_history.operation for tensor in model.outputs}
    return bool(readers) and outputs.isdisjoint(layers) and all(map(_is_convolution, readers))


def _is_convolution(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, (keras.layers.Conv2D, Depthwise))


def _scale(
    norms: Iterable[keras.layers.BatchNormalization], readers: Iterable[keras.layers.Layer], by: np.ndarray
) -> None:
    """Make channels `by` times as large, and what reads them takes that back."""
    for norm in norms:
        for variable in (norm.gamma, norm.beta):
            variable.assign((to_array(variable) * by).astype(np.float32))
    for layer in readers:
        layer.kernel.assign((to_array(layer.kernel) / by[:, np.newaxis]).astype(np.float32))


def _largest(
    model: keras.Model, layers: Sequence[keras.layers.Layer], images: np.ndarray
) -> dict[str, np.ndarray]:
    """(channels,) the largest absolute value in each channel of the layers' outputs."""
    if not layers:
        return {}
    probe = keras.Model(model.input, {layer.name: layer.output for layer in layers})
    largest = {layer.name: np.zeros(1) for layer in layers}
    for batch in batches(images):
        for name, values in probe.predict_on_batch(batch).items():
            found = np.abs(np.asarray(values)).reshape(-1, values.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest[name], found)
    return largest
