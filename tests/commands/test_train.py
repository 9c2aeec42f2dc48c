"""`python -m core train` and `distill`, on a tiny network and a tiny dataset; and what they refuse."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pandas as pd
import pytest

from core.__main__ import main
from core.artifacts import load_manifest
from core.commands import distill
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.data.synthetic import make_dataset
from core.errors import UserError
from core.evaluation.origin import SYNTHETIC_NOTE
from core.lab.variants import REPORT_ALPHA, REPORT_TEMPERATURE
from core.training import launch, taught_by, trials
from core.training.recipes import Distillation, recipe_for

TINY = Path(__file__).parents[1] / "training" / "tiny.py"
QUICK = ["--stages", "1x32", "--workers", "0", "--set", "batch_size=16", "--set", "ema=null"]


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny_for_commands", TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(small_folder, tmp_path, monkeypatch, tiny) -> Path:
    """A dataset, empty folders for everything else, and the tiny network in place of the real ones."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    for name in ("ARTIFACTS", "CACHE", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))
    for module in (launch, taught_by):
        monkeypatch.setattr(module, "build", lambda network, init=None, widths=None: tiny.make_network())
    return tmp_path


def weights(path: Path) -> dict[str, np.ndarray]:
    """A file's arrays of numbers, as float32."""
    with np.load(path) as file:
        return {key: file[key].astype(np.float32) for key in file.files if file[key].dtype.kind == "f"}


def error_line(capsys) -> str:
    """The one line that a user error prints."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_teachers_baseline_and_student_from_the_command_line(place, capsys):
    """The README's commands, in their order, with real networks replaced by a tiny one."""
    assert main(["train", "--network", "resnet50", *QUICK]) == 0
    assert "published as resnet50" in capsys.readouterr().out
    assert main(["train", "--network", "densenet169", *QUICK, "--set", "seed=2"]) == 0
    assert main(["train", "--network", "mobilenetv2", *QUICK]) == 0
    assert main(["distill", "--temperature", "3", "--alpha", "0.5", "--teacher-size", "32", *QUICK]) == 0
    manifest = load_manifest(place / "artifacts")
    assert {name: entry.role for name, entry in manifest.models.items()} == {
        "resnet50": "teacher", "densenet169": "teacher", "baseline": "baseline", "student": "student",
    }  # fmt: skip
    student, baseline = (dict(manifest.model(name).recipe) for name in ("student", "baseline"))
    distillation = student.pop("distillation")
    assert (distillation["temperature"], distillation["alpha"], distillation["teacher_size"]) == (3, 0.5, 32)
    assert baseline.pop("distillation") is None
    assert student == baseline
    views = recipe_for("tuned", "mobilenetv2").views
    assert student["views"] == views
    assert manifest.model("student").provenance["teachers"] == ["resnet50", "densenet169"]
    assert manifest.model("student").provenance["teachers_sha256"] == {
        name: manifest.files[manifest.model(name).files["weights"]].sha256[:16]
        for name in ("resnet50", "densenet169")
    }
    assert len(list((place / "cache").glob("teacher-*.npy"))) == 2 * views
    assert all(manifest.read(path) for entry in manifest.models.values() for path in entry.files.values())


def test_a_file_in_tensorboard_s_place_is_one_line(place, capsys):
    (place / "file").write_text("x")
    command = [
        "train",
        "--network",
        "resnet50",
        *QUICK,
        "--limit",
        "16",
        "--tensorboard",
        str(place / "file"),
    ]
    assert main(command) == 2
    assert "expected a folder" in error_line(capsys)


