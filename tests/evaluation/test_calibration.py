"""Softmax, temperature, calibration error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.special import log_softmax as scipy_log_softmax
from sklearn.metrics import log_loss

from core.evaluation.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    CalibrationError,
    fit_temperature,
    log_softmax,
    negative_log_likelihood,
    reliability,
    softmax,
)
from core.evaluation.intervals import wilson

LOGITS = npst.arrays(np.float32, (5, 7), elements=st.floats(-1e4, 1e4, width=32))


def draw_labels(probabilities: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels that have exactly these probabilities."""
    uniform = np.random.default_rng(seed).random((len(probabilities), 1))
    return (probabilities.cumsum(axis=1) < uniform).sum(axis=1).clip(max=probabilities.shape[1] - 1)


@settings(max_examples=60, deadline=None)
@given(logits=LOGITS, temperature=st.floats(0.05, 20))
def test_softmax_gives_probabilities_whatever_the_logits(logits, temperature):
    p = softmax(logits, temperature)
    assert p.dtype == np.float64
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(
        log_softmax(logits, temperature),
        scipy_log_softmax(logits.astype(np.float64) / temperature, axis=1),
        atol=1e-8,
    )


@settings(max_examples=60, deadline=None)
@given(logits=LOGITS, temperature=st.floats(0.05, 20), shift=st.floats(-100, 100))
def test_neither_temperature_nor_a_shift_changes_the_class(logits, temperature, shift):
    best = np.take_along_axis(softmax(logits, temperature), logits.argmax(axis=1)[:, None], axis=1)[:, 0]
    assert (best == softmax(logits, temperature).max(axis=1)).all()
    np.testing.assert_allclose(softmax(logits.astype(np.float64) + shift), softmax(logits), atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_give_no_probability(bad):
    with pytest.raises(CalibrationError, match="finite logits"):
        softmax([0.0, bad])


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_senseless_temperature_is_refused(temperature):
    with pytest.raises(CalibrationError, match="temperature above 0"):
        softmax([0.0, 1.0], temperature)


@pytest.mark.parametrize("true", [0.3, 0.8, 1.0, 1.7, 4.0])
def test_a_known_temperature_is_recovered(true):
    calibrated = np.random.default_rng(1).normal(scale=2, size=(20_000, 7))
    labels = draw_labels(softmax(calibrated))
    assert fit_temperature(calibrated * true, labels) == pytest.approx(true, rel=0.03)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.3, 5))
def test_no_other_temperature_is_likelier(seed, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=scale, size=(60, 7))
    labels = rng.integers(0, 7, 60)
    labels[:40] = logits[:40].argmax(axis=1)
    found = fit_temperature(logits, labels)
    assert MIN_TEMPERATURE <= found <= MAX_TEMPERATURE
    best = negative_log_likelihood(logits, labels, found)
    others = [
        negative_log_likelihood(logits, labels, t) for t in np.geomspace(MIN_TEMPERATURE, MAX_TEMPERATURE, 60)
    ]
    assert best <= min(others) + 1e-9


def test_likelihood_is_scikit_learns():
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(50, 7)), rng.integers(0, 7, 50)
    expected = log_loss(labels, softmax(logits, 1.3), labels=range(7))
    assert negative_log_likelihood(logits, labels, 1.3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        (np.zeros((10, 7)), np.arange(10) % 7, 1.0),  # says nothing: any temperature is as good
        (np.eye(7) * 5, np.arange(7), 1.0),  # all right by a margin: would ask for certainty
        (np.eye(7) * 5, (np.arange(7) + 1) % 7, MAX_TEMPERATURE),  # all wrong: even odds
        (np.eye(7)[[3]] * 2, [3], 1.0),  # one image
        (np.eye(7)[[5] * 30] * 8, [5] * 30, 1.0),  # one class only
        (np.array([[1e30, 0, 0, 0, 0, 0, 0]] * 3), [0, 0, 0], 1.0),
    ],
)
def test_degenerate_validation_sets_err_on_the_side_of_doubt(logits, labels, expected):
    assert fit_temperature(logits, np.asarray(labels)) == expected


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 7)), [], "at least one image"),
        (np.zeros((2, 7)), [1], "found"),
        (np.zeros(7), [1], "found"),
        (np.zeros((2, 7)), [1, 7], "labels 0 to 6, found 1 to 7"),
        (np.full((2, 7), np.nan), [1, 2], "finite logits"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits, labels, message):
    with pytest.raises(CalibrationError, match=message):
        fit_temperature(logits, np.asarray(labels, dtype=int))


def plain_ece(probabilities, labels, bins=15):
    """The definition, image by image."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for p, label in zip(probabilities, labels, strict=True):
        k = next(k for k in range(bins) if p.max() <= (k + 1) / bins)
        groups.setdefault(k, []).append((p.max(), p.argmax() == label))
    gaps = [len(g) * abs(np.mean([r for _, r in g]) - np.mean([c for c, _ in g])) for g in groups.values()]
    return sum(gaps) / len(labels)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), bins=st.sampled_from([1, 5, 15]))
def test_calibration_error_follows_its_definition(seed, n, bins):
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(scale=2, size=(n, 7)))
    labels = rng.integers(0, 7, n)
    assert reliability(probabilities, labels, bins).ece == pytest.approx(
        plain_ece(probabilities, labels, bins)
    )


def test_calibration_errors_that_can_be_told_by_hand():
    certain = np.eye(7)[[0, 0, 0, 0]]
    assert reliability(certain, [0, 0, 0, 0]).ece == 0
    assert reliability(certain, [0, 1, 0, 1]).ece == pytest.approx(0.5)
    assert np.isnan(reliability(np.zeros((0, 7)), np.zeros(0, int)).ece)


def test_temperature_mends_an_overconfident_model():
    calibrated = np.random.default_rng(3).normal(scale=1.5, size=(4000, 7))
    labels = draw_labels(softmax(calibrated))
    overconfident = calibrated * 3
    before = reliability(softmax(overconfident), labels).ece
    after = reliability(softmax(overconfident, fit_temperature(overconfident, labels)), labels).ece
    assert before > 0.2
    assert after < 0.03


def test_reliability_diagram():
    rng = np.random.default_rng(4)
    probabilities = softmax(rng.normal(size=(300, 7)))
    labels = draw_labels(probabilities)
    diagram = reliability(probabilities, labels)
    assert diagram.count.sum() == 300
    filled = diagram.count > 0
    assert (np.isnan(diagram.accuracy) == ~filled).all()
    edges = diagram.edges
    assert ((diagram.confidence >= edges[:-1]) & (diagram.confidence <= edges[1:]))[filled].all()
    assert ((diagram.low <= diagram.accuracy) & (diagram.accuracy <= diagram.high))[filled].all()
    assert diagram.ece <= diagram.mce
    stored = diagram.to_dict()
    assert stored["accuracy"][0] is None, "no top class of seven has a probability below 1 / 15"
    assert stored["ece"] == pytest.approx(reliability(probabilities, labels).ece)


def test_images_of_one_lesion_are_one_case():
    probabilities, labels = np.full((20, 7), 0.1 / 6), np.zeros(20, int)
    probabilities[:, 0] = 0.9
    alone, four = (reliability(probabilities, labels, lesion_id=np.arange(20) // k) for k in (1, 5))
    bin_ = int(np.flatnonzero(alone.count)[0])
    assert alone.low[bin_] == wilson(20, 20).low
    assert four.low[bin_] == wilson(4, 4).low
    assert reliability(probabilities, labels).low[bin_] == alone.low[bin_]
