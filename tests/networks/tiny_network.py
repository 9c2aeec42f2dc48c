"""A network of a second's training size, with the stem, the blocks and the heads of the real ones."""

import keras
import numpy as np

from core.lesions import N_CLASSES


def tiny_network(
    hidden: int | None = 24, size: int | None = 32, seed: int = 0, channels: int = 16
) -> keras.Model:
    """Scaling, a convolution, a depthwise block, a pooled head; random weights and statistics that are far from the
    fresh layers' zeros and ones."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU(6.0, name="depthwise_relu")(layers.BatchNormalization(name="depthwise_bn")(x))
    x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False, name="project")(x)
    x = layers.ReLU(6.0, name="features")(layers.BatchNormalization(name="project_bn")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if hidden:
        x = layers.ReLU(name="hidden_relu")(layers.Dense(hidden, name="hidden")(x))
        x = layers.BatchNormalization(name="hidden_bn")(x)
    x = layers.Dense(N_CLASSES, name="logits")(layers.Dropout(0.3, name="dropout")(x))
    model = keras.Model(image, x, name="tiny")
    liven(model, np.random.default_rng(seed))
    return model


def liven(model: keras.Model, rng: np.random.Generator, size: int = 64) -> None:
    """Make a fresh network one whose activations and gradients are neither tiny nor equal.

    Batch normalisations take the statistics of random images, then a random scale and shift; biases become random.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
        layer.gamma.assign(rng.normal(1, 0.2, layer.gamma.shape))
        layer.beta.assign(rng.normal(0.3, 0.3, layer.beta.shape))
    model(images(8, rng, model.input.shape[1] or size).astype(np.float32), training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum


def coarsen(model: keras.Model) -> None:
    """Put one outlier into each channel of the convolutions: a step so large that rounding to int8 hurts."""
    for name in ("stem", "depthwise", "project"):
        kernel = model.get_layer(name).kernel
        values = np.array(keras.ops.convert_to_numpy(kernel))
        values[0, 0, 0] += 25 * np.abs(values).max()
        kernel.assign(values)


def images(count: int, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """(count, size, size, 3) uint8: noise, flat colours, gradients, and dark discs on skin, in turn."""
    row, column = np.mgrid[:size, :size] / size
    made = []
    for i in range(count):
        skin = rng.uniform(90, 230, 3)
        disc = np.hypot(row - rng.uniform(0.3, 0.7), column - rng.uniform(0.3, 0.7)) < rng.uniform(0.1, 0.4)
        kinds = (
            rng.uniform(0, 255, (size, size, 3)),
            np.broadcast_to(skin, (size, size, 3)),
            skin * (0.4 + 0.6 * row[..., None] * column[..., None]),
            np.where(disc[..., None], skin * rng.uniform(0.2, 0.6), skin) + rng.normal(0, 8, (size, size, 3)),
        )
        made.append(np.clip(kinds[i % 4], 0, 255).astype(np.uint8))
    return np.stack(made)
