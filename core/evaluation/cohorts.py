"""Figures by who the patient is and where the lesion lies: age, sex, site, way of confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.intervals import RESAMPLES, SEED, Interval, bootstrap, resample
from core.evaluation.metrics import Ranking, classification, together
from core.evaluation.operating import decision_statistic, is_malignant, malignancy_score
from core.evaluation.predictions import Predictions, PredictionsError
from core.lesions import INDEX

THIN = 30
"""A cohort with fewer lesions is marked: its intervals are wide and its neighbours not comparable."""

COUNTED: dict[str, tuple[str, ...]] = {
    "melanoma_sensitivity": ("n_melanomas",),
    "malignant_sensitivity": ("n_malignant",),
    "malignant_specificity": ("n_benign",),
    "malignant_auc": ("n_malignant", "n_benign"),
}
"""Figures that rest on some of a cohort's images only -> the kinds of these. Lesions of a kind are not stored; they are
never more than its images."""

AGE_EDGES: tuple[int, ...] = (30, 45, 60, 75)
UNKNOWN = "unknown"
MELANOMA = INDEX["mel"]


@dataclass(frozen=True)
class Cohort:
    """One group of the images.

    Attributes:
        dimension: `age`, `sex`, `site` or `confirmation`.
        group: for example `45-59`, `female`, `scalp`, `histo`.
        n_images, n_lesions: in the group.
        n_melanomas, n_malignant: images, the denominators of the two sensitivities.
        thin: fewer than `THIN` lesions.
        intervals: accuracy, balanced_accuracy (of the classes that are there), melanoma_sensitivity,
            malignant_auc, and at the model's operating point malignant_sensitivity and
            malignant_specificity; NaN where undefined.
    """

    dimension: str
    group: str
    n_images: int
    n_lesions: int
    n_melanomas: int
    n_malignant: int
    thin: bool
    intervals: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = ("dimension", "group", "n_images", "n_lesions", "n_melanomas", "n_malignant", "thin")
        figures = {name: interval.to_dict() for name, interval in self.intervals.items()}
        return {name: getattr(self, name) for name in counts} | figures


def is_thin(cohort: Mapping[str, Any], figure: str) -> bool:
    """Whether a cohort has too little for a figure: too few lesions, or images of the kind that it rests on.

    Args:
        cohort: as `Cohort.to_dict` gives it.
        figure: a key of `Cohort.intervals`.
    """
    if cohort.get("thin", True):
        return True
    malignant = cohort.get("n_malignant", 0)
    counts = dict(cohort) | {"n_benign": cohort.get("n_images", malignant) - malignant}
    return any(counts.get(kind, 0) < THIN for kind in COUNTED.get(figure, ()))


def age_band(age: pd.Series) -> pd.Series:
    """Ages in years -> `under 30`, `30-44`, `45-59`, `60-74`, `75 and over`, `unknown`."""
    names = [f"under {AGE_EDGES[0]}"]
    names += [f"{low}-{high - 1}" for low, high in pairwise(AGE_EDGES)]
    names += [f"{AGE_EDGES[-1]} and over"]
    edges = [-np.inf, *AGE_EDGES, np.inf]
    bands = pd.cut(age.astype(float), edges, right=False, labels=names)
    return bands.cat.add_categories(UNKNOWN).fillna(UNKNOWN)


def groups(records: pd.DataFrame) -> dict[str, pd.Series]:
    """The dimensions of `Dataset.records`: for each, the group of every record."""

    def named(column: str) -> pd.Series:
        values = records[column].fillna(UNKNOWN).astype(str).str.strip()
        return values.where(values != "", UNKNOWN)

    return {
        "age": age_band(records["age"]),
        "sex": named("sex"),
        "site": named("localization"),
        "confirmation": named("dx_type"),
    }


def cohorts(
    predictions: Predictions,
    records: pd.DataFrame,
    temperature: float,
    threshold: float | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Cohort]:
    """Every group of every dimension: age bands by age, the others by falling size.

    Args:
        predictions: of one part, usually test.
        records: of the dataset, with image_id, age, sex, localization, dx_type; other images are ignored.
        temperature: of the model.
        threshold: of the malignancy score; None leaves the two figures at the operating point undefined.
        resamples: number of bootstrap resamples, of the cohort's own lesions.
        seed: of the resamples.

    Raises:
        PredictionsError: an image is not in the records.
    """
    known = records.drop_duplicates("image_id").set_index("image_id", drop=False)
    missing = ~np.isin(predictions.image_id, known.index.to_numpy(dtype=str))
    if missing.any():
        raise PredictionsError(
            f"{predictions.model}: expected every image in the dataset's records, found {int(missing.sum())} that "
            f"are not, for example {predictions.image_id[missing][0]}; point DERMDISTILL_DATA at the whole HAM10000"
        )
    found = []
    for dimension, group in groups(known.loc[predictions.image_id]).items():
        values = group.to_numpy(dtype=str)
        names = list(group.cat.categories) if dimension == "age" else list(group.value_counts().index)
        for name in names:
            rows = values == name
            if rows.any():
                part = predictions.take(rows)
                found.append(_cohort(dimension, name, part, temperature, threshold, resamples, seed))
    return found


def _cohort(
    dimension: str,
    group: str,
    predictions: Predictions,
    temperature: float,
    threshold: float | None,
    resamples: int,
    seed: int,
) -> Cohort:
    label, malignant = predictions.label, is_malignant(predictions.label)
    score = malignancy_score(predictions.probabilities(temperature))
    rank = Ranking.of(score, malignant)
    chosen = score >= (np.inf if threshold is None else threshold)
    decision = decision_statistic(chosen, malignant)

    def malignancy(weights: np.ndarray) -> dict[str, np.ndarray]:
        figures = decision(weights)
        return {
            "malignant_auc": rank.areas(weights)[0],
            "malignant_sensitivity": figures["sensitivity"],
            "malignant_specificity": figures["specificity"],
        }

    drawn = resample(predictions.lesion_id, resamples, seed)
    estimates = bootstrap(together(classification(label, predictions.predicted), malignancy), drawn)

    def lesions(rows: np.ndarray) -> int:
        return len(np.unique(drawn.lesion[rows]))

    undefined = Interval(float("nan"), float("nan"), float("nan"))
    intervals = {
        "accuracy": estimates.interval("accuracy", proportion_of=drawn.n_lesions),
        "balanced_accuracy": estimates.interval("balanced_accuracy"),
        "melanoma_sensitivity": estimates.interval(
            "sensitivity", MELANOMA, proportion_of=lesions(label == MELANOMA)
        ),
        "malignant_auc": estimates.interval("malignant_auc"),
    }
    for name, rows in (("malignant_sensitivity", malignant), ("malignant_specificity", ~malignant)):
        intervals[name] = (
            undefined if threshold is None else estimates.interval(name, proportion_of=lesions(rows))
        )
    return Cohort(
        dimension=dimension,
        group=group,
        n_images=len(predictions),
        n_lesions=drawn.n_lesions,
        n_melanomas=int((label == MELANOMA).sum()),
        n_malignant=int(malignant.sum()),
        thin=drawn.n_lesions < THIN,
        intervals=intervals,
    )
