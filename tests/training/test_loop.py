"""The training loop: the same end however often it is killed, on every backend; and which epochs count."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from core.data.pixels import to_input
from core.errors import UserError
from core.networks.weights import load_weights
from core.settings import INPUT_SIZE
from core.training import loop as module
from core.training import statistics
from core.training.average import WeightAverage
from core.training.batches import ViewMaker
from core.training.loop import Trainer
from core.training.losses import hard_accuracy, smooth
from core.training.recipes import Stage
from core.training.scores import validation_figures
from core.training.teachers import CachedTeachers, OnlineTeachers

TINY = Path(__file__).with_name("tiny.py")
FAST = "jax" if find_spec("jax") else keras.config.backend()
"""The backend of programs that are started by tests: jax starts sooner."""


class Killed(BaseException):
    """No `except Exception` catches it, as none catches SIGKILL."""


def start(tiny, folder: Path, recipe, **options) -> Trainer:
    """A trainer as a new process would make it: new network, new data, everything else from the folder."""
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    return Trainer(recipe, tiny.make_data(folder), tiny.make_network(), run, ViewMaker(0), **options)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {key: file[key] for key in file.files if key != "state"}


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, optimizer, average, dropout's generator, kept weights and history agree, to the bit but for rounding."""
    for name in ("checkpoint.npz", "best.npz"):
        first, second = arrays(one / name), arrays(other / name)
        assert first.keys() == second.keys()
        for key in first:
            if first[key].dtype.kind in "fiu":
                np.testing.assert_allclose(
                    first[key], second[key], rtol=1e-6, atol=1e-6, err_msg=f"{name} {key}"
                )
    for first, second in zip(history(one), history(other), strict=True):
        assert first.keys() == second.keys()
        for key in first:
            if key == "head_only":
                assert first[key] == second[key]
            else:
                assert float(first[key]) == pytest.approx(float(second[key]), rel=1e-5, abs=1e-6), key


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory) -> tuple[Trainer, list[dict]]:
    """A run from its beginning to its end: head, whole network, another size; and the rows that it reported."""
    rows: list[dict] = []
    trainer = start(tiny, tmp_path_factory.mktemp("whole"), tiny.make_recipe(), on_epoch=rows.append)
    trainer.run()
    return trainer, rows


def test_a_run_leaves_its_files_and_the_best_epochs_weights(whole, tiny):
    trainer, rows = whole
    progress = trainer.progress
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [(row["size"], row["head_only"]) for row in rows] == [
        (32, True),
        (32, False),
        (40, False),
        (40, False),
    ]
    assert progress.history == rows
    assert [row["epoch"] for row in history(trainer.folder)] == ["1", "2", "3", "4"]
    assert progress.best_epoch in (3, 4)
    best = max(rows[2:], key=lambda row: row["val_accuracy"] + row["val_balanced_accuracy"])
    assert progress.best_score == pytest.approx((best["val_accuracy"] + best["val_balanced_accuracy"]) / 2)
    fresh = tiny.make_network(seed=77)
    load_weights(fresh, trainer.folder / "best.npz", "tiny")
    assert all(
        np.array_equal(a, b) for a, b in zip(fresh.get_weights(), trainer.network.get_weights(), strict=True)
    )
    assert sorted(path.name for path in trainer.folder.iterdir()) == [
        "best.npz",
        "checkpoint.npz",
        "history.csv",
    ]


def test_it_learns_and_its_figures_are_those_of_its_weights(whole):
    trainer, rows = whole
    assert rows[-1]["loss"] < rows[0]["loss"]
    data = trainer.data
    pixels = [to_input(data.store.pixels[row], 40) for row in data.validation]
    logits = keras.ops.convert_to_numpy(trainer.network(np.stack(pixels).astype(np.float32), training=False))
    kept = rows[trainer.progress.best_epoch - 1]
    figures = validation_figures(logits, data.labels[data.validation])
    assert figures["val_loss"] == pytest.approx(kept["val_loss"], rel=0.02)  # The kept weights are float16.


