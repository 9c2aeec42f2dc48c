"""Splits: nothing leaks over `lesion`, the report's sizes, and no dependence on anything but the ids."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.splits import PARTS, SPLITS, assign, crossing_lesions
from core.lesions import CODES

REPORT_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
"""Images of each class in HAM10000."""


def table(lesions: list[tuple[str, int]]) -> pd.DataFrame:
    """Records of lesions given as (diagnosis, number of images)."""
    rows = [
        (f"ISIC_{lesion:04d}{image:03d}", f"HAM_{lesion:07d}", dx)
        for lesion, (dx, images) in enumerate(lesions)
        for image in range(images)
    ]
    return pd.DataFrame(rows, columns=["image_id", "lesion_id", "dx"])


KNOWN_LESION = [
    "train",
    "validation",
    "train",
    "validation",
    "train",
    "test",
    "train",
    "test",
    "train",
    "train",
]
KNOWN_REPORT = [
    "train",
    "train",
    "validation",
    "test",
    "train",
    "validation",
    "test",
    "train",
    "train",
    "train",
]

tables = st.lists(st.tuples(st.sampled_from(CODES), st.integers(1, 6)), min_size=1, max_size=60).map(table)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_no_lesion_crosses_the_lesion_split(records):
    parts = assign(records, "lesion")
    assert crossing_lesions(records, parts).empty
    assert (
        pd.DataFrame({"lesion": records["lesion_id"], "part": parts})
        .groupby("lesion")["part"]
        .nunique()
        .max()
        == 1
    )


@settings(max_examples=40, deadline=None)
@given(tables, st.sampled_from(SPLITS), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(records, split, random):
    order = list(range(len(records)))
    random.shuffle(order)
    shuffled = records.iloc[order]
    assert assign(shuffled, split).tolist() == assign(records, split)[order].tolist()


@settings(max_examples=60, deadline=None)
@given(tables, st.sampled_from(SPLITS))
def test_every_image_has_a_part_and_shares_are_kept(records, split):
    parts = assign(records, split)
    assert len(parts) == len(records)
    assert set(parts) <= set(PARTS)
    units = records["lesion_id"] if split == "lesion" else records["image_id"]
    part_of = dict(zip(units, parts, strict=True))
    total = len(part_of)
    test = sum(part == "test" for part in part_of.values())
    validation = sum(part == "validation" for part in part_of.values())
    assert test == -(-total // 5)
    assert validation == -(-(total - test) // 5)


def test_a_table_of_nothing_but_ids_and_diagnoses_decides():
    records = table([(code, 2) for code in CODES for _ in range(20)])
    wide = records.assign(age=np.nan, sex="unknown", dx_type="histo", localization="back")
    for split in SPLITS:
        assert assign(wide, split).tolist() == assign(records, split).tolist()


def test_known_ids_have_known_parts():
    # Written down once: another salt, hash or order of cutting would change every published figure.
    records = table([("nv", 1)] * 10)
    assert assign(records, "lesion").tolist() == KNOWN_LESION
    assert assign(records, "report").tolist() == KNOWN_REPORT


def test_every_class_is_split_by_the_same_shares():
    records = table([(code, 1) for code in CODES for _ in range(100)])
    counts = pd.crosstab(records["dx"], assign(records, "lesion"))
    assert (counts["test"] == 20).all()
    assert (counts["validation"] == 16).all()
    assert (counts["train"] == 64).all()


def test_the_reports_sizes_follow_from_the_class_counts_alone():
    records = table([(code, 1) for code, count in REPORT_COUNTS.items() for _ in range(count)])
    parts = pd.Series(assign(records, "report")).value_counts()
    assert parts.to_dict() == {"train": 6409, "test": 2003, "validation": 1603}


def test_images_of_one_lesion_do_cross_the_report_split():
    records = table([("nv", 4)] * 50)
    crossing = crossing_lesions(records, assign(records, "report"))
    assert len(crossing) > 10
    assert (crossing["images"] == 4).all()
    assert set(crossing.columns) == {"lesion_id", "dx", "images", "parts"}
    assert crossing["parts"].str.contains("+", regex=False).all()


def test_crossing_lesions_names_exactly_those_that_cross():
    records = table([("nv", 2), ("mel", 2), ("bcc", 1)])
    parts = np.array(["train", "test", "train", "train", "validation"])
    crossing = crossing_lesions(records, parts)
    assert crossing["lesion_id"].tolist() == ["HAM_0000000"]
    assert crossing["parts"].tolist() == ["test+train"]


def test_a_lesion_with_conflicting_labels_stays_in_one_part():
    records = table([("nv", 1)] * 30 + [("mel", 3)])
    records.loc[records.index[-1], "dx"] = "bkl"
    for order in (records, records.iloc[::-1]):
        parts = assign(order, "lesion")
        assert len(set(parts[(order["lesion_id"] == "HAM_0000030").to_numpy()])) == 1


def test_an_unknown_split_is_refused_by_name():
    with pytest.raises(ValueError, match=r"expected one of.*'random'"):
        assign(table([("nv", 1)]), "random")


@pytest.mark.ham10000
def test_real_data(ham10000):
    records = ham10000.records
    lesion = assign(records, "lesion")
    assert crossing_lesions(records, lesion).empty
    shares = pd.Series(lesion).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.64, "validation": 0.16, "test": 0.20}, abs=0.01)
    by_class = pd.crosstab(records["dx"], lesion, normalize="index")
    assert (by_class["test"] - 0.2).abs().max() < 0.05
    report = assign(records, "report")
    assert pd.Series(report).value_counts().to_dict() == {"train": 6409, "test": 2003, "validation": 1603}
    assert len(crossing_lesions(records, report)) > 500
    mixed = records.sample(frac=1, random_state=3)
    assert assign(mixed, "lesion").tolist() == lesion[mixed.index.to_numpy()].tolist()
