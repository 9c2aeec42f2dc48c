"""One model's whole account: calibrated and given its operating point on validation, measured on both parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.evaluation.calibration import fit_temperature
from core.evaluation.evaluate import Figures, measure
from core.evaluation.intervals import RESAMPLES, SEED, resample
from core.evaluation.operating import (
    SENSITIVITY_TARGET,
    Decision,
    at_threshold,
    is_malignant,
    malignancy_score,
    threshold_for_sensitivity,
)
from core.evaluation.predictions import PARTS, Predictions, PredictionsError


@dataclass(frozen=True)
class OperatingPoint:
    """The malignancy score's threshold, chosen on validation, and what it does on each part."""

    threshold: float
    target: float
    validation: Decision
    test: Decision

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as the manifest stores it."""
        return {
            "malignancy_threshold": self.threshold,
            "sensitivity_target": self.target,
            "validation_sensitivity": self.validation.sensitivity.to_dict()["value"],
            "validation_specificity": self.validation.specificity.to_dict()["value"],
            "validation": self.validation.to_dict(),
            "test": self.test.to_dict(),
        }


@dataclass(frozen=True)
class Assessment:
    """One model, calibrated and given its operating point on validation, measured on both parts.

    Attributes:
        model: its name.
        temperature: by which logits are divided.
        operating_point: None where validation has no malignant image.
        validation, test: figures of merit.
    """

    model: str
    temperature: float
    operating_point: OperatingPoint | None
    validation: Figures
    test: Figures

    def to_dict(self) -> dict[str, Any]:
        """The manifest's `calibration`, `operating_point` and `figures` of this model."""
        return {
            "calibration": {"temperature": self.temperature, "fitted_on": "validation"},
            "operating_point": self.operating_point.to_dict() if self.operating_point else None,
            "figures": {"validation": self.validation.to_dict(), "test": self.test.to_dict()},
        }


def assess(
    predictions: Predictions,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Assessment:
    """Fit the temperature and the operating point on validation, then measure validation and test.

    Args:
        predictions: of both parts.
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Raises:
        PredictionsError: one of the two parts has no images.
    """
    validation, test = (predictions.part_only(part) for part in PARTS)
    for part, rows in zip(PARTS, (validation, test), strict=True):
        if not len(rows):
            raise PredictionsError(
                f"{predictions.model}: expected images of {' and '.join(PARTS)}, found none of {part}"
            )
    temperature = fit_temperature(validation.logits, validation.label)
    return Assessment(
        model=predictions.model,
        temperature=temperature,
        operating_point=_operating_point(validation, test, temperature, resamples, seed),
        validation=measure(validation, temperature, resamples=resamples, seed=seed),
        test=measure(test, temperature, resamples=resamples, seed=seed),
    )


def _operating_point(
    validation: Predictions, test: Predictions, temperature: float, resamples: int, seed: int
) -> OperatingPoint | None:
    score = malignancy_score(validation.probabilities(temperature))
    threshold = threshold_for_sensitivity(score, is_malignant(validation.label))
    if threshold is None:
        return None

    def decide(rows: Predictions) -> Decision:
        drawn = resample(rows.lesion_id, resamples, seed)
        scores = malignancy_score(rows.probabilities(temperature))
        return at_threshold(scores, is_malignant(rows.label), threshold, drawn)

    return OperatingPoint(threshold, SENSITIVITY_TARGET, decide(validation), decide(test))
