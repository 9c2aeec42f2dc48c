"""What balancing does to each class."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.balance import BALANCES, REPORT_OVERSAMPLING
from core.data.balancing import TITLES, balancing_table
from core.lesions import CODES

IMAGES = dict(zip(CODES, [209, 329, 703, 73, 712, 4291, 92], strict=True))


def of(table, balance):
    return table[table["balance"] == balance].set_index("code")


def test_every_way_has_a_title_and_a_row_for_each_class():
    assert tuple(TITLES) == BALANCES
    table = balancing_table(IMAGES)
    assert list(table["code"]) == list(CODES) * len(BALANCES)
    assert (table.groupby("balance")["share"].sum() - 1).abs().max() < 1e-12


def test_without_balancing_the_loss_sees_what_is_there():
    rows = of(balancing_table(IMAGES), "none")
    total = sum(IMAGES.values())
    assert rows["share"].to_dict() == pytest.approx({code: n / total for code, n in IMAGES.items()})
    assert set(rows["repeats"]) == set(rows["weight"]) == {1.0}


def test_oversampling_repeats_and_weighs_nothing():
    rows = of(balancing_table(IMAGES), "oversample")
    assert rows["shown"].to_dict() == {c: max(n, REPORT_OVERSAMPLING) for c, n in IMAGES.items()}
    assert rows.loc["df", "repeats"] == pytest.approx(1200 / 73)
    assert set(rows["weight"]) == {1.0}
    assert rows.loc["nv", "share"] == pytest.approx(4291 / (4291 + 6 * 1200))


def test_square_root_weights_repeat_nothing_and_give_shares_by_the_root():
    rows = of(balancing_table(IMAGES), "sqrt")
    assert rows["shown"].to_dict() == IMAGES
    roots = np.sqrt(list(IMAGES.values()))
    np.testing.assert_allclose(rows["share"], roots / roots.sum(), rtol=1e-6)


def test_a_class_that_is_missing_has_no_share_and_no_weight():
    table = balancing_table({**IMAGES, "df": 0})
    assert (table["share"][table["code"] == "df"] == 0).all()
    assert table["weight"][table["code"] == "df"].isna().all()
    assert (balancing_table({})["share"] == 0).all()
