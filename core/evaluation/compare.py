"""Models on the same images, two by two: paired differences over lesions and McNemar's test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from core.evaluation.intervals import (
    RESAMPLES,
    SEED,
    Estimates,
    Interval,
    McNemar,
    bootstrap,
    mcnemar,
    paired_difference,
    resample,
    wilson_bounds,
)
from core.evaluation.metrics import classified, ranking
from core.evaluation.predictions import Predictions
from core.lesions import CODES

STUDENT, BASELINE = "student", "baseline"
"""One network at one budget, with teachers and without; what else differs between them, their recipes say."""

COUNTED: tuple[str, ...] = ("accuracy", "balanced_accuracy", "macro_f1")
"""Figures that follow from a confusion matrix, and so come at once."""

DIFFERENCES: tuple[str, ...] = (*COUNTED, "macro_auc")


@dataclass(frozen=True)
class Comparison:
    """first - second.

    Attributes:
        first, second: names of the models.
        n_images, n_lesions: that both answered.
        differences: of the figures of `DIFFERENCES`, or of those that were asked for.
        sensitivity: difference of each class' sensitivity, by code.
        mcnemar: of the images that only one of them gets right.
    """

    first: str
    second: str
    n_images: int
    n_lesions: int
    differences: Mapping[str, Interval]
    sensitivity: Mapping[str, Interval]
    mcnemar: McNemar

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "first": self.first,
            "second": self.second,
            "n_images": self.n_images,
            "n_lesions": self.n_lesions,
            "differences": {name: interval.to_dict() for name, interval in self.differences.items()},
            "sensitivity": {code: interval.to_dict() for code, interval in self.sensitivity.items()},
            "mcnemar": self.mcnemar.to_dict(),
        }


def compare(
    first: Predictions,
    second: Predictions,
    temperatures: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """`compare_all` for two models."""
    return compare_all([first, second], temperatures, resamples=resamples, seed=seed)[0]


def compare_all(
    models: Sequence[Predictions],
    temperatures: Mapping[str, float],
    *,
    figures: Sequence[str] = DIFFERENCES,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Comparison]:
    """Compare every two of some models; each is resampled once.

    Args:
        models: on the same images of one part, in any order.
        temperatures: by model's name; 1 where it is not there (it only matters for the AUC).
        figures: which of `DIFFERENCES`; `COUNTED` leaves out the AUC, which takes nearly all of the time.
        resamples: number of bootstrap resamples, the same for all models.
        seed: of the resamples.

    Returns:
        (earlier, later) in the order of `models`; none for fewer than two.

    Raises:
        PredictionsError: they hold different images.
    """
    if len(models) < 2:
        return []
    aligned = [models[0], *(model.aligned_to(models[0]) for model in models[1:])]
    drawn = resample(models[0].lesion_id, resamples, seed)
    answered = []
    for model in aligned:
        found = classified(model.label, model.predicted, drawn)
        if not set(figures) <= set(COUNTED):
            probabilities = model.probabilities(temperatures.get(model.model, 1.0))
            ranked = bootstrap(ranking(probabilities, model.label), drawn)
            found = Estimates({**found.values, **ranked.values}, {**found.draws, **ranked.draws}, drawn)
        answered.append((model, found))
    return [_comparison(*first, *second, figures) for first, second in combinations(answered, 2)]


def _comparison(
    first: Predictions, found: Estimates, second: Predictions, others: Estimates, figures: Sequence[str]
) -> Comparison:
    difference = paired_difference(found, others)
    lesion = difference.resamples.lesion
    differences = {
        name: or_few(difference.interval(name), lesion if name == "accuracy" else None) for name in figures
    }
    sensitivity = {
        code: or_few(interval, lesion[first.label == k])
        for k, (code, interval) in enumerate(zip(CODES, difference.intervals("sensitivity"), strict=True))
    }
    return Comparison(
        first=first.model,
        second=second.model,
        n_images=len(first),
        n_lesions=difference.resamples.n_lesions,
        differences=differences,
        sensitivity=sensitivity,
        mcnemar=mcnemar(first.predicted == first.label, second.predicted == second.label),
    )


def or_few(difference: Interval, lesion: np.ndarray | None) -> Interval:
    """A difference; where no resample has one, what zero changed lesions of so many still allow.

    Args:
        difference: by the bootstrap, which knows no ends then.
        lesion: of the images that both are shares of; None for figures that are no shares, whose ends are unknown then.
    """
    if difference.value or difference.low == difference.low or lesion is None:  # NaN counts as a value
        return difference
    _, most = wilson_bounds(0.0, len(np.unique(lesion)))
    return Interval(0.0, -float(most), float(most), method="wilson")