def test_the_head_stage_leaves_the_backbone_alone(tiny, tmp_path):
    trainer = start(tiny, tmp_path, tiny.make_recipe(stages=tiny.STAGES[:1], ema=None))
    before = {v.path: keras.ops.convert_to_numpy(v.value) for v in trainer.network.weights}
    trainer.run()
    after = arrays(trainer.folder / "best.npz")
    for path, value in before.items():
        is_head = path.split("/")[0] in ("hidden", "hidden_bn", "logits")
        same = np.allclose(value, after[path], rtol=1e-3, atol=1e-4)
        assert same != is_head, path


def test_killed_again_and_again_it_ends_as_if_it_had_not_been(whole, tiny, tmp_path, monkeypatch):
    """Each number: checkpoints a process writes before it dies: six to an epoch, one a step and one more."""
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1)
    real = module.save_checkpoint
    for lives in (3, 3, 2, 4, 5, 6):
        left = [lives]

        def save(*arguments, left=left):
            real(*arguments)
            left[0] -= 1
            if not left[0]:
                raise Killed

        monkeypatch.setattr(module, "save_checkpoint", save)
        with pytest.raises(Killed):
            start(tiny, tmp_path, tiny.make_recipe()).run()
    monkeypatch.setattr(module, "save_checkpoint", real)
    last = start(tiny, tmp_path, tiny.make_recipe())
    last.run()
    assert_same_end(whole[0].folder, last.folder)
    assert last.progress.best_epoch == whole[0].progress.best_epoch


def test_killed_after_every_epoch_and_in_the_middle_of_writing(whole, tiny, tmp_path, monkeypatch):
    def killed(*_):
        raise Killed

    for step in ("on_epoch", "write_history", "save_weights", "save_checkpoint", "on_epoch", "write_history"):
        with monkeypatch.context() as patch:
            if step != "on_epoch":
                patch.setattr(module, step, killed)
            trainer = start(
                tiny, tmp_path, tiny.make_recipe(), on_epoch=killed if step == "on_epoch" else None
            )
            with pytest.raises(Killed):
                trainer.run()
    last = start(tiny, tmp_path, tiny.make_recipe())
    last.run()
    assert_same_end(whole[0].folder, last.folder)


def test_a_finished_run_is_not_trained_again(whole, tiny, monkeypatch):
    folder = whole[0].folder
    before = (folder / "best.npz").read_bytes()
    (folder / "history.csv").write_text("half of")
    monkeypatch.setattr(Trainer, "_step", None)
    again = Trainer(whole[0].recipe, whole[0].data, tiny.make_network(seed=8), folder, ViewMaker(0))
    again.run()
    assert (folder / "best.npz").read_bytes() == before
    assert len(history(folder)) == 4
    found, expected = again.network.get_weights(), whole[0].network.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_another_recipe_is_refused_in_its_folder(whole, tiny):
    other = replace(whole[0].recipe, learning_rate=0.5)
    trainer = Trainer(other, whole[0].data, tiny.make_network(), whole[0].folder, ViewMaker(0))
    with pytest.raises(UserError, match="differs in learning_rate"):
        trainer.run()


