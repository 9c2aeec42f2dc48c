"""An exponential average of all weights of a network, batch normalisation's statistics included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

_EVERY = 4
"""Steps between updates: the average hardly notices, and the copy out of the backend costs a fourth."""


def due(step: int, epoch_step: int, epoch_steps: int) -> int:
    """How many steps the weights stand for that the average takes in after a step; 0: it takes none.

    The last step of an epoch always counts, since the average is validated and kept then.

    Args:
        step: counted over the whole run, from 1.
        epoch_step: the same, counted in its epoch.
        epoch_steps: of an epoch.
    """
    if (step + 1) % _EVERY and epoch_step < epoch_steps:
        return 0
    return min(1 + step % _EVERY, epoch_step)


class WeightAverage:
    """Polyak averaging with a warm-up of the decay, so that early weights are forgotten.

    Args:
        network: the network in training.
        decay: share kept per step.
        values: stored averages, one array for each of `network.weights`, or None to begin at its weights.
    """

    def __init__(self, network: keras.Model, decay: float, values: list[np.ndarray] | None = None) -> None:
        self.network = network
        self.decay = decay
        self.values = values if values is not None else network.get_weights()

    def update(self, step: int, steps: int = _EVERY) -> None:
        """Take the weights after a step (counted over the whole run) in, for the last `steps` steps: see `due`."""
        share = min(self.decay, (1 + step) / (10 + step)) ** steps
        for value, weight in zip(self.values, self.network.get_weights(), strict=True):
            value *= share
            value += (1 - share) * weight

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network with the averaged weights, for the time of the `with` block."""
        raw = self.network.get_weights()
        self.network.set_weights(self.values)
        try:
            yield
        finally:
            self.network.set_weights(raw)
