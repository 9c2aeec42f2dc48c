"""Pruning single weights by their magnitude while a network trains, and keeping them at zero from then on.

Zhu, Gupta, "To prune, or not to prune" (2017): the share of zeros rises as s(t) = s * (1 - (1 - t)^3), t running from
0 to 1 while the schedule lasts; each kernel has the same share. `tensorflow_model_optimization` does this for Keras 2.
"""

from __future__ import annotations

import keras
import numpy as np

from core.errors import UserError
from core.training.average import WeightAverage
from core.training.recipes import Recipe

UPDATES = 50
"""How often the zeros are chosen anew until the schedule ends."""

SMALLEST_KERNEL = 1024
"""Cells from which on a kernel is pruned: the others hold next to nothing, and break easily."""


def polynomial_sparsity(final: float, progress: float) -> float:
    """The share of zeros at a share 0..1 of the schedule."""
    return final * (1 - (1 - min(max(progress, 0.0), 1.0)) ** 3)


def schedule_end(recipe: Recipe) -> float:
    """The share of a run's steps after which no further weights go.

    Only epochs at the last resolution can give the result (`core.training.loop`), so that the first of them must see
    the final sparsity: the schedule ends when it begins, or in the middle of it where it is the run's first.
    """
    sizes = [stage.size for stage in recipe.stages for _ in range(stage.epochs)]
    first = sizes.index(sizes[-1])
    return (first or 0.5) / len(sizes)


def prunable(network: keras.Model) -> list[keras.Variable]:
    """The kernels that lose weights: large ones of convolutions and dense layers, not depthwise ones."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    kernels = [layer.kernel for layer in network.layers if isinstance(layer, kinds)]
    return [kernel for kernel in kernels if np.prod(kernel.shape) >= SMALLEST_KERNEL]


def sparsity(network: keras.Model) -> float:
    """Share of zeros in the prunable kernels."""
    arrays = [keras.ops.convert_to_numpy(kernel.value) for kernel in prunable(network)]
    return sum(int((array == 0).sum()) for array in arrays) / sum(array.size for array in arrays)


class MagnitudePruning:
    """What a training run does after each of its steps to become sparse, and its average of weights with it.

    It remembers nothing that a checkpoint would have to hold: in one, zeros are the smallest weights there are, so a
    run that goes on, and calls this before its first step, chooses the same ones again.

    Args:
        final: share of zeros in the end, 0 to below 1.
        end: share of the run's steps after which the zeros stay as they are.

    Raises:
        UserError: another share.
    """

    def __init__(self, final: float, end: float) -> None:
        if not 0 < final < 1:
            raise UserError(f"sparsity: expected a share between 0 and 1, found {final:g}")
        self.final, self.end = final, end
        self._update = -1
        self._masks: list[np.ndarray] = []

    def __call__(self, network: keras.Model, average: WeightAverage | None, done: float) -> None:
        """Put the zeros in, `done` being the share of the run's steps that are behind."""
        kernels = prunable(network)
        update = int(UPDATES * min(done / self.end, 1.0))
        if update != self._update:
            share = polynomial_sparsity(self.final, update / UPDATES)
            self._masks = [_largest(kernel, share) for kernel in kernels]
            self._update = update
        for kernel, mask in zip(kernels, self._masks, strict=True):
            kernel.assign(keras.ops.convert_to_numpy(kernel.value) * mask)
        if average is not None:
            position = {id(variable): i for i, variable in enumerate(network.weights)}
            for kernel, mask in zip(kernels, self._masks, strict=True):
                average.values[position[id(kernel)]] *= mask


def _largest(kernel: keras.Variable, share: float) -> np.ndarray:
    """1 for the weights that stay and 0 for a share of them, the smallest, as float32 of the kernel's shape."""
    sizes = np.abs(keras.ops.convert_to_numpy(kernel.value)).ravel()
    mask = np.ones(sizes.size, np.float32)
    gone = round(share * sizes.size)
    if gone:
        mask[np.argpartition(sizes, gone - 1)[:gone]] = 0
    return mask.reshape(kernel.shape)
