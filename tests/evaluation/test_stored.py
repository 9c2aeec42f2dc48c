"""Stored answers to one image."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.stored import COLUMNS, answer_table, stored_probabilities
from core.lesions import CODES, INDEX


def test_an_image_s_own_probabilities_at_its_temperature(simulate):
    predictions = simulate(40)
    for row in (0, 17, len(predictions) - 1):
        found = stored_probabilities(predictions, str(predictions.image_id[row]), 1.7)
        np.testing.assert_array_equal(found, predictions.probabilities(1.7)[row])


def test_an_image_that_was_not_evaluated_has_none(simulate):
    assert stored_probabilities(simulate(40), "ISIC_9999999") is None


@pytest.mark.parametrize(("true", "right"), [("mel", "yes"), ("nv", "no"), (None, "")])
def test_the_table_names_the_class_the_malignancy_and_whether_it_is_right(true, right):
    shares = np.full(7, 0.02)
    shares[INDEX["mel"]] = 0.88
    table = answer_table([("Student", shares)], true)
    assert list(table.columns) == list(COLUMNS)
    row = table.iloc[0]
    assert (row["model"], row["diagnosis"], row["right"]) == ("Student", "Melanoma", right)
    assert row["confidence"] == pytest.approx(0.88)
    assert row["malignancy"] == pytest.approx(0.88 + 0.02 * 2)
    assert [row[f"p_{code}"] for code in CODES] == pytest.approx(list(shares))


def test_no_model_is_an_empty_table():
    assert list(answer_table([], "mel").columns) == list(COLUMNS)
