"""Publishing: what the manifest then says of a model, and what it no longer says."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest

from core.artifacts import load_manifest, update_model
from core.errors import UserError
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE
from core.training import publish as module
from core.training.publish import (
    INIT,
    describe_init,
    digest_of,
    note_start,
    publish,
    replace_weights,
    role_of,
    title_of,
)
from core.training.recipes import Distillation, Recipe, distilled, recipe_for

IMAGES = {"train": 64, "validation": 16, "digest": "abc"}
BEGAN = {INIT: "aaaa", "resnet50": "bbbb", "densenet169": "cccc"}


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    folder = tmp_path / "artifacts"
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    return folder


@pytest.fixture
def run(tmp_path):
    """A finished run's folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    note_start(folder, "ImageNet", DATA_NOTE, IMAGES, BEGAN)
    for name, text in (("best.npz", "weights"), ("history.csv", "epoch\n1\n"), ("checkpoint.npz", "state")):
        (folder / name).write_text(text)
    return folder


def enter(run, name="student", recipe=None):
    recipe = recipe or distilled(
        recipe_for("tuned", "mobilenetv2"), Distillation(("resnet50", "densenet169"))
    )
    network = SimpleNamespace(count_params=lambda: 1234)
    return publish(run, name, recipe, network, seconds=99.6, best_epoch=3), recipe


def test_the_entry_says_how_the_model_was_made(artifacts, run):
    manifest, recipe = enter(run)
    assert load_manifest(artifacts) == manifest
    entry = manifest.model("student")
    assert (entry.role, entry.network, entry.parameters) == ("student", "mobilenetv2", 1234)
    assert Recipe.from_dict(json.loads(json.dumps(dict(entry.recipe)))) == recipe
    assert entry.files == {"weights": "weights/student.npz", "history": "history/student.csv"}
    assert manifest.read("weights/student.npz") == b"weights"
    assert manifest.read("history/student.csv") == b"epoch\n1\n"
    provenance = entry.provenance
    assert provenance["initial_weights"] == "ImageNet"
    assert provenance["teachers"] == ["resnet50", "densenet169"]
    assert provenance["data"] == DATA_NOTE
    assert "non-commercial" in provenance["licence"]
    assert (provenance["training_seconds"], provenance["best_epoch"]) == (100, 3)
    assert entry.commit == json.loads((run / "run.json").read_text())["commit"]


def test_what_was_measured_on_older_weights_is_dropped(artifacts, run):
    enter(run)
    for name in ("student.tflite", "student.parquet", "student.embeddings"):
        (artifacts / name).write_text(name)
    files = {"litert": "student.tflite", "predictions": "student.parquet", "embeddings": "student.embeddings"}
    measured = {
        "figures": {"split": "lesion", "test": {"accuracy": {"value": 0.8}}},
        "calibration": {"temperature": 1.7},
        "operating_point": {"malignancy_threshold": 0.2},
    }
    update_model(artifacts, "student", measured, files)
    assert load_manifest(artifacts).model("student").temperature == 1.7
    (run / "best.npz").write_text("better weights")
    manifest, _ = enter(run)
    entry = manifest.model("student")
    assert set(entry.files) == {"weights", "history"}
    assert (entry.figures, entry.calibration, entry.operating_point) == ({}, {}, None)
    assert manifest.read("weights/student.npz") == b"better weights"
    assert "student.tflite" not in manifest.files


def test_other_models_are_left_alone(artifacts, run):
    enter(run, "baseline", recipe_for("tuned", "mobilenetv2"))
    before = load_manifest(artifacts).model("baseline")
    manifest, _ = enter(run)
    assert manifest.model("baseline") == before
    assert before.provenance["teachers"] == []


def test_a_name_that_the_manifest_refuses_writes_nothing(artifacts, run):
    with pytest.raises(UserError, match="expected a name"):
        enter(run, "My Model")
    with pytest.raises(UserError):
        load_manifest(artifacts)


def test_synthetic_lesions_are_called_so(artifacts, run):
    (run / "checkpoint.npz").unlink()
    note_start(run, "none (random)", SYNTHETIC_NOTE, IMAGES, {})
    assert "synthetic" in enter(run)[0].model("student").provenance["data"]


def test_a_run_on_synthetic_lesions_takes_no_place_of_a_model_of_photographs(artifacts, run):
    enter(run)
    before = {path: path.read_bytes() for path in artifacts.rglob("*") if path.is_file()}
    notes = json.loads((run / "run.json").read_text()) | {"data": SYNTHETIC_NOTE}
    (run / "run.json").write_text(json.dumps(notes))
    (run / "best.npz").write_text("drawn")
    with pytest.raises(
        UserError, match=r"expected a run on HAM10000, as .*student is, found one on synthetic"
    ):
        enter(run)
    assert {path: path.read_bytes() for path in artifacts.rglob("*") if path.is_file()} == before
    manifest, _ = enter(run, "drawn")
    assert manifest.model("drawn").provenance["data"] == SYNTHETIC_NOTE
    (run / "best.npz").write_text("drawn again")
    assert enter(run, "drawn")[0].read("weights/drawn.npz") == b"drawn again"


