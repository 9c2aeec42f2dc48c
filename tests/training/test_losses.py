"""The loss against float64 numpy, against finite differences, and against Keras' own distillation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.distillation import LogitsDistillation

from core.training.losses import DistillationLoss, average_logits

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (6, 7))
TEACHER = RNG.normal(0, 3, (6, 7))
LABELS = np.eye(7)[[0, 1, 2, 5, 5, 6]] * 0.9 + 0.1 / 7
WEIGHTED = LABELS * np.array([1.5, 1.2, 0.9, 2.0, 0.8, 0.3, 2.5])
CASES = [
    {},
    {"focal_gamma": 2.0},
    {"logit_offset": np.linspace(-2, 1, 7)},
    {"alpha": 0.7, "temperature": 2.0},
    {"alpha": 0.3, "temperature": 5.0, "focal_gamma": 1.5, "logit_offset": np.linspace(-1, 1, 7)},
    {"alpha": 1.0, "temperature": 0.5},
]


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


def reference(
    logits: np.ndarray,
    *,
    alpha: float = 0.0,
    temperature: float = 1.0,
    focal_gamma: float = 0.0,
    logit_offset: np.ndarray | float = 0.0,
) -> np.ndarray:
    """(B,) the formula of the docstring in float64."""
    log_p = log_softmax(logits + logit_offset)
    hard = -(WEIGHTED * (1 - np.exp(log_p)) ** focal_gamma * log_p).sum(axis=1)
    log_teacher, log_student = log_softmax(TEACHER / temperature), log_softmax(logits / temperature)
    soft = (np.exp(log_teacher) * (log_teacher - log_student)).sum(axis=1)
    return (1 - alpha) * hard + alpha * temperature**2 * soft


def targets(labels: np.ndarray = WEIGHTED) -> np.ndarray:
    return np.stack([labels, TEACHER], axis=1).astype(np.float32)


def values(loss: DistillationLoss, logits: np.ndarray, y_true: np.ndarray) -> np.ndarray:
    result = loss.call(
        keras.ops.convert_to_tensor(y_true), keras.ops.convert_to_tensor(logits.astype(np.float32))
    )
    return keras.ops.convert_to_numpy(result)


def gradient(loss: DistillationLoss, logits: np.ndarray, y_true: np.ndarray) -> np.ndarray:
    """(B, 7) gradient of the summed loss with respect to the logits, by the backend."""
    start = logits.astype(np.float32)
    if keras.config.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: loss.call(y_true, x).sum())(start))
    import tensorflow as tf

    x = tf.constant(start)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss.call(tf.constant(y_true), x))
    return tape.gradient(total, x).numpy()


def finite_differences(options: dict) -> np.ndarray:
    step, result = 1e-5, np.zeros_like(LOGITS)
    for i in np.ndindex(LOGITS.shape):
        nudge = np.zeros_like(LOGITS)
        nudge[i] = step
        result[i] = (
            reference(LOGITS + nudge, **options).sum() - reference(LOGITS - nudge, **options).sum()
        ) / (2 * step)
    return result


@pytest.mark.parametrize("options", CASES, ids=lambda case: "+".join(case) or "plain")
def test_values_are_the_formulas(options):
    assert values(DistillationLoss(**options), LOGITS, targets()) == pytest.approx(
        reference(LOGITS, **options), rel=2e-5
    )


@pytest.mark.parametrize("options", CASES, ids=lambda case: "+".join(case) or "plain")
def test_gradients_are_the_finite_differences(options):
    found = gradient(DistillationLoss(**options), LOGITS, targets())
    assert np.abs(found - finite_differences(options)).max() < 1e-5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0, 20.0])
def test_the_soft_term_is_keras_own(temperature):
    """It carries T^2 as well, and takes the mean over the batch.

    The loss is given as an object: by its name, the default, Keras 3.15 softens nothing and compares raw logits.
    """
    theirs = LogitsDistillation(temperature, keras.losses.KLDivergence()).compute_loss(
        keras.ops.convert_to_tensor(TEACHER.astype(np.float32)),
        keras.ops.convert_to_tensor(LOGITS.astype(np.float32)),
    )
    ours = values(DistillationLoss(alpha=1.0, temperature=temperature), LOGITS, targets()).mean()
    assert ours == pytest.approx(float(theirs), rel=1e-3)


def test_alpha_zero_is_keras_cross_entropy_and_needs_no_teacher_row():
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None)
    expected = keras.ops.convert_to_numpy(theirs(LABELS.astype(np.float32), LOGITS.astype(np.float32)))
    found = values(DistillationLoss(temperature=4.0), LOGITS, LABELS[:, None].astype(np.float32))
    assert found == pytest.approx(expected, rel=1e-5)


def test_alpha_one_forgets_the_labels():
    loss = DistillationLoss(alpha=1.0, temperature=2.0)
    assert values(loss, LOGITS, targets()) == pytest.approx(values(loss, LOGITS, targets(WEIGHTED[::-1])))


def test_a_student_equal_to_its_teacher_has_no_soft_loss_and_no_gradient():
    loss = DistillationLoss(alpha=1.0, temperature=3.0)
    assert values(loss, TEACHER, targets()) == pytest.approx(np.zeros(6), abs=1e-5)
    assert gradient(loss, TEACHER, targets()) == pytest.approx(np.zeros((6, 7)), abs=1e-5)


def test_temperature_squared_keeps_the_gradients_size():
    # Hinton et al. (2015): for large T the gradient of T^2 * KL tends to (z - v) / 7 of centred logits.
    limit = ((LOGITS - LOGITS.mean(1, keepdims=True)) - (TEACHER - TEACHER.mean(1, keepdims=True))) / 7
    for temperature in (100.0, 400.0):
        found = gradient(DistillationLoss(alpha=1.0, temperature=temperature), LOGITS, targets())
        assert found == pytest.approx(limit, abs=0.1 * np.abs(limit).max())
    norms = [
        np.linalg.norm(gradient(DistillationLoss(alpha=1.0, temperature=t), LOGITS, targets()))
        for t in (2.0, 4.0, 8.0)
    ]
    assert max(norms) < 2 * min(norms)


def test_large_logits_stay_finite():
    huge = np.where(np.eye(6, 7) > 0, 300.0, -300.0)
    for options in CASES:
        assert np.isfinite(values(DistillationLoss(**options), huge, targets())).all()
        assert np.isfinite(gradient(DistillationLoss(**options), huge, targets())).all()


def test_logit_adjustment_asks_more_of_frequent_classes():
    prior = np.log(np.array([0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02]))
    flat = np.zeros((7, 7))
    found = values(DistillationLoss(logit_offset=prior), flat, np.eye(7)[:, None].astype(np.float32))
    assert found == pytest.approx(-prior, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 1.1}, {"alpha": -0.1}, {"temperature": 0.0}, {"temperature": -2.0}], ids=str
)
def test_wrong_values_are_echoed(wrong):
    key, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{key}: expected a number .*found {value}"):
        DistillationLoss(**wrong)


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_one_teacher_is_itself(average):
    alone = average_logits(TEACHER[None], average, 3.0)
    assert log_softmax(alone / 3.0) == pytest.approx(log_softmax(TEACHER / 3.0), abs=1e-6)
    assert alone.dtype == np.float32


def test_averages_of_two_teachers():
    both = np.stack([TEACHER, LOGITS])
    logits = average_logits(both, "logits", 2.0)
    assert logits == pytest.approx((TEACHER + LOGITS) / 2, rel=1e-6)
    p = np.exp(log_softmax(both / 2.0))
    geometric = np.sqrt(p[0] * p[1])
    geometric /= geometric.sum(axis=1, keepdims=True)
    assert np.exp(log_softmax(logits / 2.0)) == pytest.approx(geometric, abs=1e-6)
    softened = average_logits(both, "probabilities", 2.0)
    assert np.exp(log_softmax(softened / 2.0)) == pytest.approx(p.mean(axis=0), abs=1e-6)


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_averages_keep_leading_dimensions(average):
    several = RNG.normal(0, 3, (2, 3, 5, 7))
    result = average_logits(several, average, 2.0)
    assert result.shape == (3, 5, 7)
    assert result[1, 2] == pytest.approx(average_logits(several[:, 1, 2], average, 2.0), abs=1e-6)
