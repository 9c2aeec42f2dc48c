"""Warm-up and cosine decay."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from core.training.schedule import WarmupCosine


def rates(schedule: WarmupCosine, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps)])


def test_warm_up_is_linear_and_ends_at_the_peak():
    found = rates(WarmupCosine(0.1, total=100, warmup=10, final_rate=0.01), 11)
    assert found == pytest.approx([*(0.01 * np.arange(1, 11)), 0.1], rel=1e-5)


def test_then_half_a_cosine():
    schedule = WarmupCosine(0.1, total=110, warmup=10, final_rate=0.01)
    for step in (10, 35, 60, 85, 110):
        share = (step - 10) / 100
        expected = 0.1 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-4)
    assert float(schedule(60)) == pytest.approx(0.1 * (0.01 + 0.99 / 2), rel=1e-4)


def test_it_falls_and_stays_at_the_end():
    found = rates(WarmupCosine(0.1, total=50, warmup=5, final_rate=0.02), 80)
    assert (np.diff(found[5:51]) < 0).all()
    assert found[50:] == pytest.approx(np.full(30, 0.002), rel=1e-4)
    assert (found > 0).all()


def test_a_final_rate_of_one_stays_at_the_peak():
    assert rates(WarmupCosine(3e-4, total=20, warmup=0, final_rate=1.0), 25) == pytest.approx(
        np.full(25, 3e-4)
    )


@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (1, 1), (5, 10), (0, 0)])
def test_short_runs_are_finite(total, warmup):
    assert np.isfinite(rates(WarmupCosine(0.1, total, warmup, 0.01), 12)).all()


def test_an_optimizer_follows_it_and_its_config_makes_it_again():
    schedule = WarmupCosine(0.1, total=40, warmup=4, final_rate=0.1)
    again = WarmupCosine(**schedule.get_config())
    assert rates(again, 45).tolist() == rates(schedule, 45).tolist()
    optimizer = keras.optimizers.SGD(schedule)
    variable = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply([keras.ops.ones(1)], [variable])
    assert keras.ops.convert_to_numpy(variable.value) == pytest.approx([-(0.025 + 0.05 + 0.075)], rel=1e-5)
