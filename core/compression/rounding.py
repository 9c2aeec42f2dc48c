"""Which weights to round up and which down, so that sums change least.

Rounded to the nearest step, each weight is as near as can be, and the sum over inputs is not: neighbouring pixels are
alike, the errors of their weights add up, and the first layers of a MobileNetV2, where weights of +-50 cancel to
nothing on skin, answer with what was rounded. What an output changes by, over images, is e' C e, where e are the
errors of its weights and C is the covariance of its inputs (the mean's part, e' E[x], goes into a bias, see
`core.compression.eight_bits`). Choosing up or down for each weight such that this is least is the aim of Nagel et al.,
"Up or Down? Adaptive Rounding for Post-Training Quantization" (ICML 2020); here C is measured and the choice made
without gradients, as in Frantar et al., "GPTQ" (ICLR 2023): all 512 choices of a depthwise kernel's 9 taps, and for
other kernels weight by weight, the others given, until none changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np

from core.compression.sites import Site, batches, to_array

STEPS = 127
"""LiteRT's int8 weights are symmetric: -127 to 127."""

_POSITIONS = 4096
"""Of a layer's output in each batch that the covariance is taken over."""

_ROUNDS = 8
"""After which a kernel's weights are taken as they are; most stop changing before."""

_DAMPING = 1e-3
"""Of the mean variance, added to each: inputs that never vary here may elsewhere, and a sum over few images is not
the truth."""

_TAPS = 9
"""All choices are tried up to here: 2^9 of each channel."""


def round_together(
    model: keras.Model,
    images: np.ndarray,
    chosen: Sequence[Site],
    steps: Callable[[Site], tuple[np.ndarray, np.ndarray]],
) -> None:
    """Round kernels, in place, such that their layers' outputs change least, and make the mean outputs right.

    The converter rounds to the nearest step, which is where these weights are then.

    Args:
        model: a network with fixed input size, or its explaining graph.
        images: (N, s, s, 3) uint8, some tens of typical images.
        chosen: sites of the model.
        steps: a site's kernel rounded down and rounded up.
    """
    rounded = [
        _least_change(site, *steps(site), covariance)
        for site, covariance in zip(chosen, covariances(model, chosen, images), strict=True)
    ]
    absorb(model, images, chosen, rounded)
    for site, kernel in zip(chosen, rounded, strict=True):
        site.put(kernel)


def absorb(
    model: keras.Model, images: np.ndarray, chosen: Sequence[Site], rounded: Sequence[np.ndarray]
) -> None:
    """Take what rounded kernels will add to the mean outputs out of the biases; the kernels stay as they are."""
    means = _mean_inputs(model, chosen, images)
    losses = [
        _mean_loss(site, site.kernel - kernel, mean)
        for site, kernel, mean in zip(chosen, rounded, means, strict=True)
    ]
    for site, loss in zip(chosen, losses, strict=True):
        site.variable.assign((to_array(site.variable) + loss).astype(np.float32))


