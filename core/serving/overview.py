"""One row per upload: what a person with many images sorts and takes away."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

from core.lesions import BY_CODE, CODES
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED
from core.serving.overlay import shrink
from core.serving.panel import FAILED, Reading
from core.serving.tables import to_csv

VERDICTS = {
    OK: "read",
    OUT_OF_DISTRIBUTION: "not dermatoscopic",
    REJECTED: "rejected",
    FAILED: "no answer",
}
POOR = "read, poor picture"
"""The verdict on an image that can be judged but whose quality speaks against relying on it."""

SOME = "to some"
"""Whether a lesion is suspicious, where it is to another model than the leading one."""

UNCLEAR = "unclear"
"""Whether a lesion is suspicious, where nothing suspicious was found in a poor picture."""

THUMBNAIL_SIDE = 96


def verdict_of(reading: Reading) -> str:
    """What became of an upload, in a few words."""
    return POOR if reading.quality.poor else VERDICTS[reading.status]


def suspicion_of(reading: Reading) -> str | None:
    """Whether the models find an upload suspicious; None where it was not judged or there is no threshold.

    `yes` where the leading one does, `SOME` where only others do, `UNCLEAR` where none does in a poor picture.
    """
    if reading.lead is None:
        return None
    if reading.lead.suspicious:
        return "yes"
    if any(diagnosis.suspicious for diagnosis in reading.diagnoses):
        return SOME
    if reading.lead.suspicious is None:
        return None
    return UNCLEAR if reading.quality.poor else "no"  # what a poor picture hides is no reason to be calm


def most_suspicious_first(readings: Sequence[Reading]) -> list[Reading]:
    """What somebody should look at comes first, then the larger malignancy score; last what was not judged."""

    def key(reading: Reading) -> tuple[int, float]:
        rank = {"yes": 3, SOME: 2, UNCLEAR: 1}.get(suspicion_of(reading) or "", 0)
        return rank, reading.lead.malignancy if reading.lead else -1.0

    return sorted(readings, key=key, reverse=True)


def overview(readings: Sequence[Reading]) -> pd.DataFrame:
    """The table of several readings, in their order.

    Returns:
        Columns `image` (text), `verdict`, `diagnosis`, `confidence`, `malignancy` (0 to 1), `suspicious`, one
        `p_CODE` for each class, `reason`: why it was not judged, which leaves diagnosis and numbers empty, or what is
        to be said of the picture.
    """
    return pd.DataFrame([_row(reading) for reading in readings], columns=_COLUMNS)


def overview_csv(readings: Sequence[Reading]) -> str:
    """`overview` as CSV, in which no cell can be run as a formula."""
    return to_csv(overview(readings))


def thumbnail(display: np.ndarray | None) -> str | None:
    """(height, width, 3) uint8 as a small JPEG in a data URI, for a table's cell; None stays None."""
    if display is None:
        return None
    small = shrink(display, THUMBNAIL_SIDE)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


_COLUMNS = [
    *("image", "verdict", "diagnosis", "confidence", "malignancy", "suspicious"),
    *(f"p_{code}" for code in CODES),
    "reason",
]


def _row(reading: Reading) -> dict[str, object]:
    row: dict[str, object] = {
        "image": reading.name,
        "verdict": verdict_of(reading),
        "reason": reading.reason or " ".join(filter(None, (reading.memory, *reading.quality.advice))),
    }
    lead = reading.lead
    if lead is None:
        return row
    return row | {
        "diagnosis": BY_CODE[lead.label].name,
        "confidence": lead.confidence,
        "malignancy": lead.malignancy,
        "suspicious": suspicion_of(reading),
        **{f"p_{code}": float(p) for code, p in zip(CODES, lead.probabilities, strict=True)},
    }