def test_the_state_of_mixed_float16_comes_back(tiny, tmp_path):
    """Keras wraps the optimizer there, for the scale of the loss."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        first, second = (start(tiny, tmp_path, tiny.make_recipe(precision="mixed_float16")) for _ in range(2))
        first._begin()
        assert any("dynamic_scale" in variable.path for variable in first.network.optimizer.variables)
        rng = np.random.default_rng(0)
        for variable in first.network.optimizer.variables:
            variable.assign(rng.integers(1, 9, variable.shape).astype(variable.dtype))
        first._save()
        second._begin()
    finally:
        keras.config.set_dtype_policy("float32")
    pairs = zip(first.network.optimizer.variables, second.network.optimizer.variables, strict=True)
    values = [[keras.ops.convert_to_numpy(v.value) for v in pair] for pair in pairs]
    assert len(values) > 10
    assert all(np.array_equal(a, b) for a, b in values)


# A loop without training, whose validation says what a test wants -------------------------------------------------


@pytest.fixture
def scripted(tiny, tmp_path, monkeypatch):
    """Runs a recipe whose epochs score what a list says; gives the trainer and what each step saw."""

    def run(scores: list[float], folder: Path = tmp_path, die_after: int | None = None, **changes):
        trainer = start(tiny, folder, tiny.make_recipe(**{"ema": None} | changes))
        seen: list[tuple] = []

        def step(self, rows, x, view):
            seen.append((self.progress.epoch, rows, x.shape, view))
            self.progress.step += 1
            self.progress.loss += len(rows)
            self.progress.seen += len(rows)

        def figures(logits, labels):
            score = scores[trainer.progress.epoch]
            return {
                "val_loss": 1.0,
                "val_accuracy": score,
                "val_balanced_accuracy": score,
                "val_macro_f1": score,
            }

        def on_epoch(row):
            if row["epoch"] == die_after:
                raise Killed

        trainer.on_epoch = on_epoch
        monkeypatch.setattr(Trainer, "_step", step)
        monkeypatch.setattr(
            module, "predict_logits", lambda *a, **k: np.zeros((len(trainer.data.validation), 7))
        )
        monkeypatch.setattr(module, "validation_figures", figures)
        with suppress(Killed):
            trainer.run()
        return trainer, seen

    return run


def test_every_image_of_an_epoch_once_and_in_another_order_each_time(scripted):
    trainer, seen = scripted([0.1, 0.2], stages=(Stage(2, 32),), batch_size=31)
    epochs = [[row for epoch, rows, *_ in seen if epoch == n for row in rows] for n in (0, 1)]
    assert [len(rows) for _, rows, *_ in seen] == [31] * 6
    assert all(sorted(epoch) == sorted(trainer.data.train) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_fewer_images_than_a_batch_are_one_step(scripted):
    trainer, seen = scripted([0.1], stages=(Stage(1, 32),), batch_size=1000)
    assert [len(rows) for _, rows, *_ in seen] == [len(trainer.data.train)]


def test_views_are_used_in_turn_or_never_repeat(scripted, tmp_path):
    _, fixed = scripted([0.1] * 5, tmp_path / "fixed", stages=(Stage(5, 32),), views=2)
    _, fresh = scripted([0.1] * 5, tmp_path / "fresh", stages=(Stage(5, 32),), views=None)
    assert [{epoch: view for epoch, _, _, view in fixed}[n] for n in range(5)] == [0, 1, 0, 1, 0]
    assert [{epoch: view for epoch, _, _, view in fresh}[n] for n in range(5)] == [0, 1, 2, 3, 4]


def test_batches_have_their_stages_size(scripted):
    _, seen = scripted([0.1] * 3, stages=(Stage(1, 40), Stage(2, 32)))
    assert [{epoch: shape[1:] for epoch, _, shape, _ in seen}[n] for n in range(3)] == [
        (40, 40, 3), (32, 32, 3), (32, 32, 3),
    ]  # fmt: skip


def test_only_epochs_at_the_last_size_count(scripted):
    trainer, _ = scripted([0.9, 0.8, 0.3, 0.5, 0.4], stages=(Stage(2, 40), Stage(3, 32)))
    assert (trainer.progress.best_epoch, trainer.progress.best_score) == (4, 0.5)


def test_the_first_of_equal_epochs_is_kept(scripted):
    trainer, _ = scripted([0.5, 0.5, 0.5], stages=(Stage(3, 32),))
    assert trainer.progress.best_epoch == 1


SCORES = [0.2, 0.5, 0.4, 0.45, 0.3, 0.9]


@pytest.mark.parametrize("die_after", [None, 2, 3, 4])
def test_patience_counts_from_the_best_epoch_also_after_a_kill(scripted, die_after):
    stages = (Stage(6, 32),)
    if die_after:
        scripted(SCORES, stages=stages, patience=2, die_after=die_after)
    trainer, _ = scripted(SCORES, stages=stages, patience=2)
    assert (trainer.progress.epoch, trainer.progress.best_epoch) == (4, 2)
    assert len(history(trainer.folder)) == 4


def test_weights_that_no_checkpoint_calls_the_best_are_not_kept(scripted, monkeypatch):
    """Killed between the two, an epoch is trained again, and may come out otherwise."""

    def killed(*_):
        raise Killed

    stages = (Stage(3, 32),)
    trainer = scripted([0.4], stages=stages, die_after=1)[0]
    kept = trainer.folder / "best.npz"
    written = kept.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_checkpoint", killed)
        scripted([0.4, 0.9], stages=stages)
    trainer, _ = scripted([0.4, 0.3, 0.2], stages=stages)
    assert trainer.progress.best_epoch == 1
    assert kept.stat().st_mtime_ns == written
    assert [path.name for path in trainer.folder.glob("best*")] == ["best.npz"]


def test_patience_waits_for_the_stage_that_counts(scripted):
    trainer, _ = scripted([0.5] * 5, stages=(Stage(4, 40), Stage(1, 32)), patience=1)
    assert (trainer.progress.epoch, trainer.progress.best_epoch) == (5, 5)


def test_patience_does_not_end_a_run_before_the_whole_network_was_trained(scripted):
    stages = (Stage(4, 32, head_only=True), Stage(3, 32))
    trainer, _ = scripted([0.9, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2], stages=stages, patience=2)
    assert (trainer.progress.epoch, trainer.progress.best_epoch) == (6, 1)


# What a step is given -----------------------------------------------------------------------------------------------


class Recorder:
    """A network that only writes down what it is trained on."""

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, np.ndarray]] = []

    def reset_metrics(self) -> None:
        pass

    def train_on_batch(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        self.calls.append((x, y))
        return 1.0, 0.5


def one_step(tiny, tmp_path, recipe, teachers=None) -> tuple[np.ndarray, np.ndarray, Trainer, np.ndarray]:
    trainer = start(tiny, tmp_path, recipe, teachers=teachers)
    trainer.network = Recorder()
    x = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    trainer._step((3, 9, 21, 60), x, view=1)
    return *trainer.network.calls[0], trainer, x


def test_a_step_gives_raw_pixels_and_weighted_labels(tiny, tmp_path):
    x, y, trainer, pixels = one_step(tiny, tmp_path, tiny.make_recipe(ema=None, label_smoothing=0.1))
    assert x.dtype == np.float32
    assert np.array_equal(x, pixels)
    labels = trainer.data.labels[[3, 9, 21, 60]]
    weights = trainer.weights[labels][:, None]
    assert y == pytest.approx((smooth(labels, 0.1) * weights)[:, None], rel=1e-6)
    assert (trainer.progress.loss, trainer.progress.correct, trainer.progress.seen) == (4.0, 2.0, 4)


def test_the_teachers_are_asked_about_the_very_pixels_also_under_mixup(tiny, tmp_path):
    asked = []

    def teachers(rows, view, x):
        asked.append((rows, view, x))
        return np.full((4, 7), 2.5, np.float32)

    recipe = tiny.soft_recipe(ema=None, mixup=0.5, views=None, balance="none")
    x, y, _, pixels = one_step(tiny, tmp_path, recipe, teachers)
    rows, view, shown = asked[0]
    assert (rows, view) == ((3, 9, 21, 60), 1)
    assert np.array_equal(shown, x)
    assert not np.array_equal(shown, pixels)
    assert y.shape == (4, 2, 7)
    assert (y[:, 1] == 2.5).all()
    assert y[:, 0].sum(axis=1) == pytest.approx(np.ones(4), rel=1e-5)
    assert (np.count_nonzero(y[:, 0], axis=1) == 2).all()


def test_cached_teachers_have_answered_the_very_views_that_the_student_sees(tiny, tmp_path, monkeypatch):
    """Three epochs with two views, so that an epoch's number is not its view's."""
    recipe = tiny.soft_recipe(stages=(Stage(3, tiny.SIDE),), ema=None)
    data, pair = tiny.make_data(tmp_path), tiny.make_teachers()
    cached = CachedTeachers(pair, recipe, data.store, data.train, tmp_path / "cache", ViewMaker(0))
    online = OnlineTeachers(pair, recipe.distillation)
    seen = []

    def step(self, rows, x, view):
        assert cached(rows, view, None) == pytest.approx(online(rows, view, x), abs=1e-3)
        seen.append((self.progress.epoch, view))
        self.progress.step += 1
        self.progress.seen += len(rows)

    monkeypatch.setattr(Trainer, "_step", step)
    start(tiny, tmp_path, recipe, teachers=cached).run()
    assert set(seen) == {(0, 0), (1, 1), (2, 0)}


def test_the_weights_that_are_kept_are_the_average_s(tiny, tmp_path):
    seen = []

    def after_step(network, average, share):
        seen.append(([value.copy() for value in average.values], network.get_weights()))

    recipe = tiny.make_recipe(stages=(Stage(1, tiny.SIDE),), ema=0.9)
    trainer = start(tiny, tmp_path, recipe, after_step=after_step)
    before = trainer.network.get_weights()
    trainer.run()
    average, raw = seen[-1]
    kept = tiny.make_network(seed=77)
    load_weights(kept, trainer.folder / "best.npz", "tiny")
    with WeightAverage(kept, 0.9, average).applied():
        expected = kept.get_weights()
    load_weights(kept, trainer.folder / "best.npz", "tiny")
    for found, mean in zip(kept.get_weights(), expected, strict=True):
        assert found == pytest.approx(mean, rel=2e-3, abs=1e-3)  # float16
    far = [
        max(np.abs(a - b).max() for a, b in zip(kept.get_weights(), w, strict=True)) for w in (raw, before)
    ]
    assert min(far) > 0.01


def test_the_seed_decides_the_order(tiny, tmp_path):
    def order(seed: int) -> list:
        return start(tiny, tmp_path, tiny.make_recipe(seed=seed))._batches()

    assert order(3) == order(3) != order(4)


@pytest.mark.parametrize("tau", [0.0, 1.5])
def test_logit_adjustment_is_tau_times_the_log_of_the_training_shares(tiny, tmp_path, tau):
    offset = start(tiny, tmp_path, tiny.make_recipe(logit_adjustment=tau))._logit_offset()
    if not tau:
        assert offset is None
        return
    data = tiny.make_data(tmp_path)
    shares = np.bincount(data.labels[data.train], minlength=7) / len(data.train)
    assert offset == pytest.approx(tau * np.log(shares))


def test_the_compiled_step_is_the_recipes(tiny, tmp_path):
    recipe = tiny.soft_recipe(weight_decay=0.07, focal_gamma=2.0, warmup_epochs=0.5, xla=True)
    with pytest.raises(ValueError, match="teachers: expected answers of first, second, found none"):
        start(tiny, tmp_path, recipe)
    trainer = start(tiny, tmp_path, recipe, teachers=lambda *_: None)
    trainer._compile(recipe.stages[1])
    network, loss = trainer.network, trainer.network.loss
    assert (loss.alpha, loss.temperature, loss.focal_gamma) == (0.6, 2.0, 2.0)
    assert network.jit_compile is True
    optimizer = network.optimizer
    assert optimizer.weight_decay == 0.07
    decayed = {v.path for v in network.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {"conv/kernel", "hidden/kernel", "logits/kernel"}
    schedule = optimizer._learning_rate
    steps = trainer._steps_per_epoch()
    # The schedule goes over the three epochs of the whole network; the head has one of its own.
    assert (schedule.peak, schedule.total, schedule.warmup) == (0.01, 3 * steps, round(0.5 * steps))
    assert all(layer.trainable for layer in network.layers)
    trainer._compile(recipe.stages[0])
    assert trainer.network.optimizer._learning_rate.total == steps
    assert {v.path.split("/")[0] for v in network.trainable_variables} == {"hidden", "hidden_bn", "logits"}


def test_hard_accuracy_reads_the_labels_row():
    labels = np.eye(7, dtype=np.float32)[[0, 1, 2, 3]]
    wrong = np.eye(7, dtype=np.float32)[[6, 6, 6, 6]]
    logits = np.eye(7, dtype=np.float32)[[0, 1, 5, 5]] * 4
    assert float(hard_accuracy(np.stack([labels, wrong], axis=1), logits)) == 0.5


def test_validation_figures_of_a_table_done_by_hand():
    labels = np.array([5, 5, 5, 4])
    logits = np.log(np.full((4, 7), 0.1))
    logits[[0, 1, 2, 3], [5, 5, 4, 4]] = np.log(0.4)
    figures = validation_figures(logits, labels)
    assert figures["val_accuracy"] == 0.75
    assert figures["val_balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["val_macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert figures["val_loss"] == pytest.approx(-(3 * np.log(0.4) + np.log(0.1)) / 4)
    assert all(type(value) is float for value in figures.values())


# Other processes and other backends ---------------------------------------------------------------------------------


def program(folder: Path, *options: str, backend: str = FAST) -> subprocess.Popen:
    """Start `tiny.py` on a backend; its output goes to a file in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    with (folder / "output").open("a") as output:
        return subprocess.Popen(
            [sys.executable, str(TINY), str(folder), *options], env=environment, stdout=output, stderr=output
        )


