"""Filters that know of each other, orders, and the key of caches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.data.browse import (
    FACETS,
    ORDERS,
    browsable,
    chosen,
    facet_counts,
    fingerprint,
    in_order,
    in_words,
    values_of,
    with_split,
)
from core.data.ham10000 import open_dataset
from core.data.splits import PARTS, assign, crossing_lesions
from core.lesions import CODES


@pytest.fixture(scope="module")
def table(small_set, tmp_path_factory) -> pd.DataFrame:
    folder = small_set.write_flat(tmp_path_factory.mktemp("browse"))
    return with_split(browsable(open_dataset(folder).records), "lesion")


def test_the_parts_are_those_of_the_splits(table):
    for split in ("lesion", "report"):
        np.testing.assert_array_equal(table[f"part_{split}"].astype(str), assign(table, split))
    assert list(with_split(table, "report")["part"]) == list(table["part_report"])


def test_leaks_are_the_lesions_that_cross_the_report_s_split(table):
    crossing = crossing_lesions(table, assign(table, "report"))
    assert set(table["lesion_id"][table["leaks"]]) == set(crossing["lesion_id"])
    assert table["leaks"].any()
    assert not table["leaks"].all()


def test_no_selection_wants_everything_and_several_must_all_fit(table):
    assert chosen(table, {}).all()
    assert chosen(table, {"dx": [], "sex": []}).all()
    rows = chosen(table, {"dx": ["mel", "nv"], "sex": ["male"]})
    expected = table["dx"].isin(["mel", "nv"]) & (table["sex"] == "male")
    np.testing.assert_array_equal(rows, expected)
    assert 0 < rows.sum() < len(table)


def test_a_facet_follows_every_filter_but_its_own(table):
    selection = {"dx": ["mel"], "sex": ["male"]}
    by_sex = facet_counts(table, selection, "sex")
    assert {sex: sum(by.values()) for sex, by in by_sex.items()} == dict(
        table["sex"][table["dx"] == "mel"].value_counts()
    )
    assert all(by[code] == 0 for by in by_sex.values() for code in CODES if code != "mel")
    by_class = facet_counts(table, selection, "dx")
    assert {c: sum(by.values()) for c, by in by_class.items()} == {
        c: int(((table["dx"] == c) & (table["sex"] == "male")).sum()) for c in CODES
    }


@pytest.mark.parametrize("facet", FACETS, ids=lambda facet: facet.column)
def test_what_a_bar_promises_is_what_choosing_it_gives(table, facet):
    selection = {"dx": ["bcc", "nv"], "localization": ["back"]} | {facet.column: []}
    for value, by in facet_counts(table, selection, facet.column).items():
        assert chosen(table, selection | {facet.column: [value]}).sum() == sum(by.values())


def test_values_come_in_the_order_of_figures(table):
    assert values_of(table, "dx") == list(CODES)
    assert values_of(table, "part") == list(PARTS)
    assert values_of(table, "sex")[-1] == "unknown"
    ages = values_of(table, "age_band")
    assert ages[-1] == "unknown"
    assert ages[:-1] == sorted(ages[:-1])


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_keeps_every_row_and_is_always_the_same(table, order):
    rows = in_order(table, order)
    assert sorted(rows["image_id"]) == sorted(table["image_id"])
    again = in_order(table.sample(frac=1, random_state=3), order)
    assert list(again["image_id"]) == list(rows["image_id"])


def test_a_filter_takes_images_out_of_the_shuffled_order_and_changes_nothing_else(table):
    whole = list(in_order(table, "shuffled")["image_id"])
    assert whole != sorted(whole)
    part = table[table["dx"] == "mel"]
    assert list(in_order(part, "shuffled")["image_id"]) == [i for i in whole if i in set(part["image_id"])]


def test_by_age_the_unknown_come_last(table):
    for order, rises in (("youngest first", True), ("oldest first", False)):
        ages = in_order(table, order)["age"].to_numpy()
        known = ages[~np.isnan(ages)]
        assert np.isnan(ages[len(known) :]).all()
        assert (np.diff(known) >= 0).all() if rises else (np.diff(known) <= 0).all()


def test_an_unknown_order_is_refused(table):
    with pytest.raises(ValueError, match="order: expected one of"):
        in_order(table, "by weight")


def test_values_in_words():
    assert in_words("dx", "mel") == "Melanoma"
    assert in_words("dx_type", "histo") == "histopathology"
    assert in_words("localization", "back") == "back"


def test_the_fingerprint_follows_the_metadata_and_the_files(small_folder):
    first = fingerprint(open_dataset(small_folder))
    assert fingerprint(open_dataset(small_folder)) == first
    picture = small_folder / "images" / "ISIC_0000003.jpg"
    picture.write_bytes(picture.read_bytes() + b" ")
    second = fingerprint(open_dataset(small_folder))
    assert second != first
    metadata = small_folder / "HAM10000_metadata.csv"
    metadata.write_text(metadata.read_text().replace("female", "male", 1))
    assert fingerprint(open_dataset(small_folder)) not in (first, second)
