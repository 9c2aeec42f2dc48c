"""The student's rate over a run, and the embedding that a hint has it tell."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.ablation.protocol import Protocol
from core.ablation.student import NO_TEACHER, Student
from core.lab.variants import Variant

STEPS, WIDTH = 10, 6
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
LABELS, TEACHER = np.eye(7)[[0, 1, 2, 5]], np.tile(NO_TEACHER, (4, 1))
EMBEDDINGS = RNG.normal(0, 1, (4, WIDTH)).astype(np.float32)


def test_the_rate_rises_for_half_an_epoch_and_falls_to_the_end_of_the_run(bench: Protocol):
    optimizer = Student(bench, "imagenet", STEPS).network.optimizer
    rates = []
    for step in range(bench.epochs * STEPS + 1):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert max(rates) == pytest.approx(bench.learning_rate)
    assert rates.index(max(rates)) in (STEPS // 2 - 1, STEPS // 2)
    assert (np.diff(rates[: STEPS // 2]) > 0).all()
    assert (np.diff(rates[STEPS // 2 :]) < 0).all()
    assert rates[-1] == pytest.approx(0.01 * bench.learning_rate, rel=1e-3)


def test_a_hint_adds_its_weight_times_the_distance_from_the_teacher_s_embedding(bench: Protocol):
    student = Student(bench, "imagenet", STEPS, hint_width=WIDTH)
    losses = []
    for hint in (0.0, 1.0, 3.0):
        student.begin(Variant(("resnet50",), 4.0, 0.5, hint=hint))
        losses.append(student.step(IMAGES, LABELS, TEACHER, EMBEDDINGS)[0])
    student.begin(Variant())
    told = keras.ops.convert_to_numpy(student.network(IMAGES.astype(np.float32), training=True)[1])
    distance = np.mean((told - EMBEDDINGS) ** 2)
    assert losses == pytest.approx([losses[0], losses[0] + distance, losses[0] + 3 * distance], rel=1e-4)
