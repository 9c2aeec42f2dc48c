"""The map of the test images: neighbours stay neighbours, the same file gives the same map, nothing else is in it."""

from __future__ import annotations

import io

import numpy as np
import pytest

from core.artifacts import ArtifactError, load_manifest, update_model, update_shared
from core.serving.arrays import pack
from core.serving.projection import (
    LEAST,
    Projection,
    map_key,
    mapped_models,
    project,
    read_projection,
)

CLUSTERS, EACH = 3, 25


@pytest.fixture(scope="module")
def embeddings():
    """Three groups of embeddings, 40 numbers each."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(CLUSTERS, 40)) * 4
    return (centres.repeat(EACH, axis=0) + rng.normal(size=(CLUSTERS * EACH, 40))).astype(np.float32)


@pytest.fixture(scope="module")
def position(embeddings):
    return project(embeddings)


@pytest.fixture
def projection(position):
    ids = np.array([f"ISIC_{k:07d}" for k in range(len(position))])
    return Projection("student", "0" * 64, ids, np.arange(CLUSTERS).repeat(EACH), position)


def test_groups_stay_together(position):
    group = np.arange(CLUSTERS).repeat(EACH)
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(axis=1)] == group).all()


def test_it_lies_in_the_unit_square_and_is_the_same_every_time(embeddings, position):
    assert position.shape == (len(embeddings), 2)
    assert position.dtype == np.float32
    assert position.min() == 0
    assert position.max() == 1
    np.testing.assert_array_equal(project(embeddings), position)


def test_too_few_images_are_no_map(embeddings):
    with pytest.raises(ArtifactError, match=f"expected at least {LEAST} images"):
        project(embeddings[: LEAST - 1])
    assert project(embeddings[:LEAST]).shape == (LEAST, 2)


def test_saved_and_loaded_it_is_the_same(projection):
    data = projection.to_bytes()
    loaded = Projection.from_bytes(data, "map.npz")
    np.testing.assert_array_equal(loaded.position, projection.position)
    np.testing.assert_array_equal(loaded.image_id, projection.image_id)
    np.testing.assert_array_equal(loaded.label, projection.label)
    assert loaded.to_bytes() == data


def test_the_file_holds_nothing_of_a_patient(projection):
    with np.load(io.BytesIO(projection.to_bytes())) as archive:
        assert sorted(archive) == [
            "image_id", "label", "model", "model_sha256", "position", "preprocessing", "version",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"version": np.asarray(99)},
        {"preprocessing": np.asarray("other pixels")},
        {"label": np.full(CLUSTERS * EACH, 7, np.int8)},
        {"label": np.zeros(3, np.int8)},
        {"position": np.zeros((CLUSTERS * EACH, 3), np.float32)},
        {"position": np.full((CLUSTERS * EACH, 2), np.nan, np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_file_is_refused(projection, change):
    with np.load(io.BytesIO(projection.to_bytes())) as archive:
        arrays = dict(archive)
    with pytest.raises(ArtifactError):
        Projection.from_bytes(pack(arrays | change), "map.npz")
    with pytest.raises(ArtifactError):
        Projection.from_bytes(b"nothing", "map.npz")


@pytest.fixture
def folder(tmp_path, projection):
    """Artifacts of a student and its map."""
    (tmp_path / "student.tflite").write_bytes(b"student")
    update_model(tmp_path, "student", {"title": "S", "role": "student"}, {"litert": "student.tflite"})
    manifest = load_manifest(tmp_path)
    own = Projection(
        "student", manifest.files["student.tflite"].sha256, projection.image_id, projection.label, projection.position
    )  # fmt: skip
    (tmp_path / "map.npz").write_bytes(own.to_bytes())
    update_shared(tmp_path, {map_key("student"): "map.npz"})
    return tmp_path


def test_it_is_found_in_the_manifest(folder):
    manifest = load_manifest(folder)
    assert mapped_models(manifest) == ["student"]
    assert len(read_projection(manifest, "student").image_id) == CLUSTERS * EACH
    assert mapped_models(None) == []


def test_the_map_of_another_file_of_the_model_is_refused(folder):
    (folder / "student.tflite").write_bytes(b"a new student")
    update_model(folder, "student", {}, {"litert": "student.tflite"})
    with pytest.raises(ArtifactError, match=r"found the map of student.*python -m core project"):
        read_projection(load_manifest(folder), "student")


def test_no_map_says_which_command_makes_it(folder):
    update_shared(folder, {map_key("student"): None})
    with pytest.raises(ArtifactError, match="found none; run python -m core project"):
        read_projection(load_manifest(folder), "student")
