"""Who takes part in a comparison, the tables of it, and what stands in for what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.artifacts import ArtifactError, ModelEntry, load_manifest, update_model, update_shared
from core.evaluation.cards import make_card
from core.evaluation.compare import Comparison
from core.evaluation.contestants import (
    Contestant,
    contestant,
    on_same_images,
    pareto_front,
    read_predictions,
    to_interval,
)
from core.evaluation.histories import HistoryError, read_history
from core.evaluation.intervals import Interval, mcnemar
from core.evaluation.latency import BenchmarkError, outdated, read_benchmark
from core.evaluation.predictions import Predictions, PredictionsError
from core.evaluation.tables import (
    COLLAPSED,
    cohort_table,
    difference_table,
    figure_in_words,
    figure_table,
    headline_table,
    markdown_table,
    written,
)
from core.lesions import BY_CODE
from core.reported import MAJORITY_SHARE, RESULTS

FIGURES = {
    "split": "lesion",
    "test": {
        "accuracy": {"value": 0.82, "low": 0.8, "high": 0.84},
        "classes": {"mel": {"sensitivity": {"value": 0.5, "low": None, "high": None}}},
        "majority": {"class": "nv", "share": 0.6655},
        "collapsed": False,
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.tflite").write_bytes(b"x" * 3_000_000)
    (tmp_path / "w.npz").write_bytes(b"x" * 1_000_000)
    update_model(
        tmp_path, "student", ModelEntry("student", "S", "student", figures=FIGURES), {"litert": "s.tflite"}
    )
    update_model(tmp_path, "baseline", ModelEntry("baseline", "B", "baseline"), {"weights": "w.npz"})
    members = ModelEntry("ensemble", "E", "ensemble", members=("student", "baseline"))
    update_model(tmp_path, "ensemble", members)
    return tmp_path


def test_a_contestant_has_what_the_manifest_says(folder: Path) -> None:
    found = contestant(load_manifest(folder), "student", "Student")
    assert (found.title, found.split, found.megabytes) == ("Student", "lesion", 3.0)
    assert found.interval("accuracy").high == 0.84
    assert found.interval("melanoma_sensitivity").value == 0.5
    assert np.isnan(found.interval("macro_auc").value)


def test_sizes_of_weights_and_of_an_ensemble(folder: Path) -> None:
    manifest = load_manifest(folder)
    assert contestant(manifest, "baseline").megabytes == 1.0
    assert contestant(manifest, "ensemble").megabytes == 4.0


def test_sizes_say_in_which_format_the_numbers_are(folder: Path) -> None:
    update_model(folder, "student", {}, {"litert": "s.tflite"}, formats={"litert": "litert-dynamic"})
    manifest = update_model(
        folder, "baseline", {}, {"weights": "w.npz"}, formats={"weights": "weights-float16"}
    )
    models = [contestant(manifest, name) for name in ("student", "baseline", "ensemble")]
    formats = ["dynamic int8", "float16", "dynamic int8 + float16"]
    assert figure_table(models)["numbers"].tolist() == formats
    assert headline_table(models)["numbers"].dropna().tolist() == formats
    assert "| 1.0 MB, float16 |" in markdown_table(models)


def test_an_ensemble_whose_member_is_not_here_has_no_size(folder: Path) -> None:
    update_model(folder, "ensemble", ModelEntry("ensemble", "E", "ensemble", members=("student", "resnet50")))
    assert contestant(load_manifest(folder), "ensemble").megabytes is None


def test_an_unknown_model_is_an_error(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="resnet50"):
        contestant(load_manifest(folder), "resnet50")


@pytest.mark.parametrize("stored", [None, 3, {}, {"value": "x"}, {"value": []}, {"low": 1}])
def test_figures_that_make_no_sense_are_undefined(stored: object) -> None:
    assert np.isnan(to_interval(stored).value)


@pytest.mark.parametrize(
    ("cost", "gain", "front"),
    [
        ([1, 2, 3], [0.5, 0.6, 0.7], [True, True, True]),
        ([1, 2, 3], [0.7, 0.6, 0.5], [True, False, False]),
        ([1, 1, 1], [0.5, 0.5, 0.4], [True, True, False]),
        ([1, 2], [0.5, 0.5], [True, False]),
        ([1, np.nan, 3], [0.5, 0.9, np.nan], [True, False, False]),
        ([], [], []),
    ],
)
def test_the_pareto_front(cost: list[float], gain: list[float], front: list[bool]) -> None:
    assert pareto_front(cost, gain).tolist() == front


def test_models_on_other_images_are_left_out_by_name(simulate: Callable[..., Predictions]) -> None:
    one, other, short = simulate(50, model="a"), simulate(50, model="b"), simulate(40, model="c")
    kept, left = on_same_images([one, other, short])
    assert [p.model for p in kept] == ["a", "b"]
    assert left == ["c"]


def test_predictions_are_read_back_and_their_lack_names_the_command(
    folder: Path, simulate: Callable[..., Predictions]
) -> None:
    with pytest.raises(PredictionsError, match="python -m core evaluate"):
        read_predictions(load_manifest(folder), "student")
    simulate(30).save(folder / "p.parquet")
    update_model(folder, "student", {}, {"predictions": "p.parquet"})
    assert read_predictions(load_manifest(folder), "student").model == "student"


def test_a_model_that_was_never_converted_is_told_so(folder: Path) -> None:
    def said(name: str) -> str:
        with pytest.raises(PredictionsError) as found:
            read_predictions(load_manifest(folder), name)
        return str(found.value).split("make them with: ")[1]

    assert said("student") == "python -m core evaluate"
    update_model(folder, "student", {}, {"litert": None})
    assert said("student") == "python -m core compress --model student, then python -m core evaluate"
    update_model(
        folder, "ensemble", {"title": "Both", "role": "ensemble", "members": ["student", "baseline"]}
    )
    assert said("ensemble") == "python -m core evaluate"


def test_the_headline_table_has_ours_the_report_s_and_the_majority_line(folder: Path) -> None:
    manifest = load_manifest(folder)
    table = headline_table([contestant(manifest, name) for name in ("student", "baseline")])
    student = table.iloc[0]
    assert tuple(student[["accuracy", "accuracy_low", "accuracy_high"]]) == (0.82, 0.8, 0.84)
    assert student["reported_accuracy"] == next(r.accuracy for r in RESULTS if r.counterpart == "student")
    assert COLLAPSED in student["note"]
    assert "not evaluated" in table.iloc[1]["note"]
    assert set(table["model"]) >= {"ResNet50", "DenseNet169"}, "the report's, which were not trained here"
    assert table.iloc[-1]["accuracy"] == 0.6655
    assert table.iloc[-1]["reported_accuracy"] == MAJORITY_SHARE


@pytest.mark.parametrize(
    ("code", "found", "reported"), [("nv", 0.0, MAJORITY_SHARE), ("mel", 1.0, None), ("df", 0.0, None)]
)
def test_the_majority_line_is_of_the_class_that_it_names(code: str, found: float, reported) -> None:
    """Of drawn lesions another class than the report's nevi may be the commonest."""
    models = [Contestant("student", "S", {"majority": {"class": code, "share": 0.2}})]
    row = headline_table(models).iloc[-1]
    assert row["model"] == f"Always “{BY_CODE[code].name}”"
    assert row["melanoma_sensitivity"] == found
    assert row["reported_accuracy"] == reported or (reported is None and np.isnan(row["reported_accuracy"]))
    line = f"| Always “{BY_CODE[code].name}” | 20.0% | 14.3% | {found:.1%} |  |  |"
    assert markdown_table(models).endswith(line)


