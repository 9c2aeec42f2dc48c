"""Without switches the loss is the healthy one; each switch makes the report's mistake and nothing else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from core.ablation.cell import Cell
from core.ablation.mistakes import SwitchedLoss, answers_given, as_keras_ships, soft_target
from core.ablation.protocol import Protocol
from core.ablation.starved import starve
from core.lab.variants import FIRST_BATCH, NO_T2, SOFTMAX_TWICE, Variant
from core.networks.classifiers import _scale
from core.training.losses import DistillationLoss

RNG = np.random.default_rng(0)
LOGITS, TEACHER = RNG.normal(0, 2, (6, 7)), RNG.normal(0, 3, (6, 7))
TARGETS = np.stack([np.eye(7)[[0, 1, 2, 5, 5, 6]], TEACHER], axis=1).astype(np.float32)


def taught(temperature: float = 4.0, alpha: float = 0.8, *mistakes: str) -> Variant:
    return Variant(("resnet50",), temperature, alpha, mistakes=mistakes)


def values(loss: DistillationLoss) -> np.ndarray:
    return np.asarray(loss.call(keras.ops.convert_to_tensor(TARGETS), LOGITS.astype(np.float32)))


def switched(variant: Variant) -> np.ndarray:
    loss = SwitchedLoss()
    loss.set(variant)
    return values(loss)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (p * np.log(p / q)).sum(axis=1)


@pytest.mark.parametrize(
    ("temperature", "alpha"), [(1.0, 0.0), (1.0, 0.5), (4.0, 0.25), (50.0, 0.8), (8.0, 1.0)]
)
def test_without_mistakes_it_is_the_loss_of_the_shipped_models(temperature, alpha):
    healthy = values(DistillationLoss(alpha=alpha, temperature=temperature))
    variant = taught(temperature, alpha) if alpha else Variant()
    assert switched(variant) == pytest.approx(healthy, rel=1e-5, abs=1e-6)


def test_one_graph_takes_one_run_after_the_other():
    loss = SwitchedLoss()
    loss.set(taught(50.0, 0.8, NO_T2, SOFTMAX_TWICE))
    loss.set(taught())
    assert values(loss) == pytest.approx(switched(taught()))


def test_softmax_twice_is_the_report_s_formula():
    hard = -np.log(softmax(LOGITS))[np.arange(6), TARGETS[:, 0].argmax(axis=1)]
    soft = kl(softmax(softmax(TEACHER) / 4), softmax(softmax(LOGITS) / 4))
    expected = 0.2 * hard + 0.8 * 16 * soft
    assert switched(taught(4.0, 0.8, SOFTMAX_TWICE)) == pytest.approx(expected, rel=1e-4)


def test_without_t2_the_soft_term_is_that_much_smaller():
    with_t2, without = switched(taught(4.0, 1.0)), switched(taught(4.0, 1.0, NO_T2))
    assert without * 16 == pytest.approx(with_t2, rel=1e-5)


def test_softmax_twice_at_t_50_asks_for_nothing_but_chance():
    target = soft_target(taught(50.0, 0.8, SOFTMAX_TWICE), TEACHER)
    entropy = -(target * np.log(target)).sum(axis=1)
    assert (np.log(7) - entropy < 1e-4).all()
    once = soft_target(taught(2.0, 0.8), TEACHER)
    assert (np.log(7) - -(once * np.log(once)).sum(axis=1) > 0.1).all()


def test_the_first_batch_answers_for_everyone():
    rows = np.arange(100, 140)
    asked = []

    def answers(rows, view, x):
        asked.append((tuple(rows), view))
        return np.zeros((len(rows), 7))

    own = answers_given(taught(), answers, rows, 8)
    wrong = answers_given(taught(4.0, 0.8, FIRST_BATCH), answers, rows, 8)
    own([101, 102], 1, None)
    wrong(list(range(108, 116)), 0, None)
    wrong(list(range(120, 125)), 2, None)
    assert asked[0] == ((101, 102), 1)
    assert asked[1][0] == tuple(np.random.default_rng(1).permutation(rows)[:8]), "drawn by the run's seed"
    answers_given(replace(taught(4.0, 0.8, FIRST_BATCH), seed=2), answers, rows, 8)([100] * 8, 0, None)
    assert asked.pop()[0] != asked[1][0]
    assert asked[2] == (asked[1][0][:5], 2)


@pytest.mark.parametrize(("mistakes", "right"), [((), 1.0), ((FIRST_BATCH,), 0.3)])
def test_the_share_of_right_soft_labels_is_of_those_that_were_given(tmp_path, mistakes, right):
    labels = np.random.default_rng(3).integers(0, 7, 700)
    rows = np.arange(len(labels))
    variant = taught(4.0, 0.8, *mistakes)
    images = SimpleNamespace(
        rows={variant.split: {"train": rows}}, labels=labels, training_rows=lambda split, share: rows
    )
    cell = Cell(
        variant, {}, images, None, Protocol(batch_size=32), lambda rows, view, x: 9 * np.eye(7)[labels[rows]], None,
        tmp_path,
    )  # fmt: skip
    share = cell._soft_labels()[1]
    assert share == 1 if right == 1 else share < right


def test_the_starved_teacher_finds_pixels_from_0_to_1():
    pixels = RNG.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    found = np.asarray(_scale(keras.ops.convert_to_tensor(starve(pixels)), "caffe"))
    assert found == pytest.approx(pixels / 255, abs=1e-4)


def test_batch_normalisation_as_keras_ships_it_lags(tiny):
    network = tiny.make_network()
    as_keras_ships(network)
    momenta = {layer.name: layer.momentum for layer in network.layers if hasattr(layer, "momentum")}
    assert momenta == {"conv_bn": 0.999, "hidden_bn": 0.99}
