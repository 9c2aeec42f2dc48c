"""Malignant or not: the score, its operating point, and any one-against-the-rest decision at a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from core.errors import UserError
from core.evaluation.intervals import LEVEL, Estimates, Interval, Resamples, Statistic
from core.evaluation.metrics import Ranking, divide
from core.lesions import MALIGNANT

SENSITIVITY_TARGET = 0.95
_CELLS = 4


class OperatingError(UserError):
    """A threshold or prevalence that makes no sense."""


def malignancy_score(probabilities: np.ndarray) -> np.ndarray:
    """(N,) sum of the calibrated probabilities (N, 7) of the malignant classes, within [0, 1]."""
    return np.clip(np.asarray(probabilities, dtype=np.float64)[:, list(MALIGNANT)].sum(axis=1), 0, 1)


def is_malignant(labels: np.ndarray) -> np.ndarray:
    """(N,) bool: melanoma, basal cell carcinoma or akiec."""
    return np.isin(labels, MALIGNANT)


def threshold_for_sensitivity(
    score: np.ndarray, positive: np.ndarray, target: float = SENSITIVITY_TARGET
) -> float | None:
    """The highest threshold at which at least `target` of the positives score at or above it.

    It lies halfway between the last score that must be kept and the next lower one of any image, so that
    another runtime's rounding does not move an image across.

    Args:
        score: (N,) in [0, 1].
        positive: (N,) bool.
        target: in (0, 1].

    Returns:
        the threshold, or None without positives.

    Raises:
        OperatingError: the target is no share.
    """
    if not 0 < target <= 1:
        raise OperatingError(f"expected a sensitivity above 0 and at most 1, found {target}")
    score, positive = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=bool)
    positives = np.sort(score[positive])[::-1]
    if not len(positives):
        return None
    # The small allowance keeps 0.95 * 20 = 19.000000000000004 from asking for a twentieth.
    needed = int(np.ceil(target * len(positives) - 1e-9))
    last = positives[needed - 1]
    lower = score[score < last].max(initial=0.0)
    halfway = float((last + lower) / 2)
    # Between neighbouring numbers there is none: halfway is rounded to one of them, which may be the lower.
    return halfway if halfway > lower else float(last)


@dataclass(frozen=True)
class Decision:
    """The 2x2 table of `score >= threshold` against the truth, and what follows from it.

    Attributes:
        threshold: a case at or above it counts as positive; None where something else decided.
        tp, fp, fn, tn: images.
        sensitivity, specificity, ppv, npv, f1: with intervals over lesions; NaN where undefined. With a
            prevalence, ppv and npv are those at that prevalence instead of this sample's.
        prevalence: the one asked for, or None for the sample's own.
    """

    threshold: float | None
    tp: int
    fp: int
    fn: int
    tn: int
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval
    f1: Interval
    prevalence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v.to_dict() if isinstance(v, Interval) else v for name, v in values.items()}


def predictive_values(
    sensitivity: np.ndarray | float, specificity: np.ndarray | float, prevalence: float
) -> tuple[np.ndarray, np.ndarray]:
    """PPV and NPV by Bayes' theorem where a share `prevalence` of those examined has the disease.

    Raises:
        OperatingError: the prevalence is no share.
    """
    if not 0 <= prevalence <= 1:
        raise OperatingError(f"expected a prevalence between 0 and 1, found {prevalence}")
    sensitivity, specificity = np.asarray(sensitivity), np.asarray(specificity)
    found, missed = sensitivity * prevalence, (1 - sensitivity) * prevalence
    spared, alarmed = specificity * (1 - prevalence), (1 - specificity) * (1 - prevalence)
    return divide(found, found + alarmed), divide(spared, spared + missed)


def decision_statistic(
    chosen: np.ndarray, positive: np.ndarray, prevalence: float | None = None
) -> Statistic:
    """`table` (B, 4) as tp, fp, fn, tn, and (B,) sensitivity, specificity, ppv, npv, f1.

    Args:
        chosen: (N,) bool, what is called positive.
        positive: (N,) bool, what is.
        prevalence: for ppv and npv, or None for the sample's own.
    """
    cells = np.eye(_CELLS)[_cell(chosen, positive)]

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return _figures(weights @ cells, prevalence)

    return statistic


def _cell(chosen: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(N,) 0 where an image is tp, 1 for fp, 2 for fn, 3 for tn."""
    return 2 * ~np.asarray(chosen, dtype=bool) + ~np.asarray(positive, dtype=bool)


def _figures(table: np.ndarray, prevalence: float | None) -> dict[str, np.ndarray]:
    """What follows from tables (B, 4)."""
    tp, fp, fn, tn = table.T
    sensitivity, specificity = divide(tp, tp + fn), divide(tn, tn + fp)
    if prevalence is None:
        ppv, npv = divide(tp, tp + fp), divide(tn, tn + fn)
    else:
        ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    f1 = divide(2 * tp, 2 * tp + fp + fn)
    return {
        "table": table, "sensitivity": sensitivity, "specificity": specificity, "ppv": ppv, "npv": npv, "f1": f1
    }  # fmt: skip


