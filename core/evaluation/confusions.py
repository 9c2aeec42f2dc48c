"""Reading a confusion matrix: its shares, one class against the rest, and the images behind a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.evaluation.intervals import Resamples
from core.evaluation.metrics import confusion, divide
from core.evaluation.operating import Decision, at_threshold, is_malignant, malignancy_score
from core.evaluation.predictions import Predictions
from core.lesions import BY_CODE, CODES, INDEX

ANY_MALIGNANT = "malignant"
"""The target that is no class: melanoma, basal cell carcinoma or akiec."""

TARGETS: dict[str, str] = {
    **{code: BY_CODE[code].name for code in CODES},
    ANY_MALIGNANT: "Any malignant class",
}
"""What can stand against the rest, with the name that people read."""

ALL_ERRORS, MISSED, ALARMS = ERRORS = ("all", "missed", "alarms")
"""Every error; malignant lesions that were named benign; benign ones that were named malignant."""

_RECORD_COLUMNS = ("age", "sex", "localization", "dx_type")


def matrix_of(predictions: Predictions) -> np.ndarray:
    """(7, 7) int64 images: rows are the true class, columns what the model names."""
    return confusion(predictions.label, predictions.predicted)[0].astype(np.int64)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """(7, 7) shares of the true class; NaN in the row of a class that is not there."""
    return divide(matrix, matrix.sum(axis=1, keepdims=True))


def column_shares(matrix: np.ndarray) -> np.ndarray:
    """(7, 7) shares of what the model names so; NaN in the column of a class that is never named."""
    return divide(matrix, matrix.sum(axis=0, keepdims=True))


def matrix_table(matrices: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Every cell of every model's matrix as a row.

    Args:
        matrices: model's title -> (7, 7) images.

    Returns:
        columns model, true, named, images, share_of_true, share_of_named.
    """
    rows = []
    for title, matrix in matrices.items():
        of_true, of_named = row_shares(matrix), column_shares(matrix)
        rows += [
            {
                "model": title,
                "true": CODES[t],
                "named": CODES[n],
                "images": int(matrix[t, n]),
                "share_of_true": of_true[t, n],
                "share_of_named": of_named[t, n],
            }
            for t, n in np.ndindex(matrix.shape)
        ]
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class OneVsRest:
    """One model's answers to "is it this, or something else?".

    Attributes:
        positive: (N,) bool, what is.
        score: (N,) probability, or the malignancy score.
        leading: (N,) bool, where the leading class is the target.
    """

    positive: np.ndarray
    score: np.ndarray
    leading: np.ndarray

    @classmethod
    def of(cls, predictions: Predictions, temperature: float, target: str) -> OneVsRest:
        """Ask about `target`, a key of `TARGETS`, with calibrated probabilities.

        Raises:
            KeyError: there is no such target.
        """
        probabilities = predictions.probabilities(temperature)
        if target == ANY_MALIGNANT:
            return cls(
                is_malignant(predictions.label),
                malignancy_score(probabilities),
                is_malignant(predictions.predicted),
            )
        index = INDEX[target]
        return cls(predictions.label == index, probabilities[:, index], predictions.predicted == index)

    def decide(
        self, threshold: float | None, resamples: Resamples, prevalence: float | None = None
    ) -> Decision:
        """The 2x2 table and what follows from it.

        Args:
            threshold: positive from this score on; None calls positive where the target leads, as the matrix does:
                the table states no threshold then, since there is none that decides so.
            resamples: of the same images.
            prevalence: for PPV and NPV, or None for these images' own.
        """
        if threshold is None:
            found = at_threshold(self.leading, self.positive, 1, resamples, prevalence)
            return replace(found, threshold=None)
        return at_threshold(self.score, self.positive, threshold, resamples, prevalence)


def cell_rows(predictions: Predictions, true: str, named: str) -> np.ndarray:
    """(M,) indices of the images of class `true` that the model names `named`."""
    return np.flatnonzero((predictions.label == INDEX[true]) & (predictions.predicted == INDEX[named]))


def error_rows(predictions: Predictions, kind: str = ALL_ERRORS) -> np.ndarray:
    """(M,) indices of the images that the model gets wrong.

    Args:
        predictions: of one part.
        kind: one of `ERRORS`.

    Raises:
        ValueError: another kind.
    """
    if kind not in ERRORS:
        raise ValueError(f"expected one of {', '.join(ERRORS)}, found {kind!r}")
    wrong = predictions.predicted != predictions.label
    malignant, called = is_malignant(predictions.label), is_malignant(predictions.predicted)
    if kind == MISSED:
        wrong &= malignant & ~called
    elif kind == ALARMS:
        wrong &= ~malignant & called
    return np.flatnonzero(wrong)


def image_table(
    predictions: Predictions, temperature: float, rows: np.ndarray, records: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Some images with what the model says of each, the surest answer first.

    Args:
        predictions: of one part.
        temperature: of the model.
        rows: (M,) indices.
        records: of the dataset, where it is at hand.

    Returns:
        columns image_id, lesion_id, true, named, confidence (of the named class), p_true, malignancy, and with
        records age, sex, localization, dx_type.
    """
    part = predictions.take(rows)
    probabilities = part.probabilities(temperature)
    table = pd.DataFrame(
        {
            "image_id": part.image_id,
            "lesion_id": part.lesion_id,
            "true": np.asarray(CODES)[part.label],
            "named": np.asarray(CODES)[part.predicted],
            "confidence": probabilities.max(axis=1),
            "p_true": probabilities[np.arange(len(part)), part.label],
            "malignancy": malignancy_score(probabilities),
        }
    )
    if records is not None:
        known = records.drop_duplicates("image_id").set_index("image_id")[list(_RECORD_COLUMNS)]
        table = table.join(known, on="image_id")
    return table.sort_values(["confidence", "image_id"], ascending=[False, True], ignore_index=True)
