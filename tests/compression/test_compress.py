"""The compress command, from its arguments to the manifest."""

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.compression import variants
from core.data.synthetic import make_dataset
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE


@pytest.fixture
def artifacts(tmp_path, monkeypatch, tiny):
    """A trained student whose network is the tiny one; no dataset."""
    folder = tmp_path / "artifacts"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/student.npz").write_bytes(b"weights")
    entry = {"title": "Student", "role": "student", "network": "mobilenetv2"}
    update_model(folder, "student", entry, {"weights": "weights/student.npz"})
    monkeypatch.setattr(variants, "load_trained", lambda manifest, name: tiny.tiny_network(size=224))
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nowhere"))
    return folder


def test_without_the_dataset_float_files_are_made(artifacts, capsys):
    assert main(["compress", "--kind", "float32", "--kind", "float16"]) == 0
    manifest = load_manifest(artifacts)
    assert set(manifest.models) == {"student", "student-fp16"}
    assert "agreement not measured" in capsys.readouterr().out
    manifest.read("models/student-fp16.tflite")


def test_int8_without_the_dataset_says_what_to_do(artifacts, capsys):
    assert main(["compress", "--model", "student-int8"]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("error: student-int8: expected HAM10000 to calibrate")
    )
    assert set(load_manifest(artifacts).models) == {"student"}


def test_without_the_dataset_nothing_is_replaced_before_that_is_seen(artifacts, capsys):
    assert main(["compress", "--kind", "float32"]) == 0
    update_model(artifacts, "student", {"figures": {"split": "lesion"}})
    before = (artifacts / "manifest.json").read_bytes()
    assert main(["compress"]) == 2
    assert "error: student-int8: expected HAM10000 to calibrate" in capsys.readouterr().err
    assert (artifacts / "manifest.json").read_bytes() == before


def test_nothing_is_replaced_before_a_model_without_weights_is_seen(artifacts, capsys):
    assert main(["compress", "--kind", "float16"]) == 0
    update_model(artifacts, "ensemble", {"title": "E", "role": "ensemble", "members": ["student"]})
    before = (artifacts / "manifest.json").read_bytes()
    for second, said in (("student-fp16", "found none; use its parent student"), ("ensemble", "found none")):
        assert main(["compress", "--model", "student", "--model", second, "--kind", "float32"]) == 2
        assert (
            f"error: model {second}: expected Keras weights in {artifacts}, {said}" in capsys.readouterr().err
        )
        assert (artifacts / "manifest.json").read_bytes() == before


def test_without_the_dataset_a_teacher_stays_of_the_kind_that_was_tried(
    artifacts, small_folder, monkeypatch, capsys
):
    update_model(artifacts, "student", {"role": "teacher"})
    monkeypatch.setattr(variants, "SMALL_ENOUGH_CHANGE", 0.0)
    without = str(artifacts / "nowhere")
    for data, kind in ((without, "float16"), (str(small_folder), "dynamic"), (without, "dynamic")):
        monkeypatch.setenv("DERMDISTILL_DATA", data)
        assert main(["compress", "--calibration", "1", "--check", "4"]) == 0
        assert f"student: {kind}," in capsys.readouterr().out


def test_with_the_dataset_the_agreement_is_measured(artifacts, small_folder, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert main(["compress", "--model", "student-int8", "--calibration", "1", "--check", "4"]) == 0
    out = capsys.readouterr().out
    assert "student-int8: int8," in out
    assert "of 4 images" in out
    record = load_manifest(artifacts).model("student-int8").provenance["compression"]
    assert record["calibration_images"] == 7
    assert np.isfinite(record["agreement_with_keras_on_validation"]["signal_to_noise_db"])


def test_drawn_lesions_do_not_stand_for_the_photographs_of_the_training(
    artifacts, tmp_path, monkeypatch, capsys
):
    drawn = make_dataset(tmp_path / "drawn", total=70, size=(64, 48), workers=1)
    monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
    update_model(artifacts, "student", {"provenance": {"data": DATA_NOTE}})
    before = (artifacts / "manifest.json").read_bytes()
    assert main(["compress"]) == 2
    assert "error: student: expected HAM10000 in" in capsys.readouterr().err
    assert (artifacts / "manifest.json").read_bytes() == before
    assert not (artifacts / "models").exists()
    update_model(artifacts, "student", {"provenance": {"data": SYNTHETIC_NOTE}})
    assert main(["compress", "--kind", "float32", "--check", "2", "--calibration", "1"]) == 0


def test_a_damaged_dataset_is_not_taken_for_none(artifacts, small_folder, monkeypatch, capsys):
    next(small_folder.rglob("ISIC_*.jpg")).unlink()
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert main(["compress", "--kind", "float16"]) == 3
    assert "found damage in" in capsys.readouterr().err
    assert set(load_manifest(artifacts).models) == {"student"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "int4"], "expected one of float32"),
        (["--model", "vgg"], "expected one of the models student, found 'vgg'"),
    ],
)
def test_misuse_is_one_line(artifacts, capsys, arguments, message):
    assert main(["compress", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert message in error[0]


@pytest.mark.parametrize(
    "arguments", [["--calibration", "0"], ["--check", "many"], ["--all", "--kind", "int8"]]
)
def test_wrong_numbers_are_usage_errors(artifacts, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(["compress", *arguments])
