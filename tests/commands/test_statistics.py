"""`python -m core statistics`, from arguments to the manifest, with a small network for the model's."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.lesions import N_CLASSES


@pytest.fixture
def folder(tmp_path, small_folder, monkeypatch):
    """Artifacts with a student, and the small set at hand."""
    place = tmp_path / "artifacts"
    (place / "weights").mkdir(parents=True)
    (place / "weights/student.npz").write_bytes(b"old")
    (place / "student.tflite").write_bytes(b"old")
    entry = {
        "title": "S", "role": "student", "network": "mobilenetv2", "recipe": {"split": "lesion"},
        "figures": {"test": {}}, "provenance": {"compression": {"kind": "float32"}, "machine": "M"},
    }  # fmt: skip
    update_model(place, "student", entry, {"weights": "weights/student.npz", "litert": "student.tflite"})
    for name, value in (("ARTIFACTS", place), ("DATA", small_folder), ("CACHE", tmp_path / "cache")):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(value))
    return place


def small_network(manifest, name):
    keras.utils.set_random_seed(0)
    image = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(4, 8, strides=32, use_bias=False)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(image, keras.layers.Dense(N_CLASSES)(x))


def test_the_weights_are_published_with_new_statistics(folder, monkeypatch, capsys):
    monkeypatch.setattr("core.networks.trained.load_trained", small_network)
    monkeypatch.setattr("core.training.statistics.BATCH", 4)
    assert main(["statistics", "--model", "student", "--model", "student"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("student: statistics of ") == 1
    assert "on validation accuracy" in printed
    entry = load_manifest(folder).model("student")
    assert entry.files == {"weights": "weights/student.npz"}
    assert entry.figures == {}
    assert set(entry.provenance) == {"machine", "statistics"}
    with np.load(folder / "weights/student.npz") as arrays:
        (moved,) = (arrays[name] for name in arrays.files if name.endswith("moving_mean"))
    assert (moved != 0).all()


def test_fewer_images_than_a_batch_has_are_refused_and_nothing_changes(folder, monkeypatch, capsys):
    monkeypatch.setattr("core.networks.trained.load_trained", small_network)
    monkeypatch.setattr("core.training.statistics.BATCH", 10_000)
    assert main(["statistics", "--model", "student"]) == 2
    assert "expected at least 10000 training images" in capsys.readouterr().err
    assert (folder / "weights/student.npz").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["nobody", "student-int8"])
def test_a_model_without_weights_is_refused(folder, name, capsys):
    update_model(folder, "student-int8", {"title": "V", "role": "variant", "parent": "student"})
    assert main(["statistics", "--model", name]) == 2
    assert name in capsys.readouterr().err