def test_the_mean_of_trainings_is_published_with_what_it_is_made_of(place, capsys, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    for seed, name in enumerate(("first", "second", "third"), start=1):
        assert main([*train, "--name", name, "--seed", str(seed)]) == 0
    first = place / "runs" / "first" / "best.npz"
    capsys.readouterr()
    assert main(["soup", "second", str(first), "--name", "resnet50", "--limit", "8"]) == 0
    assert not (place / "artifacts").exists(), "a trial"
    assert "not published: --limit is for a trial" in capsys.readouterr().out
    same = {"val_accuracy": 0.5, "val_balanced_accuracy": 0.5}
    monkeypatch.setattr("core.training.soup.validation_figures", lambda logits, labels: same)
    assert main(["soup", "second", str(first), "third", "--name", "resnet50"]) == 0
    assert capsys.readouterr().out.count("accuracy") > 3
    entry = load_manifest(place / "artifacts").model("resnet50")
    assert [part["name"] for part in entry.provenance["mean_of"]] == ["second", "first/best.npz", "third"]
    assert entry.role == "teacher"


def test_one_training_under_two_names_is_no_mean_of_two(place, capsys):
    assert main(["train", "--network", "resnet50", *QUICK, "--no-publish", "--name", "one"]) == 0
    file = place / "runs" / "one" / "best.npz"
    capsys.readouterr()
    assert main(["soup", "one", str(file), "--name", "resnet50"]) == 2
    assert "found the same weights as one and as one/best.npz" in error_line(capsys)
    assert main(["soup", "one", "one", "--name", "resnet50"]) == 2
    assert "expected at least two trainings, found one alone" in error_line(capsys)
    assert not (place / "artifacts").exists()


def test_the_mean_of_the_weights_is_what_is_published(place, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "first"]) == 0
    assert main([*train, "--name", "second", "--seed", "2"]) == 0
    same = {"val_accuracy": 0.5, "val_balanced_accuracy": 0.5}
    monkeypatch.setattr("core.training.soup.validation_figures", lambda logits, labels: same)
    assert main(["soup", "first", "second", "--name", "resnet50"]) == 0
    first, second = (weights(place / "runs" / name / "best.npz") for name in ("first", "second"))
    manifest = load_manifest(place / "artifacts")
    found = weights(manifest.folder / manifest.model("resnet50").files["weights"])
    assert any(not np.allclose(first[key], second[key], rtol=0.01, atol=0.01) for key in first)
    for key in first:
        assert found[key] == pytest.approx((first[key] + second[key]) / 2, rel=0.01, abs=2e-3), key


def test_the_seed_decides_the_initial_weights_and_all_that_follows(place, monkeypatch):
    """With Keras' own initialisers, as the real networks have them."""

    def build(network: str, init: str | None = None) -> keras.Model:
        image = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(8, 5, strides=4, name="conv")(image)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dense(8, name="hidden")(x)
        return keras.Model(image, keras.layers.Dense(7, name="logits")(x), name="tiny")

    monkeypatch.setattr(launch, "build", build)
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    for name, seed in (("one", 3), ("same", 3), ("other", 9)):
        assert main([*train, "--name", name, "--seed", str(seed)]) == 0
    one, same, other = (weights(place / "runs" / name / "best.npz") for name in ("one", "same", "other"))
    assert all(np.array_equal(one[key], same[key]) for key in one)
    kernel = next(key for key in one if key.startswith("hidden/"))
    assert not np.allclose(one[kernel], other[kernel], atol=0.01)


def test_teachers_answer_online_where_views_never_repeat_and_must_under_mixup(place, capsys):
    assert main(["train", "--network", "resnet50", *QUICK]) == 0
    taught = ["distill", "--teachers", "resnet50", "--teacher-size", "32", *QUICK]
    assert main([*taught, "--set", "mixup=0.2"]) == 2
    assert "mixup: expected teachers that answer each mixture" in error_line(capsys)
    assert main([*taught, "--set", "views=null", "--set", "mixup=0.2"]) == 0
    assert not list((place / "cache").glob("teacher-*.npy"))


def test_teachers_that_answer_online_measure_their_statistics_on_the_views(place, monkeypatch):
    adapted = []
    monkeypatch.setattr(launch, "adapt", lambda teacher, *rest: adapted.append((teacher.name, rest[3])))
    assert main(["train", "--network", "resnet50", *QUICK]) == 0
    taught = ["distill", "--teachers", "resnet50", "--set", "views=null", *QUICK, "--no-publish"]
    assert main([*taught, "--name", "plain"]) == 0
    assert adapted == []
    assert main([*taught, "--name", "adapted", "--teacher-statistics", "views"]) == 0
    assert adapted == [("resnet50", 32)]  # At the side that the student sees.


