"""The one loss of every run: hard cross-entropy, and the softened answer of teachers where there are any.

Targets are (batch, rows, 7): row 0 is the weighted distribution of the labels, row 1 (if there) the teachers' logits.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from core.lesions import N_CLASSES


class DistillationLoss(keras.losses.Loss):
    """(1 - alpha) * hard + alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)).

    Hinton, Vinyals, Dean (2015), "Distilling the knowledge in a neural network": both sides come from logits and
    are softened once, and T^2 keeps the soft gradient's size when T changes. Without teachers alpha is 0.

    Args:
        alpha: weight of the soft term, 0 to 1.
        temperature: T, above 0.
        focal_gamma: exponent of the focal loss (Lin et al. 2017) on the hard term; 0 is cross-entropy.
        logit_offset: (7,) added to the logits of the hard term (Menon et al. 2021), or None.
    """

    def __init__(
        self,
        alpha: float = 0.0,
        temperature: float = 1.0,
        focal_gamma: float = 0.0,
        logit_offset: np.ndarray | None = None,
        name: str = "distillation_loss",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: expected a number from 0 to 1, found {alpha}")
        if temperature <= 0:
            raise ValueError(f"temperature: expected a number above 0, found {temperature}")
        self.alpha = alpha
        self.temperature = temperature
        self.focal_gamma = focal_gamma
        self.logit_offset = None if logit_offset is None else np.asarray(logit_offset, np.float32)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Per-image loss (batch,) of targets (batch, rows, 7) and student logits (batch, 7)."""
        hard = self.hard(y_true[:, 0], y_pred)
        if self.alpha == 0:
            return hard
        return (1 - self.alpha) * hard + self.alpha * self.soft(y_true[:, 1], y_pred)

    def hard(self, labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        """(batch,) cross-entropy of weighted label distributions (batch, 7), focal where gamma is not 0."""
        if self.logit_offset is not None:
            logits = logits + self.logit_offset
        log_p = ops.log_softmax(logits, axis=-1)
        if self.focal_gamma:
            log_p = log_p * (1 - ops.exp(log_p)) ** self.focal_gamma
        return -ops.sum(labels * log_p, axis=-1)

    def soft(self, teacher_logits: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        """(batch,) T^2 * KL between the softened teacher and student, both (batch, 7) logits."""
        target = ops.softmax(teacher_logits / self.temperature, axis=-1)
        log_target = ops.log_softmax(teacher_logits / self.temperature, axis=-1)
        log_student = ops.log_softmax(logits / self.temperature, axis=-1)
        return self.temperature**2 * ops.sum(target * (log_target - log_student), axis=-1)


def average_logits(logits: np.ndarray, average: str, temperature: float) -> np.ndarray:
    """What several teachers say together, as logits.

    Args:
        logits: (teachers, ..., 7).
        average: `logits` averages them as they are: the geometric mean of the teachers' distributions, sharp
            where they agree. `probabilities` averages the softened distributions (the report's way, on outputs).
        temperature: T of the softening; only `probabilities` depends on it.

    Returns:
        (..., 7) float32 whose softmax at T is the average.
    """
    if average == "logits":
        return logits.mean(axis=0).astype(np.float32)
    scaled = logits / temperature
    log_p = scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
    mean = np.logaddexp.reduce(log_p, axis=0) - np.log(len(logits))
    return (temperature * mean).astype(np.float32)


def hard_accuracy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Share of images whose largest logit is their label; targets (batch, rows, 7), labels in row 0."""
    return keras.ops.mean(
        keras.ops.cast(
            keras.ops.argmax(y_true[:, 0], axis=-1) == keras.ops.argmax(y_pred, axis=-1), "float32"
        )
    )


def smooth(labels: np.ndarray, smoothing: float) -> np.ndarray:
    """(B, 7) label distributions: 1 - smoothing on the label, the rest spread over all classes."""
    return ((1 - smoothing) * np.eye(N_CLASSES)[labels] + smoothing / N_CLASSES).astype(np.float32)
