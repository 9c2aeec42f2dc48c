"""Getting a network ready for eight bits: the same function in float32, and far less harmed by rounding.

Plain conversion of a MobileNetV2 fine-tuned on HAM10000 changes the top class of every fifth image and takes a third
off its balanced accuracy. Three defects cause that, and are mended before LiteRT sees the network:

**Rounded weights shift means** (`absorb_rounding`). LiteRT rounds the weights of each output channel to 255 steps. The
errors e of one channel are small, but they do not average out: its mean output moves by e' E[x], the inputs x being
rectified and skin being smooth, and MobileNetV2's first layers amplify small differences. The shift is known
beforehand, so it is taken out of the moving mean of the batch normalisation (or the bias) that follows: bias
correction, as in Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019),
with E[x] measured on calibration images.

**Silent units steal the range** (`equalise_head`). A hidden unit that training left silent has no variance, so that the
batch normalisation behind it multiplies by 1 / sqrt(epsilon), thirty times what others get; the rows of the logits'
kernel share one step size, which such a row then sets for all. A ReLU lets any positive factor through, so each unit
is scaled such that its values and its row get the same range: cross-layer equalisation, from the same article.

**The input is rounded twice** (`centre_input`). Scaling in int8 means a product and a sum, whose ranges LiteRT chooses
such that neighbouring grey levels fall together. Subtracting a whole number loses nothing, and the first
convolution can do the rest.

At inference none of them costs anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

_BATCH = 8
_STEPS = 127
"""LiteRT's weights are symmetric: -127 to 127."""

_ASLEEP = 0.02
"""Share of the largest hidden value that a silent unit is taken to reach."""

Depthwise = keras.layers.DepthwiseConv2D


@dataclass(frozen=True)
class _Site:
    """A layer whose weights get rounded, and the variable of its mean output.

    Attributes:
        layer: a convolution or a dense layer.
        source: what the rounded weights are multiplied with.
        kernel: the weights as they get rounded, float64.
        variable: the moving mean that follows (its `sign` is -1: it goes down by what is lost) or the bias (+1).
    """

    layer: keras.layers.Layer
    source: keras.KerasTensor
    kernel: np.ndarray
    variable: keras.Variable
    sign: float


def prepare_whole(model: keras.Model, images: np.ndarray) -> tuple[keras.Model, np.ndarray]:
    """A copy for full int8, all three mendings in it, and the images to calibrate it on.

    Args:
        model: a network with fixed input size, or its explaining graph.
        images: (N, s, s, 3) uint8, some tens of typical images.

    Returns:
        The copy, whose own float32 output differs a little from the model's, since it anticipates the rounding; and
        the images, with one black and one white pixel so that the calibrated range of the input is 0 to 255.
    """
    copy = centre_input(model)
    equalise_head(copy, images)
    absorb_rounding(copy, images)
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
        kernel.assign(_array(kernel) * stem.scale)
        rest = centre + stem.offset / stem.scale
        mean.assign(_array(mean) - rest * _array(kernel).sum(axis=(0, 1, 2)))
    return copy


def equalise_head(model: keras.Model, images: np.ndarray) -> None:
    """Scale the hidden units in place, output unchanged; a network without a hidden layer stays as it is.

    Unit j becomes a_j times as large and its row of the logits' kernel smaller by that, with
    a_j = sqrt(largest weight of the row / largest value of the unit), which gives both the same range.
    """
    layers = {layer.name: layer for layer in model.layers}
    if "hidden" not in layers:
        return
    hidden, norm = layers["hidden"], layers["hidden_bn"]
    probe = keras.Model(model.input, layers["hidden_relu"].output)
    values = np.max([probe.predict_on_batch(batch).max(axis=0) for batch in _batches(images)], axis=0)
    rows = np.abs(_dense_site(layers["logits"]).kernel).max(axis=1)
    largest = max(float(values.max()), np.finfo(np.float32).tiny)
    # A unit that none of these images woke may wake for another: it keeps a share of the range.
    factor = np.sqrt(np.maximum(rows, 1e-6 * rows.max()) / np.maximum(values, _ASLEEP * largest))
    for variable, by in ((hidden.kernel, factor), (hidden.bias, factor), (norm.moving_mean, factor),
                         (norm.gamma, 1 / factor)):  # fmt: skip
        variable.assign((_array(variable) * by).astype(np.float32))