def test_a_run_does_not_go_on_where_two_labels_have_changed(place, small_set, tmp_path, capsys, monkeypatch):
    """As many images in every part, of which two say something else."""
    folder = small_set.write_flat(tmp_path / "mine")
    monkeypatch.setenv("DERMDISTILL_DATA", str(folder))
    command = ["train", "--network", "mobilenetv2", *QUICK, "--no-publish"]
    assert main(command) == 0
    table = pd.read_csv(folder / "HAM10000_metadata.csv", dtype=str)
    records = open_dataset(folder).records
    parts = dict(zip(records["image_id"], assign(records), strict=True))
    singles = table[~table["lesion_id"].duplicated(keep=False) & (table["image_id"].map(parts) == "train")]
    first, second = (singles.index[singles["dx"] == dx][0] for dx in ("nv", "mel"))
    table.loc[[first, second], "image_id"] = table.loc[[second, first], "image_id"].to_numpy()
    table.to_csv(folder / "HAM10000_metadata.csv", index=False)
    capsys.readouterr()
    assert main(command) == 2
    assert "expected a run on these images" in error_line(capsys)


def test_a_mean_judged_by_drawn_lesions_takes_no_place_of_photographs(place, capsys, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK]
    assert main([*train, "--name", "first"]) == 0
    assert main([*train, "--name", "second", "--seed", "2", "--no-publish"]) == 0
    drawn = make_dataset(place / "drawn", total=70, size=(64, 48), workers=1)
    monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
    before = (place / "artifacts" / "manifest.json").read_bytes()
    capsys.readouterr()
    soup = ["soup", "first", "second", "--name", "first"]
    assert main(soup) == 2
    assert "first: expected HAM10000" in error_line(capsys)
    assert not (place / "runs" / "first-soup").exists(), "refused before the cooking"
    for options in (["--limit", "8"], ["--no-publish"]):
        assert main([*soup, *options]) == 2
        assert "expected a run on the images at hand" in error_line(capsys)
    assert (place / "artifacts" / "manifest.json").read_bytes() == before


def test_where_no_mean_is_as_good_the_best_run_is_kept_alone_with_its_own_recipe(place, capsys, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "first"]) == 0
    assert main([*train, "--name", "second", "--seed", "2"]) == 0
    scores = iter(3 * [0.5, 0.9, 0.1])  # the first alone, the second alone, their mean

    def figures(logits, labels):
        value = next(scores)
        return {"val_accuracy": value, "val_balanced_accuracy": value}

    monkeypatch.setattr("core.training.soup.validation_figures", figures)
    file = place / "weights" / "best.npz"
    file.parent.mkdir()
    shutil.copyfile(place / "runs" / "second" / "best.npz", file)
    assert main(["soup", "first", str(file), "--name", "resnet50"]) == 2
    assert "is no finished run, with a recipe and a history: expected a run in" in error_line(capsys)
    assert main(["soup", "first", "second", "--name", "best", "--no-publish"]) == 0
    notes = [json.loads((place / f"runs/{name}/run.json").read_text()) for name in ("second", "best-soup")]
    assert notes[0]["began"] == notes[1]["began"], "those of the run whose weights are kept"
    assert main(["soup", "first", "second", "--name", "resnet50"]) == 0
    assert "second alone is kept" in capsys.readouterr().out
    entry = load_manifest(place / "artifacts").model("resnet50")
    assert [part["name"] for part in entry.provenance["mean_of"]] == ["second"]
    assert entry.recipe["seed"] == 2


