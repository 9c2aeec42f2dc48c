"""What a dataset consists of, as counts: for people as tables, for the dashboard as JSON without images or ids."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from core.data.metadata import UNKNOWN
from core.data.splits import PARTS, SPLITS, assign, crossing_lesions
from core.errors import UserError
from core.lesions import CODES

KEY = "dataset-summary"
"""The manifest's key, among its shared files, of the counts that stand in for a dataset that is not at hand."""

COMMAND = "python -m core data summary --publish"

Counts = dict[str, dict[str, int]]
"""A value -> class code -> number of images; every class is there, in the order of `core.lesions.CODES`."""

OLDEST_BAND = 80
"""Ages from here on are one band."""


@dataclass(frozen=True)
class Leak:
    """How far a split lets images of one lesion lie on both sides.

    Attributes:
        split: "lesion" or "report".
        lesions: lesions with images in more than one part.
        images: all images of these lesions.
        test_images: the size of the test part.
        test_images_seen: test images of a lesion that also has an image in train.
        validation_images, validation_images_seen: the same of the validation part.
    """

    split: str
    lesions: int
    images: int
    test_images: int
    test_images_seen: int
    validation_images: int
    validation_images_seen: int


@dataclass(frozen=True)
class Summary:
    """Counts of a dataset; `dataclasses.asdict` of it is ready for JSON.

    Attributes:
        synthetic: whether the images were drawn, not photographed.
        images, lesions: how many.
        lesions_by_class: class code -> lesions (a lesion with two diagnoses counts in both).
        lesions_by_images: number of images -> lesions that have so many.
        images_by_class: class code -> images.
        sex, age, localization, dx_type: images by value and class; ages in bands of ten years.
        parts: split -> part -> class code -> images.
        leaks: split -> what crosses it.
    """

    synthetic: bool
    images: int
    lesions: int
    lesions_by_class: dict[str, int]
    lesions_by_images: dict[str, int]
    images_by_class: dict[str, int]
    sex: Counts
    age: Counts
    localization: Counts
    dx_type: Counts
    parts: dict[str, Counts]
    leaks: dict[str, Leak]


def summarise(records: pd.DataFrame, synthetic: bool = False) -> Summary:
    """Count a dataset's records (`core.data.ham10000.Dataset.records`)."""
    per_lesion = records.groupby("lesion_id").size().value_counts().sort_index()
    lesions = records.groupby("dx")["lesion_id"].nunique()
    dx = records["dx"]
    return Summary(
        synthetic=synthetic,
        images=len(records),
        lesions=int(records["lesion_id"].nunique()),
        lesions_by_class={code: int(lesions.get(code, 0)) for code in CODES},
        lesions_by_images={str(images): int(count) for images, count in per_lesion.items()},
        images_by_class={code: int((dx == code).sum()) for code in CODES},
        sex=count_by(records["sex"], dx),
        age=count_by(age_bands(records["age"]), dx, by_size=False),
        localization=count_by(records["localization"], dx),
        dx_type=count_by(records["dx_type"], dx),
        parts={split: _parts(records, split) for split in SPLITS},
        leaks={split: find_leak(records, split) for split in SPLITS},
    )


def parse_summary(data: bytes, what: str) -> Summary:
    """Read what `json.dumps(asdict(summary))` wrote.

    Raises:
        UserError: it is no such file.
    """
    try:
        raw = json.loads(data)
        names = [field.name for field in fields(Summary)]
        values = {name: raw[name] for name in names}
        values["leaks"] = {split: Leak(**leak) for split, leak in raw["leaks"].items()}
        tables = [*(values[n] for n in ("sex", "age", "localization", "dx_type")), *values["parts"].values()]
        if not all(isinstance(by[code], int) for table in tables for by in table.values() for code in CODES):
            raise ValueError("counts that are no whole numbers")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{what}: expected a dataset's counts, found something else ({error}); run {COMMAND}"
        ) from error
    return Summary(**values)


def count_by(values: pd.Series, dx: pd.Series, by_size: bool = True) -> Counts:
    """Images by value and class: the most frequent value first or in alphabetical order, unknown last."""
    totals = values.value_counts()
    names = list(totals.index) if by_size else sorted(totals.index)
    names.sort(key=lambda name: name == UNKNOWN)
    cells = values.groupby([values.to_numpy(), dx.to_numpy()]).size().to_dict()
    return {name: {code: int(cells.get((name, code), 0)) for code in CODES} for name in names}


def age_bands(ages: pd.Series) -> pd.Series:
    """Ages in years -> "00-09", "10-19" ... "80+", and "unknown"."""
    decade = (ages // 10 * 10).clip(upper=OLDEST_BAND)
    names = {d: f"{d:02d}-{d + 9:02d}" for d in range(0, OLDEST_BAND, 10)} | {OLDEST_BAND: f"{OLDEST_BAND}+"}
    return decade.map(names).astype(object).where(ages.notna(), UNKNOWN)


def find_leak(records: pd.DataFrame, split: str) -> Leak:
    """What crosses a split of these records."""
    parts = assign(records, split)
    crossing = crossing_lesions(records, parts)
    in_train = set(records["lesion_id"][parts == "train"])
    is_seen = records["lesion_id"].isin(in_train).to_numpy()

    def count(mask: np.ndarray) -> int:
        return int(mask.sum())

    return Leak(
        split=split,
        lesions=len(crossing),
        images=int(crossing["images"].sum()),
        test_images=count(parts == "test"),
        test_images_seen=count((parts == "test") & is_seen),
        validation_images=count(parts == "validation"),
        validation_images_seen=count((parts == "validation") & is_seen),
    )


def _parts(records: pd.DataFrame, split: str) -> Counts:
    parts = assign(records, split)
    dx = records["dx"].to_numpy()
    return {part: {code: int(((parts == part) & (dx == code)).sum()) for code in CODES} for part in PARTS}
