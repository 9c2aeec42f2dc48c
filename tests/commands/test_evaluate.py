"""`python -m core evaluate`, from arguments to exit status."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.evaluation.predictions import Predictions

N = 140


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """A student that knows something and a baseline that says nv to everything."""
    rng = np.random.default_rng(0)
    label = np.where(rng.random(N) < 0.67, 5, rng.integers(0, 7, N))
    label[:14] = np.arange(14) % 7
    ids = [f"ISIC_{i:07d}" for i in range(N)]
    part = np.where((np.arange(N) // 7) % 2, "test", "validation")
    good = rng.normal(size=(N, 7))
    good[np.arange(N), label] += 3
    for name, role, logits in (
        ("student", "student", good),
        ("baseline", "baseline", np.tile(np.eye(7)[5] * 2, (N, 1))),
    ):
        path = f"predictions/{name}.parquet"
        Predictions(name, ids, ids, label, logits, part).save(tmp_path / path)
        update_model(tmp_path, name, {"title": name, "role": role}, {"predictions": path})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path))
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "no dataset"))
    return tmp_path


def evaluate(*arguments: str) -> int:
    return main(["evaluate", "--resamples", "100", *arguments])


def test_it_prints_a_table_and_writes_the_manifest(artifacts, capsys):
    assert evaluate() == 0
    out = capsys.readouterr().out
    student = load_manifest(artifacts).model("student")
    figures = student.figures["test"]
    shown = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**figures["accuracy"])
    rows = [line for line in out.splitlines() if line.startswith("student  ")]
    assert len(rows) == 2, "validation and test"
    assert shown in rows[1]
    assert [line.endswith("COLLAPSED") for line in rows] == [False, False]
    collapsed = [line.endswith("COLLAPSED") for line in out.splitlines() if line.startswith("baseline   ")]
    assert collapsed == [True, True]
    assert f"always nv {figures['majority']['share']:.3f}" in " ".join(out.split())
    assert "student - baseline on test: accuracy +" in out
    assert f"malignant at {student.malignancy_threshold:.3f} or above" in out
    assert "Cohorts were not computed: expected" in out
    assert str(artifacts / "manifest.json") in out


def test_a_trained_model_that_nobody_converted_is_named(artifacts, capsys):
    (artifacts / "fresh.npz").write_bytes(b"weights")
    update_model(artifacts, "fresh", {"title": "Fresh", "role": "student"}, {"weights": "fresh.npz"})
    assert evaluate() == 0
    assert "left out: fresh: " in capsys.readouterr().err
    assert evaluate("--model", "fresh") == 3
    said = capsys.readouterr().err
    assert "refused: fresh: expected predictions" in said
    assert "python -m core compress --model fresh" in said


def test_the_figures_take_no_other_file_s_place(artifacts, tmp_path, capsys):
    before = (artifacts / "manifest.json").read_bytes()
    for target in (artifacts / "manifest.json", artifacts / "figures.json", tmp_path / "figures.csv"):
        assert main(["evaluate", "--json", str(target)]) == 2
        assert "error: --json: expected a" in capsys.readouterr().err
        assert target.exists() == (target.name == "manifest.json")
    assert (artifacts / "manifest.json").read_bytes() == before


def test_json_holds_the_same_figures(artifacts, tmp_path_factory, capsys):
    target = tmp_path_factory.mktemp("elsewhere") / "new" / "figures.json"
    assert evaluate("--model", "student", "--json", str(target)) == 0
    stored = json.loads(target.read_text())
    assert list(stored["models"]) == ["student"]
    figures = load_manifest(artifacts).model("student").figures
    assert stored["models"]["student"]["figures"]["test"] == figures["test"]
    assert str(target) in capsys.readouterr().out


def test_models_of_different_images_get_tables_of_their_own(artifacts, capsys):
    path = artifacts / "predictions/baseline.parquet"
    Predictions.load(path).take(np.arange(N - 7)).save(path)
    update_model(
        artifacts,
        "baseline",
        {"recipe": {"split": "report"}},
        {"predictions": "predictions/baseline.parquet"},
    )
    assert evaluate() == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("test: ")]
    assert [heading.split()[1] for heading in headings] == ["70", "63"]


def test_without_a_malignant_validation_image_the_line_says_so(artifacts, capsys):
    path = artifacts / "predictions/student.parquet"
    predictions = Predictions.load(path)
    malignant = np.isin(predictions.label, [0, 1, 4]) & (predictions.part == "validation")
    predictions.take(~malignant).save(path)
    update_model(artifacts, "student", {}, {"predictions": "predictions/student.parquet"})
    assert evaluate("--model", "student") == 0
    assert "no operating point" in capsys.readouterr().out
    assert load_manifest(artifacts).model("student").operating_point is None


def test_an_ensemble_that_is_asked_again_has_its_members_asked(artifacts, monkeypatch):
    asked = []
    monkeypatch.setattr("core.commands.evaluate._dataset", lambda *_: (SimpleNamespace(records=None), ""))
    monkeypatch.setattr(
        "core.serving.survey.survey_missing", lambda *about, again: asked.append(about[2]) or []
    )
    entry = {"title": "E", "role": "ensemble", "members": ["student", "baseline"]}
    update_model(artifacts, "ensemble", entry)
    for again in ([], ["--again"]):
        evaluate("--model", "ensemble", "--model", "student", *again)
    assert asked == [["student"], ["student", "baseline"]]


def test_a_damaged_file_is_named_and_the_other_model_goes_on(artifacts, capsys):
    (artifacts / "predictions/baseline.parquet").write_bytes(b"x")
    assert evaluate() == 3
    caught = capsys.readouterr()
    (line,) = caught.err.strip().splitlines()
    assert line.startswith("refused: baseline: ")
    assert "baseline.parquet" in line
    assert "student" in caught.out
    assert load_manifest(artifacts).model("student").figures["test"]["n_images"] == N // 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "teacher"], "'teacher'"),
        (["--json", "/dev/null/x.json"], "expected to write /dev/null/x.json"),
    ],
)
def test_the_users_mistakes_are_one_line(artifacts, capsys, arguments, message):
    assert evaluate(*arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_no_artifacts_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "nothing"))
    assert evaluate() == 2
    assert "manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "99", "-5", "many"])
def test_too_few_resamples_are_misuse(number, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--resamples", number])
    assert caught.value.code == 2
    assert "expected a whole number from 100" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--help"])
    assert caught.value.code == 0
    assert "95% intervals" in " ".join(capsys.readouterr().out.split())
