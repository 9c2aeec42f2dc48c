"""The loss of one image, taken apart: its terms and their gradients on each logit, in closed form.

The formulas of `core.training.losses` in float64 numpy, which tests hold against it and against finite differences,
with the report's way of writing them beside. No gradient here is approximate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.calibration import log_softmax, softmax
from core.lesions import N_CLASSES

LEVEL_FROM = 8.0
"""T from which the soft term with T^2 pulls about as hard at every T, since softmax is nearly linear there. Below, two
that are sure of one class differ by next to nothing."""


@dataclass(frozen=True, eq=False)
class Term:
    """One part of the loss.

    Attributes:
        value: (...,) in nats.
        gradient: (..., 7) with respect to the student's logits.
    """

    value: np.ndarray
    gradient: np.ndarray

    def times(self, factor: float) -> Term:
        """The term with a weight."""
        return Term(self.value * factor, self.gradient * factor)

    def plus(self, other: Term) -> Term:
        """The sum of two."""
        return Term(self.value + other.value, self.gradient + other.gradient)

    @property
    def norm(self) -> np.ndarray:
        """(...,) length of the gradient."""
        return np.linalg.norm(self.gradient, axis=-1)


def hard_term(student: np.ndarray, labels: np.ndarray) -> Term:
    """Cross-entropy -log softmax(z)[y]; its gradient is softmax(z) - onehot(y).

    Args:
        student: (..., 7) logits z.
        labels: (...,) int.
    """
    truth = np.eye(N_CLASSES)[labels]
    return Term(-(truth * log_softmax(student)).sum(axis=-1), softmax(student) - truth)


def soft_term(teacher: np.ndarray, student: np.ndarray, temperature: float, *, t2: bool = True) -> Term:
    """KL(softmax(v / T) || softmax(z / T)), times T^2 unless it is left out.

    Its gradient is (softmax(z / T) - softmax(v / T)) / T: it shrinks with T, and its softened difference does so
    once more, which T^2 makes up for (Hinton, Vinyals, Dean 2015, section 2.1).

    Args:
        teacher: (..., 7) logits v.
        student: (..., 7) logits z.
        temperature: T.
        t2: whether T^2 is there.
    """
    log_target, log_soft = log_softmax(teacher, temperature), log_softmax(student, temperature)
    value = (np.exp(log_target) * (log_target - log_soft)).sum(axis=-1)
    gradient = (np.exp(log_soft) - np.exp(log_target)) / temperature
    return Term(value, gradient).times(temperature**2 if t2 else 1.0)


def twice_softened_term(
    teacher: np.ndarray, student: np.ndarray, temperature: float, *, t2: bool = False
) -> Term:
    """The report's: softmax(softmax(v) / T) against softmax(softmax(z) / T), without T^2."""
    shares = softmax(student)
    outer = soft_term(softmax(teacher), shares, temperature, t2=t2)
    # Back through the inner softmax: J^T g = q * (g - <q, g>).
    inner = shares * (outer.gradient - (shares * outer.gradient).sum(axis=-1, keepdims=True))
    return Term(outer.value, inner)


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss of one image.

    Attributes:
        hard, soft: without their weights; `soft` carries T^2.
        bare: the soft term without T^2.
        reported: the soft term as the report's code has it.
        alpha: weight of the soft term.
    """

    hard: Term
    soft: Term
    bare: Term
    reported: Term
    alpha: float

    @property
    def total(self) -> Term:
        """alpha * soft + (1 - alpha) * hard: the report's section 4.2, its code, and ours."""
        return self.weighted(self.soft)

    @property
    def other_reading(self) -> Term:
        """(1 - alpha) * soft + alpha * hard: its sections 3.1 and 4.1."""
        return self.hard.times(self.alpha).plus(self.soft.times(1 - self.alpha))

    @property
    def report(self) -> Term:
        """What the report's code minimises: probabilities softened again, no T^2."""
        return self.weighted(self.reported)

    def weighted(self, soft: Term) -> Term:
        """alpha * soft + (1 - alpha) * hard."""
        return self.hard.times(1 - self.alpha).plus(soft.times(self.alpha))


def take_apart(
    teacher: np.ndarray, student: np.ndarray, label: int | np.ndarray, temperature: float, alpha: float
) -> Loss:
    """All terms for one image, or for many at once.

    Args:
        teacher, student: (..., 7) logits.
        label: (...,) class index.
        temperature: T.
        alpha: weight of the soft term, 0 to 1.
    """
    return Loss(
        hard_term(student, np.asarray(label)),
        soft_term(teacher, student, temperature),
        soft_term(teacher, student, temperature, t2=False),
        twice_softened_term(teacher, student, temperature),
        alpha,
    )
