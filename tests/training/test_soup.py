"""Soups: the mean of weights that is kept only where validation is no worse, and the command that publishes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.commands.soup import _others
from core.errors import UserError
from core.networks.weights import SMALL_KERNEL, save_weights
from core.training import soup
from core.training.soup import cook, keep_mean, place_of_mean, settling

NETWORK = "tiny"


@pytest.fixture
def files(tiny, tmp_path):
    """Three trainings' weights that differ in one bias: 1, 3 and 8."""
    found = {}
    for name, value in (("one", 1.0), ("three", 3.0), ("eight", 8.0)):
        network = tiny.make_network()
        network.get_layer("logits").bias.assign(np.full(7, value, np.float32))
        save_weights(network, tmp_path / f"{name}.npz", NETWORK)
        found[name] = tmp_path / f"{name}.npz"
    return found


def judge(network, wanted):
    """Figures that are the better, the nearer the bias is to a number."""

    def validate():
        score = 1 / (1 + abs(float(network.get_layer("logits").bias.numpy()[0]) - wanted))
        return {"val_accuracy": score, "val_balanced_accuracy": score}

    return validate


@pytest.mark.parametrize(
    ("wanted", "used", "mean"),
    [(2.0, ["one", "three"], 2.0), (5.0, ["three", "eight"], 5.5), (8.0, ["eight"], 8.0)],
)
def test_what_makes_it_worse_is_left_out(tiny, files, wanted, used, mean):
    network = tiny.make_network()
    found, figures = cook(network, NETWORK, files, judge(network, wanted))
    assert [one.name for one in found] == list(files)
    assert [one.name for one in found if one.used] == used
    assert network.get_layer("logits").bias.numpy() == pytest.approx(np.full(7, mean))
    assert figures["val_accuracy"] == pytest.approx(1 / (1 + abs(mean - wanted)))
    alone = {one.name: one.figures["val_accuracy"] for one in found}
    assert alone["three"] == pytest.approx(1 / (1 + abs(3 - wanted)))


def test_what_they_have_in_common_stays(tiny, files):
    network = tiny.make_network()
    cook(network, NETWORK, files, judge(network, 5.0))
    for variable, expected in zip(network.weights, tiny.make_network().weights, strict=True):
        if "logits/bias" not in variable.path:
            is_large = expected.ndim >= 2 and expected.numpy().size >= SMALL_KERNEL
            kept = expected.numpy().astype(np.float16 if is_large else np.float32)
            assert np.array_equal(variable.numpy(), kept.astype(np.float32))


def test_files_are_told_apart_by_their_folders(tmp_path):
    for name in ("a", "b", "c/a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "best.npz").write_bytes(b"weights")
    files = [str(tmp_path / name / "best.npz") for name in ("a", "b", "c/a")]
    assert _others(files[:2]) == {"a/best.npz": Path(files[0]), "b/best.npz": Path(files[1])}
    with pytest.raises(UserError, match=r"two called a/best\.npz"):
        _others(files)


def test_a_mean_that_is_killed_midway_leaves_no_notes_of_an_earlier_one(tiny, tmp_path, monkeypatch):
    run, target = tmp_path / "first", tmp_path / "mean-soup"
    for folder in (run, target):
        folder.mkdir()
        (folder / "run.json").write_text('{"commit": "abc"}')
        (folder / "history.csv").write_text("epoch,loss\n1,1\n")
    recipe = SimpleNamespace(network=NETWORK, to_dict=dict)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(soup, "save_weights", killed)
        with pytest.raises(KeyboardInterrupt):
            keep_mean("mean", run, recipe, tiny.make_network())
    assert not (target / "run.json").exists()
    assert keep_mean("mean", run, recipe, tiny.make_network()) == target
    assert (target / "run.json").exists()


def test_a_mean_does_not_take_the_place_of_a_run_that_it_goes_by(tmp_path):
    with pytest.raises(
        UserError, match="mean-soup: expected a mean beside the runs that it is of, found --name"
    ):
        place_of_mean("mean", tmp_path / "mean-soup")


def test_a_mean_of_several_settles_before_it_is_judged_and_again_in_the_end(tiny, files):
    network = tiny.make_network()
    held = []

    def settle():
        held.append(float(network.get_layer("logits").bias.numpy()[0]))
        network.get_layer("conv_bn").moving_mean.assign(np.full(8, held[-1]))

    cook(network, NETWORK, files, judge(network, 2.0), settle)
    # One and three, then both with eight, which is left out.
    assert held == [2.0, 4.0, 2.0]
    assert set(network.get_layer("conv_bn").moving_mean.numpy()) == {2.0}


def test_one_alone_keeps_its_own_statistics(tiny, files):
    network = tiny.make_network()
    held = []
    cook(network, NETWORK, files, judge(network, 8.0), lambda: held.append(1))
    assert len(held) == 2  # Each mean that was tried, none in the end.


@pytest.mark.parametrize("measures", [True, False])
def test_settling_measures_where_the_recipe_does(tiny, tmp_path, measures):
    network, data = tiny.make_network(), tiny.make_data(tmp_path)
    before = network.get_layer("conv_bn").moving_mean.numpy().copy()
    settling(network, data, tiny.make_recipe(served_statistics=measures))()
    assert (not np.array_equal(before, network.get_layer("conv_bn").moving_mean.numpy())) is measures
