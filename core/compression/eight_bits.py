"""Getting a network ready for eight bits: the same function in float32, and far less harmed by rounding.

Plain conversion of a MobileNetV2 fine-tuned on HAM10000 changes the top class of every fifth image and takes a third
off its balanced accuracy. Four defects cause that, and are mended before LiteRT sees the network:

**Rounded weights shift means** (`absorb_rounding`). LiteRT rounds the weights of each output channel to 255 steps. The
errors e of one channel are small, but they do not average out: its mean output moves by e' E[x], the inputs x being
rectified and skin being smooth, and MobileNetV2's first layers amplify small differences. The shift is known
beforehand, so it is taken out of the bias, the layer's or that of the batch normalisation that follows: bias
correction, as in Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019),
with E[x] measured on calibration images.

**The nearest step is not the best one** (`round_together`). What is left after that are the errors' sums over inputs
that vary together; some weights rounded away from the nearest step make them cancel (`core.compression.rounding`).

**One channel's range is all channels'** (`core.compression.equalise`). A step size that the largest channel sets is
coarse for the others, worst for the hidden units: one that training left silent has no variance, so that the batch
normalisation behind it multiplies by 1 / sqrt(epsilon), thirty times what others get, and its row of the logits' kernel
sets the step of all. Channels are scaled to one range.

**The input is rounded twice** (`centre_input`). Scaling in int8 means a product and a sum, whose ranges LiteRT chooses
such that neighbouring grey levels fall together. Subtracting a whole number loses nothing, and the first
convolution can do the rest.

At inference none of them costs anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from core.compression.equalise import equalise, equalise_head
from core.compression.rounding import absorb, eight_bit_steps, round_per_channel, round_together
from core.compression.sites import producer, sites, to_array


def prepare_whole(model: keras.Model, images: np.ndarray) -> tuple[keras.Model, np.ndarray]:
    """A copy for full int8, all mendings in it, and the images to calibrate it on.

    Args:
        model: a network with fixed input size, or its explaining graph.
        images: (N, s, s, 3) uint8, some tens of typical images.

    Returns:
        The copy, whose own float32 output differs a little from the model's, since it anticipates the rounding; and
        the images, with one black and one white pixel so that the calibrated range of the input is 0 to 255.
    """
    copy = centre_input(model)
    equalise(copy, images)
    round_together(copy, images, sites(copy), eight_bit_steps)
    images = np.array(images)
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return copy, images


def prepare_weights(model: keras.Model, images: np.ndarray, *, smallest: int) -> keras.Model:
    """A copy for int8 weights alone, where kernels with fewer than `smallest` elements will not be rounded."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    equalise_head(copy, images)
    absorb_rounding(copy, images, smallest=smallest)
    return copy


def centre_input(model: keras.Model) -> keras.Model:
    """A copy in which the network's own scaling u * scale + offset has become u - c, c a whole number.

    The rest is moved into the convolution and batch normalisation that follow. Only where nothing is left between
    the pixels and their padding (on which the mean of the scaled pixels is off by less than half a grey level) is
    it not the same function. A network with another beginning is copied as it is.
    """
    stem = _stem(model)
    centre = 0 if stem is None else round(-stem.offset / stem.scale)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if stem is not None and layer.name == stem.scaling:
            config |= {"scale": 1.0, "offset": -float(centre)}
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    if stem is not None:
        kernel = copy.get_layer(stem.convolution).kernel
        mean = copy.get_layer(stem.norm).moving_mean
        kernel.assign(to_array(kernel) * stem.scale)
        rest = centre + stem.offset / stem.scale
        mean.assign(to_array(mean) - rest * to_array(kernel).sum(axis=(0, 1, 2)))
    return copy


def absorb_rounding(model: keras.Model, images: np.ndarray, *, smallest: int = 0) -> None:
    """Make the mean activations right, in place, for when the weights will have been rounded to int8."""
    chosen = [site for site in sites(model) if site.kernel.size >= smallest]
    absorb(model, images, chosen, [round_per_channel(site.kernel, site.axis) for site in chosen])


@dataclass(frozen=True)
class _Stem:
    """Names of a network's scaling, its first convolution and batch normalisation, and u * scale + offset."""

    scaling: str
    convolution: str
    norm: str
    scale: float
    offset: float


def _stem(model: keras.Model) -> _Stem | None:
    """The beginning of a network that scales all channels alike and goes straight into a convolution."""
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        convolution = producer(norm)
        scaling = producer(convolution)
        if (
            isinstance(convolution, keras.layers.Conv2D)
            and isinstance(scaling, keras.layers.Rescaling)
            and np.ndim(scaling.scale) == np.ndim(scaling.offset) == 0
        ):
            return _Stem(
                scaling.name, convolution.name, norm.name, float(scaling.scale), float(scaling.offset)
            )
        return None  # the first batch normalisation decides
    return None