def test_a_mean_that_leaves_the_run_out_goes_by_a_run_that_is_part_of_it(place, capsys, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    for seed, name in enumerate(("first", "second", "third"), start=1):
        assert main([*train, "--name", name, "--seed", str(seed)]) == 0
    scores = iter(2 * [0.2, 0.5, 0.6, 0.7, 0.1])  # each alone, then the best two, then all

    def figures(logits, labels):
        value = next(scores)
        return {"val_accuracy": value, "val_balanced_accuracy": value}

    monkeypatch.setattr("core.training.soup.validation_figures", figures)
    assert main(["soup", "first", "second", "third", "--name", "resnet50"]) == 0
    assert "first is no part of it: recipe and history are those of second" in capsys.readouterr().out
    entry = load_manifest(place / "artifacts").model("resnet50")
    assert [part["name"] for part in entry.provenance["mean_of"]] == ["second", "third"]
    assert entry.recipe["seed"] == 2
    files = []
    for name in ("second", "third"):
        files.append(place / name / "best.npz")
        files[-1].parent.mkdir()
        shutil.copyfile(place / "runs" / name / "best.npz", files[-1])
    assert main(["soup", "first", *map(str, files), "--name", "mean", "--no-publish"]) == 2
    assert "are better without the run, but each is no finished run" in error_line(capsys)


def test_runs_that_are_not_published_teach(place, capsys):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "one"]) == 0
    assert main([*train, "--name", "two", "--seed", "2"]) == 0
    assert main(["soup", "two", "one", "one", "--name", "mean", "--no-publish"]) == 0
    assert not (place / "artifacts").exists()
    assert main(["distill", "--teachers", "mean-soup,two", "--teacher-size", "32", *QUICK]) == 0
    manifest = load_manifest(place / "artifacts")
    assert list(manifest.models) == ["student"]
    assert manifest.model("student").provenance["teachers"] == ["mean-soup", "two"]
    answers = list((place / "cache").glob("teacher-mean-soup-*.npy"))
    assert len(answers) == recipe_for("tuned", "mobilenetv2").views


def test_what_was_trained_on_another_split_neither_begins_nor_teaches_nor_is_averaged(place, capsys):
    train = ["train", "--network", "mobilenetv2", *QUICK, "--no-publish"]
    assert main([*train, "--name", "ours"]) == 0
    assert main([*train, "--name", "theirs", "--split", "report"]) == 0
    theirs = str(place / "runs" / "theirs" / "best.npz")
    for command, said in (
        (["soup", "ours", "theirs", "--name", "mean"], "expected a run on the lesion split of"),
        ([*train, "--name", "next", "--init", theirs], "expected one trained on the lesion split"),
        (
            ["distill", "--teachers", "ours,theirs", *QUICK],
            "teacher theirs: expected one trained on the lesion split",
        ),
    ):
        assert main(command) == 2
        line = error_line(capsys)
        assert said in line
        assert "the report split" in line
    assert main([*train, "--name", "next", "--split", "report", "--init", theirs]) == 0
    assert not (place / "artifacts").exists()


def test_weights_of_the_artifacts_are_known_by_their_hash_to_be_of_another_split(place, capsys):
    train = ["train", "--network", "mobilenetv2", *QUICK]
    assert main([*train, "--name", "theirs", "--split", "report"]) == 0
    assert main([*train, "--name", "ours", "--no-publish"]) == 0
    listed, copied = place / "artifacts" / "weights" / "theirs.npz", place / "elsewhere" / "copy.npz"
    copied.parent.mkdir()
    shutil.copyfile(listed, copied)
    for file in (listed, copied):
        for command, said in (
            (
                ["soup", "ours", str(file), "--name", "mean", "--no-publish"],
                "expected a run on the lesion split",
            ),
            ([*train, "--name", "next", "--init", str(file)], "expected one trained on the lesion split"),
        ):
            assert main(command) == 2
            line = error_line(capsys)
            assert said in line
            assert "the report split" in line
    assert not (place / "runs" / "next").exists()
    assert main([*train, "--name", "next", "--split", "report", "--init", str(copied), "--no-publish"]) == 0


def a_part_of(folder: Path, target: Path) -> Path:
    """Seven tenths of a dataset's lesions, among which the split is cut anew."""
    shutil.copytree(folder, target)
    table = pd.read_csv(target / "HAM10000_metadata.csv", dtype=str, keep_default_na=False)
    kept = table["lesion_id"].str[-1].isin(list("0123456"))
    for image_id in table["image_id"][~kept]:
        (target / "images" / f"{image_id}.jpg").unlink()
    table[kept].to_csv(target / "HAM10000_metadata.csv", index=False)
    return target


