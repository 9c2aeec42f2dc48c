"""How much each channel matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from core.compression.channels import Channels

_BATCH = 16
Scores = dict[str, np.ndarray]
"""Producer's name -> (width,) importance, 0 or more."""


def taylor_scores(
    model: keras.Model, groups: Sequence[Channels], images: np.ndarray, labels: np.ndarray
) -> Scores:
    """First-order Taylor scores: what the loss would change by, were a channel's values zero.

    Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference" (ICLR 2017) and
    "Importance Estimation for Neural Network Pruning" (CVPR 2019), as a gate on each channel where it is listened to:
    the mean over images of |sum over positions of a * dL/da|, L being the cross-entropy.

    Args:
        model: raw RGB in, logits out.
        groups: of `find_channels(model)`.
        images: (N, s, s, 3) uint8 training images.
        labels: (N,) class indices.
    """
    taps = {group.producer: model.get_layer(group.consumer).input for group in groups}
    probe = keras.Model(model.input, {**taps, "": model.output})

    @tf.function(reduce_retracing=True)
    def batch_scores(x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            values = probe(x, training=False)
            # Summed: in inference mode no image changes another's gradient.
            loss = tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(y, tf.cast(values.pop(""), tf.float32))
            )
        gradients = tape.gradient(loss, values)
        return {name: _gate_gradient(values[name] * gradients[name]) for name in values}

    totals = {group.producer: np.zeros(group.width) for group in groups}
    for start in range(0, len(images), _BATCH):
        rows = slice(start, start + _BATCH)
        found = batch_scores(tf.cast(images[rows], tf.float32), tf.cast(labels[rows], tf.int32))
        for name, per_image in found.items():
            totals[name] += np.abs(per_image.numpy().astype(np.float64)).sum(axis=0)
    return {name: total / len(images) for name, total in totals.items()}


def scale_scores(
    model: keras.Model, groups: Sequence[Channels], images: np.ndarray, labels: np.ndarray
) -> Scores:
    """|gamma| of the last batch normalisation that the channels run through; images are not looked at.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (ICCV 2017). Channels without
    batch normalisation have the norm of their weights instead.
    """
    found = {}
    for group in groups:
        norms = [
            layer
            for name in group.carriers
            if isinstance(layer := model.get_layer(name), keras.layers.BatchNormalization)
        ]
        if norms:
            found[group.producer] = np.abs(_array(norms[-1].gamma))
        else:
            kernel = _array(model.get_layer(group.producer).kernel)
            found[group.producer] = np.sqrt(np.square(kernel).sum(axis=tuple(range(kernel.ndim - 1))))
    return found


SCORES: dict[str, Callable[[keras.Model, Sequence[Channels], np.ndarray, np.ndarray], Scores]] = {
    "taylor": taylor_scores,
    "scale": scale_scores,
}


def _gate_gradient(product: tf.Tensor) -> tf.Tensor:
    """(B, ..., C) -> (B, C), summed over positions."""
    return tf.reduce_sum(product, axis=list(range(1, len(product.shape) - 1)))


def _array(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)