def at_threshold(
    score: np.ndarray,
    positive: np.ndarray,
    threshold: float,
    resamples: Resamples,
    prevalence: float | None = None,
) -> Decision:
    """What one threshold does, with intervals over lesions.

    Args:
        score: (N,) the malignancy score, or one class's probability.
        positive: (N,) bool.
        threshold: cases at or above it are called positive.
        resamples: of the same N images; draw them once and move the threshold freely.
        prevalence: for ppv and npv, or None for the sample's own.
    """
    positive = np.asarray(positive, dtype=bool)
    chosen = np.asarray(score) >= threshold
    cell = _cell(chosen, positive)
    counts = np.bincount(cell, minlength=_CELLS).astype(np.float64)
    whole = {name: value[0] for name, value in _figures(counts[None], prevalence).items()}
    # By lesion and not by image, so that a slider may ask for it at every step.
    estimates = Estimates(whole, _figures(resamples.totals(cell, _CELLS), prevalence), resamples)
    shares = {"sensitivity": positive, "specificity": ~positive, "ppv": chosen, "npv": ~chosen}
    intervals = {
        name: estimates.interval(name, proportion_of=len(np.unique(resamples.lesion[of])))
        for name, of in shares.items()
    }
    intervals["f1"] = estimates.interval("f1")
    if prevalence is not None:
        intervals |= _at_prevalence(estimates, intervals, prevalence)
    tp, fp, fn, tn = (int(n) for n in estimates.values["table"])
    return Decision(float(threshold), tp, fp, fn, tn, **intervals, prevalence=prevalence)


def _at_prevalence(
    estimates: Estimates, intervals: Mapping[str, Interval], prevalence: float
) -> dict[str, Interval]:
    """PPV and NPV at a prevalence that was asked for: no simple shares of the sample, so nobody's n is theirs.

    Both rise with sensitivity and with specificity. Where one of these is the same in every resample, the ends of its
    Wilson's interval stand for it, or the bootstrap would claim certainty.
    """
    parts = ("sensitivity", "specificity")
    if all(intervals[name].method == "bootstrap" for name in parts):
        return {name: estimates.interval(name) for name in ("ppv", "npv")}
    ends = []
    for end, quantile in (("low", (1 - LEVEL) / 2), ("high", (1 + LEVEL) / 2)):
        draws = [
            np.full_like(estimates.draws[name], getattr(intervals[name], end))
            if intervals[name].method == "wilson"
            else estimates.draws[name]
            for name in parts
        ]
        ends.append(
            [
                float(np.quantile(known, quantile))
                if len(known := values[~np.isnan(values)])
                else float("nan")
                for values in predictive_values(*draws, prevalence)
            ]
        )
    found = {}
    for name, low, high in zip(("ppv", "npv"), *ends, strict=True):
        value = float(estimates.values[name])
        found[name] = Interval(value, min(low, value), max(high, value), method="wilson")
    return found


@dataclass(frozen=True, eq=False)
class Curve:
    """A ROC or precision-recall curve of one class against the rest.

    Attributes:
        x, y: (P,) false positive rate and sensitivity, or recall (falling) and precision.
        threshold: (P,) the score at or above which a case counts as positive; the end at which nothing does
            has infinity.
        area: under the ROC curve, or average precision.
    """

    x: np.ndarray
    y: np.ndarray
    threshold: np.ndarray
    area: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite threshold becomes None."""
        return {
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "threshold": [float(t) if np.isfinite(t) else None for t in self.threshold],
            "area": None if np.isnan(self.area) else self.area,
        }


def roc(score: np.ndarray, positive: np.ndarray) -> Curve:
    """The ROC curve of (N,) scores for (N,) bool cases; empty, with area NaN, without both kinds."""
    positive = np.asarray(positive, dtype=bool)
    if positive.all() or not positive.any():
        return Curve(*(np.empty(0),) * 3, area=float("nan"))
    found, alarms, threshold = _running(score, positive)
    # Points on a straight line between their neighbours are not drawn.
    bends = (np.diff(found, 2) != 0) | (np.diff(alarms, 2) != 0)
    kept = np.concatenate([[True], bends, [True]])
    area, _ = Ranking.of(score, positive).areas(np.ones((1, len(positive))))
    x, y = alarms[kept] / alarms[-1], found[kept] / found[-1]
    return Curve(x, y, threshold[kept], float(area[0]))


def precision_recall(score: np.ndarray, positive: np.ndarray) -> Curve:
    """The precision-recall curve of (N,) scores for (N,) bool cases; empty, with area NaN, without positives."""
    positive = np.asarray(positive, dtype=bool)
    if not positive.any():
        return Curve(*(np.empty(0),) * 3, area=float("nan"))
    found, alarms, threshold = (values[::-1] for values in _running(score, positive))
    called = found + alarms
    precision = np.divide(found, called, out=np.ones(len(called)), where=called > 0)
    _, area = Ranking.of(score, positive).areas(np.ones((1, len(positive))))
    return Curve(found / found[0], precision, threshold, float(area[0]))


def _running(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P + 1,) positives and others at or above each of the P scores, falling, with nobody above infinity first.

    As in scikit-learn, the oracle of the tests; importing it would keep the first visitor waiting for seconds.
    """
    score = np.asarray(score, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    found = np.cumsum(positive[order])[last]
    none, highest = [0], [np.inf]
    return (
        np.concatenate([none, found]),
        np.concatenate([none, last + 1 - found]),
        np.concatenate([highest, ordered[last]]),
    )