def test_what_saw_other_images_of_the_same_source_neither_begins_nor_teaches_nor_is_averaged(
    place, small_folder, capsys, monkeypatch
):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "first"]) == 0
    assert main([*train, "--name", "second", "--seed", "2"]) == 0
    begun = ["--init", str(place / "runs" / "first" / "best.npz")]
    taught = ["distill", "--teachers", "first", "--teacher-size", "32", *QUICK, "--no-publish"]
    assert main([*train, "--name", "trial", "--limit", "20", *begun]) == 0, "of these very images"
    monkeypatch.setenv("DERMDISTILL_DATA", str(a_part_of(small_folder, place / "part")))
    capsys.readouterr()
    for command, said in (
        (["soup", "first", "second", "--name", "mean"], "expected a run on the images at hand"),
        ([*train, "--name", "next", *begun], "best.npz: expected one trained on the images at hand"),
        (taught, "teacher first: expected one trained on the images at hand"),
    ):
        assert main(command) == 2
        line = error_line(capsys)
        assert said in line
        assert "others" in line
    assert not (place / "artifacts").exists()
    notes = place / "runs" / "first" / "run.json"
    older = json.loads(notes.read_text())
    del older["images"]
    notes.write_text(json.dumps(older))
    assert main([*train, "--name", "next", *begun]) == 0, "older notes do not say which images"


def test_published_weights_know_which_images_they_saw(place, small_folder, capsys, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK]
    assert main([*train, "--name", "first"]) == 0
    begun = ["--init", str(place / "artifacts" / "weights" / "first.npz")]
    shutil.rmtree(place / "runs" / "first")
    assert main([*train, "--name", "next", *begun, "--no-publish"]) == 0
    monkeypatch.setenv("DERMDISTILL_DATA", str(a_part_of(small_folder, place / "part")))
    capsys.readouterr()
    for command, said in (
        (
            [*train, "--name", "other", *begun, "--no-publish"],
            "first.npz: expected one trained on the images at hand",
        ),
        (
            ["distill", "--teachers", "first", "--teacher-size", "32", *QUICK],
            "teacher first: expected one trained on",
        ),
    ):
        assert main(command) == 2
        assert said in error_line(capsys)


def test_drawn_lesions_may_come_before_photographs_and_other_drawn_ones(place, small_folder, monkeypatch):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    for seed in (0, 1):
        drawn = make_dataset(place / f"drawn-{seed}", total=70, seed=seed, size=(64, 48), workers=1)
        monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
        begun = ["--init", str(place / "runs" / "drawn-0" / "best.npz")] if seed else []
        assert main([*train, "--name", f"drawn-{seed}", *begun]) == 0
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert main([*train, "--name", "next", *begun]) == 0


def test_a_few_drawn_lesions_among_photographs_are_said_of_a_run(place, small_folder):
    table = pd.read_csv(small_folder / "HAM10000_metadata.csv", dtype=str, keep_default_na=False)
    drawn = table.iloc[:1].assign(image_id="SYN_0000001", lesion_id="SYN_L000001")
    photograph = small_folder / "images" / f"{table['image_id'][0]}.jpg"
    shutil.copyfile(photograph, photograph.with_name("SYN_0000001.jpg"))
    pd.concat([table, drawn]).to_csv(small_folder / "HAM10000_metadata.csv", index=False)
    assert open_dataset(small_folder).is_synthetic
    assert main(["train", "--network", "resnet50", *QUICK]) == 0
    assert load_manifest(place / "artifacts").model("resnet50").provenance["data"] == SYNTHETIC_NOTE


def test_trials_have_no_part_in_what_is_published(place, capsys):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "whole"]) == 0
    assert main([*train, "--name", "one", "--limit", "20"]) == 0
    assert main([*train, "--name", "two", "--limit", "20", "--seed", "2"]) == 0
    soup = ["soup", "one", "two", "--name", "mean"]
    assert main([*soup, "--limit", "8"]) == 0
    assert main([*soup, "--no-publish"]) == 0
    capsys.readouterr()
    assert main(["soup", "whole", "one", "--name", "mixed", "--no-publish"]) == 2
    assert "expected a run on the images at hand" in error_line(capsys)
    taught = ["distill", "--teacher-size", "32", *QUICK, "--teachers"]
    for command in (soup, [*taught, "one"], [*taught, "mean-soup"]):
        assert main(command) == 2
        assert "expected a run on all images, found one on at most 20 of each part" in error_line(capsys)
    assert not (place / "artifacts").exists()
    for number, options in enumerate((["--limit", "8"], ["--no-publish"])):
        assert main([*taught, "one,mean-soup", "--name", f"student-{number}", *options]) == 0
    assert not (place / "artifacts").exists()


