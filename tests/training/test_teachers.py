"""The teachers' answers: to the student's own pixels, cached so that nothing is asked twice."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import keras
import numpy as np
import pytest

from core.data.augmentation import AUGMENTATIONS
from core.training import teachers as module
from core.training.batches import ViewMaker, ViewRequest, make_views
from core.training.losses import average_logits
from core.training.teachers import CachedTeachers, OnlineTeachers


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(scope="module")
def pair(tiny):
    return tiny.make_teachers()


@pytest.fixture
def asked(monkeypatch):
    """Counts the batches that teachers answer."""
    real, calls = module.predict_batch, []

    def count(network, x, batch_size):
        calls.append(len(x))
        return real(network, x, batch_size)

    monkeypatch.setattr(module, "predict_batch", count)
    return calls


def cached(tiny, pair, folder, **changes) -> tuple[CachedTeachers, object, object]:
    data, recipe = tiny.make_data(folder), tiny.soft_recipe(**changes)
    return CachedTeachers(pair, recipe, data.store, data.train, folder / "cache", ViewMaker(0)), data, recipe


def direct(pair, data, recipe, rows, view: int, size: int = 32) -> np.ndarray:
    """(teachers, B, 7) answers to the views, by calling the networks."""
    request = ViewRequest(
        data.store.path, AUGMENTATIONS[recipe.augmentation], recipe.seed, size, tuple(rows), view
    )
    x = make_views(request).astype(np.float32)
    return np.stack([keras.ops.convert_to_numpy(teacher.network(x, training=False)) for teacher in pair])


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_cached_answers_are_the_networks_own_to_the_same_views(tiny, pair, tmp_path, average):
    distillation = replace(tiny.soft_recipe().distillation, average=average, temperature=3.0)
    answers, data, recipe = cached(tiny, pair, tmp_path, distillation=distillation)
    rows = data.train[[5, 0, 17]]
    for view in (0, 1):
        expected = average_logits(direct(pair, data, recipe, rows, view), average, 3.0)
        assert answers(rows, view, np.empty(0)) == pytest.approx(expected, abs=1e-4)
    assert not np.allclose(answers(rows, 0, None), answers(rows, 1, None), atol=1e-3)


def test_online_answers_are_the_networks_own(tiny, pair):
    recipe = tiny.soft_recipe()
    x = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    each = np.stack([keras.ops.convert_to_numpy(t.network(x, training=False)) for t in pair])
    assert OnlineTeachers(pair, recipe.distillation)([1] * 5, 0, x) == pytest.approx(
        each.mean(axis=0), abs=1e-4
    )


def test_online_teachers_adapt_to_each_size_once_before_they_answer_it(tiny, pair, monkeypatch):
    said = []
    monkeypatch.setattr(
        module, "predict_batch", lambda network, x, _: said.append("answer") or np.zeros((len(x), 7))
    )
    teachers = OnlineTeachers(pair[:1], tiny.soft_recipe().distillation, said.append)
    for size in (32, 32, 40, 40):
        teachers([1], 0, np.zeros((1, size, size, 3), np.float32))
    assert said == [32, "answer", "answer", 40, "answer", "answer"]


def test_one_teacher_alone_is_itself(tiny, pair, tmp_path):
    answers, data, recipe = cached(tiny, pair[:1], tmp_path)
    rows = data.train[:4]
    assert answers(rows, 1, None) == pytest.approx(direct(pair[:1], data, recipe, rows, 1)[0], abs=1e-4)


def test_answers_at_another_size_are_to_the_same_view(tiny, pair, tmp_path):
    distillation = replace(tiny.soft_recipe().distillation, teacher_size=40)
    answers, data, recipe = cached(tiny, pair, tmp_path, distillation=distillation)
    rows = data.train[:3]
    assert answers(rows, 0, None) == pytest.approx(
        direct(pair, data, recipe, rows, 0, 40).mean(axis=0), abs=1e-4
    )


def test_nothing_is_asked_twice(tiny, pair, tmp_path, asked):
    first, data, _ = cached(tiny, pair, tmp_path)
    assert len(asked) == 2 * 2 * 2  # Teachers, views, batches.
    asked.clear()
    second, *_ = cached(tiny, pair, tmp_path)
    assert asked == []
    assert np.array_equal(first(data.train, 1, None), second(data.train, 1, None))


def test_killed_it_goes_on_where_it_was(tiny, pair, tmp_path, asked, monkeypatch):
    expected, data, _ = cached(tiny, pair, tmp_path / "whole")
    asked.clear()
    real, left = module.np.save, [2]

    def save(path, array):
        real(path, array[: len(array) // 2] if left[0] == 0 else array)
        left[0] -= 1
        if left[0] < 0:
            raise Killed  # In the middle of the third file.

    monkeypatch.setattr(module.np, "save", save)
    (tmp_path / "killed").mkdir()
    tiny.make_data(tmp_path / "whole").store.path.rename(tmp_path / "killed" / "pixels.npy")
    with pytest.raises(Killed):
        cached(tiny, pair, tmp_path / "killed")
    monkeypatch.setattr(module.np, "save", real)
    assert len(list((tmp_path / "killed" / "cache").glob("teacher-*.npy"))) >= 2
    asked.clear()
    resumed, *_ = cached(tiny, pair, tmp_path / "killed")
    assert len(asked) == 2 * 2
    for view in (0, 1):
        assert np.array_equal(resumed(data.train, view, None), expected(data.train, view, None))


@pytest.mark.parametrize(
    "changes", [{"seed": 4}, {"augmentation": "report"}, {"distillation": {"teacher_size": 40}}], ids=str
)
def test_another_question_is_asked_anew(tiny, pair, tmp_path, asked, changes):
    cached(tiny, pair[:1], tmp_path)
    asked.clear()
    if "distillation" in changes:
        changes = {"distillation": replace(tiny.soft_recipe().distillation, **changes["distillation"])}
    cached(tiny, pair[:1], tmp_path, **changes)
    assert len(asked) == 4


def test_other_weights_or_other_pixels_are_asked_anew(tiny, pair, tmp_path, asked):
    cached(tiny, pair[:1], tmp_path)
    asked.clear()
    cached(tiny, [replace(pair[0], sha256="retrained")], tmp_path)
    assert len(asked) == 4
    asked.clear()
    path = tiny.make_data(tmp_path).store.path
    np.save(path, 255 - np.load(path))
    os.utime(path, (time.time() + 5,) * 2)
    cached(tiny, pair[:1], tmp_path)
    assert len(asked) == 4


def test_other_rows_or_another_store_are_asked_anew(tiny, pair, tmp_path, asked):
    first, data, recipe = cached(tiny, pair[:1], tmp_path)
    turned = data.store.path.with_name("turned.npy")
    np.save(turned, 255 - np.load(data.store.path))
    os.utime(turned, (0, 0))  # Older than the answers, which are of the other one nevertheless.
    for rows, store in ((data.train[::-1], data.store), (data.train, replace(data.store, path=turned))):
        asked.clear()
        answers = CachedTeachers(pair[:1], recipe, store, rows, tmp_path / "cache", ViewMaker(0))
        assert len(asked) == 4
        same = np.allclose(answers(data.train, 0, None), first(data.train, 0, None), atol=1e-4)
        assert same == (store is data.store)


def test_a_temperature_or_an_average_asks_nothing_new(tiny, pair, tmp_path, asked):
    cached(tiny, pair, tmp_path)
    asked.clear()
    distillation = replace(
        tiny.soft_recipe().distillation, temperature=7.0, alpha=0.1, average="probabilities"
    )
    cached(tiny, pair, tmp_path, distillation=distillation)
    assert asked == []


def test_a_row_without_an_answer_is_an_error(tiny, pair, tmp_path):
    answers, data, _ = cached(tiny, pair[:1], tmp_path)
    with pytest.raises(KeyError):
        answers([int(data.validation[0])], 0, None)


def test_statistics_of_views_are_measured_once_and_only_where_answers_are_missing(
    tiny, tmp_path, monkeypatch
):
    real, adapted = module.adapt, []

    def count(teacher, *rest):
        adapted.append(teacher.name)
        real(teacher, *rest)

    monkeypatch.setattr(module, "adapt", count)
    distillation = replace(tiny.soft_recipe().distillation, teacher_statistics="views")
    own, data, recipe = cached(tiny, tiny.make_teachers(), tmp_path)
    assert adapted == []
    pair = tiny.make_teachers()
    first, *_ = cached(tiny, pair, tmp_path, distillation=distillation)
    assert adapted == ["first", "second"]
    rows = data.train[:6]
    assert not np.allclose(own(rows, 0, None), first(rows, 0, None), atol=1e-3)
    assert first(rows, 1, None) == pytest.approx(direct(pair, data, recipe, rows, 1).mean(axis=0), abs=1e-4)
    again, *_ = cached(tiny, tiny.make_teachers(), tmp_path, distillation=distillation)
    assert len(adapted) == 2
    assert np.array_equal(first(data.train, 1, None), again(data.train, 1, None))


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_an_adapted_teacher_has_the_statistics_of_the_views_and_nothing_else_is_new(tiny, tmp_path, mixup):
    (teacher, _), data = tiny.make_teachers(), tiny.make_data(tmp_path)
    recipe = tiny.soft_recipe(mixup=mixup, views=None)
    teacher.network.trainable = False
    before = {v.path: keras.ops.convert_to_numpy(v) for v in teacher.network.weights}
    module.adapt(teacher, recipe, data.store, data.train, 32, ViewMaker(0))
    changed = {
        v.path for v in teacher.network.weights
        if not np.array_equal(before[v.path], keras.ops.convert_to_numpy(v))
    }  # fmt: skip
    assert changed == {
        f"{norm}/moving_{of}" for norm in ("conv_bn", "hidden_bn") for of in ("mean", "variance")
    }
    assert teacher.network.trainable is False
    request = ViewRequest(
        data.store.path, AUGMENTATIONS[recipe.augmentation], recipe.seed, 32, tuple(map(int, data.train)), 0
    )
    probe = keras.Model(teacher.network.input, teacher.network.get_layer("conv").output)
    found = keras.ops.convert_to_numpy(probe(make_views(request).astype(np.float32))).mean(axis=(0, 1, 2))
    measured = keras.ops.convert_to_numpy(teacher.network.get_layer("conv_bn").moving_mean)
    # A batch of 64 of the 93; a mixture's mean is that of its parts.
    np.testing.assert_allclose(measured, found, atol=0.1)
