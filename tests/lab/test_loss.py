"""Each term against the loss that trains, against Keras' own, and its gradient against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras.distillation import LogitsDistillation

from core.ablation.mistakes import SwitchedLoss
from core.lab.loss import LEVEL_FROM, Term, hard_term, soft_term, take_apart, twice_softened_term
from core.lab.variants import NO_T2, SOFTMAX_TWICE, Variant
from core.training.losses import DistillationLoss

RNG = np.random.default_rng(1)
STUDENT, TEACHER = RNG.normal(0, 2, (8, 7)), RNG.normal(0, 3, (8, 7))
LABELS = np.arange(8) % 7
TEMPERATURES = (1.0, 2.0, 8.0, 50.0)

TERMS: dict[str, Callable[[np.ndarray], Term]] = {
    "hard": lambda z: hard_term(z, LABELS),
    **{f"soft at {t:g}": lambda z, t=t: soft_term(TEACHER, z, t) for t in TEMPERATURES},
    **{f"bare at {t:g}": lambda z, t=t: soft_term(TEACHER, z, t, t2=False) for t in TEMPERATURES},
    **{f"twice at {t:g}": lambda z, t=t: twice_softened_term(TEACHER, z, t) for t in TEMPERATURES},
    "all of it": lambda z: take_apart(TEACHER, z, LABELS, 4.0, 0.7).total,
    "the other reading": lambda z: take_apart(TEACHER, z, LABELS, 4.0, 0.7).other_reading,
    "the report's": lambda z: take_apart(TEACHER, z, LABELS, 50.0, 0.8).report,
}


@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_the_finite_differences(name: str):
    term, step = TERMS[name], 1e-4
    found = term(STUDENT).gradient
    for i in range(7):
        nudge = step * np.eye(7)[i]
        expected = (term(STUDENT + nudge).value - term(STUDENT - nudge).value) / (2 * step)
        assert found[:, i] == pytest.approx(expected, abs=1e-6)


def trained(loss: DistillationLoss) -> np.ndarray:
    targets = np.stack([np.eye(7)[LABELS], TEACHER], axis=1).astype(np.float32)
    return np.asarray(loss.call(keras.ops.convert_to_tensor(targets), STUDENT.astype(np.float32)))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_it_is_the_loss_that_trains(temperature: float, alpha: float):
    found = take_apart(TEACHER, STUDENT, LABELS, temperature, alpha).total.value
    # T^2 magnifies what float32 rounds off in the training loss.
    assert found == pytest.approx(trained(DistillationLoss(alpha, temperature)), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_report_s_is_the_loss_of_its_mistakes(temperature: float):
    loss = SwitchedLoss()
    loss.set(Variant(("resnet50",), temperature, 0.8, mistakes=(SOFTMAX_TWICE, NO_T2)))
    found = take_apart(TEACHER, STUDENT, LABELS, temperature, 0.8).report.value
    assert found == pytest.approx(trained(loss), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_the_soft_term_is_keras_own(temperature: float):
    theirs = LogitsDistillation(temperature, keras.losses.KLDivergence()).compute_loss(
        keras.ops.convert_to_tensor(TEACHER.astype(np.float32)),
        keras.ops.convert_to_tensor(STUDENT.astype(np.float32)),
    )
    assert soft_term(TEACHER, STUDENT, temperature).value.mean() == pytest.approx(float(theirs), rel=1e-3)


def test_the_readings_of_alpha_change_places_at_a_half_and_meet_there():
    high, low = (take_apart(TEACHER, STUDENT, LABELS, 4.0, alpha) for alpha in (0.8, 0.2))
    assert high.total.value == pytest.approx(low.other_reading.value)
    half = take_apart(TEACHER, STUDENT, LABELS, 4.0, 0.5)
    assert half.total.gradient == pytest.approx(half.other_reading.gradient)


def test_the_report_s_soft_term_pulls_a_thousand_times_less():
    parts = take_apart(TEACHER, STUDENT, LABELS, 50.0, 0.8)
    assert (parts.reported.norm < parts.soft.norm / 1000).all()


def test_t2_keeps_the_pull_level_at_high_temperatures_alone():
    teacher, student = 12.0 * np.eye(7)[0], 9.0 * np.eye(7)[0] + 0.5 * np.eye(7)[1]
    pulls = [float(soft_term(teacher, student, t).norm) for t in (1.0, LEVEL_FROM, 20.0, 50.0)]
    assert pulls[0] < pulls[1] / 100, "sure of one class"
    assert max(pulls[1:]) < 2 * min(pulls[1:])


def test_gradients_add_up_to_nothing():
    """Softmax does not see a constant that is added to all logits."""
    for term in TERMS.values():
        assert term(STUDENT).gradient.sum(axis=1) == pytest.approx(np.zeros(8), abs=1e-12)
