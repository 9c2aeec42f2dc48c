"""What is said of distillation: on both parts, and no more than the intervals bear."""

from dataclasses import replace

import pytest

from core.artifacts import ModelEntry, load_manifest, update_model
from core.evaluation.compare import Comparison, compare
from core.evaluation.gain import ONE_RUN, gain_sentence, read_gain
from core.evaluation.intervals import Interval, mcnemar

PARTS = ("test", "validation")


@pytest.fixture
def folder(simulate, tmp_path):
    for name, skill in (("student", 3.5), ("baseline", 2.0)):
        simulate(200, model=name, skill=skill, parts=PARTS).save(tmp_path / f"{name}.parquet")
        entry = ModelEntry(name, name.title(), name, calibration={"temperature": 1.5})
        update_model(tmp_path, name, entry, {"predictions": f"{name}.parquet"})
    return tmp_path


def pair(low: float, high: float) -> Comparison:
    found = Interval((low + high) / 2, low, high)
    figures = dict.fromkeys(("accuracy", "balanced_accuracy"), found)
    return Comparison("student", "baseline", 1000, 900, figures, {}, mcnemar([True, False], [False, True]))


def test_each_part_is_compared_on_its_own(folder, simulate):
    found = read_gain(load_manifest(folder), resamples=50)
    assert list(found) == list(PARTS)
    for part, one in found.items():
        models = [
            simulate(200, model=name, skill=skill, parts=PARTS).part_only(part)
            for name, skill in (("student", 3.5), ("baseline", 2.0))
        ]
        assert one.differences["accuracy"] == compare(*models, {}, resamples=50).differences["accuracy"]
    assert gain_sentence(found).endswith(f"By balanced accuracy distillation paid on both. {ONE_RUN}")


def test_the_student_is_asked_in_the_form_that_the_baseline_has(folder, simulate):
    """Rounding is no part of what teachers give."""
    for name, form in (("student", "float32"), ("baseline", "float16"), ("student-fp16", "float16")):
        (folder / f"{name}.tflite").write_bytes(name.encode())
        entry = {}
        if name == "student-fp16":
            simulate(200, model=name, skill=3.4, parts=PARTS).save(folder / f"{name}.parquet")
            entry = {"title": "S", "role": "variant", "parent": "student"}
        files = {"litert": f"{name}.tflite", "predictions": f"{name}.parquet"}
        update_model(folder, name, entry, files, formats={"litert": f"litert-{form}"})
    found = read_gain(load_manifest(folder), resamples=20)
    assert {(pair.first, pair.second) for pair in found.values()} == {("student-fp16", "baseline")}
    assert gain_sentence(found).startswith(
        "Student minus baseline, their numbers stored alike, in points of 100"
    )
    update_model(folder, "student-fp16", {"widths": {"Conv1": 8}})
    found = read_gain(load_manifest(folder), resamples=20)
    assert {pair.first for pair in found.values()} == {"student"}, "a pruned one is another network"


def test_without_one_of_the_two_nothing_is_said(folder):
    update_model(folder, "other", ModelEntry("other", "Other", "baseline"))
    manifest = load_manifest(folder)
    for gone in ("student", "baseline"):
        models = {name: entry for name, entry in manifest.models.items() if name != gone}
        assert read_gain(type(manifest)(**{**vars(manifest), "models": models})) == {}
    assert gain_sentence({}) == ""


@pytest.mark.parametrize(
    ("test", "validation", "verdict"),
    [
        ((0.01, 0.05), (0.01, 0.03), "By balanced accuracy distillation paid on both."),
        ((0.01, 0.07), (-0.04, 0.03), "not beyond doubt"),
        ((-0.01, 0.07), (0.01, 0.03), "not beyond doubt"),
        ((-0.02, 0.01), (-0.04, 0.03), "That it paid is not shown."),
        ((-0.05, -0.01), (-0.04, -0.03), "By balanced accuracy the baseline is the better one on both."),
    ],
)
def test_the_verdict_follows_from_the_intervals_of_balanced_accuracy(test, validation, verdict):
    said = gain_sentence({"test": pair(*test), "validation": pair(*validation)})
    assert verdict in said
    assert f"({100 * test[0]:+.1f} to {100 * test[1]:+.1f})" in said
    assert "1,000 validation images, by which epochs and means of runs were chosen" in said


def test_a_loss_of_accuracy_is_said_beside_the_gain():
    gained, lost = Interval(0.03, 0.01, 0.05), Interval(-0.05, -0.07, -0.03)
    costly = replace(pair(0, 0), differences={"accuracy": lost, "balanced_accuracy": gained})
    said = gain_sentence({"test": costly, "validation": costly})
    assert "paid on both. It cost accuracy on test images and validation images." in said
    free = replace(costly, differences=dict.fromkeys(("accuracy", "balanced_accuracy"), gained))
    assert "It cost accuracy on test images." in gain_sentence({"test": costly, "validation": free})
    assert "It cost" not in gain_sentence(dict.fromkeys(("test", "validation"), free))


def test_where_nothing_differs_nothing_is_shown():
    unknown = Interval(0.0, float("nan"), float("nan"))
    same = replace(pair(0, 0), differences=dict.fromkeys(("accuracy", "balanced_accuracy"), unknown))
    said = gain_sentence({"test": same, "validation": same})
    assert "That it paid is not shown." in said
    assert "balanced accuracy +0.0;" in said