def test_a_mean_and_a_training_do_not_take_each_other_s_place(place, capsys):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    for seed, name in enumerate(("first", "second", "taken-soup"), start=1):
        assert main([*train, "--name", name, "--seed", str(seed)]) == 0
    soup = ["soup", "first", "second", "--no-publish", "--name"]
    assert main([*soup, "mean"]) == 0
    folders = [place / "runs" / name for name in ("taken-soup", "mean-soup")]
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    capsys.readouterr()
    assert main([*soup, "taken"]) == 2
    printed = capsys.readouterr()
    assert "taken-soup: expected no run or an earlier mean, found a training" in printed.err
    assert "first: " not in printed.out, "refused before the cooking"
    assert main([*train, "--name", "mean-soup"]) == 2
    assert "found some without a checkpoint, as a mean" in error_line(capsys)
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before
    assert main([*soup, "mean"]) == 0, "a mean is made again"
    assert main([*train, "--name", "mean-soup", "--restart"]) == 0
    assert (folders[1] / "checkpoint.npz").exists()


def test_a_mean_goes_by_a_run_with_notes_and_says_so_before_the_cooking(place, capsys):
    train = ["train", "--network", "resnet50", *QUICK, "--no-publish"]
    assert main([*train, "--name", "first"]) == 0
    assert main([*train, "--name", "second", "--seed", "2"]) == 0
    soup = ["soup", "first", "second", "--name", "mean", "--no-publish"]
    for file in ("history.csv", "run.json"):
        (place / "runs" / "first" / file).unlink()
        capsys.readouterr()
        assert main(soup) == 2
        printed = capsys.readouterr()
        assert f"first: expected a finished run with its notes and history, found no {file}" in printed.err
        assert "second: " not in printed.out


@pytest.mark.parametrize("ema", ["0.9", "null"])
def test_the_shortest_try_keeps_weights_that_have_learned(place, ema):
    train = ["train", "--network", "mobilenetv2", *QUICK, "--limit", "32", "--set", f"ema={ema}"]
    assert main([*train, "--name", "one"]) == 0
    assert main([*train, "--name", "other", "--set", "learning_rate=1e-5"]) == 0
    one, other = (weights(place / "runs" / name / "best.npz") for name in ("one", "other"))
    assert any(np.abs(one[key] - other[key]).max() > 1e-4 for key in one)


@pytest.mark.parametrize("patience", [None, 10])
def test_a_run_that_is_not_finished_neither_teaches_nor_is_averaged(place, capsys, monkeypatch, patience):
    assert main(["train", "--network", "resnet50", *QUICK, "--no-publish", "--stages", "2x32"]) == 0
    progress, recipe = trials.read_state(place / "runs" / "resnet50" / "checkpoint.npz")
    progress.epoch, recipe["patience"] = 1, patience
    monkeypatch.setattr(trials, "read_state", lambda path: (progress, recipe))
    for command in (
        ["distill", "--teachers", "resnet50", *QUICK],
        ["soup", "resnet50", "resnet50", "--name", "mean"],
    ):
        assert main(command) == 2
        assert "expected a finished run, found 1 of 2 epochs" in error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody", "first"], "found no checkpoint there"),
        (["first", "nobody"], "expected a finished run or a file of weights, found no"),
        (["first", "nobody.npz"], "expected a finished run or a file of weights, found no nobody.npz"),
    ],
)
def test_a_soup_of_what_is_not_there_is_refused(place, capsys, arguments, said):
    if arguments[0] == "first":
        assert main(["train", "--network", "resnet50", "--name", "first", *QUICK, "--no-publish"]) == 0
    assert main(["soup", *arguments, "--name", "resnet50"]) == 2
    assert said in error_line(capsys)


def test_a_try_with_a_limit_is_not_published_and_not_gone_on_with(place, capsys):
    command = ["train", "--network", "mobilenetv2", *QUICK]
    assert main([*command, "--limit", "20"]) == 0
    assert "20 training and" in capsys.readouterr().out
    assert not (place / "artifacts").exists()
    assert main(command) == 2
    assert "expected a run on these images" in error_line(capsys)
    assert main([*command, "--restart", "--no-publish"]) == 0
    assert not (place / "artifacts").exists()
    notes = json.loads((place / "runs" / "baseline" / "run.json").read_text())
    assert notes["images"]["train"] > 20
    assert notes["initial_weights"] == "none (random)"


