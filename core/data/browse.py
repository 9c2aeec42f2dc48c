"""Looking through a dataset's records: filters that know of each other, and an order to page through.

Everything works on one table that `browsable` makes once of the records; rows are never copied while filtering.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from core.data.ham10000 import Dataset
from core.data.metadata import UNKNOWN
from core.data.samples import CONFIRMED
from core.data.splits import PARTS, SPLITS, assign
from core.data.summary import Counts, age_bands
from core.lesions import BY_CODE, CODES, INDEX

Selection = Mapping[str, Collection[str]]
"""Facet -> the values that are wanted; an empty collection wants all of them."""

BY_ID, SHUFFLED, YOUNGEST, OLDEST = ORDERS = ("image id", "shuffled", "youngest first", "oldest first")


@dataclass(frozen=True)
class Facet:
    """One thing to filter by.

    Attributes:
        column: of the table.
        title: what people call it.
    """

    column: str
    title: str


FACETS: tuple[Facet, ...] = (
    Facet("dx", "Diagnosis"),
    Facet("dx_type", "How it was confirmed"),
    Facet("sex", "Sex"),
    Facet("age_band", "Age"),
    Facet("localization", "Site"),
    Facet("part", "Part of the split"),
)
"""The columns are categorical, their categories in the order of figures; `part` is that of the split that
`browsable` was asked for."""


def browsable(records: pd.DataFrame) -> pd.DataFrame:
    """The records with what filters need.

    Args:
        records: as `core.data.ham10000.Dataset.records` has them.

    Returns:
        The same rows, with the columns `age_band`, `part_lesion` and `part_report` (the part under each split) and
        `leaks`: whether the report's split has images of the lesion in more than one part. `shuffle` is a number by
        which the order `SHUFFLED` goes: a hash, so that a filter takes images out and changes nothing else in it.
    """
    table = records.reset_index(drop=True).assign(age_band=age_bands(records["age"]).to_numpy())
    for split in SPLITS:
        table[f"part_{split}"] = pd.Categorical(assign(records, split), PARTS)
    codes = table["part_report"].cat.codes
    hashed = (hashlib.sha256(name.encode()).digest()[:7] for name in table["image_id"])
    table["shuffle"] = np.array([int.from_bytes(digest) for digest in hashed], np.int64)
    table["leaks"] = codes.groupby(table["lesion_id"]).transform("nunique") > 1
    table["dx"] = pd.Categorical(table["dx"], CODES)
    for column in ("dx_type", "sex", "localization"):
        table[column] = pd.Categorical(table[column], _by_size(table[column]))
    bands = sorted(set(table["age_band"]), key=lambda band: (band == UNKNOWN, band))
    table["age_band"] = pd.Categorical(table["age_band"], bands)
    return table


def with_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The table with the column `part` of one of `SPLITS`."""
    return table.assign(part=table[f"part_{split}"])


def values_of(table: pd.DataFrame, column: str) -> list[str]:
    """The values of a facet, in the order of figures."""
    return [str(value) for value in table[column].cat.categories]


def chosen(table: pd.DataFrame, selection: Selection, *, without: str | None = None) -> np.ndarray:
    """(N,) bool: the rows that fit every facet of the selection but the one named `without`."""
    fits = np.ones(len(table), bool)
    for column, values in selection.items():
        if column != without and values:
            fits &= table[column].isin(list(values)).to_numpy()
    return fits


def facet_counts(table: pd.DataFrame, selection: Selection, column: str) -> Counts:
    """Images by value of a facet and by class, under the selection of all the **other** facets.

    So each value says how many images choosing it as well would give.
    """
    rows = chosen(table, selection, without=column)
    values = values_of(table, column)
    value, code = (table[name].cat.codes.to_numpy(int)[rows] for name in (column, "dx"))
    cells = value * len(CODES) + code
    counts = np.bincount(cells, minlength=len(values) * len(CODES)).reshape(len(values), len(CODES))
    return {
        value: dict(zip(CODES, map(int, row), strict=True)) for value, row in zip(values, counts, strict=True)
    }


def in_order(table: pd.DataFrame, order: str) -> pd.DataFrame:
    """The rows in one of `ORDERS`; whatever the order, the same rows come in the same order every time.

    Raises:
        ValueError: the order is unknown.
    """
    if order == BY_ID:
        return table.sort_values("image_id")
    if order == SHUFFLED:
        return table.sort_values("shuffle")
    if order in (YOUNGEST, OLDEST):
        return table.sort_values(["age", "image_id"], ascending=[order == YOUNGEST, True])
    raise ValueError(f"order: expected one of {ORDERS}, found {order!r}")


def in_words(column: str, value: str) -> str:
    """A facet's value as people read it."""
    if column == "dx":
        return BY_CODE[value].name if value in INDEX else value
    if column == "dx_type":
        return CONFIRMED.get(value, value)
    return value


@lru_cache(maxsize=2)
def fingerprint(dataset: Dataset) -> str:
    """Changes with the folder, a row of the metadata, or the size of an image: the key of caches."""
    digest = hashlib.sha256(f"{dataset.root}\n{dataset.layout}\n".encode())
    digest.update(dataset.records.to_csv(index=False).encode())
    sizes = (dataset.entries(image_id)[0].size for image_id in dataset.records["image_id"])
    digest.update(",".join(map(str, sizes)).encode())
    return digest.hexdigest()


def _by_size(values: pd.Series) -> list[str]:
    """The values that occur, the most frequent first, unknown last."""
    names = [str(name) for name in values.value_counts().index]
    return sorted(names, key=lambda name: name == UNKNOWN)