def test_a_run_of_an_older_version_can_be_published(artifacts, run):
    facts = json.loads((run / "run.json").read_text())
    del facts["data"], facts["images"], facts["began"]
    (run / "run.json").write_text(json.dumps(facts))
    note_start(run, "something else", SYNTHETIC_NOTE, IMAGES, {})
    assert enter(run)[0].model("student").provenance["initial_weights"] == "ImageNet"


def test_a_run_that_goes_on_keeps_the_notes_of_its_beginning(run):
    before = (run / "run.json").read_text()
    note_start(run, "none (random)", DATA_NOTE, IMAGES, BEGAN)
    assert (run / "run.json").read_text() == before


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run):
    (run / "checkpoint.npz").unlink()
    note_start(run, "none (random)", DATA_NOTE, IMAGES | {"train": 5}, {})
    facts = json.loads((run / "run.json").read_text())
    assert (facts["initial_weights"], facts["images"]["train"]) == ("none (random)", 5)


@pytest.mark.parametrize("change", [{"train": 6, "validation": 2, "digest": "xyz"}, {"digest": "xyz"}])
def test_other_images_do_not_go_on_with_a_run(run, change):
    """As many of them may be others, or have other labels."""
    with pytest.raises(UserError, match=r"these images \(\d+ for training.*others \(64 for.*--restart"):
        note_start(run, "ImageNet", DATA_NOTE, IMAGES | change, BEGAN)


@pytest.mark.parametrize("name", BEGAN)
def test_another_teacher_or_beginning_does_not_go_on_with_a_run(run, name):
    with pytest.raises(UserError, match=f"another {name}; .*--restart"):
        note_start(run, "ImageNet", DATA_NOTE, IMAGES, BEGAN | {name: "ffff"})


def test_the_teachers_files_are_named(artifacts, run):
    provenance = enter(run)[0].model("student").provenance
    assert provenance["teachers_sha256"] == {"resnet50": "bbbb", "densenet169": "cccc"}


def test_a_digest_is_a_file_s_or_a_name(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"weights")
    assert digest_of(str(tmp_path / "w.npz")) == hashlib.sha256(b"weights").hexdigest()[:16]
    assert (digest_of("imagenet"), digest_of(None)) == ("imagenet", "none")


@pytest.mark.parametrize("weights", ["weights", "better weights"])
def test_what_was_made_of_a_model_that_was_replaced_is_taken_back(artifacts, run, weights):
    enter(run)
    measured = {"figures": {"split": "lesion"}, "calibration": {"temperature": 1.7}}
    for name, entry in (
        ("student-int8", {"title": "V", "role": "variant", "parent": "student"}),
        ("student-pruned", {"title": "P", "role": "variant", "parent": "student"}),
        ("ensemble", {"title": "E", "role": "ensemble", "members": ["student"]}),
        ("mine", {"title": "M", "role": "baseline"}),
    ):
        (artifacts / f"{name}.parquet").write_text(name)
        (artifacts / f"{name}.tflite").write_text(name)
        files = {"predictions": f"{name}.parquet", "litert": f"{name}.tflite"}
        if name == "student-pruned":
            (artifacts / "pruned.npz").write_text(name)
            files["weights"] = "pruned.npz"
        update_model(artifacts, name, entry | measured, files)
    (run / "best.npz").write_text(weights)
    models = enter(run)[0].models
    assert set(models["mine"].files) == {"predictions", "litert"}
    same = weights == "weights"
    assert ("litert" in models["student-int8"].files) is same
    assert ("weights" in models["student-pruned"].files) is same, "of channels of weights that are gone"
    for name in ("student-int8", "ensemble"):
        assert ("predictions" in models[name].files) is same
        assert (models[name].temperature, bool(models[name].figures)) == (
            (1.7, True) if same else (1.0, False)
        )


TAUGHT = Distillation(("baseline",))


@pytest.mark.parametrize(
    ("recipe", "role"),
    [
        (recipe_for("tuned", "resnet50"), "teacher"),
        (distilled(recipe_for("tuned", "densenet169"), TAUGHT), "teacher"),
        (recipe_for("tuned", "mobilenetv2"), "baseline"),
        (distilled(recipe_for("tuned", "mobilenetv2"), TAUGHT), "student"),
    ],
)
def test_a_large_network_is_a_teacher_even_when_it_is_taught(recipe, role):
    assert role_of(recipe) == role