def test_a_restart_that_cannot_begin_leaves_the_finished_run(place, capsys, monkeypatch):
    command = ["train", "--network", "mobilenetv2", *QUICK, "--limit", "16"]
    assert main(command) == 0
    folder = place / "runs" / "baseline"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wrong = place / "wrong.npz"
    wrong.write_bytes(b"no weights")

    def refuse(network: str, init: str | None = None, widths: object = None) -> None:
        raise UserError(f"expected weights, found {init}")

    with monkeypatch.context() as patch:
        patch.setattr(launch, "build", refuse)
        assert main([*command, "--restart", "--init", str(wrong)]) == 2
        patch.setenv("DERMDISTILL_DATA", str(place / "nothing"))
        assert main([*command, "--restart"]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in (place / "runs").iterdir() if path.name.endswith(".before")] == []
    assert main([*command, "--restart", "--seed", "9"]) == 0
    assert (folder / "checkpoint.npz").read_bytes() != before["checkpoint.npz"]
    assert [path.name for path in (place / "runs").iterdir() if path.name.endswith(".before")] == []


def test_a_restart_that_was_killed_before_its_first_checkpoint_gives_the_run_back(place):
    command = ["train", "--network", "mobilenetv2", *QUICK, "--limit", "16"]
    assert main(command) == 0
    folder = place / "runs" / "baseline"
    history = (folder / "history.csv").read_bytes()
    folder.rename(folder.with_name(".baseline.before"))
    folder.mkdir()
    assert main(command) == 0
    assert (folder / "history.csv").read_bytes() == history
    assert not folder.with_name(".baseline.before").exists()


def test_a_training_that_diverges_says_so_and_keeps_nothing_of_it(place, capsys):
    command = [
        "train",
        "--network",
        "mobilenetv2",
        *QUICK,
        "--set",
        "learning_rate=1e30",
        "--set",
        "warmup_epochs=0",
    ]
    assert main(command) == 2
    assert "expected a finite loss" in error_line(capsys)
    assert not (place / "runs" / "baseline" / "best.npz").exists()
    assert not (place / "artifacts").exists()


def test_classes_without_images_are_named(place, capsys):
    assert main(["train", "--network", "mobilenetv2", *QUICK, "--limit", "1"]) == 0
    assert "note: among 1 images for train there is none of" in capsys.readouterr().out


def test_another_recipe_in_the_same_folder_is_refused(place, capsys):
    command = ["train", "--network", "mobilenetv2", *QUICK, "--limit", "16"]
    assert main(command) == 0
    assert main([*command, "--seed", "9"]) == 2
    assert "differs in seed" in error_line(capsys)