def test_without_models_the_report_s_rows_and_the_line_remain() -> None:
    table = headline_table([])
    assert len(table) == len(RESULTS) + 1
    assert table["accuracy"].isna().all()


def test_the_report_s_rows_in_the_figure_table_are_marked() -> None:
    table = figure_table([], reported=True)
    assert table["model"].str.endswith("as reported").all()
    collapsed = table.loc[table["note"] == COLLAPSED, "model"].tolist()
    assert collapsed == ["ResNet50, as reported", "MobileNetV2 student, as reported"]


def test_the_cohort_table_takes_one_dimension() -> None:
    rows = [
        {"dimension": "sex", "group": "male", "n_lesions": 9, "thin": True, "accuracy": {"value": 0.5}},
        {"dimension": "age", "group": "30-44", "n_lesions": 99, "thin": False},
    ]
    table = cohort_table([Contestant("student", "Student", cohorts=rows)], "sex")
    assert table["group"].tolist() == ["male"]
    assert table["accuracy"].tolist() == [0.5]


def test_the_difference_table_shows_the_mid_p_of_mcnemar_s_test() -> None:
    """Only the first is right, three times: each tail has a chance of 1/8, of which half counts."""
    pair = Comparison("a", "b", 3, 3, {"accuracy": Interval(1, 1, 1)}, {}, mcnemar(np.ones(3), np.zeros(3)))
    row = difference_table([pair], {"a": "A"}).iloc[0]
    assert (row["first"], row["second"]) == ("A", "b")
    assert (row["only_first_right"], row["only_second_right"], row["mcnemar_p"]) == (3, 0, 1 / 8)


