"""Train, validation and test parts, as a function of the ids and diagnoses alone.

Within each diagnosis the units (lesions or images) are ordered by a hash of their id, and the order is cut at
fixed shares. No random generator and no library version takes part, so every machine gets the same parts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

SPLITS = ("lesion", "report")
PARTS = ("train", "validation", "test")

_SALT = "dermdistill-1"
"""Changing it would change every split, and with it every figure."""


def assign(records: pd.DataFrame, split: str = "lesion") -> np.ndarray:
    """The part of every record.

    Args:
        records: columns `image_id`, `lesion_id` and `dx`, one row an image.
        split: `lesion` keeps all images of a lesion in one part (64/16/20% of the lesions of each diagnosis);
            `report` splits by image, twice 80/20 (6,409/1,603/2,003 of HAM10000), as the report did, so that images
            of one lesion leak between the parts.

    Returns:
        (N,) array of "train", "validation" and "test", in the order of the rows.

    Raises:
        ValueError: the split is unknown.
    """
    if split == "lesion":
        lesions = _main_diagnosis(records)
        part_of = _cut(list(lesions.index), list(lesions))
        return np.array([part_of[lesion] for lesion in records["lesion_id"]])
    if split == "report":
        part_of = _cut(list(records["image_id"]), list(records["dx"]))
        return np.array([part_of[image] for image in records["image_id"]])
    raise ValueError(f"split: expected one of {SPLITS}, found {split!r}")


def crossing_lesions(records: pd.DataFrame, parts: np.ndarray) -> pd.DataFrame:
    """The lesions with images in more than one part: what leaks.

    Returns:
        One row for each such lesion: `lesion_id`, `dx`, `images`, `parts` (joined by "+").
    """
    table = (
        records.assign(part=parts)
        .groupby("lesion_id")
        .agg(
            dx=("dx", "first"),
            images=("image_id", "size"),
            parts=("part", lambda p: "+".join(sorted(set(p)))),
        )
    )
    return table[table["parts"].str.contains("+", regex=False)].reset_index()


def _main_diagnosis(records: pd.DataFrame) -> pd.Series:
    """Each lesion's commonest diagnosis, the first by alphabet where several are equally common."""
    counts = records.groupby(["lesion_id", "dx"]).size().reset_index(name="images")
    counts = counts.sort_values(["lesion_id", "images", "dx"], ascending=[True, False, True])
    return counts.drop_duplicates("lesion_id").set_index("lesion_id")["dx"]


def _cut(units: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Each unit's part: a fifth of every class for test, then a fifth of what is left for validation."""
    groups: dict[str, list[str]] = {}
    for unit, code in zip(units, classes, strict=True):
        groups.setdefault(code, []).append(unit)
    codes = sorted(groups)
    sizes = np.array([len(groups[code]) for code in codes])
    test = _apportion(sizes, 0.2)
    validation = _apportion(sizes - test, 0.2)
    part_of = {}
    for code, n_test, n_validation in zip(codes, test, validation, strict=True):
        for rank, unit in enumerate(sorted(groups[code], key=_rank)):
            held_out = "test" if rank < n_test else "validation"
            part_of[unit] = held_out if rank < n_test + n_validation else "train"
    return part_of


def _rank(unit: str) -> str:
    return hashlib.sha256(f"{_SALT}:{unit}".encode()).hexdigest()


def _apportion(sizes: np.ndarray, share: float) -> np.ndarray:
    """Whole numbers near `share * sizes` that add up to `ceil(share * sum)` (largest remainders)."""
    exact = sizes * share
    counts = np.floor(exact).astype(int)
    missing = math.ceil(round(share * sizes.sum(), 9)) - counts.sum()
    for i in np.argsort(-(exact - counts), kind="stable")[:missing]:
        counts[i] += 1
    return counts