def finish(process: subprocess.Popen, folder: Path) -> dict:
    assert process.wait(timeout=900) == 0, (folder / "output").read_text()[-2000:]
    return json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_sigkill_in_the_middle_of_an_epoch(tmp_path):
    """The whole program with its worker, killed by the system, and started again with the same command."""
    undisturbed = program(tmp_path / "whole", "--stages", "2")
    killed = tmp_path / "killed"
    process = program(killed, "--stages", "2", "--workers", "1")
    deadline = time.monotonic() + 600
    while not (killed / "run" / "checkpoint.npz").exists():
        assert process.poll() is None, (killed / "output").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = children(process.pid)
    assert workers
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "result.json").exists()
    expected = finish(undisturbed, tmp_path / "whole")
    found = finish(program(killed, "--stages", "2", "--workers", "1"), killed)
    assert "resuming run after epoch" in (killed / "output").read_text()
    assert found["best_epoch"] == expected["best_epoch"]
    assert_same_end(tmp_path / "whole" / "run", killed / "run")
    # The killed program could not end its workers: they must have seen it themselves.
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """Process ids of the children of a process (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("needs /proc to find worker processes")
    return [int(child) for child in path.read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_both_backends_train_the_same_student(tmp_path):
    """Two teachers, cached answers, head and whole network, two sizes: the same figures on tensorflow and jax."""
    pytest.importorskip("jax", reason="needs jax: pip install jax")
    results = {}
    for backend in ("tensorflow", "jax"):
        folder = tmp_path / backend
        # Without dropout, whose random numbers are each backend's own.
        results[backend] = finish(program(folder, "--soft", "--dropout", "0", backend=backend), folder)
        assert results[backend]["backend"] == backend
    assert not results["jax"]["tensorflow"], "training on jax imported tensorflow"
    tensorflow, jax = (results[backend]["history"] for backend in ("tensorflow", "jax"))
    assert len(tensorflow) == len(jax) == 4
    for one, other in zip(tensorflow, jax, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=2e-3)
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=5e-3)
    assert tensorflow[-1]["loss"] < tensorflow[0]["loss"]


@pytest.mark.parametrize(("views", "again"), [(None, True), (2, False)])
def test_oversampled_images_come_in_new_views_unless_teachers_have_answered_before(
    tiny, tmp_path, views, again
):
    trainer = start(tiny, tmp_path, tiny.make_recipe(ema=None, balance="oversample", views=views))
    asked = []
    trainer.maker = SimpleNamespace(make=lambda requests: asked.extend(requests) or iter(()))
    trainer.progress.step = 1
    batches = trainer._batches()[:40]
    trainer._views(batches, 0, 32)
    assert [request.rows for request in asked] == batches[1:]
    assert any(any(request.repeats) for request in asked) is again
    shown = [(row, repeat) for r in asked for row, repeat in zip(r.rows, r.repeats, strict=False)]
    assert len(set(shown)) == len(shown)


def test_reoriented_views_are_turned_anew_in_every_epoch_and_again_the_same_after_a_resume(tiny, tmp_path):
    trainer = start(tiny, tmp_path, tiny.make_recipe(ema=None, views=2, reoriented=True))

    def turns(epoch: int, step: int = 0) -> dict[int, int]:
        asked: list = []
        trainer.maker = SimpleNamespace(make=lambda requests: asked.extend(requests) or iter(()))
        trainer.progress.epoch, trainer.progress.step = epoch, step
        trainer._views(trainer._batches(), epoch % 2, 32)
        return {row: turn for r in asked for row, turn in zip(r.rows, r.orientations, strict=True)}

    first, third = turns(0), turns(2)
    assert set(first.values()) == set(range(8))
    changed = np.mean([first[row] != third[row] for row in first if row in third])
    assert 0.6 < changed <= 1
    resumed = turns(0, step=1)
    assert resumed.items() <= first.items()
    assert 0 < len(resumed) < len(first)


def test_statistics_are_measured_anew_where_epochs_count_and_the_best_weights_have_them(
    tiny, tmp_path, monkeypatch
):
    asked = []

    def measure(network, pixels, rows, *, size, seed):
        asked.append((size, seed, len(rows)))
        network.get_layer("conv_bn").moving_mean.assign(np.full(8, len(asked)))

    monkeypatch.setattr(module, "reestimate", measure)
    trainer = start(tiny, tmp_path, tiny.make_recipe(served_statistics=True))
    trainer.run()
    # In the last stage's two epochs, of four, and at the size of images as they are served, not at the stage's.
    assert asked == [(INPUT_SIZE, 3, len(trainer.data.train))] * 2
    kept = arrays(trainer.folder / "best.npz")["conv_bn/moving_mean"]
    assert set(kept) == {trainer.progress.best_epoch - 2}
    # The average goes on with the statistics that training gathers.
    paths = [variable.path for variable in trainer.network.weights]
    going_on = trainer.average.values[paths.index("conv_bn/moving_mean")]
    assert not set(going_on) & {1.0, 2.0}


def test_without_it_no_statistics_are_measured(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "reestimate", lambda *_, **__: pytest.fail("measured"))
    start(tiny, tmp_path, tiny.make_recipe(stages=tiny.STAGES[-1:])).run()


def test_what_is_kept_has_the_statistics_of_plain_images(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "BATCH", 31)  # A third of the training images.
    trainer = start(tiny, tmp_path, tiny.make_recipe(served_statistics=True, stages=(Stage(1, 32),)))
    trainer.run()
    norm = trainer.network.get_layer("conv_bn")
    pixels = np.stack([trainer.data.store.pixels[row] for row in trainer.data.train]).astype(np.float32)
    probe = keras.Model(trainer.network.input, trainer.network.get_layer("conv").output)
    found = keras.ops.convert_to_numpy(probe(pixels)).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(norm.moving_mean), found, rtol=0, atol=0.02)
