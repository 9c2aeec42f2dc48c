"""Every figure against scikit-learn's, for plain and for weighted images."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.evaluation.calibration import reliability, softmax
from core.evaluation.intervals import bootstrap, resample
from core.evaluation.metrics import (
    Ranking,
    calibration_error,
    classification,
    classified,
    confusion,
    divide,
    from_confusion,
    is_collapsed,
    log_loss,
    majority_share,
    mean_of_defined,
    plain_weights,
    ranking,
    together,
)

CLASSES = list(range(7))


@st.composite
def answers(draw, smallest: int = 1):
    """Labels, predicted classes and integer weights; often few classes, often one."""
    n = draw(st.integers(smallest, 30))
    used = draw(st.integers(1, 7))
    array = lambda top: st.lists(st.integers(0, top), min_size=n, max_size=n).map(np.array)  # noqa: E731
    weights = draw(array(3))
    weights[0] = max(weights[0], 1)
    return draw(array(used - 1)), draw(array(6)), weights


def assert_equal(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(answers())
def test_figures_from_the_confusion_matrix_are_scikit_learns(case):
    labels, predicted, weights = case
    matrix = confusion(labels, predicted, weights[None].astype(float))
    found = {name: value[0] for name, value in from_confusion(matrix).items()}
    # What a resample is: the images as often as their weight says.
    y, z = np.repeat(labels, weights), np.repeat(predicted, weights)
    assert_equal(matrix[0], sk.confusion_matrix(y, z, labels=CLASSES))
    assert_equal(found["accuracy"], sk.accuracy_score(y, z))
    there = np.unique(y)
    assert_equal(
        found["balanced_accuracy"], sk.recall_score(y, z, labels=there, average="macro", zero_division=0)
    )
    assert_equal(found["macro_f1"], sk.f1_score(y, z, average="macro", zero_division=0))
    nan = {"labels": CLASSES, "average": None, "zero_division": np.nan}
    assert_equal(found["sensitivity"], sk.recall_score(y, z, **nan))
    assert_equal(found["precision"], sk.precision_score(y, z, **nan))
    assert_equal(found["f1"], sk.f1_score(y, z, **nan))
    for k in CLASSES:
        rest = {"pos_label": False, "zero_division": np.nan}
        assert_equal(found["specificity"][k], sk.recall_score(y == k, z == k, **rest))
        assert_equal(found["npv"][k], sk.precision_score(y == k, z == k, **rest))


def test_one_class_predicted_for_all():
    labels = np.array([5] * 8 + [4, 1])
    found = from_confusion(confusion(labels, np.full(10, 5)))
    assert found["accuracy"][0] == 0.8
    assert found["balanced_accuracy"][0] == pytest.approx(1 / 3)
    assert found["sensitivity"][0, 5] == 1
    assert found["sensitivity"][0, 4] == 0
    assert np.isnan(found["sensitivity"][0, 3]), "no df is there"
    assert np.isnan(found["precision"][0, 4]), "mel is never predicted"
    assert found["f1"][0, 4] == 0
    assert np.isnan(found["f1"][0, 3])
    assert np.isnan(found["npv"][0, 5]), "nothing is called anything else"
    assert found["specificity"][0, 5] == 0


@settings(max_examples=40, deadline=None)
@given(
    answers(smallest=2),
    st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=30, max_size=30),
)
def test_areas_are_scikit_learns_with_ties_and_weights(case, scores):
    labels, _, weights = case
    positive, score = labels == 0, np.array(scores[: len(labels)])
    roc, precision = (area[0] for area in Ranking.of(score, positive).areas(weights[None].astype(float)))
    there = weights > 0
    if positive[there].all() or not positive[there].any():
        assert np.isnan(roc)
    else:
        expected = sk.roc_auc_score(positive, score, sample_weight=weights)
        assert roc == pytest.approx(expected, abs=1e-9)
    if positive[there].any():
        expected = sk.average_precision_score(positive[there], score[there], sample_weight=weights[there])
        assert precision == pytest.approx(expected, abs=1e-9)
    else:
        assert np.isnan(precision)


def test_areas_that_can_be_told_by_hand():
    positive = np.array([False, False, True, True])
    for score, area in [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 1, 1, 1], 0.5), ([1, 3, 2, 4], 0.75)]:
        assert Ranking.of(np.array(score), positive).areas(plain_weights(4))[0][0] == area


def test_areas_of_many_resamples_are_those_of_each():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 9, 80) / 9, rng.random(80) < 0.3
    weights = rng.integers(0, 3, (40, 80)).astype(float)
    roc, precision = Ranking.of(score, positive).areas(weights)
    for b, row in enumerate(weights):
        assert roc[b] == pytest.approx(sk.roc_auc_score(positive, score, sample_weight=row))
        assert precision[b] == pytest.approx(sk.average_precision_score(positive, score, sample_weight=row))


def test_macro_auc_is_scikit_learns_and_leaves_out_absent_classes():
    rng = np.random.default_rng(1)
    probabilities, labels = softmax(rng.normal(size=(90, 7))), rng.integers(0, 7, 90)
    found = ranking(probabilities, labels)(plain_weights(90))
    assert found["macro_auc"][0] == pytest.approx(sk.roc_auc_score(labels, probabilities, multi_class="ovr"))
    fewer = labels % 3
    found = ranking(probabilities, fewer)(plain_weights(90))
    each = [sk.roc_auc_score(fewer == k, probabilities[:, k]) for k in range(3)]
    assert found["macro_auc"][0] == pytest.approx(np.mean(each))
    assert np.isnan(found["auc"][0, 3:]).all()
    assert np.isnan(found["average_precision"][0, 3:]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_weighted_calibration_error_and_log_loss_are_those_of_the_repeated_images(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(scale=2, size=(40, 7)), rng.integers(0, 7, 40)
    weights = rng.integers(0, 3, 40)
    probabilities = softmax(logits, 1.4)
    again = np.repeat(np.arange(40), weights)
    found = calibration_error(probabilities, labels, weights[None].astype(float))[0]
    assert found == pytest.approx(reliability(probabilities[again], labels[again]).ece)
    found = log_loss(logits, labels, weights[None].astype(float), 1.4)[0]
    assert found == pytest.approx(sk.log_loss(labels[again], probabilities[again], labels=CLASSES))


def test_nothing_divided_by_nothing_is_undefined():
    np.testing.assert_equal(
        divide(np.array([1.0, 0.0, 2.0]), np.array([2.0, 0.0, 0.0])), [0.5, np.nan, np.nan]
    )
    np.testing.assert_equal(mean_of_defined(np.array([[1, np.nan, 3], [np.nan] * 3])), [2, np.nan])


@pytest.mark.parametrize(
    ("accuracy", "collapsed"),
    [(0.6695, True), (0.6795, True), (0.6595, True), (0.6796, False), (0.65, False)],
)
def test_a_model_within_a_point_of_the_majority_is_collapsed(accuracy, collapsed):
    assert is_collapsed(accuracy, 0.6695) is collapsed
    assert is_collapsed(accuracy, 0.6695, 0.95) is collapsed
    assert not is_collapsed(accuracy, 0.6695, 0.54), "it confuses nevi with the others, and knows both"


def test_majority_share():
    assert majority_share(np.array([5, 5, 5, 1])) == 0.75
    assert np.isnan(majority_share(np.zeros(0, int)))


def test_two_thousand_resamples_of_the_test_set_take_seconds():
    rng = np.random.default_rng(2)
    lesion, labels = rng.integers(0, 1500, 2000), rng.integers(0, 7, 2000)
    probabilities = softmax(rng.normal(size=(2000, 7)))
    # Processor time, so that a busy machine does not fail it; scikit-learn would take minutes.
    start = time.process_time()
    statistic = together(classification(labels, probabilities.argmax(axis=1)), ranking(probabilities, labels))
    bootstrap(statistic, resample(lesion, 2000))
    assert time.process_time() - start < 12


def test_by_lesion_the_figures_are_those_by_image():
    rng = np.random.default_rng(4)
    labels, predicted = rng.integers(0, 7, 80), rng.integers(0, 7, 80)
    drawn = resample(np.arange(80) // 3, 600)
    slowly, found = bootstrap(classification(labels, predicted), drawn), classified(labels, predicted, drawn)
    assert set(found.values) == set(slowly.values)
    for name in found.values:
        np.testing.assert_array_equal(found.values[name], slowly.values[name])
        np.testing.assert_array_equal(found.draws[name], slowly.draws[name])
