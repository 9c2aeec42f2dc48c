"""Soft labels: what the softening keeps, and that softening twice leaves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr

from core.lab.plan import CHOSEN
from core.lab.soft_labels import (
    CHOICES,
    LARGEST_ENTROPY,
    TEMPERATURES,
    dark_knowledge,
    entropy,
    entropy_curve,
    likeness,
    likeness_without_errors,
    nearest_choice,
    ranking,
    softened,
    telling_first,
)
from core.lab.variants import REPORT_TEMPERATURE

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (40, 7))


def test_entropy_is_scipy_s_and_knows_certainty():
    shares = softened(LOGITS, 2.0)
    assert entropy(shares) == pytest.approx(scipy_entropy(shares, axis=1))
    assert entropy(np.eye(7)[0]) == 0
    assert entropy(np.full(7, 1 / 7)) == pytest.approx(LARGEST_ENTROPY)


def test_entropy_rises_with_temperature_and_the_order_stays():
    for logits in LOGITS:
        assert (np.diff(entropy_curve(logits)) > 0).all()
        order = ranking(logits)
        for temperature in (1.0, 4.0, 50.0):
            assert ranking(softened(logits, temperature)) == order


def test_softened_twice_nothing_is_left_at_any_temperature():
    surest = np.array([30.0, 0, 0, 0, 0, 0, 0])
    assert LARGEST_ENTROPY - entropy(softened(surest, 50.0, twice=True)) < 1e-4
    curve = entropy_curve(surest, twice=True)
    assert LARGEST_ENTROPY - curve[0] < 0.3
    assert len(curve) == len(TEMPERATURES)


def test_the_map_has_a_mean_soft_label_in_each_row():
    labels = np.arange(40) % 6
    found = dark_knowledge(LOGITS, labels, 3.0)
    assert found[2] == pytest.approx(softened(LOGITS[labels == 2], 3.0).mean(axis=0))
    assert found[:6].sum(axis=1) == pytest.approx(np.ones(6))
    assert np.isnan(found[6]).all()


def test_likeness_is_spearman_s_off_the_diagonal():
    knowledge, confusion = RNG.random((7, 7)), RNG.integers(1, 5, (7, 7))
    off = ~np.eye(7, dtype=bool)
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    assert likeness(knowledge, confusion) == pytest.approx(spearmanr(knowledge[off], shares[off]).statistic)
    assert np.isnan(likeness(knowledge, np.eye(7, dtype=int)))


def test_a_teacher_that_is_certain_of_every_answer_tells_nothing_beside_its_errors():
    labels = np.arange(70) % 7
    named = np.where(np.arange(70) < 49, labels, RNG.integers(0, 7, 70))
    certain = 40.0 * np.eye(7)[named]
    confusion = np.zeros((7, 7), int)
    np.add.at(confusion, (labels, named), 1)
    assert likeness(dark_knowledge(certain, labels, 2.0), confusion) > 0.9
    assert np.isnan(likeness_without_errors(certain, labels, confusion, 2.0))
    # One whose second choice is what it mistakes the class for says so also where it does not err.
    telling = certain + 35.0 * (confusion / confusion.sum(axis=1, keepdims=True))[labels]
    assert likeness_without_errors(telling, labels, confusion, 2.0) > 0.7


def test_telling_images_come_first():
    sure_but_two = np.array([4.0, 3.0, 0, 0, 0, 0, 0])
    certain = np.array([40.0, 0, 0, 0, 0, 0, 0])
    wrong = sure_but_two[[1, 0, 2, 3, 4, 5, 6]]
    assert telling_first(np.array([wrong, certain, sure_but_two]), 0).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "nearest"), [(2.0, 2.0), (2.5, 3.0), (5.0, 6.0), (1e-9, 1.0), (1e300, 50.0), (27.0, 35.0)]
)
def test_any_temperature_has_a_nearest_choice(asked: float, nearest: float):
    assert nearest_choice(asked) == nearest
    assert sorted(set(CHOICES)) == list(CHOICES)
    assert {1.0, REPORT_TEMPERATURE, CHOSEN[0]} <= set(CHOICES), "what the page speaks of can be chosen"
