"""Class balance: what an epoch shows and what each class weighs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.balance import BALANCES, REPORT_OVERSAMPLING, class_counts, class_weights, epoch_rows

COUNTS = [209, 329, 703, 73, 712, 4291, 92]
LABELS = np.repeat(np.arange(7), COUNTS)
labels_of_some_classes = st.lists(st.integers(0, 6), min_size=1, max_size=300).map(np.array)


@pytest.mark.parametrize("balance", ["none", "sqrt"])
def test_every_image_once(balance):
    rows = epoch_rows(LABELS, balance, np.random.default_rng(1))
    assert sorted(rows) == list(range(len(LABELS)))
    assert rows.tolist() != sorted(rows)


def test_oversampling_raises_small_classes_to_exactly_1200():
    rows = epoch_rows(LABELS, "oversample", np.random.default_rng(1))
    counts = np.bincount(LABELS[rows], minlength=7)
    assert REPORT_OVERSAMPLING == 1200
    assert counts.tolist() == [1200, 1200, 1200, 1200, 1200, 4291, 1200]
    assert class_counts(LABELS, "oversample").tolist() == counts.tolist()
    times = np.bincount(rows, minlength=len(LABELS))
    assert times.min() == 1
    assert set(times[LABELS == 5]) == {1}


def test_oversampling_spreads_over_the_class_and_follows_the_generator():
    rows = epoch_rows(LABELS, "oversample", np.random.default_rng(1))
    times = np.bincount(rows, minlength=len(LABELS))[LABELS == 3]
    assert times.mean() == pytest.approx(1200 / 73)
    assert times.max() < 3 * times.mean()
    assert rows.tolist() == epoch_rows(LABELS, "oversample", np.random.default_rng(1)).tolist()
    assert rows.tolist() != epoch_rows(LABELS, "oversample", np.random.default_rng(2)).tolist()


def test_a_class_without_images_stays_without():
    labels = np.array([0, 0, 5])
    assert class_counts(labels, "oversample").tolist() == [1200, 0, 0, 0, 0, 1200, 0]


@settings(max_examples=60, deadline=None)
@given(labels_of_some_classes, st.sampled_from(BALANCES))
def test_weights_have_mean_one_over_the_images(labels, balance):
    weights = class_weights(labels, balance)
    assert weights.shape == (7,)
    assert weights[labels].mean() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(weights).all()


def test_square_root_weights_go_with_the_inverse_root_of_the_count():
    weights = class_weights(LABELS, "sqrt")
    assert weights * np.sqrt(COUNTS) == pytest.approx(np.full(7, weights[0] * np.sqrt(COUNTS[0])), rel=1e-5)
    assert weights[3] / weights[5] == pytest.approx(np.sqrt(4291 / 73), rel=1e-5)


@pytest.mark.parametrize("balance", ["none", "oversample"])
def test_no_weights_without_sqrt(balance):
    assert class_weights(LABELS, balance).tolist() == [1] * 7


def test_an_unknown_balance_is_refused_by_name():
    with pytest.raises(ValueError, match=r"expected one of.*'smote'"):
        epoch_rows(LABELS, "smote", np.random.default_rng(0))
