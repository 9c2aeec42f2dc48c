"""`python -m core turned`, from arguments to the manifest, with a stand-in for the model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.serving.turned import read_gain


class StandIn:
    """A model that names a class by an image's brightness."""

    name = "student"

    @classmethod
    def load(cls, manifest, name):
        manifest.read(manifest.model(name).files["litert"])
        return cls()

    def classify(self, rgb, *, orientations=1):
        return SimpleNamespace(probabilities=np.eye(7)[(int(rgb.sum()) + orientations) % 7])


def test_it_measures_validation_stores_and_says_so(tmp_path, small_folder, monkeypatch, capsys):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "student.tflite").write_bytes(b"student")
    update_model(folder, "student", {"title": "S", "role": "student"}, {"litert": "student.tflite"})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("core.serving.classifier.Classifier", StandIn)
    assert main(["turned"]) == 0
    gain = read_gain(load_manifest(folder), "student")
    records = open_dataset(small_folder).records
    assert gain.images == (assign(records) == "validation").sum()
    assert gain.sentence() in capsys.readouterr().out
    assert main(["turned", "--limit", "3"]) == 0
    assert "On 3 validation images" in capsys.readouterr().out
    assert read_gain(load_manifest(folder), "student") == gain, "a trial stores nothing"


@pytest.mark.parametrize(
    ("arguments", "word"), [(["--model", "nobody"], "nobody"), (["--limit", "0"], "whole number from 1")]
)
def test_misuse_is_one_line(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path))
    update_model(tmp_path, "student", {"title": "S", "role": "student"})
    try:
        status = main(["turned", *arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert word in capsys.readouterr().err
