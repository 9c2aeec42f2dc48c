"""Probabilities from logits, and how far they can be believed.

Temperature scaling and the expected calibration error are those of Guo et al., "On Calibration of Modern
Neural Networks", ICML 2017: one temperature T > 0, fitted on validation by the negative log likelihood,
divides every logit. It changes no ranking of the classes of an image, so no predicted class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import UserError
from core.evaluation.intervals import wilson_bounds

BINS = 15
MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 20.0


class CalibrationError(UserError):
    """Logits or labels from which no probability can be had."""


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """exp(z / T) / sum exp(z / T) over the last axis, in float64 whatever the input's precision.

    Args:
        logits: (..., K), finite.
        temperature: T > 0.

    Raises:
        CalibrationError: a logit is NaN or infinite, or the temperature is not a positive number.
    """
    return np.exp(log_softmax(logits, temperature))


def log_softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Logarithm of `softmax`, exact where the probability itself would be rounded to 0."""
    scaled = np.asarray(logits, dtype=np.float64)
    if not (np.isfinite(temperature) and temperature > 0):
        raise CalibrationError(f"expected a temperature above 0, found {temperature!r}")
    if not np.isfinite(scaled).all():
        raise CalibrationError("expected finite logits, found NaN or infinity")
    scaled = (scaled - scaled.max(axis=-1, keepdims=True)) / temperature
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean over the images of -log p(true class); natural logarithm."""
    return float(-log_softmax(logits, temperature)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the negative log likelihood of `labels`.

    The likelihood is convex in 1 / T, hence has one minimum in log T, which is searched between
    `MIN_TEMPERATURE` and `MAX_TEMPERATURE`. Where the data do not determine T the answer errs on the
    side of doubt: 1 when no image has a larger logit than its true class' (the likelihood then asks for
    T -> 0, certainty, or is the same for every T), and `MAX_TEMPERATURE` when the logits are worse than
    saying nothing (T -> infinity, even odds).

    Args:
        logits: (N, K), N >= 1.
        labels: (N,) int in 0 .. K - 1.

    Raises:
        CalibrationError: no images, other shapes, labels out of range, or logits that are not finite.
    """
    from scipy.optimize import minimize_scalar

    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise CalibrationError(
            f"expected logits (N, K) and labels (N,) of at least one image, found {logits.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise CalibrationError(
            f"expected labels 0 to {logits.shape[1] - 1}, found {labels.min()} to {labels.max()}"
        )
    if (logits[np.arange(len(labels)), labels] == logits.max(axis=1)).all():
        return 1.0
    bounds = np.log([MIN_TEMPERATURE, MAX_TEMPERATURE])
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t))),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return MAX_TEMPERATURE if bounds[1] - found.x < 1e-3 else float(np.exp(found.x))


def confidence_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(N,) index of the bin (k / bins, (k + 1) / bins] that holds each top-class probability."""
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability diagram of the top class, bin by bin.

    Attributes:
        edges: (B + 1,) of equal width from 0 to 1.
        count: (B,) images in the bin.
        confidence: (B,) their mean top-class probability, NaN in an empty bin.
        accuracy: (B,) the share whose top class is the true one, NaN in an empty bin.
        low, high: (B,) Wilson's 95% interval of `accuracy`, NaN in an empty bin.
        ece: expected calibration error.
        mce: the largest gap of any bin.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ece: float
    mce: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, None for what an empty bin lacks."""

        def plain(values: np.ndarray) -> list[float | None]:
            return [None if np.isnan(v) else float(v) for v in values]

        return {
            "edges": self.edges.tolist(),
            "count": self.count.tolist(),
            **{name: plain(getattr(self, name)) for name in ("confidence", "accuracy", "low", "high")},
            "ece": None if np.isnan(self.ece) else self.ece,
            "mce": None if np.isnan(self.mce) else self.mce,
        }


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, lesion_id: np.ndarray | None = None
) -> Reliability:
    """Accuracy against confidence in `bins` bins of equal width on the top class.

    Args:
        probabilities: (N, K).
        labels: (N,) int.
        lesion_id: (N,) whose images count as one case in a bin, for its interval; None for one image of each.
    """
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    top = probabilities.max(axis=1, initial=0.0)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    index = confidence_bins(top, bins)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count, count, np.nan)
    confidence = np.bincount(index, weights=top, minlength=bins) / filled
    accuracy = np.bincount(index, weights=right, minlength=bins) / filled
    gaps = np.abs(accuracy - confidence)
    cases = count if lesion_id is None else _lesions_in(index, lesion_id, bins)
    low, high = wilson_bounds(accuracy, np.where(cases, cases, np.nan))
    empty = not len(labels)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        confidence=confidence,
        accuracy=accuracy,
        low=low,
        high=high,
        ece=float("nan") if empty else float(np.nansum(gaps * count) / len(labels)),
        mce=float("nan") if empty else float(np.nanmax(gaps)),
    )


def _lesions_in(index: np.ndarray, lesion_id: np.ndarray, bins: int) -> np.ndarray:
    """(B,) how many lesions have an image in each bin."""
    lesion = np.unique(np.asarray(lesion_id, dtype=str), return_inverse=True)[1]
    pairs = np.unique(np.stack([index, lesion]), axis=1)
    return np.bincount(pairs[0], minlength=bins)
