"""The manifest: what is written can be read back, what is damaged is named, and nothing is half-written."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core import artifacts
from core.artifacts import (
    ArtifactError,
    FileRefused,
    ManifestError,
    ManifestMissing,
    ModelEntry,
    load_manifest,
    open_verified,
    update_model,
    update_shared,
)
from core.lesions import CODES
from core.manifest import FileEntry, Manifest
from core.settings import ROOT, named

FULL = ModelEntry(
    name="student",
    title="Student",
    role="student",
    network="mobilenetv2",
    calibration={"temperature": 1.7, "fitted_on": "validation"},
    operating_point={"malignancy_threshold": 0.25, "sensitivity_target": 0.95},
    recipe={"epochs": 8, "stages": [{"size": 224}]},
    commit="abc",
    provenance={"initial_weights": "none"},
    parameters=2_900_000,
    figures={"split": "lesion", "test": {"accuracy": {"value": 0.8, "low": 0.78, "high": 0.82}}},
)


def put(folder: Path, relative: str, data: bytes = b"weights") -> str:
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return relative


def add(folder: Path, name: str = "student", data: bytes = b"weights", **changes: object) -> None:
    files = {"litert": put(folder, f"models/{name}.tflite", data)}
    update_model(folder, name, dataclasses.replace(FULL, name=name, **changes), files)


def edit(folder: Path, change) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def test_written_entry_reads_back_equal(tmp_path):
    files = {
        "litert": put(tmp_path, "models/student.tflite"),
        "history": put(tmp_path, "history/student.csv"),
        "weights": put(tmp_path, "weights/student.npz"),
        "predictions": put(tmp_path, "predictions/student.parquet"),
    }
    written = update_model(tmp_path, "student", FULL, files, formats={"litert": "litert-int8"})
    read = load_manifest(tmp_path)
    assert read == written
    assert read.model("student") == dataclasses.replace(FULL, files=files)
    assert [read.files[path].format for path in files.values()] == [
        "litert-int8",
        "history-csv",
        "weights-float16",
        "predictions-parquet",
    ]
    assert open_verified(tmp_path, files["litert"]) == b"weights"


def test_default_folder_is_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path))
    update_model(None, "student", FULL)
    assert list(load_manifest().models) == ["student"]
    assert (tmp_path / "manifest.json").exists()


def test_changes_leave_the_rest(tmp_path):
    add(tmp_path)
    history = {"history": put(tmp_path, "history/student.csv")}
    update_model(tmp_path, "student", {"calibration": {"temperature": np.float32(2.5)}}, history)
    entry = load_manifest(tmp_path).model("student")
    assert entry.temperature == 2.5
    assert entry.recipe == FULL.recipe
    assert sorted(entry.files) == ["history", "litert"]


def test_figures_that_are_not_finite_become_null(tmp_path):
    add(tmp_path)
    update_model(tmp_path, "student", {"figures": {"auc": np.float64("nan"), "counts": np.arange(3)}})
    assert load_manifest(tmp_path).model("student").figures == {"auc": None, "counts": [0, 1, 2]}


@pytest.mark.parametrize("value", [["x"], {"x": 1}, None, 3, "not/listed.npz"])
def test_a_shared_file_that_is_none_is_left_out_and_the_models_stay(tmp_path, value):
    add(tmp_path)
    raw = json.loads((tmp_path / "manifest.json").read_text())
    raw["shared"]["gate-student"] = value
    (tmp_path / "manifest.json").write_text(json.dumps(raw))
    manifest = load_manifest(tmp_path)
    assert dict(manifest.shared) == {}
    assert list(manifest.models) == ["student"]


def test_files_nobody_refers_to_are_dropped(tmp_path):
    add(tmp_path)
    update_shared(tmp_path, {"gate": put(tmp_path, "gate/knn.npz")})
    update_model(tmp_path, "student", {}, {"litert": put(tmp_path, "models/other.tflite")})
    assert sorted(load_manifest(tmp_path).files) == ["gate/knn.npz", "models/other.tflite"]
    update_model(tmp_path, "student", {}, {"litert": None})
    update_shared(tmp_path, {"gate": None})
    manifest = load_manifest(tmp_path)
    assert dict(manifest.files) == {}
    assert dict(manifest.shared) == {}


@pytest.mark.parametrize("position", [0, 3, 6])
def test_flipped_bit_is_refused_and_named(tmp_path, position):
    add(tmp_path)
    add(tmp_path, "baseline", b"others")
    path = tmp_path / "models/student.tflite"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    manifest = load_manifest(tmp_path)
    with pytest.raises(FileRefused, match=r"models/student\.tflite: expected sha256"):
        manifest.read("models/student.tflite")
    assert manifest.read("models/baseline.tflite") == b"others"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b"weight"), "expected 7 bytes, found 6"),
        (lambda path: path.write_bytes(b"weights and more"), "expected 7 bytes, found more"),
        (lambda path: (path.unlink(), path.mkdir()), "directory"),
    ],
    ids=["missing", "shorter", "longer", "folder"],
)
def test_other_file_is_refused(tmp_path, damage, message):
    add(tmp_path)
    damage(tmp_path / "models/student.tflite")
    with pytest.raises(FileRefused, match=message):
        open_verified(tmp_path, "models/student.tflite")


def test_unlisted_file_is_refused(tmp_path):
    add(tmp_path)
    put(tmp_path, "models/stray.tflite")
    with pytest.raises(FileRefused, match="stray"):
        open_verified(tmp_path, "models/stray.tflite")


def test_missing_manifest(tmp_path):
    with pytest.raises(ManifestMissing, match=r"found no manifest\.json; set DERMDISTILL_ARTIFACTS"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ('{"version": 1', "damaged"),
        ("\x00\xff", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[]", "expected a JSON object, found list"),
        ("{}", "expected version 1, found None"),
        ('{"version": 2}', "expected version 1, found 2"),
        ('{"version": 1, "classes": ["nv", "mel"]}', "expected the classes akiec bcc bkl df mel nv vasc"),
        (json.dumps({"version": 1, "classes": CODES[::-1]}), "expected the classes akiec"),
        (json.dumps({"version": 1, "classes": CODES, "models": []}), "'models' to be an object, found list"),
    ],
)
def test_damaged_manifest_is_named_and_left_alone(tmp_path, text, message):
    path = tmp_path / "manifest.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=message) as caught:
        load_manifest(tmp_path)
    assert str(path) in str(caught.value)
    with pytest.raises(ManifestError):
        update_model(tmp_path, "student", FULL)
    assert path.read_text(encoding="latin-1") == text


def test_an_ensemble_has_no_file_of_its_own(tmp_path):
    add(tmp_path)
    update_model(tmp_path, "ensemble", {"title": "E", "role": "ensemble", "members": ["student"]})
    manifest = load_manifest(tmp_path)
    assert manifest.single("student").name == "student"
    with pytest.raises(ArtifactError, match="found an ensemble; name its members: student"):
        manifest.single("ensemble")


BAD_ENTRIES = {
    "not an object": ([], "expected an object, found list"),
    "no title": ({"role": "student"}, "expected 'title' to be str, found None"),
    "role": ({"title": "S", "role": "pupil"}, "found 'pupil'"),
    "other classes": (
        {"title": "S", "role": "student", "classes": list(CODES[::-1])},
        "expected the classes akiec",
    ),
    "other version": ({"title": "S", "role": "student", "version": 3}, "expected version 1, found 3"),
    "other input": ({"title": "S", "role": "student", "input": {"size": 192}}, "expected the input"),
    "temperature 0": (
        {"title": "S", "role": "student", "calibration": {"temperature": 0}},
        "above 0, found 0",
    ),
    "temperature NaN": (
        {"title": "S", "role": "student", "calibration": {"temperature": float("nan")}},
        "above 0, found None",
    ),
    "threshold": ({"title": "S", "role": "student", "operating_point": {}}, "from 0 to 1, found None"),
    "unlisted file": ({"title": "S", "role": "student", "files": {"litert": "x.tflite"}}, "found 'x.tflite'"),
    "empty ensemble": ({"title": "S", "role": "ensemble"}, "expected an ensemble to have members"),
    "own member": ({"title": "S", "role": "ensemble", "members": ["bad"]}, "names of other models"),
}


@pytest.mark.parametrize(("entry", "message"), BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_bad_entry_refuses_that_model_alone(tmp_path, entry, message):
    add(tmp_path)
    edit(tmp_path, lambda raw: raw["models"].update(bad=entry))
    manifest = load_manifest(tmp_path)
    assert list(manifest.models) == ["student"]
    with pytest.raises(ArtifactError, match=r"model bad: its entry in .* is refused") as caught:
        manifest.model("bad")
    assert message in str(caught.value)
    # Others can still be written, and the bad entry stays for its owner to mend.
    update_model(tmp_path, "student", {"parameters": 1})
    assert load_manifest(tmp_path).model("student").parameters == 1
    assert "bad" in load_manifest(tmp_path).problems
    add(tmp_path, "bad")
    assert load_manifest(tmp_path).model("bad")


@pytest.mark.parametrize(
    "row",
    [
        None,
        {"sha256": "00", "bytes": 7, "format": "x"},
        {"sha256": "0" * 64, "bytes": -1, "format": "x"},
        {"bytes": 7},
    ],
)
def test_bad_file_row_refuses_its_model_alone(tmp_path, row):
    add(tmp_path)
    add(tmp_path, "baseline")
    edit(tmp_path, lambda raw: raw["files"].update({"models/student.tflite": row}))
    manifest = load_manifest(tmp_path)
    assert list(manifest.models) == ["baseline"]
    assert "litert" in manifest.problems["student"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "C:\\x", "", "a\0b"])
def test_paths_stay_inside(tmp_path, path):
    add(tmp_path)
    row = {"sha256": "0" * 64, "bytes": 1, "format": "x"}
    edit(tmp_path, lambda raw: raw["files"].update({path: row}))
    assert path not in load_manifest(tmp_path).files
    with pytest.raises(ArtifactError, match="inside"):
        update_model(tmp_path, "student", {}, {"litert": path})


def test_unknown_model_names_the_known(tmp_path):
    add(tmp_path)
    with pytest.raises(ArtifactError, match="expected one of the models student, found 'teacher'"):
        load_manifest(tmp_path).model("teacher")


@pytest.mark.parametrize(
    ("entry", "files", "message"),
    [
        ({"role": "pupil"}, {}, "found 'pupil'"),
        ({"calibration": {"temperature": -1}}, {}, "above 0"),
        ({}, {"litert": "models/absent.tflite"}, "absent.tflite: expected a file to list"),
    ],
)
def test_senseless_change_writes_nothing(tmp_path, entry, files, message):
    add(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(ArtifactError, match=message):
        update_model(tmp_path, "student", entry, files)
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_the_old_manifest(tmp_path, monkeypatch, step):
    add(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        update_model(tmp_path, "student", {"parameters": 5})
    monkeypatch.undo()
    assert (tmp_path / "manifest.json").read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()} - {artifacts.LOCK}
    assert left == {"manifest.json", "models"}


WRITER = """
import sys
from pathlib import Path
from core.artifacts import update_model
for k in range(10):
    update_model(Path(sys.argv[1]), sys.argv[2], {"title": sys.argv[2], "role": "variant", "parameters": k})
