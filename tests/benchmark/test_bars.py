"""A bar is met, missed or not measured, and says which."""

import pytest

from core.artifacts import load_manifest, store_json, update_model
from core.benchmark.bars import Bar, read_bars, table
from core.evaluation.latency import BenchmarkError


@pytest.mark.parametrize(
    ("measured", "limit", "at_most", "met"),
    [
        (1.15, 1.15, True, True),
        (1.1501, 1.15, True, False),
        (20.0, 20.0, False, True),
        (19.99, 20.0, False, False),
        (None, 20.0, False, None),
    ],
)
def test_the_limit_itself_is_met(
    measured: float | None, limit: float, at_most: bool, met: bool | None
) -> None:
    bar = Bar("x", measured, limit, at_most)
    assert bar.met is met
    assert bar.to_dict()["met"] is met


def test_words() -> None:
    bars = [
        Bar("size", 4.075496, 4.2, unit=" MB"),
        Bar("speed", 100.0, 150.0, False, " images/s"),
        Bar("pruned", None, 0.65, note="not here"),
    ]
    lines = table(bars).splitlines()
    assert lines[0].split(maxsplit=1) == ["met", "size: 4.08 MB, at most 4.2 MB"]
    assert lines[1].startswith("NOT MET")
    assert lines[1].endswith("speed: 100 images/s, at least 150 images/s")
    assert lines[2] == "not measured  pruned: at most 0.65 (not here)"


@pytest.mark.parametrize(
    ("bar", "sides"),
    [
        (Bar("x", 0.6504, 0.65), "0.6504, at most 0.65"),
        (Bar("x", 1.0004, 1.0, unit=" points"), "1.0004 points, at most 1 point"),
        (Bar("x", 149.7, 150.0, False, " images/s"), "149.7 images/s, at least 150 images/s"),
        (Bar("x", 0.6496, 0.65), "0.65, at most 0.65"),
        (Bar("x", 1234.4, 600.0, unit=" MB"), "1234 MB, at most 600 MB"),
        (Bar("x", 999.7, 600.0, unit=" MB"), "999.7 MB, at most 600 MB"),
        (Bar("x", -0.12345, 1.0, unit=" points"), "-0.123 points, at most 1 point"),
    ],
)
def test_a_rounded_figure_never_says_other_than_the_verdict(bar: Bar, sides: str) -> None:
    assert bar.sides() == sides


def test_stored_bars_are_read_as_they_were_measured(tmp_path) -> None:
    bars = [Bar("student: size", 4.1, 4.2, unit=" MB"), Bar("pruned: time", None, 0.65, note="not here")]
    store_json(tmp_path, "benchmark", "benchmark.json", {"bars": [bar.to_dict() for bar in bars]})
    assert read_bars(load_manifest(tmp_path)) == bars


def test_accuracy_is_asked_of_the_figures_as_they_are(tmp_path) -> None:
    """They may be evaluated after the benchmark was run."""
    what = "student-int8: balanced accuracy lost on test beside student"
    store_json(tmp_path, "benchmark", "benchmark.json", {"bars": [Bar(what, None, 1.0).to_dict()]})
    assert read_bars(load_manifest(tmp_path))[0].measured is None
    for name, value in (("student", 0.75), ("student-int8", 0.72)):
        figure = {"balanced_accuracy": {"value": value, "low": 0.7, "high": 0.8}}
        update_model(tmp_path, name, {"title": name, "role": "student", "figures": {"test": figure}})
    (bar,) = read_bars(load_manifest(tmp_path))
    assert bar.measured == pytest.approx(3.0)
    assert bar.met is False


def test_a_bar_says_what_another_machine_measured_where_that_is_something_else(tmp_path) -> None:
    here = [Bar("student-int8: time", 1.14, 0.75), Bar("student-int8: size", 4.1, 4.2)]
    there = [
        Bar("student-int8: time", 0.48, 0.75),
        Bar("student-int8: size", 4.1, 4.2),
        Bar("student: time", 1.0, 2.0),
    ]
    other = {"hardware": "a CPU (VNNI), 2 cores", "models": {"student": {"sha256": "of a file that is gone"}}}
    stored = {
        "bars": [bar.to_dict() for bar in here],
        "elsewhere": [other | {"bars": [bar.to_dict() for bar in there]}],
    }
    store_json(tmp_path, "benchmark", "benchmark.json", stored)
    time, size = read_bars(load_manifest(tmp_path))
    assert time.note == "0.48 on a CPU (VNNI)"
    assert size.note == ""
    assert time.text().endswith("student-int8: time: 1.14, at most 0.75 (0.48 on a CPU (VNNI))")


@pytest.mark.parametrize("content", [[], {"bars": 3}, {"bars": [{"what": "x"}]}, {"models": 3}])
def test_a_file_without_bars_is_refused(tmp_path, content) -> None:
    store_json(tmp_path, "benchmark", "benchmark.json", content)
    with pytest.raises(BenchmarkError, match="expected a benchmark's JSON"):
        read_bars(load_manifest(tmp_path))
