"""What a soft label is: a teacher's logits, softened; what the softening keeps, and what softening twice leaves."""

from __future__ import annotations

import math

import numpy as np

from core.evaluation.calibration import softmax
from core.lesions import CODES, N_CLASSES

LARGEST_ENTROPY = float(np.log(N_CLASSES))
"""ln 7: of saying nothing, in nats."""

TEMPERATURES = np.geomspace(1, 50, 60)
"""Along which entropies are drawn."""

CHOICES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 35.0, 50.0)
"""What a slider offers of T: nearly all that softening does to a teacher's answer, it does below 8."""


def softened(logits: np.ndarray, temperature: float, *, twice: bool = False) -> np.ndarray:
    """softmax(z / T), or the report's softmax(softmax(z) / T).

    Args:
        logits: (..., 7).
        temperature: T > 0.
        twice: soften what softmax has made of the logits already.

    Returns:
        (..., 7) float64.
    """
    return softmax(softmax(logits) if twice else logits, temperature)


def entropy(distribution: np.ndarray) -> np.ndarray:
    """(...,) entropy in nats of distributions (..., 7); 0 * log 0 counts as 0."""
    p = np.asarray(distribution, dtype=np.float64)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)


def entropy_curve(logits: np.ndarray, *, twice: bool = False) -> np.ndarray:
    """(len(TEMPERATURES),) entropy of one image's soft label as T moves."""
    return np.array([float(entropy(softened(logits, t, twice=twice))) for t in TEMPERATURES])


def nearest_choice(temperature: float) -> float:
    """The one of `CHOICES` whose ratio to T > 0 is nearest to 1."""
    return min(CHOICES, key=lambda choice: abs(math.log(choice) - math.log(temperature)))


def ranking(logits: np.ndarray) -> tuple[str, ...]:
    """The seven codes by falling logit: the order that no temperature changes."""
    return tuple(CODES[i] for i in np.argsort(-np.asarray(logits), kind="stable"))


def dark_knowledge(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """(7, 7) mean soft label of the images of each true class (a row); NaN for a class that is not there.

    Args:
        logits: (N, 7).
        labels: (N,) int.
        temperature: T.
    """
    soft = softened(logits, temperature)
    result = np.full((N_CLASSES, N_CLASSES), np.nan)
    for label in np.unique(labels):
        result[label] = soft[labels == label].mean(axis=0)
    return result


def likeness(knowledge: np.ndarray, confusion: np.ndarray) -> float:
    """Rank correlation of what a teacher's soft labels hold besides the truth with what it takes for what.

    Over the cells off the diagonal; NaN where one of them is constant.

    Args:
        knowledge: (7, 7) from `dark_knowledge`.
        confusion: (7, 7) counts, rows true.
    """
    true = confusion.sum(axis=1, keepdims=True)
    shares = np.where(true > 0, confusion / np.maximum(true, 1), np.nan)
    off = ~np.eye(N_CLASSES, dtype=bool) & ~np.isnan(knowledge) & ~np.isnan(shares)
    first, second = _ranks(knowledge[off]), _ranks(shares[off])
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def likeness_without_errors(
    logits: np.ndarray, labels: np.ndarray, confusion: np.ndarray, temperature: float
) -> float:
    """`likeness` to a confusion matrix of the soft labels of rightly named images alone, which hold no error.

    Args:
        logits: (N, 7).
        labels: (N,) int.
        confusion: (7, 7) counts, rows true.
        temperature: T.
    """
    right = np.argmax(logits, axis=1) == labels
    return likeness(dark_knowledge(logits[right], labels[right], temperature), confusion)


def telling_first(logits: np.ndarray, label: int) -> np.ndarray:
    """(N,) rows of (N, 7) logits of images of one class, those first whose soft label says most besides the truth.

    By the entropy at T = 4, but first the images that the model names rightly and is sure of at T = 1: there the hard
    label and the soft one look alike until the temperature rises.
    """
    once = softened(logits, 1.0)
    sure = (once.argmax(axis=1) == label) & (once.max(axis=1) > 0.6)
    return np.lexsort((-entropy(softened(logits, 4.0)), ~sure))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks, ties sharing theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[index]
