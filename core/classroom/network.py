"""A convolutional network in numpy: three or four strided convolutions, global average pooling, one dense layer.

Small on purpose. Its gradients are tested against finite differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from core.lesions import N_CLASSES

_KERNEL, _STRIDE = 3, 2


@dataclass
class Network:
    """The student.

    Attributes:
        kernels: one (9 * channels in, channels out) for each convolution, then (features, 7) of the dense layer.
        biases: as many.
    """

    kernels: list[np.ndarray]
    biases: list[np.ndarray]
    _seen: list[tuple] = field(default_factory=list, repr=False)

    @classmethod
    def fresh(cls, size: int, seed: int) -> Network:
        """Random weights (He et al. 2015) for images of `size` pixels; larger ones get a layer more."""
        widths = [3, 16, 32, 64] + ([96] if size > 40 else [])
        rng = np.random.default_rng(seed)
        kernels = [
            rng.normal(0, (2 / (_KERNEL**2 * inside)) ** 0.5, (_KERNEL**2 * inside, outside))
            for inside, outside in pairwise(widths)
        ]
        kernels.append(rng.normal(0, widths[-1] ** -0.5, (widths[-1], N_CLASSES)))
        biases = [np.zeros(kernel.shape[1], np.float32) for kernel in kernels]
        return cls([kernel.astype(np.float32) for kernel in kernels], biases)

    @property
    def parameters(self) -> list[np.ndarray]:
        """All arrays that training changes."""
        return [*self.kernels, *self.biases]

    def forward(self, images: np.ndarray, *, remember: bool = False) -> np.ndarray:
        """Logits.

        Args:
            images: (B, s, s, 3) float32, from `scaled`.
            remember: keep what `backward` needs.

        Returns:
            (B, 7) float32.
        """
        self._seen = []
        x = images
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            columns, shape = _columns(x)
            out = columns @ kernel + bias
            if remember:
                self._seen.append((columns, out > 0, x.shape))
            x = np.maximum(out, 0).reshape(*shape, -1)
        pooled = x.mean(axis=(1, 2))
        if remember:
            self._seen.append((pooled, x.shape))
        return pooled @ self.kernels[-1] + self.biases[-1]

    def backward(self, gradient: np.ndarray) -> list[np.ndarray]:
        """The gradients of `parameters`, given that of the (B, 7) logits of the last remembered `forward`."""
        pooled, shape = self._seen[-1]
        kernels, biases = [pooled.T @ gradient], [gradient.sum(axis=0)]
        area = shape[1] * shape[2]
        spread = (gradient @ self.kernels[-1].T / area)[:, None, None, :]
        down = np.broadcast_to(spread, shape).reshape(-1, shape[-1])
        for layer in reversed(range(len(self.kernels) - 1)):
            columns, active, below = self._seen[layer]
            down = down * active
            kernels.append(columns.T @ down)
            biases.append(down.sum(axis=0))
            if layer:
                down = _gather(down @ self.kernels[layer].T, below).reshape(-1, below[-1])
        return [*reversed(kernels), *reversed(biases)]


class Adam:
    """Kingma and Ba (2015), with a rate that falls to nothing along half a cosine."""

    def __init__(self, parameters: list[np.ndarray], rate: float, steps: int) -> None:
        self._parameters, self._rate, self._steps, self._step = parameters, rate, steps, 0
        self._mean = [np.zeros_like(p) for p in parameters]
        self._square = [np.zeros_like(p) for p in parameters]

    def update(self, gradients: list[np.ndarray]) -> None:
        """One step, in place."""
        self._step += 1
        rate = self._rate * 0.5 * (1 + np.cos(np.pi * min(self._step / self._steps, 1)))
        rate *= (1 - 0.999**self._step) ** 0.5 / (1 - 0.9**self._step)
        for value, gradient, mean, square in zip(
            self._parameters, gradients, self._mean, self._square, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            value -= rate * mean / (np.sqrt(square) + 1e-7)


def scaled(images: np.ndarray) -> np.ndarray:
    """(B, s, s, 3) uint8 RGB as float32 about 0."""
    return images.astype(np.float32) / 64 - 2


def _columns(x: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Patches of a padded (B, h, w, C) as rows (B * h' * w', 9 * C), and (B, h', w')."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (_KERNEL, _KERNEL), axis=(1, 2))
    strided = windows[:, ::_STRIDE, ::_STRIDE].transpose(0, 1, 2, 4, 5, 3)
    return np.ascontiguousarray(strided).reshape(-1, _KERNEL**2 * x.shape[3]), strided.shape[:3]


def _gather(columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The reverse of `_columns` for gradients: what every pixel gave is added up, (B, h, w, C)."""
    batch, height, width, channels = shape
    rows, cols = (height + 1) // _STRIDE, (width + 1) // _STRIDE
    patches = columns.reshape(batch, rows, cols, _KERNEL, _KERNEL, channels)
    padded = np.zeros((batch, height + 2, width + 2, channels), columns.dtype)
    for i in range(_KERNEL):
        for j in range(_KERNEL):
            padded[:, i : i + _STRIDE * rows : _STRIDE, j : j + _STRIDE * cols : _STRIDE] += patches[
                :, :, :, i, j
            ]
    return padded[:, 1:-1, 1:-1]
