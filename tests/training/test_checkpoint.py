"""Checkpoints: everything comes back, of this recipe only, and never half."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.errors import UserError
from core.training import checkpoint as module
from core.training.checkpoint import Checkpoint, Progress, read_state, save_checkpoint, state_variables


def optimizer_for(network: keras.Model) -> keras.Optimizer:
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(network.trainable_variables)
    return optimizer


def scramble(variables, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(rng.integers(0, 1000, variable.shape).astype(variable.dtype))


def numbers(variables) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(v.value) for v in variables]


@pytest.fixture
def saved(tiny, tmp_path):
    """A checkpoint on disk with what went into it."""
    network = tiny.make_network()
    optimizer = optimizer_for(network)
    scramble(state_variables(network), 1)
    scramble(optimizer.variables, 2)
    progress = Progress(
        epoch=2, step=7, loss=1.25, correct=9.0, seen=48, seconds=3.5, history=[{"epoch": 1, "loss": 0.1}],
        best_epoch=1, best_score=0.123456789012345,
    )  # fmt: skip
    average = [np.full(3, 0.1, np.float32), np.zeros((2, 2), np.float32)]
    path = tmp_path / "run" / "checkpoint.npz"
    recipe = tiny.soft_recipe()
    save_checkpoint(path, progress, recipe.to_dict(), network, optimizer, average)
    return path, progress, recipe, network, optimizer, average


def test_everything_comes_back(saved, tiny):
    path, progress, recipe, network, optimizer, average = saved
    found = Checkpoint.read(path, recipe.to_dict())
    assert found.progress == progress
    assert all(np.array_equal(a, b) for a, b in zip(found.average, average, strict=True))
    fresh = tiny.make_network(seed=9)
    fresh_optimizer = optimizer_for(fresh)
    found.restore(fresh, fresh_optimizer)
    for before, after in ((network, fresh), (optimizer, fresh_optimizer)):
        pair = [
            numbers(state_variables(x) if x in (network, fresh) else x.variables) for x in (before, after)
        ]
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(*pair, strict=True))


def test_the_state_holds_dropouts_random_generator_and_the_moving_statistics(tiny):
    network = tiny.make_network()
    paths = [variable.path for variable in state_variables(network)]
    assert len(paths) == len(set(paths))
    assert any("seed_generator_state" in path for path in paths)
    assert sum("moving" in path for path in paths) == 4
    assert len(paths) == len(network.weights) + 1
    network.compile(optimizer_for(network), "mse", metrics=["mae"])
    for layer in network.layers:
        layer.trainable = False
    assert [variable.path for variable in state_variables(network)] == paths


def test_without_an_average(saved, tiny):
    path, progress, recipe, network, optimizer, _ = saved
    save_checkpoint(path, progress, recipe.to_dict(), network, optimizer, None)
    assert Checkpoint.read(path, recipe.to_dict()).average is None


def test_more_than_ten_variables_keep_their_order(saved):
    path, _, recipe, network, _, _ = saved
    found = Checkpoint.read(path, recipe.to_dict())
    assert len(found.network) > 10
    assert [a.shape for a in found.network] == [tuple(v.shape) for v in state_variables(network)]


@pytest.mark.parametrize("changes", [{"seed": 4}, {"ema": None, "views": 3}, {"stages": ()}], ids=str)
def test_another_recipes_checkpoint_is_refused_naming_what_differs(saved, changes):
    path, _, recipe, *_ = saved
    with pytest.raises(UserError, match="expected a checkpoint of this recipe") as caught:
        Checkpoint.read(path, recipe.to_dict() | changes)
    assert ", ".join(sorted(changes)) in str(caught.value)
    assert "--restart" in str(caught.value)


def test_a_run_older_than_a_field_goes_on_where_that_has_its_default(saved):
    path, progress, recipe, network, optimizer, _ = saved
    older = recipe.to_dict()
    del older["served_statistics"], older["distillation"]["teacher_statistics"]
    save_checkpoint(path, progress, older, network, optimizer, None)
    assert Checkpoint.read(path, recipe.to_dict()).progress == progress
    for changes in ({"served_statistics": True}, {"distillation": {**older["distillation"], "alpha": 0.1}}):
        with pytest.raises(UserError, match=f"differs in {next(iter(changes))};"):
            Checkpoint.read(path, recipe.to_dict() | changes)


def test_a_run_of_a_field_that_is_no_more_differs_in_it(saved):
    path, progress, recipe, network, optimizer, _ = saved
    save_checkpoint(path, progress, recipe.to_dict() | {"cutmix": 1.0}, network, optimizer, None)
    with pytest.raises(UserError, match="differs in cutmix;"):
        Checkpoint.read(path, recipe.to_dict())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_damaged_checkpoint_is_refused_in_words(saved, share):
    path, _, recipe, *_ = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match="expected a checkpoint, found a damaged file"):
        Checkpoint.read(path, recipe.to_dict())


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)], ids=["as if encrypted", "another method"])
def test_a_byte_of_the_archive_s_directory_is_refused_in_words(saved, place, value):
    path, _, recipe, *_ = saved
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + place] = value
    path.write_bytes(data)
    with pytest.raises(UserError, match="expected a checkpoint, found a damaged file"):
        Checkpoint.read(path, recipe.to_dict())
    with pytest.raises(UserError, match="expected the checkpoint of a run, found"):
        read_state(path)


def test_killed_while_writing_the_last_checkpoint_is_whole(saved, monkeypatch):
    class Killed(BaseException):
        pass

    path, progress, recipe, network, optimizer, average = saved

    def killed(file, **arrays):
        file.write(b"PK half of it")
        raise Killed

    monkeypatch.setattr(module.np, "savez", killed)
    with pytest.raises(Killed):
        save_checkpoint(path, Progress(epoch=3), recipe.to_dict(), network, optimizer, average)
    assert Checkpoint.read(path, recipe.to_dict()).progress == progress
