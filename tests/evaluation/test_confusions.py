"""Shares, one class against the rest, and the images behind a cell, against scikit-learn and counting by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from core.evaluation.confusions import (
    ALARMS,
    ALL_ERRORS,
    ANY_MALIGNANT,
    MISSED,
    TARGETS,
    OneVsRest,
    cell_rows,
    column_shares,
    error_rows,
    image_table,
    matrix_of,
    matrix_table,
    row_shares,
)
from core.evaluation.intervals import resample
from core.evaluation.predictions import Predictions
from core.lesions import CODES, MALIGNANT, N_CLASSES


@pytest.fixture
def predictions(simulate: Callable[..., Predictions]) -> Predictions:
    return simulate()


def test_the_matrix_is_scikit_learn_s(predictions: Predictions) -> None:
    expected = confusion_matrix(predictions.label, predictions.predicted, labels=range(N_CLASSES))
    assert np.array_equal(matrix_of(predictions), expected)


def test_shares_sum_to_one_and_are_undefined_for_what_is_not_there() -> None:
    matrix = np.zeros((N_CLASSES, N_CLASSES), dtype=int)
    matrix[0, :2] = (3, 1)
    rows, columns = row_shares(matrix), column_shares(matrix)
    assert rows[0, :2].tolist() == [0.75, 0.25]
    assert columns[0, :2].tolist() == [1.0, 1.0]
    assert np.isnan(rows[1:]).all()
    assert np.isnan(columns[:, 2:]).all()


def test_the_table_has_every_cell_of_every_model(predictions: Predictions) -> None:
    matrix = matrix_of(predictions)
    table = matrix_table({"A": matrix, "B": matrix.T})
    assert len(table) == 2 * N_CLASSES**2
    one = table[(table["model"] == "B") & (table["true"] == "nv") & (table["named"] == "mel")]
    assert one["images"].item() == matrix[CODES.index("mel"), CODES.index("nv")]


@pytest.mark.parametrize("target", TARGETS)
def test_the_leading_class_gives_the_matrix_s_own_figures(predictions: Predictions, target: str) -> None:
    wanted = list(MALIGNANT) if target == ANY_MALIGNANT else [CODES.index(target)]
    truth, said = np.isin(predictions.label, wanted), np.isin(predictions.predicted, wanted)
    drawn = resample(predictions.lesion_id, 50)
    decision = OneVsRest.of(predictions, 0.7, target).decide(None, drawn)
    assert (decision.tp, decision.fp, decision.fn) == (
        (truth & said).sum(), (~truth & said).sum(), (truth & ~said).sum()
    )  # fmt: skip
    assert decision.sensitivity.value == pytest.approx(recall_score(truth, said))
    assert decision.ppv.value == pytest.approx(precision_score(truth, said))
    assert decision.f1.value == pytest.approx(f1_score(truth, said))


def test_a_threshold_decides_on_calibrated_probabilities(predictions: Predictions) -> None:
    drawn = resample(predictions.lesion_id, 50)
    for temperature in (0.5, 2.0):
        said = predictions.probabilities(temperature)[:, 4] >= 0.3
        decision = OneVsRest.of(predictions, temperature, "mel").decide(0.3, drawn)
        assert decision.tp + decision.fp == said.sum()


def test_cells_and_errors_are_the_right_images(predictions: Predictions) -> None:
    first = error_rows(predictions, MISSED)[0]
    true, named = predictions.label[first], predictions.predicted[first]
    rows = cell_rows(predictions, CODES[true], CODES[named])
    assert len(rows) == matrix_of(predictions)[true, named] > 0
    everything = set(error_rows(predictions))
    assert everything == set(np.flatnonzero(predictions.label != predictions.predicted))
    missed, alarms = set(error_rows(predictions, MISSED)), set(error_rows(predictions, ALARMS))
    assert set(rows) <= missed < everything
    assert not missed & alarms
    assert np.isin(predictions.predicted[list(alarms)], MALIGNANT).all()
    with pytest.raises(ValueError, match="expected one of"):
        error_rows(predictions, "some")


def test_the_list_of_images_is_sorted_by_confidence_and_knows_the_records(predictions: Predictions) -> None:
    rows = error_rows(predictions, ALL_ERRORS)
    records = pd.DataFrame({"image_id": predictions.image_id[rows[1:]], "age": 50.0, "sex": "male",
                            "localization": "back", "dx_type": "histo"})  # fmt: skip
    table = image_table(predictions, 1.3, rows, records)
    assert table["confidence"].is_monotonic_decreasing
    by_id = table.set_index("image_id")
    for row in rows:
        shown = by_id.loc[predictions.image_id[row]]
        probabilities = predictions.probabilities(1.3)[row]
        assert (shown["true"], shown["named"]) == (
            CODES[predictions.label[row]],
            CODES[predictions.predicted[row]],
        )
        assert shown["confidence"] == probabilities.max()
        assert shown["p_true"] == probabilities[predictions.label[row]]
    assert by_id["sex"].isna().sum() == 1, "an image without a record stays in the list"
    assert "sex" not in image_table(predictions, 1.3, rows)


def test_equally_sure_answers_are_sorted_by_image(predictions: Predictions) -> None:
    unsure = replace(predictions, logits=np.zeros_like(predictions.logits))
    table = image_table(unsure, 1.3, np.array([3, 0, 4, 1]))
    assert table["image_id"].tolist() == sorted(predictions.image_id[[0, 1, 3, 4]])
