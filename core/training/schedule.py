"""Learning rate: linear warm-up, then half a cosine."""

from __future__ import annotations

import math

import keras
from keras import ops


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from 0 to `peak` over `warmup` steps, then a cosine to `final_rate * peak` at `total` steps.

    Loshchilov, Hutter (2017), "SGDR". A `final_rate` of 1 stays at the peak.
    """

    def __init__(self, peak: float, total: int, warmup: int, final_rate: float) -> None:
        self.peak, self.total, self.warmup, self.final_rate = peak, total, warmup, final_rate

    def __call__(self, step: keras.KerasTensor | int) -> keras.KerasTensor:
        """The rate at a step (a tensor or a number)."""
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(self.warmup, 1)
        progress = ops.clip((step - self.warmup) / max(self.total - self.warmup, 1), 0.0, 1.0)
        cosine = self.final_rate + (1 - self.final_rate) * 0.5 * (1 + ops.cos(math.pi * progress))
        return self.peak * ops.where(step < self.warmup, rise, cosine)

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {"peak": self.peak, "total": self.total, "warmup": self.warmup, "final_rate": self.final_rate}
