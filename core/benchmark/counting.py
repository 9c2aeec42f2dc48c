"""Multiply-adds of a Keras network, layer by layer: the check on those that `flat` counts in the file made of it.

| layer | products for one image |
|---|---|
| convolution, depthwise convolution | positions of the output x elements of the kernel |
| dense | elements of the kernel |

Batch normalisation is folded into the convolution before it; additions, activation functions and pooling have no
products. This is the usual counting: 300 million for MobileNetV2 (Sandler et al., CVPR 2018, table 4), 3.8 billion for
ResNet50 (He et al., CVPR 2016, table 1).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def multiply_adds(model: keras.Model) -> int:
    """Products that are summed up in one pass of one image.

    Raises:
        ValueError: the network has no fixed input size, or a layer with a kernel whose formula is not known.
    """
    if None in model.input.shape[1:]:
        raise ValueError(f"{model.name}: expected a fixed input size, found {tuple(model.input.shape[1:])}")
    return sum(_of(layer) for layer in model.layers)


def _of(layer: keras.layers.Layer) -> int:
    import keras

    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
        # A depthwise kernel (h, w, channels, 1) holds each output channel once, as a kernel (h, w, in, out) does.
        return prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape)
    # Operations such as a flip are no layers and have no weights.
    if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", [])):
        raise ValueError(f"{layer.name}: expected a layer with a known formula, found {type(layer).__name__}")
    return 0