def absorb_rounding(model: keras.Model, images: np.ndarray, *, smallest: int = 0) -> None:
    """Make the mean activations right, in place, for when the weights will have been rounded to int8."""
    sites = [site for site in _sites(model) if site.kernel.size >= smallest]
    losses = [_mean_loss(*pair) for pair in zip(sites, _mean_inputs(model, sites, images), strict=True)]
    for site, loss in zip(sites, losses, strict=True):
        site.variable.assign((_array(site.variable) + site.sign * loss).astype(np.float32))


def round_per_channel(kernel: np.ndarray, axis: int) -> np.ndarray:
    """The kernel as LiteRT's int8 stores it: symmetric, one step size for each index of `axis` (output channels)."""
    others = tuple(i for i in range(kernel.ndim) if i != axis % kernel.ndim)
    step = np.abs(kernel).max(axis=others, keepdims=True) / _STEPS
    step[step == 0] = 1.0
    return np.round(kernel / step) * step


def _sites(model: keras.Model) -> list[_Site]:
    """Convolutions before a batch normalisation, and dense layers."""
    sites = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            before = _producer(layer)
            if isinstance(before, (keras.layers.Conv2D, Depthwise)):
                sites.append(_Site(before, before.input, _array(before.kernel), layer.moving_mean, -1.0))
        elif isinstance(layer, keras.layers.Dense):
            sites.append(_dense_site(layer))
    return sites


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
        convolution = _producer(norm)
        scaling = _producer(convolution)
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


def _dense_site(layer: keras.layers.Dense) -> _Site:
    """LiteRT multiplies a batch normalisation before a dense layer into its rows before it rounds them."""
    before = _producer(layer)
    if isinstance(before, keras.layers.Dropout):
        before = _producer(before)
    if not isinstance(before, keras.layers.BatchNormalization):
        return _Site(layer, layer.input, _array(layer.kernel), layer.bias, 1.0)
    scale = _array(before.gamma) / np.sqrt(_array(before.moving_variance) + before.epsilon)
    return _Site(layer, before.input, _array(layer.kernel) * scale[:, np.newaxis], layer.bias, 1.0)


def _mean_inputs(model: keras.Model, sites: list[_Site], images: np.ndarray) -> list[np.ndarray]:
    """(channels,) float64 mean input of every site, over images and positions."""
    means = [keras.ops.mean(s.source, axis=tuple(range(1, len(s.source.shape) - 1))) for s in sites]
    probe = keras.Model(model.input, {str(i): mean for i, mean in enumerate(means)})
    totals = [np.zeros(mean.shape[-1]) for mean in means]
    for batch in _batches(images):
        for i, found in probe.predict_on_batch(batch).items():
            totals[int(i)] += np.asarray(found, np.float64).sum(axis=0)
    return [total / len(images) for total in totals]


def _mean_loss(site: _Site, mean: np.ndarray) -> np.ndarray:
    """(outputs,) by how much the rounded layer's mean output falls short of the original's."""
    depthwise = isinstance(site.layer, Depthwise)
    if depthwise and site.kernel.shape[3] != 1:
        raise ValueError(f"{site.layer.name}: expected a depth multiplier of 1, found {site.kernel.shape[3]}")
    error = site.kernel - round_per_channel(site.kernel, 2 if depthwise else -1)
    if error.ndim == 2:
        return mean @ error
    taps = np.multiply.outer(_coverage(site.layer, 0), _coverage(site.layer, 1))
    if depthwise:
        return np.einsum("ijc,ij,c->c", error[..., 0], taps, mean)
    return np.einsum("ijck,ij,c->k", error, taps, mean)


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _BATCH):
        yield np.asarray(images[start : start + _BATCH], np.float32)


def _producer(layer: keras.layers.Layer) -> keras.layers.Layer:
    return layer.input._keras_history.operation


def _array(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def _coverage(layer: keras.layers.Layer, side: int) -> np.ndarray:
    """(taps,) how often each tap of the kernel lies on the image rather than on its padding, along one side."""
    length, size, stride = layer.input.shape[1 + side], layer.kernel_size[side], layer.strides[side]
    if layer.padding == "valid":
        return np.ones(size)
    outputs = -(-length // stride)
    before = max((outputs - 1) * stride + size - length, 0) // 2
    at = np.arange(outputs)[:, np.newaxis] * stride + np.arange(size) - before
    return ((at >= 0) & (at < length)).mean(axis=0)
