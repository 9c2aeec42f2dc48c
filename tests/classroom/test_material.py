"""What a lesson is given: drawn lesions that the teacher was asked about, or HAM10000 with its stored answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.artifacts import ModelEntry, load_manifest, update_model
from core.classroom import material
from core.classroom.lesson import Order
from core.data.ham10000 import open_dataset
from core.data.pixels import decode, to_input
from core.errors import UserError
from core.evaluation.predictions import Predictions
from core.lesions import CODES, INDEX
from core.settings import ROOT


class Teacher:
    """Says the brightness of the image for every class."""

    def __init__(self) -> None:
        self.asked = 0

    def classify(self, image: np.ndarray) -> SimpleNamespace:
        self.asked += 1
        return SimpleNamespace(logits=np.full(7, float(image.mean())))


@pytest.fixture
def folder(small_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_set.write_flat(tmp_path / "data")))
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    records = open_dataset().records
    n = len(records)
    Predictions(
        "resnet50",
        records["image_id"].to_numpy(str),
        records["lesion_id"].to_numpy(str),
        records["dx"].map(INDEX).to_numpy(),
        np.random.default_rng(0).normal(size=(n, 7)),
        np.where(np.arange(n) % 3 == 0, "test", "validation"),
    ).save(artifacts / "resnet50.parquet")
    (artifacts / "resnet50.tflite").write_bytes(b"x")
    files = {"predictions": "resnet50.parquet", "litert": "resnet50.tflite"}
    update_model(artifacts, "resnet50", ModelEntry("resnet50", "ResNet50", "teacher"), files)
    return artifacts


def registry(folder: Path, teacher: Teacher | None = None) -> SimpleNamespace:
    return SimpleNamespace(manifest=load_manifest(folder), get=lambda name: teacher)


def test_drawn_lesions_are_drawn_and_asked_about_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "DRAWN_TRAIN", 2)
    monkeypatch.setattr(material, "DRAWN_TEST", 1)
    monkeypatch.setattr(material, "_BLOCK", 1)
    teacher, notes = Teacher(), []
    order = Order("synthetic", "resnet50", size=32)
    first = material.gather(order, registry(folder, teacher), notes.append)
    assert (len(first.images), len(first.test_images)) == (14, 7)
    assert first.images.shape[1:] == (32, 32, 3)
    assert first.labels.tolist() == [*range(7), *range(7)]
    assert np.bincount(first.test_labels).tolist() == [1] * 7, (
        "accuracy is balanced accuracy, as the lab says"
    )
    whole = [material.render(code, material._FIRST_SEED + 2).image for code in CODES]
    assert np.array_equal(first.test_images, [to_input(image, 32) for image in whole]), "as the others are"
    assert teacher.asked == 14
    assert notes
    again = material.gather(order, registry(folder, teacher), notes.append)
    assert teacher.asked == 14
    assert np.array_equal(again.images, first.images)
    assert np.array_equal(again.teacher, first.teacher)
    assert not set(map(bytes, first.images)) & set(map(bytes, first.test_images))


def test_damaged_caches_are_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "DRAWN_TRAIN", 1)
    monkeypatch.setattr(material, "DRAWN_TEST", 1)
    order, teacher = Order("synthetic", "resnet50"), Teacher()
    first = material.gather(order, registry(folder, teacher), print)
    for path in (folder.parent / "cache").glob("classroom-*.npz"):
        path.write_bytes(b"damaged")
    again = material.gather(order, registry(folder, teacher), print)
    assert np.array_equal(first.images, again.images)
    assert teacher.asked == 14


def test_of_ham10000_the_stored_answers_belong_to_the_images(folder: Path) -> None:
    found = material.gather(Order("ham10000", "resnet50", size=48), registry(folder), print)
    predictions = Predictions.load(folder / "resnet50.parquet")
    dataset = open_dataset()
    validation = predictions.part_only("validation")
    assert len(found.images) == len(validation)
    for row in (0, 5, 11):
        place = int(np.flatnonzero((validation.logits == found.teacher[row]).all(axis=1))[0])
        name = str(validation.image_id[place])
        assert np.array_equal(found.images[row], to_input(decode(dataset.read_bytes(name), name), 48))
        assert found.labels[row] == validation.label[place]
    assert len(found.test_images) == len(predictions.part_only("test"))


def test_without_answers_or_models_it_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected trained models"):
        material.gather(Order("ham10000", "resnet50"), SimpleNamespace(manifest=None), print)
    update_model(folder, "student", ModelEntry("student", "Student", "student"))
    with pytest.raises(UserError, match="predictions"):
        material.gather(Order("ham10000", "student"), registry(folder), print)


@pytest.mark.parametrize(
    ("said", "named"),
    [('{"source": "x", "teacher": "y"}', "source"), ("no json", "expected an order"), ("{}", "order")],
)
def test_a_worker_says_what_is_wrong_with_an_order(said: str, named: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "core.classroom.worker"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(said + "\n")
    process.stdin.flush()
    told = json.loads(process.stdout.readline())
    assert process.wait(120) == 2
    assert told["kind"] == "error"
    assert named in told["text"]


def test_a_worker_says_where_it_may_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    process = subprocess.Popen(
        [sys.executable, "-m", "core.classroom.worker"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env=os.environ | {"DERMDISTILL_CACHE": str(tmp_path / "file" / "cache")},
    )  # fmt: skip
    process.stdin.write('{"source": "synthetic", "teacher": "student"}\n')
    process.stdin.flush()
    told = json.loads(process.stdout.readline() or "{}")
    assert process.wait(120) == 2
    assert told["kind"] == "error"
    assert "cache: expected a folder, found: Not a directory" in told["text"]


def test_a_worker_ends_when_nobody_holds_its_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "core.classroom.worker"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    process.stdin.write('{"source": "synthetic", "teacher": "student"}\n')
    process.stdin.close()
    assert process.wait(120) == 1
