"""The report's mistakes, made again on purpose: in the loss, in whose soft labels an image gets, in the network."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from core.lab.variants import FIRST_BATCH, NO_T2, SOFTMAX_TWICE, Variant
from core.networks.classifiers import backbone
from core.training.loop import TeacherAnswers
from core.training.losses import DistillationLoss


class SwitchedLoss(DistillationLoss):
    """The loss of `core.training.losses`, its alpha and T as variables, and able to make two mistakes.

    One compiled graph then serves every run. Without mistakes it is `DistillationLoss`; a test keeps that.
    """

    def __init__(self) -> None:
        super().__init__(name="switched_loss")
        self.alpha = keras.Variable(0.0, trainable=False, dtype="float32")
        self.temperature = keras.Variable(1.0, trainable=False, dtype="float32")
        self.without_t2 = keras.Variable(0.0, trainable=False, dtype="float32")
        self.softmax_twice = keras.Variable(0.0, trainable=False, dtype="float32")

    def set(self, variant: Variant) -> None:
        """Take a run's alpha, T and mistakes."""
        self.alpha.assign(variant.alpha)
        self.temperature.assign(variant.temperature)
        self.without_t2.assign(float(NO_T2 in variant.mistakes))
        self.softmax_twice.assign(float(SOFTMAX_TWICE in variant.mistakes))

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Per-image loss (batch,) of targets (batch, 2, 7) and student logits (batch, 7)."""
        teacher = self._perhaps_probabilities(y_true[:, 1])
        soft = self.soft(teacher, self._perhaps_probabilities(y_pred))
        soft = ops.where(self.without_t2 > 0, soft / self.temperature**2, soft)
        return (1 - self.alpha) * self.hard(y_true[:, 0], y_pred) + self.alpha * soft

    def _perhaps_probabilities(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        """What is softened: the logits, or by mistake what softmax has made of them already."""
        return ops.where(self.softmax_twice > 0, ops.softmax(logits, axis=-1), logits)


def as_keras_ships(network: keras.Model) -> None:
    """Give batch normalisation the momentum that it has in Keras: 0.999 in MobileNetV2, 0.99 in a layer of one's own.

    The report took it as it was. Moving statistics then keep most of what they began with for a thousand steps, and
    a network that was trained with the statistics of its batches is judged with others.
    """
    head = {layer.name for layer in network.layers} - {layer.name for layer in backbone(network)}
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99 if layer.name in head else 0.999


def answers_given(
    variant: Variant, answers: TeacherAnswers, rows: np.ndarray, batch_size: int
) -> TeacherAnswers:
    """Whose soft labels an image gets: its own, or by mistake those of the first batch.

    The report's code takes `soft_labels[range(batch_size)]` for every batch of a generator that shuffles.

    Args:
        variant: of the run.
        answers: the teachers'.
        rows: (N,) training rows, in the set's own order.
        batch_size: images a step.
    """
    if FIRST_BATCH not in variant.mistakes:
        return answers
    first = np.random.default_rng(variant.seed).permutation(rows)[:batch_size]

    def of_the_first(rows: Sequence[int], view: int, x: np.ndarray) -> np.ndarray:
        return answers([int(row) for row in first[: len(rows)]], view, x)

    return of_the_first


def soft_target(variant: Variant, teacher_logits: np.ndarray) -> np.ndarray:
    """(N, 7) the distribution that the soft term asks for, given the teachers' (N, 7) logits."""
    from core.evaluation.calibration import softmax

    given = softmax(teacher_logits) if SOFTMAX_TWICE in variant.mistakes else teacher_logits
    return softmax(given, variant.temperature)
