"""Calibration and operating point on validation, figures of both parts."""

import numpy as np
import pytest

from core.evaluation.assess import assess
from core.evaluation.calibration import fit_temperature
from core.evaluation.evaluate import measure
from core.evaluation.predictions import PredictionsError

BOTH = ("validation", "test")


def test_temperature_and_threshold_come_from_validation_alone(simulate):
    predictions = simulate(150, parts=BOTH)
    found = assess(predictions, resamples=200)
    validation = predictions.part_only("validation")
    assert found.temperature == fit_temperature(validation.logits, validation.label)
    # Other answers on test leave both as they are.
    logits = predictions.logits.copy()
    logits[predictions.part == "test"] *= -1
    changed = assess(type(predictions)(**(vars(predictions) | {"logits": logits})), resamples=200)
    assert changed.temperature == found.temperature
    assert changed.operating_point.threshold == found.operating_point.threshold
    assert changed.operating_point.validation == found.operating_point.validation
    assert changed.test.intervals["accuracy"].value < found.test.intervals["accuracy"].value


def test_what_the_manifest_gets(simulate):
    predictions = simulate(150, parts=BOTH)
    found = assess(predictions, resamples=200)
    stored = found.to_dict()
    assert stored["calibration"] == {"temperature": found.temperature, "fitted_on": "validation"}
    for part in BOTH:
        expected = measure(predictions.part_only(part), found.temperature, resamples=200).to_dict()
        assert stored["figures"][part] == expected
    point = stored["operating_point"]
    assert point["sensitivity_target"] == 0.95
    assert 0.95 <= point["validation_sensitivity"] == point["validation"]["sensitivity"]["value"]
    assert point["validation_specificity"] == point["validation"]["specificity"]["value"]
    assert (
        point["test"]["tp"] + point["test"]["fn"]
        == np.isin(predictions.part_only("test").label, [0, 1, 4]).sum()
    )


def test_no_malignant_image_no_operating_point(simulate):
    predictions = simulate(150, parts=BOTH)
    benign = predictions.take(~((predictions.part == "validation") & np.isin(predictions.label, [0, 1, 4])))
    found = assess(benign, resamples=200)
    assert found.operating_point is None
    assert found.to_dict()["operating_point"] is None


@pytest.mark.parametrize("missing", BOTH)
def test_both_parts_are_needed(simulate, missing):
    predictions = simulate(60, parts=BOTH)
    with pytest.raises(PredictionsError, match=f"found none of {missing}"):
        assess(predictions.take(predictions.part != missing))
