"""Every figure of merit of one model on one part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    SEED,
    Estimates,
    Interval,
    Resamples,
    bootstrap,
    resample,
)
from core.evaluation.metrics import (
    calibration_error,
    classification,
    confusion,
    is_collapsed,
    log_loss,
    majority_share,
    ranking,
    together,
)
from core.evaluation.predictions import Predictions, PredictionsError
from core.lesions import CODES, N_CLASSES

HEADLINES: tuple[str, ...] = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "log_loss",
    "ece_before",
    "ece_after",
)
PER_CLASS: tuple[str, ...] = (
    "sensitivity",
    "specificity",
    "precision",
    "npv",
    "f1",
    "auc",
    "average_precision",
)


@dataclass(frozen=True)
class ClassFigures:
    """One class against the rest.

    Attributes:
        n_images, n_lesions: of the class.
        intervals: the figures of `PER_CLASS`.
    """

    n_images: int
    n_lesions: int
    intervals: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        figures = {name: interval.to_dict() for name, interval in self.intervals.items()}
        return {"n_images": self.n_images, "n_lesions": self.n_lesions} | figures


@dataclass(frozen=True)
class Figures:
    """All figures of merit of one model on one part.

    Attributes:
        part: `validation` or `test`.
        n_images, n_lesions: evaluated.
        temperature: by which the logits were divided (AUC and `ece_after` depend on it).
        intervals: the figures of `HEADLINES`.
        classes: by class code.
        confusion: rows are the true class, columns the predicted one, in the order of `CODES`.
        majority: code of the commonest class.
        majority_share: its share, the accuracy of a model that has learnt nothing else.
        predicted_majority_share: how often the model answers with that class.
        collapsed: see `core.evaluation.metrics.is_collapsed`.
        resamples, seed: of the bootstrap.
    """

    part: str
    n_images: int
    n_lesions: int
    temperature: float
    intervals: Mapping[str, Interval]
    classes: Mapping[str, ClassFigures]
    confusion: tuple[tuple[int, ...], ...]
    majority: str
    majority_share: float
    predicted_majority_share: float
    collapsed: bool
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as the manifest stores it."""
        return {
            "part": self.part,
            "n_images": self.n_images,
            "n_lesions": self.n_lesions,
            "temperature": self.temperature,
            **{name: interval.to_dict() for name, interval in self.intervals.items()},
            "classes": {code: figures.to_dict() for code, figures in self.classes.items()},
            "confusion": [list(row) for row in self.confusion],
            "majority": {
                "class": self.majority,
                "share": self.majority_share,
                "predicted_share": self.predicted_majority_share,
            },
            "collapsed": self.collapsed,
            "bootstrap": {
                "resamples": self.resamples,
                "seed": self.seed,
                "unit": "lesion",
                "level": LEVEL,
            },
        }


def measure(
    predictions: Predictions, temperature: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Figures:
    """Every figure of one model on one part, with 95% intervals by bootstrap over lesions.

    Args:
        predictions: of one part; `predictions.part_only("test")` gives one.
        temperature: fitted on validation.
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Raises:
        PredictionsError: no images, or images of both parts.
    """
    part = _only_part(predictions)
    label, predicted = predictions.label, predictions.predicted
    before, after = predictions.probabilities(), predictions.probabilities(temperature)

    def confidence(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "log_loss": log_loss(predictions.logits, label, weights, temperature),
            "ece_before": calibration_error(before, label, weights),
            "ece_after": calibration_error(after, label, weights),
        }

    drawn = resample(predictions.lesion_id, resamples, seed)
    statistic = together(classification(label, predicted), ranking(after, label), confidence)
    estimates = bootstrap(statistic, drawn)
    shares = {"accuracy": drawn.n_lesions}
    headlines = {name: estimates.interval(name, proportion_of=shares.get(name)) for name in HEADLINES}
    majority = int(np.bincount(label).argmax())
    share, says = majority_share(label), float((predicted == majority).mean())
    return Figures(
        part=part,
        n_images=len(predictions),
        n_lesions=drawn.n_lesions,
        temperature=float(temperature),
        intervals=headlines,
        classes={CODES[k]: _class_figures(estimates, label, predicted, drawn, k) for k in range(N_CLASSES)},
        confusion=tuple(tuple(int(n) for n in row) for row in confusion(label, predicted)[0]),
        majority=CODES[majority],
        majority_share=share,
        predicted_majority_share=says,
        collapsed=is_collapsed(headlines["accuracy"].value, share, says),
        resamples=resamples,
        seed=seed,
    )


def _only_part(predictions: Predictions) -> str:
    parts = sorted(set(predictions.part.tolist()))
    if len(parts) != 1:
        found = " and ".join(parts) or "no images"
        raise PredictionsError(f"{predictions.model}: expected images of one part to measure, found {found}")
    return parts[0]


def _class_figures(
    estimates: Estimates, label: np.ndarray, predicted: np.ndarray, drawn: Resamples, k: int
) -> ClassFigures:
    # What each proportion is a share of, in lesions: see `Estimates.interval`.
    denominators = {
        "sensitivity": label == k,
        "specificity": label != k,
        "precision": predicted == k,
        "npv": predicted != k,
    }
    lesions = {name: len(np.unique(drawn.lesion[rows])) for name, rows in denominators.items()}
    return ClassFigures(
        n_images=int((label == k).sum()),
        n_lesions=lesions["sensitivity"],
        intervals={name: estimates.interval(name, k, proportion_of=lesions.get(name)) for name in PER_CLASS},
    )
