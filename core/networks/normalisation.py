"""Batch normalisation in one fused operation on TensorFlow: what makes training on a CPU bearable.

Keras 3 composes batch normalisation on TensorFlow of a dozen element-wise operations, each of which passes over the
whole activation. TensorFlow's own `FusedBatchNormV3` does the same in one pass, forwards and backwards, and takes
bfloat16 activations with float32 statistics. Weights, their names and the statistics stay Keras' own.
"""

from __future__ import annotations

import keras
from keras import ops


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, computed by TensorFlow's fused operation wherever that applies.

    It applies on the tensorflow backend to (batch, height, width, channels) without a mask; all else is left to Keras.
    """

    def call(self, inputs, training=None, mask=None):  # noqa: ANN001, ANN201  Keras' signature
        """Normalise (B, H, W, C) by the batch's statistics when training, by the moving ones otherwise."""
        if not _applies(self, inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        scale = ops.cast(self.gamma, "float32")
        offset = ops.cast(self.beta, "float32")
        if not (training and self.trainable):
            return _fused(
                inputs, scale, offset, self.moving_mean, self.moving_variance, self.epsilon, training=False
            )[0]
        output, mean, variance = _fused(inputs, scale, offset, None, None, self.epsilon, training=True)
        # The operation gives the variance with Bessel's correction; Keras' statistics go without.
        seen = ops.cast(ops.size(inputs[..., 0]), "float32")
        variance = variance * (seen - 1) / seen
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        return output


def fused(model: keras.Model) -> keras.Model:
    """The same flat graph, its weights copied, with every batch normalisation of feature maps fused.

    A model on another backend than tensorflow is returned as it is.
    """
    if keras.config.backend() != "tensorflow":
        return model

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = FusedBatchNormalization if type(layer) is keras.layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.set_weights(model.get_weights())
    return twin


def unfused(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    """The layer's class, Keras' own for one that is fused here; their configurations are the same."""
    return keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)


def _applies(layer: keras.layers.BatchNormalization, inputs, mask) -> bool:  # noqa: ANN001  tensors of any backend
    return (
        keras.config.backend() == "tensorflow"
        and mask is None
        and len(inputs.shape) == 4
        and layer.axis in (-1, 3)
        and layer.scale
        and layer.center
    )


def _fused(x, scale, offset, mean, variance, epsilon: float, *, training: bool):  # noqa: ANN001, ANN202
    import tensorflow as tf

    empty = tf.constant([], "float32")
    out = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=empty if training else tf.convert_to_tensor(mean),
        variance=empty if training else tf.convert_to_tensor(variance),
        epsilon=epsilon,
        is_training=training,
    )
    return out[:3]
