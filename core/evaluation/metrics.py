"""Figures of merit of a classification, for many weightings of the images at once.

Every function takes weights (B, N), one row for each bootstrap resample, and gives (B,) or (B, K); a row of
ones is the plain figure. scikit-learn has each of these for one weighting and is the oracle in the tests;
2,000 resamples by its functions would take minutes. A figure without a denominator is NaN, never 0:
the sensitivity for a class that was not drawn, the precision of a class that is never predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.evaluation.calibration import BINS, confidence_bins, log_softmax
from core.evaluation.intervals import Estimates, Resamples, Statistic
from core.lesions import N_CLASSES

COLLAPSE_MARGIN, COLLAPSED_ANSWERS = 0.01, 0.95
"""A model is marked as collapsed when its accuracy lies within the first of the majority's share and at least the
second of its answers are that class: the accuracy alone may be that of one that confuses nevi with all the others."""


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def plain_weights(n: int) -> np.ndarray:
    """(1, n) ones: every image once."""
    return np.ones((1, n))


def confusion(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None, classes: int = N_CLASSES
) -> np.ndarray:
    """Confusion matrices (B, K, K): rows are the true class, columns the predicted one.

    Args:
        labels: (N,) int.
        predicted: (N,) int.
        weights: (B, N), or None for every image once (B = 1).
        classes: K.
    """
    weights = plain_weights(len(labels)) if weights is None else weights
    cells = np.eye(classes * classes)[_cell(labels, predicted, classes)]
    return (weights @ cells).reshape(len(weights), classes, classes)


def _cell(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(N,): where an image lies in the matrix, row by row."""
    return np.asarray(labels) * classes + np.asarray(predicted)


def from_confusion(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """What follows from confusion matrices (B, K, K).

    Returns:
        accuracy (B,); balanced_accuracy (B,), the mean sensitivity of the classes that are there; macro_f1
        (B,), over the classes that are there or predicted; and (B, K) sensitivity, specificity, precision,
        npv, f1 of each class against the rest. These conventions are scikit-learn's.
    """
    total = matrix.sum(axis=(1, 2))
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    true, predicted = matrix.sum(axis=2), matrix.sum(axis=1)
    rest = total[:, None] - true
    correct_rejections = rest - (predicted - hits)
    sensitivity = divide(hits, true)
    f1 = divide(2 * hits, true + predicted)
    return {
        "accuracy": divide(hits.sum(axis=1), total),
        "balanced_accuracy": mean_of_defined(sensitivity),
        "macro_f1": mean_of_defined(f1),
        "sensitivity": sensitivity,
        "specificity": divide(correct_rejections, rest),
        "precision": divide(hits, predicted),
        "npv": divide(correct_rejections, total[:, None] - predicted),
        "f1": f1,
    }


@dataclass(frozen=True, eq=False)
class Ranking:
    """A score's order, kept so that its AUC costs two running sums for each block of resamples.

    Attributes:
        order: (N,) images by rising score.
        positive: (N,) bool, in that order.
        start, end: (N,) where the image's group of equal scores begins and ends in that order.
    """

    order: np.ndarray
    positive: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, score: np.ndarray, positive: np.ndarray) -> Ranking:
        """Rank (N,) scores, higher meaning more likely positive, of (N,) bool cases."""
        score, positive = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=bool)
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        start, end = np.searchsorted(ordered, ordered, "left"), np.searchsorted(ordered, ordered, "right")
        return cls(order, positive[order], start, end)

    def areas(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Areas under the ROC curve and average precision, each (B,).

        The first is the weighted share of (positive, negative) pairs in the right order, a tie counting half
        (Hanley and McNeil 1982); NaN without both kinds. The second is the sum over thresholds of precision
        times the gain in recall, as in scikit-learn; NaN without positives.
        """
        ordered = weights[:, self.order]
        zero = np.zeros((len(weights), 1))
        all_below = np.concatenate([zero, np.cumsum(ordered, axis=1)], axis=1)
        positive_below = np.concatenate([zero, np.cumsum(ordered * self.positive, axis=1)], axis=1)
        at, start, end = np.flatnonzero(self.positive), self.start[self.positive], self.end[self.positive]
        own, positives = ordered[:, at], positive_below[:, -1]
        negative_below = all_below - positive_below
        below = (negative_below[:, start] + negative_below[:, end]) / 2
        roc = divide((own * below).sum(axis=1), positives * negative_below[:, -1])
        chosen = all_below[:, -1:] - all_below[:, start]
        precision = np.where(own > 0, divide(positives[:, None] - positive_below[:, start], chosen), 0.0)
        return roc, divide((own * precision).sum(axis=1), positives)


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """Expected calibration error of the top class in bins of equal width, (B,)."""
    top = probabilities.max(axis=1)
    excess = (probabilities.argmax(axis=1) == labels) - top
    cells = np.zeros((len(labels), bins))
    cells[np.arange(len(labels)), confidence_bins(top, bins)] = excess
    return divide(np.abs(weights @ cells).sum(axis=1), weights.sum(axis=1))


def log_loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, temperature: float) -> np.ndarray:
    """Mean of -log p(true class), (B,), natural logarithm."""
    loss = -log_softmax(logits, temperature)[np.arange(len(labels)), labels]
    return divide(weights @ loss, weights.sum(axis=1))


def classification(labels: np.ndarray, predicted: np.ndarray) -> Statistic:
    """The statistic of `from_confusion` for (N,) labels and predicted classes."""

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return from_confusion(confusion(labels, predicted, weights))

    return statistic


def classified(labels: np.ndarray, predicted: np.ndarray, resamples: Resamples) -> Estimates:
    """`classification` on every resample, as `bootstrap` has it but many times faster: matrices add up by lesion."""
    drawn = resamples.totals(_cell(labels, predicted, N_CLASSES), N_CLASSES * N_CLASSES)
    values = {name: value[0] for name, value in from_confusion(confusion(labels, predicted)).items()}
    return Estimates(values, from_confusion(drawn.reshape(-1, N_CLASSES, N_CLASSES)), resamples)


def ranking(probabilities: np.ndarray, labels: np.ndarray) -> Statistic:
    """One-vs-rest `auc` and `average_precision` (B, K), and `macro_auc` (B,), their mean where defined."""
    ranks = [Ranking.of(probabilities[:, k], labels == k) for k in range(probabilities.shape[1])]

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        areas = [rank.areas(weights) for rank in ranks]
        auc = np.stack([roc for roc, _ in areas], axis=1)
        return {
            "auc": auc,
            "macro_auc": mean_of_defined(auc),
            "average_precision": np.stack([precision for _, precision in areas], axis=1),
        }

    return statistic


def together(*statistics: Statistic) -> Statistic:
    """One statistic with the figures of several."""

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return {name: value for each in statistics for name, value in each(weights).items()}

    return statistic


def majority_share(labels: np.ndarray) -> float:
    """The share of the commonest class: the accuracy of a model that has learnt nothing else."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else float("nan")


def is_collapsed(accuracy: float, majority: float, says_majority: float = 1.0) -> bool:
    """Whether accuracy lies within one point of the majority's share, and the answers are hardly anything else.

    Args:
        accuracy: share of right answers.
        majority: share of the commonest class.
        says_majority: share of the answers that are that class; 1, the worst, where nobody knows.
    """
    return abs(accuracy - majority) <= COLLAPSE_MARGIN + 1e-12 and says_majority >= COLLAPSED_ANSWERS
