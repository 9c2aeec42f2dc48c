"""One row per upload: what a person with many images sorts and takes away."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd

from core.lesions import BY_CODE, CODES
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED
from core.serving.overlay import shrink
from core.serving.panel import FAILED, Reading
from core.serving.registry import KNOWN
from core.serving.tables import to_csv
from core.serving.wording import NOT_CHECKED, as_sentence, failure_sentences, quality_sentences

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


def models_of(readings: Sequence[Reading]) -> tuple[list[str], list[str]]:
    """The models that lead somewhere, and those that stand beside a leading one somewhere."""
    leading = [reading.lead.model for reading in readings if reading.lead]
    beside = [diagnosis.model for reading in readings for diagnosis in reading.diagnoses[1:]]
    return list(dict.fromkeys(leading)), list(dict.fromkeys(beside))


def legend(readings: Sequence[Reading], titles: Mapping[str, str]) -> str:
    """What the words of `suspicion_of` mean, as far as they can be there, in a sentence.

    Args:
        readings: of the images.
        titles: the models' names for people.
    """
    said = ["Suspicious: a malignancy score at or above the operating point"]
    if beside := models_of(readings)[1]:
        said.append(f"“{SOME}” where it is that of {' or '.join(titles.get(m, m) for m in beside)} alone")
    if any(suspicion_of(reading) == UNCLEAR for reading in readings):
        said.append(
            f"“{UNCLEAR}” where it is below in a picture so poor that malignant lesions can look harmless"
        )
    return f"{'; '.join(said)}."


def said_of(reading: Reading, titles: Mapping[str, str]) -> list[str]:
    """What is to be said of an upload besides class and numbers, in sentences, the gravest first.

    Why it was not judged, where that is so; else what is wrong with the picture, what was not checked, and how the
    answer came about.

    Args:
        reading: of the upload.
        titles: the models' names for people.
    """
    failures = failure_sentences(reading.failures, titles)
    if reading.reason:
        return [reading.reason, *failures]
    unchecked = [NOT_CHECKED] if reading.verdict is None else []
    memory = [reading.memory] if reading.memory else []
    notes = map(as_sentence, reading.notes)
    return [*quality_sentences(reading.quality), *unchecked, *memory, *failures, *notes]


def overview(readings: Sequence[Reading]) -> pd.DataFrame:
    """The table of several readings, in their order.

    Returns:
        Columns `image` (text), `model` that leads, `verdict`, `diagnosis`, `confidence`, `malignancy` (0 to 1),
        `suspicious`, one `p_CODE` for each class, `reason`: why it was not judged, which leaves model, diagnosis and
        numbers empty, or what else `said_of` has to say.
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
    *("image", "model", "verdict", "diagnosis", "confidence", "malignancy", "suspicious"),
    *(f"p_{code}" for code in CODES),
    "reason",
]


def _row(reading: Reading) -> dict[str, object]:
    row: dict[str, object] = {
        "image": reading.whole_name or reading.name,
        "verdict": verdict_of(reading),
        "reason": " ".join(said_of(reading, {name: known.title for name, known in KNOWN.items()})),
    }
    lead = reading.lead
    if lead is None:
        return row
    return row | {
        "model": lead.model,
        "diagnosis": BY_CODE[lead.label].name,
        "confidence": lead.confidence,
        "malignancy": lead.malignancy,
        "suspicious": suspicion_of(reading),
        **{f"p_{code}": float(p) for code, p in zip(CODES, lead.probabilities, strict=True)},
    }