@pytest.mark.parametrize(
    ("name", "network", "role", "title"),
    [
        ("resnet50", "resnet50", "teacher", "ResNet50 (teacher)"),
        ("student", "mobilenetv2", "student", "MobileNetV2 (distilled student)"),
        ("baseline", "mobilenetv2", "baseline", "MobileNetV2 (baseline, no teachers)"),
        ("trial", "mobilenetv2", "baseline", "MobileNetV2 (baseline, no teachers) trial"),
    ],
)
def test_titles(name, network, role, title):
    assert title_of(name, network, role) == title


def test_initial_weights_in_words(tmp_path):
    assert describe_init(None, None) == "none (random)"
    assert "ImageNet" in describe_init("imagenet", None)
    path = tmp_path / "start.weights.h5"
    path.write_bytes(b"abc")
    said = describe_init(str(path), "of a friend, MIT")
    assert said == "start.weights.h5 (sha256 ba7816bf8f01cfea...): of a friend, MIT"
    (tmp_path / "run.json").write_text('{"initial_weights": "none (random)"}')
    assert describe_init(str(path), None).endswith("; their training began with none (random)")
    (tmp_path / "run.json").write_text("[]")
    assert describe_init(str(path), None).endswith("...)")
    with pytest.raises(
        UserError, match=r"--init: expected imagenet, a \.weights\.h5 or an \.npz file, found no file"
    ):
        describe_init(str(tmp_path / "nothing.h5"), None)


def test_weights_of_a_model_in_the_artifacts_say_what_its_training_began_with(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path))
    (tmp_path / "mine.npz").write_bytes(b"abc")
    provenance = {"initial_weights": "weights of a friend, MIT"}
    update_model(
        tmp_path,
        "mine",
        {"title": "Mine", "role": "baseline", "provenance": provenance},
        {"weights": "mine.npz"},
    )
    said = describe_init(str(tmp_path / "mine.npz"), "this project's own")
    assert said == (
        "mine.npz (sha256 ba7816bf8f01cfea...): this project's own; their training began with weights of a friend, MIT"
    )


def test_outside_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert module.current_commit() == ""
    monkeypatch.setenv("PATH", "")
    assert module.current_commit() == ""
    assert module.cpu_name()


def test_new_weights_of_the_same_training_keep_it_and_drop_what_was_made_of_the_old(
    artifacts, run, monkeypatch
):
    enter(run)
    for name in ("student.tflite", "student-int8.tflite", "student-pruned.tflite", "student-pruned.npz"):
        (artifacts / name).write_text(name)
    measured = {"figures": {"test": {}}, "calibration": {"temperature": 1.7}}
    update_model(artifacts, "student", measured, {"litert": "student.tflite"})
    variant = {"title": "V", "role": "variant", "network": "mobilenetv2", "parent": "student", **measured}
    update_model(artifacts, "student-int8", variant, {"litert": "student-int8.tflite"})
    pruned = {"weights": "student-pruned.npz", "litert": "student-pruned.tflite"}
    update_model(artifacts, "student-pruned", variant, pruned)
    ensemble = {"title": "E", "role": "ensemble", "members": ["student"], **measured}
    before = update_model(artifacts, "ensemble", ensemble, {}).models
    monkeypatch.setattr(module, "save_weights", lambda network, path, name: path.write_text("new"))
    manifest = replace_weights(artifacts, "student", None, {"statistics": "of images as they are"})
    entry = manifest.model("student")
    assert (entry.files, entry.figures, entry.temperature) == (
        {"weights": "weights/student.npz", "history": "history/student.csv"}, {}, 1.0)  # fmt: skip
    assert manifest.read("weights/student.npz") == b"new"
    assert (entry.recipe, entry.commit) == (before["student"].recipe, before["student"].commit)
    assert entry.provenance == {**before["student"].provenance, "statistics": "of images as they are"}
    assert manifest.model("student-int8").files == {}
    assert manifest.model("student-pruned") == before["student-pruned"]
    assert manifest.model("ensemble").figures == {}
    told = {"test": {}, "agreement": {}, "comparisons": [{"second": "student"}]}
    update_model(artifacts, "student-pruned", {"figures": told})
    manifest = replace_weights(artifacts, "student", None, {})
    assert manifest.model("student-pruned").figures == {"test": {}, "comparisons": []}, (
        "of weights that are gone"
    )
    with pytest.raises(UserError, match="student: expected the weights that this was made of, found others"):
        replace_weights(artifacts, "student", None, {}, made_from="0" * 64)


def test_weights_that_the_manifest_could_not_list_are_not_kept(artifacts, run, monkeypatch):
    enter(run)
    path = artifacts / "weights/student.npz"
    before = path.read_bytes()
    monkeypatch.setattr(module, "save_weights", lambda network, path, name: path.write_text("new"))

    def fail(*_):
        assert path.read_text() == "new"
        raise OSError("disk full")

    monkeypatch.setattr(module, "update_model", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_weights(artifacts, "student", None, {})
    assert path.read_bytes() == before