def test_two_processes_do_not_train_in_one_folder(place, capsys):
    (place / "runs").mkdir()
    with launch._alone(place / "runs" / "baseline"):
        assert main(["train", "--network", "mobilenetv2", *QUICK]) == 2
    assert "expected no other process to train there" in error_line(capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--network", "vgg16"],
            "network: expected one of resnet50, densenet169, mobilenetv2, found 'vgg16'",
        ),
        (["--network", "resnet50", "--recipe", "best"], "recipe: expected report or tuned, found 'best'"),
        (
            ["--network", "resnet50", "--set", "balance=smote"],
            "balance: expected one of none, oversample, sqrt",
        ),
        (
            ["--network", "resnet50", "--set", "augmentation=mixed"],
            "augmentation: expected one of none, report, strong",
        ),
        (["--network", "resnet50", "--set", "precision=float64"], "precision: expected one of float32"),
        (
            ["--network", "resnet50", "--set", "learning_rate=Infinity"],
            "learning_rate: expected a number above 0",
        ),
        (["--network", "resnet50", "--init-note", "mine"], "--init-note: expected it with a file"),
        (["--network", "resnet50", "--set", "rate=1"], "--set: expected one of the fields learning_rate"),
        (["--network", "resnet50", "--stages", "fast"], "--stages: expected EPOCHSxSIZE"),
        (["--network", "resnet50", "--stages", "0x64"], "stages: expected at least 1 epoch"),
        (["--network", "resnet50", "--name", "../artifacts"], "--name: expected"),
        (["--network", "resnet50", "--name", ".", "--restart"], "--name: expected"),
        (["--network", "resnet50", "--name", "My Model"], "--name: expected"),
        (["--network", "resnet50", "--name", ""], "--name: expected"),
        (["--network", "resnet50", "--stages", ""], "--stages: expected EPOCHSxSIZE"),
        (
            ["--network", "resnet50", "--init", "nothing.weights.h5"],
            "--init: expected imagenet, a .weights.h5 or an .npz file",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line_before_anything_is_written(
    place, capsys, options, said
):
    assert main(["train", *options]) == 2
    assert said in error_line(capsys)
    assert not (place / "runs").exists()
    assert not (place / "cache").exists()


@pytest.mark.parametrize(
    "options",
    [["--limit", "0"], ["--limit", "-5"], ["--workers", "-1"], ["--split", "image"], ["--seed", "x"]],
    ids=" ".join,
)
def test_wrong_options_are_refused_by_the_parser(place, capsys, options):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--network", "resnet50", *options])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


REPORTED = {"temperature": REPORT_TEMPERATURE, "alpha": REPORT_ALPHA, "average": "probabilities"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--recipe", "report"], REPORTED),
        (
            ["--recipe", "report", "--temperature", "3", "--average", "logits"],
            REPORTED | {"temperature": 3.0, "average": "logits"},
        ),
        (["--teacher-statistics", "views"], {"teacher_statistics": "views"}),
    ],
)
def test_the_report_s_recipe_distils_as_the_report_did(monkeypatch, options, expected):
    found = []
    monkeypatch.setattr(
        distill, "train_and_publish", lambda options, name, recipe, teachers: found.append(recipe)
    )
    monkeypatch.setattr(taught_by, "load_teachers", lambda names, **given: [])
    main(["distill", "--teachers", "one,two", *options])
    assert found[0].distillation == Distillation(("one", "two"), **expected)


def test_the_help_of_distill_names_its_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    plain = Distillation(())
    for field, reported in REPORTED.items():
        shown = [
            value if isinstance(value, str) else f"{value:g}" for value in (getattr(plain, field), reported)
        ]
        assert f"(default: {shown[0]}; with --recipe report: {shown[1]})" in text
    assert f"(default: {plain.teacher_size})" in text
    assert f"(default: {plain.teacher_statistics})" in text


def test_distilling_without_trained_teachers_says_so(place, capsys):
    assert main(["distill"]) == 2
    assert "expected trained models under" in error_line(capsys)


@pytest.mark.parametrize(("option", "value"), [("--alpha", "1.5"), ("--temperature", "0")])
def test_a_wrong_distillation_is_refused(place, capsys, option, value):
    assert main(["distill", option, value]) == 2
    assert f"{option[2:]}: expected" in error_line(capsys)


def test_a_teacher_with_other_weights_than_the_manifests_is_refused(place, capsys):
    assert main(["train", "--network", "resnet50", *QUICK]) == 0
    path = place / "artifacts" / "weights" / "resnet50.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert main(["distill", "--teachers", "resnet50", *QUICK]) == 2
    assert "resnet50.npz: expected sha256" in error_line(capsys)


def test_no_dataset_is_one_line(place, capsys, monkeypatch):
    monkeypatch.setenv("DERMDISTILL_DATA", str(place / "nowhere"))
    assert main(["train", "--network", "resnet50", *QUICK]) == 2
    assert "expected a HAM10000 folder" in error_line(capsys)


def test_tensorboard_gets_every_epochs_figures(place):
    options = ["--stages", "2x32", "--limit", "16", "--tensorboard", str(place / "logs")]
    assert main(["train", "--network", "mobilenetv2", *QUICK, *options]) == 0
    (events,) = (place / "logs" / "baseline").glob("events.*")
    written = events.read_bytes()
    for figure in (b"val_balanced_accuracy", b"loss", b"accuracy"):
        assert written.count(figure) >= 2
