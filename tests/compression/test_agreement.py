"""How near two tables of logits are."""

import numpy as np
import pytest

from core.compression.agreement import agreement


def test_equal_tables():
    logits = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    found = agreement(logits, logits)
    assert (found.images, found.same_class, found.largest_change) == (9, 1.0, 0.0)
    assert found.signal_to_noise_db == float("inf")


def test_figures_by_hand():
    reference = np.zeros((2, 7), np.float32)
    reference[:, 0] = 1
    found = reference.copy()
    found[1, 3] = 3
    probability = np.exp(3) / (np.exp(3) + np.e + 5) - 1 / (np.e + 6)
    measured = agreement(reference, found)
    assert measured.same_class == 0.5
    assert measured.largest_change == pytest.approx(probability)
    assert measured.mean_change == pytest.approx(probability / 2)
    assert measured.signal_to_noise_db == pytest.approx(10 * np.log10(2 / 9))
    assert measured.text().startswith("same class for 50.0% of 2 images")


def test_adding_a_constant_changes_no_probability():
    logits = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    assert agreement(logits, logits + 2).largest_change < 1e-6


@pytest.mark.parametrize("shape", [(4, 7), (0, 7)])
def test_tables_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected two equal shapes"):
        agreement(np.zeros((0, 7)) if shape[0] == 0 else np.zeros((5, 7)), np.zeros(shape))
