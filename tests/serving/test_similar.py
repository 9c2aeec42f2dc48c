"""Similar lesions: the nearest first, each lesion once, nothing of a patient in the shipped file."""

import io

import numpy as np
import pandas as pd
import pytest

from core.artifacts import ArtifactError, load_manifest, update_shared
from core.lesions import CODES
from core.serving.arrays import pack
from core.serving.registry import Registry
from core.serving.similar import (
    LesionIndex,
    SimilarLesion,
    SimilarUnavailable,
    describe,
    index_key,
    load_index,
)


@pytest.fixture(scope="module")
def embeddings():
    """Seven classes with a direction each, 20 lesions of each, 32 numbers."""
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(7, 32)) * 2
    return (6 + directions.repeat(20, axis=0) + rng.normal(scale=0.5, size=(140, 32))).astype(np.float32)


@pytest.fixture(scope="module")
def index(embeddings):
    ids = np.array([f"ISIC_{k:07d}" for k in range(140)])
    return LesionIndex.build("student", "0" * 64, ids, np.arange(7).repeat(20), embeddings, 16)


def test_a_known_lesion_finds_itself_first(index, embeddings):
    for k in (0, 33, 139):
        found = index.nearest(embeddings[k])
        assert found[0].image_id == f"ISIC_{k:07d}"
        assert found[0].dx == CODES[k // 20]
        assert found[0].similarity == pytest.approx(1, abs=2e-3)


def test_the_nearest_come_first_and_each_lesion_once(index, embeddings):
    found = index.nearest(embeddings[50] * 3, 12)
    assert len({lesion.image_id for lesion in found}) == 12
    similarities = [lesion.similarity for lesion in found]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= s <= 1 for s in similarities)
    assert {lesion.dx for lesion in found} == {CODES[2]}
    assert len(index.nearest(embeddings[50], 1000)) == 140


def test_the_order_is_that_of_the_cosine(index, embeddings):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    inside = centred @ np.linalg.svd(centred)[2][:16].T
    cosine = inside @ inside[7] / np.linalg.norm(inside, axis=1) / np.linalg.norm(inside[7])
    found = index.nearest(embeddings[7], 5)
    expected = np.sort(cosine)[::-1][:5]
    np.testing.assert_allclose([lesion.similarity for lesion in found], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("similarity", "said"), [(0.834, "0.83"), (0.99, "0.99"), (0.9998, "> 0.99"), (1, "> 0.99")]
)
def test_another_lesion_is_never_said_to_be_the_same_picture(similarity, said):
    assert SimilarLesion("ISIC_0000000", "nv", similarity).similarity_in_words == said


def test_an_embedding_without_direction_finds_nothing(index):
    assert index.nearest(np.zeros(32)) == ()
    assert index.nearest(np.full(32, np.nan)) == ()


def test_saved_and_loaded_it_finds_the_same(index, embeddings):
    loaded = LesionIndex.from_bytes(index.to_bytes(), "lesions.npz")
    assert loaded.nearest(embeddings[3]) == index.nearest(embeddings[3])
    assert loaded.to_bytes() == index.to_bytes()


def test_the_file_holds_nothing_of_a_patient(index):
    with np.load(io.BytesIO(index.to_bytes())) as archive:
        assert sorted(archive) == [
            "components", "image_id", "label", "mean", "model", "model_sha256", "preprocessing", "vectors", "version",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("version", 9, "gate fit"),
        ("label", np.full(140, 7, np.int8), "one diagnosis"),
        ("label", np.zeros(139, np.int8), "one diagnosis"),
        ("vectors", np.full((140, 16), np.inf, np.float16), "infinity"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(index, name, value, said):
    with np.load(io.BytesIO(index.to_bytes())) as archive:
        arrays = {**archive, name: np.asarray(value)}
    with pytest.raises(ArtifactError, match=said):
        LesionIndex.from_bytes(pack(arrays), "lesions.npz")


def test_records_give_age_sex_and_site(index):
    lesions = (SimilarLesion("ISIC_0000001", "nv", 0.9), SimilarLesion("ISIC_0000002", "mel", 0.8),
               SimilarLesion("ISIC_0000009", "df", 0.7))  # fmt: skip
    records = pd.DataFrame(
        {
            "image_id": ["ISIC_0000002", "ISIC_0000001"],
            "age": [np.nan, 45.0],
            "sex": ["unknown", "female"],
            "localization": ["", "back"],
        }
    )
    first, second, third = describe(lesions, records)
    assert first == SimilarLesion("ISIC_0000001", "nv", 0.9, 45.0, "female", "back")
    assert second == lesions[1]
    assert third == lesions[2]


def ship(folder, index, model="student", sha256=None):
    sha256 = sha256 or load_manifest(folder).files[f"models/{model}.tflite"].sha256
    made = LesionIndex(model, sha256, index.subspace, index.image_id, index.label, index.vectors)
    (folder / "gate").mkdir(exist_ok=True)
    (folder / f"gate/{model}-lesions.npz").write_bytes(made.to_bytes())
    update_shared(folder, {index_key(model): f"gate/{model}-lesions.npz"})


def test_a_models_own_index_comes_first_then_the_students(index, make_artifacts):
    folder = make_artifacts("student", "student-int8", "resnet50")
    assert load_index(Registry.open(), "student") is None
    ship(folder, index)
    registry = Registry.open()
    assert load_index(registry, "resnet50").model == "student"
    assert load_index(registry, "student-int8").model == "student"
    assert load_index(registry) is load_index(registry, "student")
    ship(folder, index, "student-int8")
    assert load_index(Registry.open(), "student-int8").model == "student-int8"


def test_an_index_of_another_file_is_refused(index, make_artifacts):
    ship(make_artifacts("student"), index, sha256="e" * 64)
    with pytest.raises(SimilarUnavailable, match="eeeeeeeeeeee"):
        load_index(Registry.open())


def test_a_flipped_bit_is_refused(index, make_artifacts):
    folder = make_artifacts("student")
    ship(folder, index)
    path = folder / "gate/student-lesions.npz"
    data = bytearray(path.read_bytes())
    data[999] ^= 4
    path.write_bytes(data)
    with pytest.raises(SimilarUnavailable, match="sha256"):
        load_index(Registry.open())


@pytest.mark.ham10000
def test_shipped_index_holds_training_lesions_alone(ham10000):
    from core.data.splits import assign
    from core.settings import ROOT

    index = load_index(Registry.open(ROOT / "artifacts"), "student")
    if index is None:
        pytest.skip("artifacts/ has no index: python -m core gate fit makes it")
    records = ham10000.records.assign(part=assign(ham10000.records)).set_index("image_id")
    chosen = records.loc[index.image_id]
    assert set(chosen["part"]) == {"train"}
    assert chosen["lesion_id"].is_unique
    assert [CODES[label] for label in index.label] == chosen["dx"].tolist()
    training = records[records["part"] == "train"]
    assert len(index.image_id) == training["lesion_id"].nunique()
