"""What all orientations gain: measured on a model that is right one way up only, stored, read again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.artifacts import ModelEntry, load_manifest, update_model, update_shared
from core.serving.turned import FIGURES, Gain, TurnedError, measure_gain, read_gain, to_json, turned_key

LABELS = np.arange(70) % 7
LESIONS = np.array([f"HAM_{i // 2}" for i in range(70)])


class Model:
    """Right about every second image at first, about all of them in all orientations."""

    name = "student"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> SimpleNamespace:
        self.asked.append(orientations)
        row = int(rgb[0, 0, 0])
        wrong = orientations == 1 and row % 2
        return SimpleNamespace(probabilities=np.eye(7)[(LABELS[row] + wrong) % 7])


def measured(model: Model) -> Gain:
    return measure_gain(
        model, "abc", lambda row: np.full((2, 2, 3), row, np.uint8), LABELS, LESIONS, resamples=50
    )


def test_the_gain_is_that_of_the_same_images() -> None:
    model = Model()
    gain = measured(model)
    assert (gain.images, gain.lesions, gain.part) == (70, 35, "validation")
    assert model.asked == [1, 8] * 70
    assert gain.differences["accuracy"]["value"] == pytest.approx(0.5)
    assert set(gain.differences) == set(FIGURES)
    assert gain.times > 0
    assert "accuracy +50.0 points" in gain.sentence()
    assert "70 validation images" in gain.sentence()


def test_no_difference_is_no_certainty_that_there_is_none() -> None:
    class Steady(Model):
        def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> SimpleNamespace:
            return super().classify(rgb, orientations=8)

    gain = measured(Steady())
    assert gain.differences["accuracy"]["high"] > 0
    assert "accuracy +0.0 points (-" in gain.sentence()
    assert "balanced accuracy +0.0 points, macro AUC +0.000, and takes" in gain.sentence()


def test_what_is_not_known_is_not_said_to_be_nothing() -> None:
    unknown = dict.fromkeys(("value", "low", "high"))
    gain = Gain("student", "abc", "validation", 2, 2, dict.fromkeys(FIGURES, unknown), 7.0)
    assert "+0.0" not in gain.sentence()
    assert "do not tell" in gain.sentence()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.tflite").write_bytes(b"model")
    update_model(tmp_path, "student", ModelEntry("student", "S", "student"), {"litert": "s.tflite"})
    return tmp_path


def store(folder: Path, text: str) -> None:
    (folder / "turned.json").write_text(text)
    update_shared(folder, {turned_key("student"): "turned.json"})


def test_what_is_stored_is_read_again_for_the_same_file_alone(folder: Path) -> None:
    assert read_gain(load_manifest(folder), "student") is None
    sha256 = load_manifest(folder).files["s.tflite"].sha256
    gain = Gain(**vars(measured(Model())) | {"model_sha256": sha256})
    store(folder, to_json(gain))
    assert read_gain(load_manifest(folder), "student") == gain
    (folder / "s.tflite").write_bytes(b"another model")
    update_model(folder, "student", {}, {"litert": "s.tflite"})
    assert read_gain(load_manifest(folder), "student") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "student"}'])
def test_a_damaged_gain_names_its_file(folder: Path, text: str) -> None:
    store(folder, text)
    with pytest.raises(TurnedError, match=r"turned\.json"):
        read_gain(load_manifest(folder), "student")
