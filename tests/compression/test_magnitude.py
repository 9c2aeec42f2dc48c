"""Magnitude pruning: the schedule, masks that hold, and runs that go on as if they had not been killed."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from core.compression import magnitude
from core.compression.magnitude import (
    UPDATES,
    MagnitudePruning,
    polynomial_sparsity,
    prunable,
    schedule_end,
    sparsity,
)
from core.errors import UserError
from core.training.average import WeightAverage
from core.training.batches import ViewMaker
from core.training.checkpoint import Checkpoint
from core.training.loop import Trainer
from core.training.recipes import Stage, recipe_for
from core.training.teachers import CachedTeachers

array = keras.ops.convert_to_numpy


@pytest.fixture(scope="module")
def runs():
    """tests/training/tiny.py: a dataset and a network of a second's training."""
    path = Path(__file__).parents[1] / "training" / "tiny.py"
    spec = importlib.util.spec_from_file_location("tiny_for_pruning", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def small_kernels_too(monkeypatch):
    monkeypatch.setattr(magnitude, "SMALLEST_KERNEL", 50)


@pytest.mark.parametrize(("progress", "expected"), [(-1, 0), (0, 0), (0.5, 0.7), (1, 0.8), (3, 0.8)])
def test_the_schedule_is_cubic(progress, expected):
    assert polynomial_sparsity(0.8, progress) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("stages", "end"),
    [(((2, 128), (1, 224)), 2 / 3), (((4, 224),), 0.5 / 4), (((1, 128), (1, 160), (2, 224)), 0.5)],
)
def test_the_schedule_ends_before_an_epoch_that_may_be_the_best(stages, end):
    recipe = replace(recipe_for("tuned", "mobilenetv2"), stages=tuple(Stage(*stage) for stage in stages))
    assert schedule_end(recipe) == pytest.approx(end)


def test_the_smallest_weights_go_and_small_or_depthwise_kernels_stay(tiny):
    network = tiny.tiny_network()
    before = {v.path: array(v.value) for v in network.weights}
    MagnitudePruning(0.5, 1.0)(network, None, 1.0)
    pruned = {v.path for v in prunable(network)}
    assert any("stem" in path for path in pruned)
    assert not any("depthwise" in path for path in pruned)
    for variable in network.weights:
        was, now = before[variable.path], array(variable.value)
        if variable.path not in pruned:
            np.testing.assert_array_equal(now, was)
            continue
        assert (now == 0).mean() == pytest.approx(0.5, abs=0.01)
        np.testing.assert_array_equal(now[now != 0], was[now != 0])
        assert np.abs(was[now == 0]).max() <= np.abs(now[now != 0]).min()


def test_sparsity_rises_with_the_run_and_zeros_stay_zero(tiny):
    network, rng = tiny.tiny_network(), np.random.default_rng(0)
    pruning, seen = MagnitudePruning(0.6, 0.8), []
    for done in np.linspace(0, 1, 21):
        zero = [array(kernel.value) == 0 for kernel in prunable(network)] if seen else []
        for kernel in prunable(network):
            kernel.assign(array(kernel.value) + rng.normal(0, 1e-4, kernel.shape).astype(np.float32))
        pruning(network, None, float(done))
        for was, kernel in zip(zero, prunable(network), strict=False):
            assert (array(kernel.value)[was] == 0).all()
        seen.append(sparsity(network))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[16:] == pytest.approx([0.6] * 5, abs=0.01)
    assert len(set(seen)) > 10
    assert UPDATES >= 20


def test_the_average_gets_the_same_zeros(tiny):
    network = tiny.tiny_network()
    average = WeightAverage(network, 0.9)
    MagnitudePruning(0.7, 1.0)(network, average, 1.0)
    for variable, value in zip(network.weights, average.values, strict=True):
        if any(variable is kernel for kernel in prunable(network)):
            np.testing.assert_array_equal(value == 0, array(variable.value) == 0)
        else:
            assert (value != 0).any() or (array(variable.value) == 0).all()


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5])
def test_shares_outside_are_refused(share):
    with pytest.raises(UserError, match="sparsity: expected a share between 0 and 1"):
        MagnitudePruning(share, 0.5)


def train(runs, folder, stop=None):
    """A run with teachers and pruning; `stop` kills it in that epoch's middle."""
    data = runs.make_data(folder.parent)
    folder.mkdir(exist_ok=True)
    recipe = runs.soft_recipe(stages=(Stage(2, 32), Stage(2, 40)))
    pruning = MagnitudePruning(0.5, schedule_end(recipe))
    network = runs.make_network()

    def after_step(net, average, done):
        pruning(net, average, done)
        if stop is not None and done >= stop:
            trainer._save()
            raise KeyboardInterrupt

    with ViewMaker(0) as maker:
        teachers = CachedTeachers(runs.make_teachers(), recipe, data.store, data.train, folder.parent, maker)
        trainer = Trainer(recipe, data, network, folder, maker, teachers, after_step=after_step)
        if stop is None:
            trainer.run()
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.run()
    return network, trainer


def test_a_run_ends_sparse_and_learns_meanwhile(runs, tmp_path):
    network, trainer = train(runs, tmp_path / "run")
    assert sparsity(network) == pytest.approx(0.5, abs=0.01), "the weights that are kept are the average's"
    losses = [row["loss"] for row in trainer.progress.history]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("stop", [0.3, 0.8])
def test_a_killed_run_goes_on_as_if_nothing_had_been(runs, tmp_path, stop):
    whole, _ = train(runs, tmp_path / "whole")
    train(runs, tmp_path / "killed", stop=stop)
    stored = Checkpoint.read(
        tmp_path / "killed/checkpoint.npz", runs.soft_recipe(stages=(Stage(2, 32), Stage(2, 40))).to_dict()
    )
    assert stored.progress.epoch * 100 + stored.progress.step > 0
    resumed, _ = train(runs, tmp_path / "killed")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_that_goes_on_puts_its_zeros_in_before_the_first_step(runs, tmp_path):
    train(runs, tmp_path / "killed", stop=0.8)
    recipe = runs.soft_recipe(stages=(Stage(2, 32), Stage(2, 40)))
    told = []
    trainer = Trainer(
        recipe, runs.make_data(tmp_path), runs.make_network(), tmp_path / "killed", ViewMaker(0),
        teachers=lambda *_: None, after_step=lambda network, average, done: told.append(done),
    )  # fmt: skip
    trainer._begin()
    assert len(told) == 1
    assert 0.8 <= told[0] < 1
