"""The embeddings that a hint is made of: the teacher's to the very views, in units of their deviation."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from core.ablation import answers
from core.ablation.answers import HINT_SIZE, Teachers
from core.ablation.features import request_for
from core.ablation.images import load_images
from core.ablation.protocol import Protocol
from core.lab.variants import IMAGE_SPLIT, Variant
from core.training.batches import ViewMaker, make_views
from core.training.teachers import Teacher

HINTED = Variant(("resnet50",), 4.0, 0.5, hint=1.0)
BY_IMAGE = dataclasses.replace(HINTED, mistakes=(IMAGE_SPLIT,))


@pytest.fixture
def teachers(bench: Protocol) -> Teachers:
    bench, maker = dataclasses.replace(bench, limit=12, views=2), ViewMaker(0)
    return Teachers(load_images(bench, maker), bench, {}, maker)


def pooled(network: keras.Model, teachers: Teachers, rows: np.ndarray, view: int) -> np.ndarray:
    """(rows, D) by calling the network."""
    images, protocol = teachers._images, teachers._protocol
    x = make_views(request_for(images.store, rows, view, seed=protocol.view_seed, size=HINT_SIZE))
    part = keras.Model(network.input, network.get_layer("pool").output)
    return keras.ops.convert_to_numpy(part(x.astype(np.float32), training=False))


def test_embeddings_are_of_the_views_and_in_units_of_the_first_view_s_deviation(teachers):
    (teacher,) = answers.load_teachers(["resnet50"])
    for variant in (HINTED, BY_IMAGE):
        rows, embeddings = teachers._images.rows[variant.split]["train"], teachers.embeddings(variant)
        first, second = (pooled(teacher.network, teachers, rows, view) for view in (0, 1))
        assert embeddings.width == first.shape[1]
        for view, features in enumerate((first, second)):
            expected = (features - first.mean(axis=0)) / first.std(axis=0)
            assert embeddings(rows[::-1], view) == pytest.approx(expected[::-1], rel=0.1, abs=0.1)


def test_a_teacher_that_was_trained_again_is_asked_for_its_embeddings_again(teachers, tiny, monkeypatch):
    before = teachers.embeddings(HINTED)
    assert teachers.embeddings(HINTED) is before
    other = Teacher("resnet50", tiny.make_network(seed=99), "another")
    monkeypatch.setattr(answers, "load_teachers", lambda names: [other])
    monkeypatch.setattr(answers, "_weights_of", lambda: {"resnet50": "another"})
    rows = teachers._images.rows[HINTED.split]["train"]
    assert teachers.embeddings(HINTED)(rows, 0) != pytest.approx(before(rows, 0), abs=0.1)
