"""Two models on the same images."""

import json

import numpy as np
import pytest

from core.evaluation.compare import COUNTED, compare, compare_all
from core.evaluation.evaluate import measure
from core.evaluation.intervals import wilson
from core.evaluation.predictions import PredictionsError
from core.lesions import CODES


def test_differences_are_those_of_the_figures(simulate):
    good, poor = simulate(200, skill=3, model="student"), simulate(200, skill=1, model="baseline")
    temperatures = {"student": 1.2, "baseline": 0.7}
    found = compare(good, poor, temperatures, resamples=300)
    assert (found.first, found.second) == ("student", "baseline")
    figures = [measure(p, temperatures[p.model], resamples=300) for p in (good, poor)]
    for name, interval in found.differences.items():
        a, b = (f.intervals[name].value for f in figures)
        assert interval.value == pytest.approx(a - b), name
        assert interval.low <= interval.value <= interval.high
    a, b = (f.classes["mel"].intervals["sensitivity"].value for f in figures)
    assert found.sensitivity["mel"].value == pytest.approx(a - b)
    assert found.differences["accuracy"].low > 0
    assert found.mcnemar.p_exact < 0.001
    right = [p.predicted == p.label for p in (good, poor)]
    assert found.mcnemar.only_first == (right[0] & ~right[1]).sum()
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_order_of_images_does_not_matter(simulate):
    first, second = simulate(60, skill=3, model="a"), simulate(60, skill=2, model="b")
    shuffled = second.take(np.random.default_rng(0).permutation(len(second)))
    assert compare(first, shuffled, {}, resamples=100) == compare(first, second, {}, resamples=100)


def test_a_model_does_not_differ_from_itself(simulate):
    found = compare(simulate(60), simulate(60), {}, resamples=100)
    assert all(d.value == 0 for d in found.differences.values())
    assert found.mcnemar.p_exact == found.mcnemar.p_mid == 1


def test_no_difference_on_few_lesions_is_no_proof_of_none(simulate):
    model = simulate(60)
    found = compare(model, model, {}, resamples=100)
    most = wilson(0, len(set(model.lesion_id))).high
    accuracy = found.differences["accuracy"]
    assert (accuracy.low, accuracy.high, accuracy.method) == (-most, most, "wilson")
    for k, code in enumerate(CODES):
        lesions = len(set(model.lesion_id[model.label == k]))
        if lesions:
            assert found.sensitivity[code].high == wilson(0, lesions).high > most
    assert np.isnan(found.differences["balanced_accuracy"].high)


def test_every_two_are_compared_once_as_alone(simulate):
    models = [simulate(60, skill=s, model=m) for m, s in (("a", 3), ("b", 2), ("c", 1))]
    found = compare_all(models, {}, resamples=100)
    assert [(c.first, c.second) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[1] == compare(models[0], models[2], {}, resamples=100)
    assert compare_all(models[:1], {}) == compare_all([], {}) == []
    counted = compare_all(models, {}, figures=COUNTED, resamples=100)
    assert [c.differences for c in counted] == [
        {name: c.differences[name] for name in COUNTED} for c in found
    ]
    assert [c.sensitivity for c in counted] == [c.sensitivity for c in found]


def test_other_images_are_refused(simulate):
    with pytest.raises(PredictionsError, match="same images"):
        compare(simulate(60), simulate(40), {})