def eight_bit_steps(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """A kernel's neighbours below and above in LiteRT's int8: symmetric, one step size for each output channel."""
    kernel = site.kernel
    step = _step(kernel, site.axis)
    steps = kernel / step
    # The largest is the last step, which sets the size of the others: it must stay.
    whole = np.round(steps)
    steps = np.where(np.abs(steps - whole) < 1e-6, whole, steps)
    return np.floor(steps) * step, np.ceil(steps) * step


def half_steps(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """A kernel's neighbours below and above in float16."""
    kernel = site.kernel
    near = kernel.astype(np.float16)
    below = np.where(near <= kernel, near, np.nextafter(near, np.float16(-np.inf)))
    above = np.where(near >= kernel, near, np.nextafter(near, np.float16(np.inf)))
    return below.astype(np.float64), above.astype(np.float64)


def round_per_channel(kernel: np.ndarray, axis: int) -> np.ndarray:
    """The kernel as LiteRT's int8 stores it: symmetric, one step size for each index of `axis` (output channels)."""
    step = _step(kernel, axis)
    return np.round(kernel / step) * step


def _step(kernel: np.ndarray, axis: int) -> np.ndarray:
    others = tuple(i for i in range(kernel.ndim) if i != axis % kernel.ndim)
    step = np.abs(kernel).max(axis=others, keepdims=True) / STEPS
    step[step == 0] = 1.0
    return step


def _least_change(site: Site, below: np.ndarray, above: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """A site's kernel rounded such that its outputs change least."""
    kernel, choose = site.kernel, _of_all_choices if site.is_depthwise else _weight_by_weight
    flat = [values.reshape(-1, kernel.shape[site.axis]) for values in (kernel, below, above)]
    if site.is_depthwise and len(flat[0]) > _TAPS:
        raise ValueError(f"{site.layer.name}: expected at most {_TAPS} taps, found {len(flat[0])}")
    return choose(*flat, covariance).reshape(kernel.shape)


def _of_all_choices(
    kernel: np.ndarray, below: np.ndarray, above: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """(taps, channels); the covariance is (channels, taps, taps)."""
    up = (np.arange(2 ** len(kernel))[:, np.newaxis] >> np.arange(len(kernel)) & 1).astype(bool)
    best = np.empty_like(kernel)
    for channel, matrix in enumerate(_damped(covariance)):
        choices = np.where(up, above[:, channel], below[:, channel])
        errors = kernel[:, channel] - choices
        best[:, channel] = choices[((errors @ matrix) * errors).sum(axis=1).argmin()]
    return best


def _weight_by_weight(
    kernel: np.ndarray, below: np.ndarray, above: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """(inputs, outputs); the covariance is (inputs, inputs)."""
    matrix = _damped(covariance)
    errors = kernel - np.where(kernel - below <= above - kernel, below, above)
    pull = matrix @ errors
    for _ in range(_ROUNDS):
        changed = False
        for i in range(len(kernel)):
            others = pull[i] - matrix[i, i] * errors[i]
            down, up = kernel[i] - below[i], kernel[i] - above[i]
            # e_i^2 C_ii + 2 e_i (what the others make of it), for both.
            goes_up = up * (matrix[i, i] * up + 2 * others) < down * (matrix[i, i] * down + 2 * others)
            step = np.where(goes_up, up, down) - errors[i]
            if step.any():
                errors[i] += step
                pull += np.outer(matrix[:, i], step)
                changed = True
        if not changed:
            break
    return kernel - errors


def _damped(covariance: np.ndarray) -> np.ndarray:
    size = covariance.shape[-1]
    variance = np.trace(covariance, axis1=-2, axis2=-1) / size
    return covariance + _DAMPING * np.asarray(variance)[..., np.newaxis, np.newaxis] * np.eye(size)


def covariances(model: keras.Model, chosen: Sequence[Site], images: np.ndarray) -> list[np.ndarray]:
    """Covariance of what each site's weights are multiplied with, over images and positions.

    Args:
        model: that the sites are of.
        chosen: the sites.
        images: (N, s, s, 3) uint8.

    Returns:
        For each site (inputs, inputs) float64, the inputs in the order of its kernel; for a depthwise one (channels,
        taps, taps).
    """
    probe = keras.Model(model.input, {str(i): site.source for i, site in enumerate(chosen)})
    moments = [_Moments() for _ in chosen]
    rng = np.random.default_rng(0)
    for batch in batches(images):
        for i, values in probe.predict_on_batch(batch).items():
            site = chosen[int(i)]
            moments[int(i)].add(_rows(site, np.asarray(values), rng), apart=site.is_depthwise)
    return [each.covariance() for each in moments]


class _Moments:
    """Sums of rows and of their products."""

    def __init__(self) -> None:
        self._count, self._sum, self._products = 0, np.zeros(1), np.zeros((1, 1))

    def add(self, rows: np.ndarray, *, apart: bool) -> None:
        """Rows (positions, taps, channels): taps of one channel together if `apart`, all inputs otherwise."""
        rows = rows.transpose(2, 0, 1) if apart else rows.reshape(len(rows), -1)
        self._count += rows.shape[-2]
        self._sum = self._sum + rows.sum(axis=-2, dtype=np.float64)
        self._products = self._products + (np.swapaxes(rows, -1, -2) @ rows).astype(np.float64)

    def covariance(self) -> np.ndarray:
        mean = self._sum / self._count
        return self._products / self._count - mean[..., :, np.newaxis] * mean[..., np.newaxis, :]


def _rows(site: Site, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(positions, taps, channels) what a site's weights are multiplied with at some positions of its output."""
    if values.ndim == 2:
        return values[:, np.newaxis, :]
    (height, width), (down, right) = site.layer.kernel_size, site.layer.strides
    if site.layer.padding == "same":
        values = np.pad(values, ((0, 0), _padding(values.shape[1], height, down),
                                 _padding(values.shape[2], width, right), (0, 0)))  # fmt: skip
    rows, columns = (values.shape[1] - height) // down + 1, (values.shape[2] - width) // right + 1
    at = np.arange(len(values) * rows * columns)
    if len(at) > _POSITIONS:
        at = rng.choice(at, _POSITIONS, replace=False)
    image, row, column = np.unravel_index(at, (len(values), rows, columns))
    taps = [(row * down + i, column * right + j) for i in range(height) for j in range(width)]
    return np.stack([values[image, y, x] for y, x in taps], axis=1)


def _padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """What padding "same" adds before and after."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def _mean_inputs(model: keras.Model, chosen: Sequence[Site], images: np.ndarray) -> list[np.ndarray]:
    """(channels,) float64 mean input of every site, over images and positions."""
    means = [keras.ops.mean(s.source, axis=tuple(range(1, len(s.source.shape) - 1))) for s in chosen]
    probe = keras.Model(model.input, {str(i): mean for i, mean in enumerate(means)})
    totals = [np.zeros(mean.shape[-1]) for mean in means]
    for batch in batches(images):
        for i, found in probe.predict_on_batch(batch).items():
            totals[int(i)] += np.asarray(found, np.float64).sum(axis=0)
    return [total / len(images) for total in totals]


def _mean_loss(site: Site, error: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(outputs,) by how much the rounded layer's mean output falls short of the original's."""
    if site.is_depthwise and error.shape[3] != 1:
        raise ValueError(f"{site.layer.name}: expected a depth multiplier of 1, found {error.shape[3]}")
    if error.ndim == 2:
        return mean @ error
    taps = np.multiply.outer(_coverage(site.layer, 0), _coverage(site.layer, 1))
    if site.is_depthwise:
        return np.einsum("ijc,ij,c->c", error[..., 0], taps, mean)
    return np.einsum("ijck,ij,c->k", error, taps, mean)


def _coverage(layer: keras.layers.Layer, side: int) -> np.ndarray:
    """(taps,) how often each tap of the kernel lies on the image rather than on its padding, along one side."""
    length, size, stride = layer.input.shape[1 + side], layer.kernel_size[side], layer.strides[side]
    if layer.padding == "valid":
        return np.ones(size)
    outputs = -(-length // stride)
    before = max((outputs - 1) * stride + size - length, 0) // 2
    at = np.arange(outputs)[:, np.newaxis] * stride + np.arange(size) - before
    return ((at >= 0) & (at < length)).mean(axis=0)
