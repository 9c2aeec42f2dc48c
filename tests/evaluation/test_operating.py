"""Malignancy score, operating point, one class against the rest."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.evaluation.calibration import softmax
from core.evaluation.intervals import bootstrap, resample, wilson
from core.evaluation.operating import (
    OperatingError,
    at_threshold,
    decision_statistic,
    is_malignant,
    malignancy_score,
    precision_recall,
    predictive_values,
    roc,
    threshold_for_sensitivity,
)
from core.lesions import INDEX

SCORES = st.lists(
    st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), min_size=1, max_size=60
)


def test_the_score_is_the_probability_of_the_three_malignant_classes():
    p = softmax(np.random.default_rng(0).normal(size=(20, 7)))
    expected = p[:, INDEX["akiec"]] + p[:, INDEX["bcc"]] + p[:, INDEX["mel"]]
    np.testing.assert_allclose(malignancy_score(p), expected)
    assert is_malignant(np.arange(7)).tolist() == [True, True, False, False, True, False, False]


@pytest.mark.parametrize("last", [5e-324, 0.5, np.nextafter(0.5, 1), 1.0])
def test_between_neighbouring_scores_the_lower_one_is_left_out(last):
    score = np.array([last, np.nextafter(last, 0)])
    threshold = threshold_for_sensitivity(score, np.array([True, False]), 1.0)
    assert (score >= threshold).tolist() == [True, False]


@settings(max_examples=40, deadline=None)
@given(SCORES, st.sampled_from([0.5, 0.9, 0.95, 1.0]))
def test_the_threshold_reaches_its_sensitivity_and_no_higher_one_does(cases, target):
    score, positive = np.array([s for s, _ in cases]), np.array([p for _, p in cases])
    assume(positive.any())
    threshold = threshold_for_sensitivity(score, positive, target)
    assert 0 <= threshold <= 1
    assert (score[positive] >= threshold).mean() >= target - 1e-12
    higher = score[positive & (score >= threshold)].min()
    assert (score[positive] > higher).mean() < target, "the next higher score misses it"
    # It is in the gap below that score: no image lies between.
    assert not ((score >= threshold) & (score < higher)).any()


def test_the_threshold_keeps_its_distance_from_the_images_scores():
    score, positive = np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, False, True, True])
    assert threshold_for_sensitivity(score, positive, 1.0) == pytest.approx(0.5)
    assert threshold_for_sensitivity(score, positive, 0.5) == pytest.approx(0.75)


def test_twenty_positives_at_95_percent_keep_nineteen():
    score = np.linspace(0.05, 1, 20)
    threshold = threshold_for_sensitivity(score, np.ones(20, bool), 0.95)
    assert (score >= threshold).sum() == 19


def test_without_malignant_images_there_is_no_operating_point():
    assert threshold_for_sensitivity(np.array([0.1]), np.array([False])) is None
    with pytest.raises(OperatingError, match=r"above 0 and at most 1, found 1\.5"):
        threshold_for_sensitivity(np.array([0.1]), np.array([True]), 1.5)


@settings(max_examples=40, deadline=None)
@given(SCORES, st.floats(0, 1))
def test_a_decision_is_scikit_learns(cases, threshold):
    score, positive = np.array([s for s, _ in cases]), np.array([p for _, p in cases])
    found = at_threshold(score, positive, threshold, resample(np.arange(len(cases)), 100))
    chosen = score >= threshold
    table = sk.confusion_matrix(positive, chosen, labels=[False, True])
    assert [[found.tn, found.fp], [found.fn, found.tp]] == table.tolist()
    nan = {"zero_division": np.nan}
    expected = {
        "sensitivity": sk.recall_score(positive, chosen, **nan),
        "specificity": sk.recall_score(positive, chosen, pos_label=False, **nan),
        "ppv": sk.precision_score(positive, chosen, **nan),
        "npv": sk.precision_score(positive, chosen, pos_label=False, **nan),
        "f1": sk.f1_score(positive, chosen, **nan),
    }
    for name, value in expected.items():
        interval = getattr(found, name)
        assert interval.value == pytest.approx(value, nan_ok=True), name
        if not np.isnan(interval.low):
            assert interval.low <= interval.value <= interval.high
    stored = found.to_dict()
    assert stored["tp"] == found.tp
    assert (stored["sensitivity"]["value"] is None) == (not positive.any())


def test_all_found_is_no_certainty():
    positive = np.array([True] * 5 + [False] * 20)
    found = at_threshold(positive.astype(float), positive, 0.5, resample(np.arange(25), 200))
    assert found.sensitivity == found.ppv == wilson(5, 5)
    assert found.specificity == found.npv == wilson(20, 20)
    one_lesion = at_threshold(positive.astype(float), positive, 0.5, resample(np.arange(25).clip(min=4), 200))
    assert one_lesion.sensitivity == wilson(1, 1), "five images of one lesion count once"


def test_predictive_values_follow_bayes():
    # Sensitivity 90%, specificity 80%, 10% ill: of 1000, 90 + 180 are called, 10 ill are missed.
    ppv, npv = predictive_values(0.9, 0.8, 0.1)
    assert float(ppv) == pytest.approx(90 / 270)
    assert float(npv) == pytest.approx(720 / 730)
    assert np.isnan(predictive_values(0.0, 1.0, 0.5)[0])
    with pytest.raises(OperatingError, match="between 0 and 1, found 3"):
        predictive_values(0.9, 0.8, 3)


def test_the_samples_own_prevalence_gives_its_own_predictive_values():
    rng = np.random.default_rng(1)
    score, positive = rng.random(200), rng.random(200) < 0.3
    drawn = resample(np.arange(200) // 2, 300)
    own = at_threshold(score, positive, 0.4, drawn)
    asked = at_threshold(score, positive, 0.4, drawn, prevalence=positive.mean())
    assert asked.ppv.value == pytest.approx(own.ppv.value)
    assert asked.npv.value == pytest.approx(own.npv.value)
    rarer = at_threshold(score, positive, 0.4, drawn, prevalence=0.01)
    assert rarer.ppv.value < own.ppv.value
    assert rarer.ppv.low <= rarer.ppv.value <= rarer.ppv.high
    assert rarer.to_dict()["prevalence"] == 0.01


def test_a_chosen_prevalence_claims_no_certainty():
    # 15 ill, all called; 200 healthy, 20 called: at a prevalence of 10% nobody below the threshold is ill, so far.
    positive = np.array([True] * 15 + [False] * 200)
    score = np.array([1.0] * 15 + [1.0] * 20 + [0.0] * 180)
    drawn = resample(np.arange(215), 400)
    found = at_threshold(score, positive, 0.5, drawn, prevalence=0.1)
    assert found.npv.value == 1 == found.npv.high
    _, lowest = predictive_values(found.sensitivity.low, found.specificity.low, 0.1)
    assert found.npv.low == pytest.approx(float(lowest))
    assert lowest < 0.98
    assert found.ppv.low < found.ppv.value < found.ppv.high
    perfect = at_threshold(positive.astype(float), positive, 0.5, drawn, prevalence=0.1)
    for value in (perfect.ppv, perfect.npv):
        assert value.low < value.value == value.high == 1


def test_curves_are_scikit_learns():
    rng = np.random.default_rng(2)
    positive = rng.random(120) < 0.2
    score = rng.integers(0, 20, 120) / 20 + 0.3 * positive
    curve = roc(score, positive)
    assert curve.area == pytest.approx(sk.roc_auc_score(positive, score))
    assert sk.auc(curve.x, curve.y) == pytest.approx(curve.area)
    assert curve.to_dict()["threshold"][0] is None
    for x, y, threshold in list(zip(curve.x, curve.y, curve.threshold, strict=True))[1:]:
        assert y == pytest.approx((score[positive] >= threshold).mean())
        assert x == pytest.approx((score[~positive] >= threshold).mean())
    x, y, _ = sk.roc_curve(positive, score)
    assert sk.auc(x, y) == pytest.approx(sk.auc(curve.x, curve.y))
    assert {*zip(curve.x, curve.y, strict=True)} <= {*zip(x, y, strict=True)}
    curve = precision_recall(score, positive)
    assert curve.area == pytest.approx(sk.average_precision_score(positive, score))
    precision, recall, threshold = sk.precision_recall_curve(positive, score)
    np.testing.assert_allclose(curve.x, recall)
    np.testing.assert_allclose(curve.y, precision)
    np.testing.assert_array_equal(curve.threshold, [*threshold, np.inf])


def test_a_decision_s_intervals_are_the_bootstrap_s():
    rng = np.random.default_rng(3)
    score, positive = rng.random(90), rng.random(90) < 0.4
    drawn = resample(np.arange(90) // 3, 300)
    slowly = bootstrap(decision_statistic(score >= 0.5, positive, 0.1), drawn)
    found = at_threshold(score, positive, 0.5, drawn, 0.1)
    for name in ("sensitivity", "specificity", "ppv", "npv", "f1"):
        assert getattr(found, name) == slowly.interval(name)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_a_curve_needs_both_kinds(positive):
    curve = roc(np.array([0.1, 0.2]), np.array(positive))
    assert len(curve.x) == 0
    assert curve.to_dict()["area"] is None
    assert np.isnan(precision_recall(np.array([0.1]), np.array([False])).area)
