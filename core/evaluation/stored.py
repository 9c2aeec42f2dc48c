"""What the models answered to one image when they were evaluated: looked up, not asked again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from core.evaluation.operating import malignancy_score
from core.evaluation.predictions import Predictions
from core.lesions import BY_CODE, CODES

COLUMNS = ("model", "diagnosis", "confidence", "malignancy", "right", *(f"p_{code}" for code in CODES))


def stored_probabilities(
    predictions: Predictions, image_id: str, temperature: float = 1.0
) -> np.ndarray | None:
    """(7,) calibrated probabilities of one image; None where the model was not evaluated on it."""
    rows = np.flatnonzero(predictions.image_id == image_id)
    return predictions.take(rows).probabilities(temperature)[0] if len(rows) else None


def answer_table(probabilities: Iterable[tuple[str, np.ndarray]], true: str | None) -> pd.DataFrame:
    """One row for each model.

    Args:
        probabilities: (the model's title, (7,) calibrated probabilities).
        true: the recorded class; None where it is unknown.

    Returns:
        The columns `COLUMNS`; `right` is "yes", "no" or empty.
    """
    rows = []
    for title, shares in probabilities:
        named = CODES[int(np.argmax(shares))]
        rows.append(
            {
                "model": title,
                "diagnosis": BY_CODE[named].name,
                "confidence": float(shares.max()),
                "malignancy": float(malignancy_score(np.asarray(shares)[None])[0]),
                "right": "" if true is None else "yes" if named == true else "no",
                **{f"p_{code}": float(p) for code, p in zip(CODES, shares, strict=True)},
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
