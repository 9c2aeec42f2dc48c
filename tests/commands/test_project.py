"""`python -m core project`, from arguments to the manifest, with a stand-in for the model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.lesions import CODES
from core.serving.projection import map_key, read_projection


class StandIn:
    """A model whose embedding is an image's coarse pixels."""

    name = "student"
    asked = 0

    @classmethod
    def load(cls, manifest, name):
        manifest.read(manifest.model(name).files["litert"])
        return cls()

    def classify(self, rgb):
        StandIn.asked += 1
        return SimpleNamespace(logits=np.zeros(7), embedding=rgb[::32, ::32].reshape(-1).astype(np.float32))


@pytest.fixture
def artifacts(tmp_path, small_folder, monkeypatch):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "student.tflite").write_bytes(b"student")
    update_model(folder, "student", {"title": "S", "role": "student"}, {"litert": "student.tflite"})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("core.serving.classifier.Classifier", StandIn)
    StandIn.asked = 0
    return folder


def test_it_maps_the_test_images_once(artifacts, small_folder, capsys):
    assert main(["project"]) == 0
    projection = read_projection(load_manifest(artifacts), "student")
    records = open_dataset(small_folder).records
    test = records[assign(records) == "test"]
    assert list(projection.image_id) == list(test["image_id"])
    assert [CODES[i] for i in projection.label] == list(test["dx"])
    assert StandIn.asked == len(test)
    assert str(artifacts) in capsys.readouterr().out

    assert main(["project"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert StandIn.asked == len(test)
    before = (artifacts / "maps" / "student.npz").read_bytes()
    assert main(["project", "--again"]) == 0
    assert (artifacts / "maps" / "student.npz").read_bytes() == before


def test_a_new_file_of_the_model_is_mapped_anew(artifacts):
    assert main(["project"]) == 0
    (artifacts / "student.tflite").write_bytes(b"another student")
    update_model(artifacts, "student", {}, {"litert": "student.tflite"})
    asked = StandIn.asked
    assert main(["project"]) == 0
    assert StandIn.asked > asked
    read_projection(load_manifest(artifacts), "student")


def test_without_the_dataset_it_says_so_and_writes_nothing(artifacts, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nowhere"))
    assert main(["project"]) == 2
    assert "python -m core data download" in capsys.readouterr().err
    assert map_key("student") not in load_manifest(artifacts).shared


def test_an_unknown_model_is_named(artifacts, capsys):
    assert main(["project", "--model", "nobody"]) == 2
    assert "found 'nobody'" in capsys.readouterr().err
