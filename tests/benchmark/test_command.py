"""`python -m core benchmark`: what it prints, what it stores, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.benchmark import by_apptest, by_browser, models
from core.benchmark.app import AppCosts, AppTimes
from core.benchmark.bars import read_bars
from core.benchmark.hardware import this_machine
from core.evaluation.latency import read_benchmark


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(models, "peak_bytes", lambda folder, name, kind="litert": 100_000_000)


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_the_table_names_the_machine_and_every_model(make_artifacts, capsys, arguments: list[str]) -> None:
    make_artifacts("student", "student-int8")
    assert main(["benchmark", *arguments, "--rounds", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(this_machine().text())
    assert "nothing was stored yet" in captured.out
    rows = [line for line in captured.out.splitlines() if line.startswith("student-int8  ")]
    assert len(rows) == 2
    assert re.search(r"(NOT MET|met) +student-int8: ", captured.out)
    assert "densenet169 is left out" in captured.err


def test_saved_and_then_shown_beside_this_machine(make_artifacts, capsys) -> None:
    folder = make_artifacts("student", "student-int8")
    assert main(["benchmark", "--rounds", "1", "--save"]) == 0
    assert f"stored in {folder / 'benchmark.json'}" in capsys.readouterr().out
    shipped = read_benchmark(load_manifest(folder))
    assert shipped.hardware == this_machine().text()
    median = shipped.milliseconds("student-int8")
    assert main(["benchmark", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert f"shipped: {this_machine().text()}" in out
    assert f"{median:.2f} (" in out


def test_figures_of_another_file_are_not_shown_as_shipped(make_artifacts, graphs, capsys) -> None:
    folder = make_artifacts("student", "resnet50", "ensemble")
    main(["benchmark", "--rounds", "1", "--save"])
    assert read_benchmark(load_manifest(folder)).milliseconds("ensemble")
    assert {bar.what.split(":")[0] for bar in read_bars(load_manifest(folder))} >= {"student"}
    (folder / "models/student.tflite").write_bytes(graphs.build(graphs.random_weights(9)))
    update_model(folder, "student", {}, {"litert": "models/student.tflite"})
    capsys.readouterr()
    assert set(read_benchmark(load_manifest(folder)).latency_ms) == {"resnet50"}, "its ensemble goes with it"
    assert not any("student:" in bar.what for bar in read_bars(load_manifest(folder)))
    assert main(["benchmark", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    stale = {line.split()[0]: line.count("other file") for line in lines if "other file" in line}
    # Of the one that stayed only its ratio to the student is of another file.
    assert stale == {"student": 3, "ensemble": 3, "resnet50": 1}


def test_what_a_variant_lost_to_another_file_is_not_shown(make_artifacts, graphs, capsys) -> None:
    folder = make_artifacts("student", "student-int8")
    for name, accuracy in (("student", 0.78), ("student-int8", 0.72)):
        update_model(folder, name, {"figures": {"test": {"accuracy": {"value": accuracy}}}})
    main(["benchmark", "--rounds", "1", "--save", "--json"])
    assert any("accuracy lost" in bar.what and bar.met is False for bar in read_bars(load_manifest(folder)))
    (folder / "models/student.tflite").write_bytes(graphs.build(graphs.random_weights(9)))
    update_model(folder, "student", {}, {"litert": "models/student.tflite"})
    left = [bar.what for bar in read_bars(load_manifest(folder))]
    assert "student-int8: size" in left
    assert not any("lost" in what for what in left)


def test_json(make_artifacts, capsys) -> None:
    make_artifacts("student")
    assert main(["benchmark", "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["models"]) == {"student"}
    assert found["machine"]["cores"] == this_machine().cores
    assert found["measured"].endswith("+00:00")


def test_one_model(make_artifacts, capsys) -> None:
    make_artifacts("student", "student-int8")
    assert main(["benchmark", "--model", "student-int8", "--rounds", "1"]) == 0
    captured = capsys.readouterr()
    assert "student-int8 " in captured.out
    assert "\nstudent " not in captured.out
    assert "not measured" not in captured.out
    assert "left out" not in captured.err
    assert main(["benchmark", "--model", "student-int8", "--rounds", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bars"] == []


def test_serving_is_printed_and_stored_beside_the_models(make_artifacts, capsys) -> None:
    folder = make_artifacts("student", "student-int8")
    assert main(["benchmark", "serving", "--rounds", "1", "--save"]) == 0
    out = capsys.readouterr().out
    assert "student-int8: explaining graph, times the plain one" in out
    assert "at most 1.15" in out
    assert "not measured  student-int8 with its maps: times faster than Keras predict" in out
    stored = json.loads((folder / "benchmark.json").read_bytes())
    assert stored["serving"]["rounds"] == 1
    assert read_benchmark(load_manifest(folder)) is None
    assert main(["benchmark", "--rounds", "1", "--no-keras"]) == 0
    assert "shipped: nothing was stored yet\n" in capsys.readouterr().out


def test_serving_has_no_graph_of_an_ensemble_to_measure(make_artifacts, capsys) -> None:
    make_artifacts("student", "resnet50", "ensemble")
    assert main(["benchmark", "serving", "--model", "ensemble", "--rounds", "1", "--no-keras"]) == 2
    assert "found an ensemble; measure its members: student, resnet50" in capsys.readouterr().err
    assert main(["benchmark", "serving", "--rounds", "1", "--no-keras"]) == 0
    assert "resnet50: explaining graph" in capsys.readouterr().out


def test_batch_is_printed(make_artifacts, monkeypatch, capsys) -> None:
    make_artifacts("student-int8")
    monkeypatch.setattr("core.benchmark.batch.DRAWN", 2)
    assert main(["benchmark", "batch", "--images", "4", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "synthetic lesions' JPEGs of 600x450, 2 different ones; 4 ok" in out
    assert "4 images, from start to end" in out
    assert "peak memory for 4 images" in out


def test_app_is_printed_with_how_it_was_measured(make_artifacts, monkeypatch, capsys) -> None:
    make_artifacts("student")
    visit = AppTimes(3.0, 1.0, (0.3,), (0.1, 0.2), False)
    monkeypatch.setattr(
        "core.benchmark.app.measure_app",
        lambda **_: AppCosts(this_machine(), "Playwright, chromium", 1, [visit]),
    )
    assert main(["benchmark", "app"]) == 0
    out = capsys.readouterr().out
    assert "measured with Playwright, chromium" in out
    assert "cold start to the painted overview: 3 s, at most 4 s" in out
    assert "with 1 of 3 models" in out


def test_what_a_browser_measured_is_not_lost_for_want_of_one(make_artifacts, monkeypatch, capsys) -> None:
    folder = make_artifacts("student")
    visit = AppTimes(3.0, 1.0, (0.2,), (0.1,), False)

    def measured(how: str):
        return lambda **options: AppCosts(this_machine(), how, 1, [visit])

    def stored_how() -> str:
        return json.loads((folder / "benchmark.json").read_bytes())["app"]["how"]

    monkeypatch.setattr(by_browser, "find", lambda: None)
    monkeypatch.setattr("core.benchmark.app.measure_app", measured(by_apptest.HOW))
    assert main(["benchmark", "app", "--save"]) == 0, "nothing is lost"
    assert main(["benchmark", "app", "--save"]) == 0, "nothing better is lost"
    monkeypatch.setattr(by_browser, "find", lambda: by_browser.Browser("chromium", "/usr/bin/chromium"))
    monkeypatch.setattr("core.benchmark.app.measure_app", measured("Playwright, chromium"))
    assert main(["benchmark", "app", "--save"]) == 0
    monkeypatch.setattr(by_browser, "find", lambda: None)
    capsys.readouterr()
    assert main(["benchmark", "app", "--save"]) == 2
    assert "measured with Playwright, chromium, found none" in capsys.readouterr().err
    assert stored_how() == "Playwright, chromium"
    assert main(["benchmark", "app"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody"], "error: expected one of the models "),
        (["serving", "--model", "nobody"], "error: expected one of the models "),
        (["batch", "--model", "nobody"], "error: expected one of the models "),
        (["--model", "resnet50"], "error: model resnet50 is not in "),
        (["batch", "--images", "0"], "error: expected at least 1 image, found 0"),
        (["--images", "5"], "error: expected --images with the subject batch, found it with models"),
        (["app", "--model", "student"], "error: expected no --model with the subject app"),
        (["app", "--no-keras"], "error: expected no --no-keras with the subject app"),
        (["batch", "--model", "student", "--model", "baseline"], "error: expected one --model"),
        (["--model", "student", "--save"], "error: expected --save with all that there is to measure"),
        (["serving", "--no-keras", "--save"], "error: expected --save with all that there is to measure"),
        (["batch", "--no-keras", "--save"], "error: expected --save with 1,000 images or more"),
        (["batch", "--images", "4", "--save"], "error: expected --save with 1,000 images or more"),
        (["batch", "--model", "student", "--save"], "error: expected --save with student-int8, which"),
    ],
)
def test_misuse_is_one_line_and_2(make_artifacts, capsys, arguments: list[str], message: str) -> None:
    folder = make_artifacts("student")
    assert main(["benchmark", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert lines[0].startswith(message)
    assert not (folder / "benchmark.json").exists()


@pytest.mark.parametrize("arguments", [["nothing"], ["--rounds", "0"], ["--rounds", "x"], ["--images", "x"]])
def test_misuse_that_argparse_finds_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", *arguments])
    assert caught.value.code == 2


def test_without_models(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "nothing"))
    assert main(["benchmark"]) == 2
    assert "error: expected trained models under" in capsys.readouterr().err