def test_groups_by_confirmation_are_in_words() -> None:
    rows = [{"dimension": "confirmation", "group": group, "thin": False} for group in ("histo", "unknown")]
    table = cohort_table([Contestant("student", "Student", cohorts=rows)], "confirmation")
    assert table["group"].tolist() == ["histopathology", "unknown"]


@pytest.mark.parametrize("odd", ["none", {"a": 1}, 3, None, ["x", {}, {"dimension": "sex"}]])
def test_cohorts_that_are_none_are_left_out(folder: Path, odd: object) -> None:
    manifest = update_model(folder, "student", {"figures": FIGURES | {"cohorts": odd}})
    assert contestant(manifest, "student").cohorts == []
    assert (
        "Not measured" in make_card(manifest, "student").section("Gaps between cohorts on test").paragraphs[0]
    )


def test_shares_are_written_in_per_cent_and_areas_as_decimals() -> None:
    found, nan = Interval(0.9584, 0.9491, 0.967), float("nan")
    assert written("accuracy", found) == ("95.8%", "94.9 to 96.7")
    assert written("macro_auc", found) == ("0.958", "0.949 to 0.967")
    assert written("macro_auc", Interval(0.9584, nan, nan)) == ("0.958", "")
    assert written("malignant_auc", Interval(nan, nan, nan)) == ("", "")
    assert figure_in_words("macro_auc", found) == "0.958 (0.949 to 0.967)"


def test_a_time_of_other_members_is_outdated(folder: Path) -> None:
    (folder / "b.tflite").write_bytes(b"x" * 500_000)
    manifest = update_model(folder, "baseline", {}, {"litert": "b.tflite"})
    row = {"sha256": None, "bytes": 3_500_000}
    assert outdated(manifest, {"ensemble": row}) == frozenset()
    assert outdated(manifest, {"ensemble": {}}) == frozenset(), "nobody wrote it down"
    manifest = update_model(folder, "ensemble", {"members": ["student"]})
    assert outdated(manifest, {"ensemble": row}) == {"ensemble"}


def test_a_table_of_some_models_says_nothing_of_the_others(folder: Path) -> None:
    few = [contestant(load_manifest(folder), "student")]
    notes = headline_table(few)["note"].tolist(), headline_table(few, whole=False)["note"].tolist()
    assert ["not trained here yet" in note for note in notes[0]].count(True) > 1
    assert not any("not trained here yet" in note for note in notes[1])
    reported = {row.counterpart for row in RESULTS if row.counterpart}
    elsewhere = headline_table(few, elsewhere=reported)["note"].tolist()
    assert not any("not trained here yet" in note for note in elsewhere)
    assert any("ours is not in this table" in note for note in elsewhere)


def test_a_benchmark_gives_latency(folder: Path) -> None:
    assert read_benchmark(load_manifest(folder)) is None
    stored = {"hardware": "a machine", "models": {"student": {"latency_ms": {"1": {"median": 5.7}}}, "x": 3}}
    (folder / "benchmark.json").write_text(json.dumps(stored))
    manifest = update_shared(folder, {"benchmark": "benchmark.json"})
    found = read_benchmark(manifest)
    assert found is not None
    assert (found.hardware, found.milliseconds("student")) == ("a machine", 5.7)
    assert (
        found.milliseconds("x")
        is found.milliseconds("baseline")
        is found.milliseconds("student", "2")
        is None
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": 3}'])
def test_a_damaged_benchmark_is_an_error(folder: Path, text: str) -> None:
    (folder / "benchmark.json").write_text(text)
    with pytest.raises(BenchmarkError, match="python -m core benchmark"):
        read_benchmark(update_shared(folder, {"benchmark": "benchmark.json"}))


def test_a_history_is_read_in_order(folder: Path) -> None:
    (folder / "h.csv").write_text("epoch,loss,val_loss,val_accuracy\n2,1,1,0.6\n1,2,2,0.5\n")
    manifest = update_model(folder, "student", {}, {"history": "h.csv"})
    assert read_history(manifest, "student")["epoch"].tolist() == [1, 2]


def test_who_asks_for_a_conversions_history_is_told_whose_training_there_is(folder: Path) -> None:
    manifest = update_model(
        folder,
        "student-int8",
        {"title": "S", "role": "variant", "parent": "student", "network": "mobilenetv2"},
        {},
    )
    with pytest.raises(HistoryError, match="found none: it is a conversion of student"):
        read_history(manifest, "student-int8")


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,2\n", '"', "epoch,loss,val_loss,val_accuracy\n"])
def test_a_history_that_cannot_be_drawn_is_an_error(folder: Path, text: str) -> None:
    (folder / "h.csv").write_text(text)
    manifest = update_model(folder, "student", {}, {"history": "h.csv"})
    with pytest.raises(HistoryError):
        read_history(manifest, "student")
