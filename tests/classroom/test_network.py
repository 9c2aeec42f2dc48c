"""The small network: gradients against finite differences, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest

from core.classroom.lesson import ALONE, TAUGHT, Material, Order, learn
from core.classroom.network import Adam, Network, scaled
from core.errors import UserError
from core.lab.loss import take_apart

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [7, 8, 48])
def test_gradients_are_the_finite_differences(size: int):
    network = Network.fresh(size, seed=3)
    network.kernels = [kernel.astype(np.float64) for kernel in network.kernels]
    network.biases = [RNG.normal(0, 0.1, len(bias)) for bias in network.biases]
    images = RNG.normal(0, 1, (2, size, size, 3))
    teacher, labels = RNG.normal(0, 2, (2, 7)), np.array([1, 5])

    def loss() -> float:
        return float(take_apart(teacher, network.forward(images), labels, 3.0, 0.6).total.value.sum())

    logits = network.forward(images, remember=True)
    gradients = network.backward(take_apart(teacher, logits, labels, 3.0, 0.6).total.gradient)
    for value, gradient in zip(network.parameters, gradients, strict=True):
        assert gradient.shape == value.shape
        for place in RNG.integers(0, value.size, 4):
            before, step = value.flat[place], 1e-6
            value.flat[place] = before + step
            above = loss()
            value.flat[place] = before - step
            expected = (above - loss()) / (2 * step)
            value.flat[place] = before
            assert gradient.flat[place] == pytest.approx(expected, abs=1e-5, rel=1e-4)


def test_adam_s_first_step_is_its_rate_against_the_sign():
    value = np.array([1.0, -1.0, 0.5])
    Adam([value], 0.01, 10**9).update([np.array([3.0, -0.2, 0.0])])
    assert value == pytest.approx([0.99, -0.99, 0.5], abs=1e-4)


def material(n: int = 210, size: int = 32) -> Material:
    """Images whose colour tells their class."""
    labels = np.arange(n) % 7
    colours = np.random.default_rng(1).integers(30, 226, (7, 3))
    images = colours[labels][:, None, None] + RNG.normal(0, 30, (n, size, size, 3))
    pixels = np.clip(images, 0, 255).astype(np.uint8)
    teacher = 4.0 * np.eye(7)[labels] + RNG.normal(0, 0.5, (n, 7))
    return Material(pixels, labels, teacher, pixels[:70], labels[:70], "colours")


def test_both_students_begin_alike_and_learn():
    points = list(learn(Order("synthetic", "student", epochs=8), material()))
    arms = {arm: [p for p in points if p["arm"] == arm] for arm in (ALONE, TAUGHT)}
    assert arms[ALONE][0]["test_loss"] == arms[TAUGHT][0]["test_loss"]
    for found in arms.values():
        assert [p["epoch"] for p in found] == [i / 2 for i in range(17)]
        assert found[0]["loss"] is None
        assert found[-1]["test_accuracy"] > 0.8
    assert arms[ALONE][-1]["test_loss"] != arms[TAUGHT][-1]["test_loss"]


def test_with_alpha_0_the_teacher_changes_nothing():
    points = list(learn(Order("synthetic", "student", epochs=1, alpha=0.0), material(64)))
    losses = {arm: [p["test_loss"] for p in points if p["arm"] == arm] for arm in (ALONE, TAUGHT)}
    assert losses[ALONE] == losses[TAUGHT]


def test_time_ends_a_lesson():
    assert len(list(learn(Order("synthetic", "student", epochs=40), material(64), seconds=0.0))) == 2


@pytest.mark.parametrize(
    "wrong", [{"source": "x"}, {"size": 224}, {"alpha": 2.0}, {"epochs": 1000}, {"temperature": 0.0}], ids=str
)
def test_an_order_that_cannot_be_is_refused(wrong: dict):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Order(**{"source": "synthetic", "teacher": "student"} | wrong)


def test_scaling_is_about_nothing():
    assert scaled(np.array([[[[0, 128, 255]]]], np.uint8)).ravel() == pytest.approx([-2, 0, 1.984], abs=0.01)