"""


def test_concurrent_writers_lose_nothing(tmp_path):
    names = [f"m{k}" for k in range(4)]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in names]
    while any(writer.poll() is None for writer in writers):
        # A reader between any two writes sees a whole manifest or none yet.
        try:
            load_manifest(tmp_path)
        except ManifestMissing:
            continue
    assert [writer.wait() for writer in writers] == [0] * 4
    models = load_manifest(tmp_path).models
    assert {name: models[name].parameters for name in names} == dict.fromkeys(names, 9)


def test_what_visitors_read_does_not_say_where_the_server_keeps_its_files() -> None:
    assert named(ROOT / "artifacts" / "gate.npz") == str(Path("artifacts/gate.npz"))
    assert named(Path("/elsewhere/gate.npz")) == "/elsewhere/gate.npz"
    manifest = Manifest(ROOT / "nowhere", {"gate.npz": FileEntry("0" * 64, 4, "gate")}, {}, {}, {})
    for relative in ("gate.npz", "other.npz"):
        with pytest.raises(FileRefused) as refused:
            manifest.read(relative)
        assert str(ROOT) not in str(refused.value)
        assert "nowhere" in str(refused.value)
    with pytest.raises(ManifestMissing) as missing:
        load_manifest(ROOT / "nowhere")
    assert "under nowhere, found" in str(missing.value)
