"""`python -m core models`: the table, the health check, and their exit status."""

import json

import pytest

from core.__main__ import main
from core.artifacts import store_json
from core.benchmark.bars import Bar
from core.serving.registry import KNOWN

FIGURES = {
    "split": "lesion",
    "test": {
        "accuracy": {"value": 0.8521, "low": 0.835, "high": 0.868},
        "balanced_accuracy": {"value": 0.7514, "low": 0.71, "high": None},
    },
}


def lines(capsys):
    captured = capsys.readouterr()
    return {line.split()[0].rstrip(":"): line for line in captured.out.splitlines()}, captured.err


def test_table(make_artifacts, capsys):
    make_artifacts("student", figures=FIGURES, parameters=2_950_000)
    make_artifacts("resnet50")
    assert main(["models"]) == 0
    table, remarks = lines(capsys)
    assert list(table)[: 1 + len(KNOWN)] == ["model", *KNOWN]
    assert "2.95 M" in table["student"]
    assert "0.852 (0.835 to 0.868)" in table["student"]
    assert "  0.751  " in table["student"]
    assert table["student"].endswith("ready")
    assert table["resnet50"].split()[2] == "-"
    assert table["baseline"].endswith("absent")
    assert "make it with: python -m core train --network mobilenetv2 --init imagenet" in remarks


def test_figures_that_are_none_are_left_out_of_the_table(make_artifacts, capsys):
    odd = {
        "accuracy": {"value": "x", "low": None, "high": None},
        "balanced_accuracy": {"value": 0.7, "low": "y"},
    }
    make_artifacts("student", figures={"test": odd})
    assert main(["models"]) == 0
    assert lines(capsys)[0]["student"].split()[-3:] == ["-", "-", "ready"]


def test_json(make_artifacts, tiny, capsys):
    make_artifacts("student", figures=FIGURES, parameters=2_950_000)
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["student"]["accuracy"] == FIGURES["test"]["accuracy"]
    assert rows["student"]["bytes"] == len(tiny.files["student"])
    assert rows["student"]["usable"]
    assert not rows["ensemble"]["usable"]
    assert rows["ensemble"]["absent"]
    assert "check" not in rows["student"]


def test_check_of_sound_models_is_0(make_artifacts, capsys):
    make_artifacts("resnet50", "densenet169", "student", "student-int8", "ensemble")
    assert main(["models", "--check", "--json"]) == 0
    rows = {row["name"]: row["check"] for row in json.loads(capsys.readouterr().out)}
    sound = {name for name, check in rows.items() if check and check["works"]}
    assert sound == {"resnet50", "densenet169", "student", "student-int8", "ensemble"}
    assert rows["baseline"] is None


def test_markdown(make_artifacts, capsys):
    make_artifacts(
        "student",
        "resnet50",
        figures=FIGURES | {"test": FIGURES["test"] | {"majority": {"share": 0.6655, "class": "nv"}}},
    )
    assert main(["models", "--markdown"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows] == [
        "| Model",
        "| ---",
        "| ResNet50",
        "| Student",
        "| Always “Melanocytic nevus”",
    ]
    assert len({row.count("|") for row in rows}) == 1
    assert "| 85.2% (83.5 to 86.8) | 75.1% |" in rows[3]


def test_markdown_names_missed_demands_alone_and_what_another_machine_measured(make_artifacts, capsys):
    folder = make_artifacts("student")
    here = [Bar("small: time", 1.2, 0.75), Bar("small: size", 4.1, 4.2, unit=" MB")]
    other = {
        "hardware": "a CPU (VNNI), 2 cores",
        "models": {},
        "bars": [Bar("small: time", 0.5, 0.75).to_dict()],
    }
    stored = {
        "hardware": "a CPU",
        "models": {},
        "bars": [bar.to_dict() for bar in here],
        "elsewhere": [other],
    }
    store_json(folder, "benchmark", "benchmark.json", stored)
    assert main(["models", "--markdown"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("missed: small: time 1.2, at most 0.75 (0.5 on a CPU (VNNI)).\n")
    assert "size 4.1" not in said


def test_without_artifacts_there_is_no_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "nothing"))
    assert main(["models", "--markdown"]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert "error: " in printed.err
    assert "manifest.json" in printed.err


def test_the_check_speaks_through_the_exit_status_whatever_is_printed(make_artifacts, capsys):
    flip(make_artifacts("student", "resnet50"))
    for shape in ([], ["--json"], ["--markdown"]):
        assert main(["models", "--check", *shape]) == 1, shape
        said = capsys.readouterr()
        assert "models/student.tflite" in said.err, "which one is broken, whatever is printed"


def flip(folder):
    path = folder / "models/student.tflite"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flip, lambda folder: (folder / "models/student.tflite").unlink()])
def test_check_of_a_damaged_model_is_1_and_names_it(make_artifacts, capsys, damage):
    folder = make_artifacts("resnet50", "student")
    damage(folder)
    assert main(["models"]) == 0
    table, remarks = lines(capsys)
    assert table["student"].endswith("REFUSED")
    assert "models/student.tflite" in remarks
    assert main(["models", "--check"]) == 1
    table, remarks = lines(capsys)
    assert table["student"].endswith("BROKEN")
    assert "works (" in table["resnet50"]
    assert "models/student.tflite" in remarks


def test_check_of_a_model_that_answers_nan_is_1(make_artifacts, capsys):
    make_artifacts("nan", "student")
    assert main(["models", "--check"]) == 1
    table, remarks = lines(capsys)
    assert table["nan"].endswith("BROKEN")
    assert "expected finite logits" in remarks


@pytest.mark.parametrize("text", [None, "{"])
def test_without_a_manifest(make_artifacts, capsys, text):
    folder = make_artifacts("student")
    (folder / "manifest.json").unlink()
    if text:
        (folder / "manifest.json").write_text(text)
    assert main(["models"]) == 0
    table, remarks = lines(capsys)
    assert "student" in table
    assert remarks.count("manifest.json") == 1, "said once, not of every model"
    assert ("python -m core distill" in remarks) == (text is None), (
        "what is damaged need not be trained again"
    )
    assert main(["models", "--check"]) == 1
