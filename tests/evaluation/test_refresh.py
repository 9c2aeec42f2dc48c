"""The manifest's figures from the predictions that it lists."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from core.artifacts import load_manifest, update_model
from core.evaluation import ensemble
from core.evaluation.assess import assess
from core.evaluation.compare import compare
from core.evaluation.ensemble import MEMBERS, combine
from core.evaluation.predictions import Predictions
from core.evaluation.refresh import refresh
from core.manifest import ArtifactError
from core.text import listed

SKILLS = {"resnet50": 3.0, "densenet169": 3.2, "student": 2.4, "baseline": 2.0, "student-int8": 2.3}
ROLES = {"resnet50": "teacher", "densenet169": "teacher", "baseline": "baseline", "student-int8": "variant"}
BOTH = ("validation", "test")
OTHER = next(name for name in SKILLS if name not in MEMBERS)


@pytest.fixture
def publish(simulate, tmp_path):
    """Publishes simulated models into a folder, as training does."""

    def publish(*names: str, split: str = "lesion", n: int = 90) -> None:
        for name in names:
            predictions = simulate(n, parts=BOTH, skill=SKILLS[name], model=name)
            path = f"predictions/{name}.parquet"
            predictions.save(tmp_path / path)
            entry = {
                "title": name,
                "role": ROLES.get(name, "student"),
                "parent": "student" if name == "student-int8" else None,
                "recipe": {} if name == "student-int8" else {"split": split},
                "provenance": {"data": "HAM10000", "licence": "CC BY-NC 4.0"},
                "commit": "abc",
                "parameters": 10,
            }
            update_model(tmp_path, name, entry, {"predictions": path})

    return publish


@pytest.fixture
def records(simulate) -> pd.DataFrame:
    ids = simulate(90, parts=BOTH).image_id
    frame = pd.DataFrame({"image_id": ids, "age": 50.0, "dx_type": "histo"})
    return frame.assign(sex=np.where(np.arange(len(ids)) % 2, "male", "female"), localization="back")


def run(folder, names=None, **options):
    return refresh(folder, names, resamples=100, **options)


def test_the_manifest_holds_what_assess_says_and_keeps_the_rest(publish, tmp_path):
    publish("student")
    found = run(tmp_path)
    entry = load_manifest(tmp_path).model("student")
    expected = assess(Predictions.load(tmp_path / "predictions/student.parquet"), resamples=100).to_dict()
    assert entry.temperature == expected["calibration"]["temperature"]
    assert entry.operating_point == expected["operating_point"]
    assert entry.figures["split"] == "lesion"
    assert {part: entry.figures[part] for part in BOTH} == expected["figures"]
    assert (entry.title, entry.commit, entry.parameters) == ("student", "abc", 10)
    assert found.refused == {}
    json.dumps(found.to_dict(), allow_nan=False)


def test_running_it_again_changes_nothing(publish, tmp_path):
    publish(*SKILLS)
    run(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    run(tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_ensemble_is_made_when_its_members_are_there(publish, tmp_path):
    *first, last = MEMBERS
    publish(*first)
    assert set(run(tmp_path).assessments) == set(first)
    publish(last)
    found = run(tmp_path)
    manifest = load_manifest(tmp_path)
    entry = manifest.model("ensemble")
    assert entry.role == "ensemble"
    assert entry.title == f"Ensemble of {listed([manifest.model(m).title for m in MEMBERS])}"
    assert entry.members == MEMBERS
    assert entry.parameters == 10 * len(MEMBERS)
    assert entry.provenance["licence"] == "CC BY-NC 4.0"
    assert entry.calibration["fitted_on"] == "validation"
    assert entry.calibration["temperature"] < 1, "a mean of calibrated probabilities is too unsure"
    stored = Predictions.from_bytes(manifest.read(entry.files["predictions"]), "ensemble")
    loaded = [Predictions.load(tmp_path / f"predictions/{m}.parquet") for m in MEMBERS]
    expected = combine(loaded, {m: found.assessments[m].temperature for m in MEMBERS})
    np.testing.assert_array_equal(stored.logits, expected.logits)


def test_an_ensemble_of_other_members_is_made_anew(publish, tmp_path, monkeypatch):
    publish(*MEMBERS, OTHER)
    with monkeypatch.context() as before:
        before.setattr(ensemble, "MEMBERS", (*MEMBERS, OTHER))
        run(tmp_path)
    assert load_manifest(tmp_path).model("ensemble").members == (*MEMBERS, OTHER)
    run(tmp_path)
    manifest = load_manifest(tmp_path)
    entry = manifest.model("ensemble")
    assert (entry.members, entry.parameters) == (MEMBERS, 10 * len(MEMBERS))
    assert OTHER not in entry.title
    stored = Predictions.from_bytes(manifest.read(entry.files["predictions"]), "ensemble")
    loaded = [Predictions.load(tmp_path / f"predictions/{m}.parquet") for m in MEMBERS]
    expected = combine(loaded, {m: manifest.model(m).temperature for m in MEMBERS})
    np.testing.assert_array_equal(stored.logits, expected.logits)


def test_an_ensemble_stays_while_one_of_the_new_members_is_missing(publish, tmp_path, monkeypatch):
    publish(*MEMBERS)
    run(tmp_path)
    monkeypatch.setattr(ensemble, "MEMBERS", (*MEMBERS, OTHER))
    assert run(tmp_path).refused == {}
    assert load_manifest(tmp_path).model("ensemble").members == MEMBERS


def test_the_ensemble_follows_a_member_that_changes(publish, tmp_path, monkeypatch):
    publish(*MEMBERS)
    run(tmp_path)
    before = load_manifest(tmp_path).model("ensemble").figures
    monkeypatch.setitem(SKILLS, "student", 5.0)
    publish("student")
    found = run(tmp_path, ["student"])
    assert list(found.assessments) == ["student", "ensemble"]
    after = load_manifest(tmp_path).model("ensemble").figures
    assert after["test"]["accuracy"]["value"] > before["test"]["accuracy"]["value"]


def test_an_ensemble_without_a_member_is_refused_and_the_others_go_on(publish, tmp_path):
    publish(*MEMBERS)
    run(tmp_path)
    (tmp_path / "predictions/student.parquet").write_bytes(b"damaged")
    before = load_manifest(tmp_path)
    found = run(tmp_path)
    assert list(found.assessments) == [name for name in MEMBERS if name != "student"]
    assert "expected" in found.refused["student"]
    assert "student" in found.refused["ensemble"]
    after = load_manifest(tmp_path)
    for name in ("student", "ensemble"):
        assert after.model(name) == before.model(name), "a refused model keeps its figures"


def test_an_ensemble_of_two_splits_is_refused(publish, tmp_path):
    publish(*(name for name in MEMBERS if name != "student"))
    publish("student", split="report")
    assert "lesion and report" in run(tmp_path).refused["ensemble"]


def test_comparisons_are_the_paired_ones_and_stay_current(publish, tmp_path):
    publish("student", "baseline", "student-int8")
    found = run(tmp_path)
    assert [(c.first, c.second) for c in found.comparisons] == [
        ("student", "baseline"),
        ("student-int8", "student"),
    ]
    tests = {
        n: Predictions.load(tmp_path / f"predictions/{n}.parquet").part_only("test")
        for n in SKILLS
        if n[0] in "sb"
    }
    temperatures = {name: a.temperature for name, a in found.assessments.items()}
    expected = compare(tests["student"], tests["baseline"], temperatures, resamples=100)
    assert found.comparisons[0] == expected
    assert load_manifest(tmp_path).model("student").figures["comparisons"] == [expected.to_dict()]
    # The baseline alone changes: the student's comparison with it does too.
    worse = dataclasses.replace(
        Predictions.load(tmp_path / "predictions/baseline.parquet"),
        logits=np.zeros((len(self_logits(tmp_path)), 7)),
    )
    worse.save(tmp_path / "predictions/baseline.parquet")
    update_model(tmp_path, "baseline", {}, {"predictions": "predictions/baseline.parquet"})
    run(tmp_path, ["baseline"])
    (stored,) = load_manifest(tmp_path).model("student").figures["comparisons"]
    assert stored["differences"]["accuracy"]["value"] > expected.differences["accuracy"].value


def self_logits(folder):
    return Predictions.load(folder / "predictions/baseline.parquet").logits


def test_models_of_different_splits_are_not_compared(publish, tmp_path):
    publish("student")
    publish("baseline", split="report")
    found = run(tmp_path)
    assert set(found.assessments) == {"student", "baseline"}
    assert (found.comparisons, found.refused) == ([], {})
    assert "comparisons" not in load_manifest(tmp_path).model("student").figures


def test_a_variant_has_its_parents_split(publish, tmp_path):
    publish("student", "student-int8", split="report")
    run(tmp_path)
    assert load_manifest(tmp_path).model("student-int8").figures["split"] == "report"


def test_cohorts_need_the_dataset_and_stay_while_the_answers_do(publish, records, tmp_path):
    publish("student")
    assert "cohorts" not in load_with(run, tmp_path)
    stored = load_with(run, tmp_path, records=records)["cohorts"]
    assert {row["group"] for row in stored if row["dimension"] == "sex"} == {"male", "female"}
    assert load_with(run, tmp_path)["cohorts"] == stored, "kept without the dataset"
    predictions = Predictions.load(tmp_path / "predictions/student.parquet")
    dataclasses.replace(predictions, logits=-predictions.logits).save(
        tmp_path / "predictions/student.parquet"
    )
    update_model(tmp_path, "student", {}, {"predictions": "predictions/student.parquet"})
    assert "cohorts" not in load_with(run, tmp_path), "other answers have other cohorts"


@pytest.mark.parametrize(
    ("part", "factor"),
    [
        ("validation", 2),  # another temperature
        ("test", 0.5),  # the same one, and other areas under curves
    ],
)
def test_cohorts_of_more_or_less_sure_answers_are_dropped(publish, records, tmp_path, part, factor):
    """Though the classes that lead are the same."""
    publish("student")
    before = load_with(run, tmp_path, records=records)
    predictions = Predictions.load(tmp_path / "predictions/student.parquet")
    factors = np.where(predictions.part == part, factor, 1)[:, None]
    dataclasses.replace(predictions, logits=predictions.logits * factors).save(
        tmp_path / "predictions/student.parquet"
    )
    update_model(tmp_path, "student", {}, {"predictions": "predictions/student.parquet"})
    after = load_with(run, tmp_path)
    assert after["test"]["confusion"] == before["test"]["confusion"]
    assert "cohorts" in before
    assert "cohorts" not in after


def load_with(run, folder, **options):
    run(folder, **options)
    return load_manifest(folder).model("student").figures


def test_predictions_under_another_models_name_are_refused(publish, tmp_path):
    publish("student", "baseline")
    update_model(tmp_path, "student", {}, {"predictions": "predictions/baseline.parquet"})
    assert "found those of baseline" in run(tmp_path).refused["student"]


def test_models_without_predictions_are_passed_over_unless_asked_for(publish, tmp_path):
    publish("student")
    update_model(tmp_path, "planned", {"title": "Planned", "role": "student"})
    assert run(tmp_path).refused == {}
    assert "found none" in run(tmp_path, ["planned"]).refused["planned"]


def test_names_that_no_model_has(publish, tmp_path):
    publish("student")
    with pytest.raises(ArtifactError, match="'studnet'"):
        run(tmp_path, ["studnet"])
    with pytest.raises(ArtifactError, match="found no"):
        run(tmp_path / "elsewhere")


def test_parents_in_a_circle_do_not_hang(publish, tmp_path):
    publish("student-int8")
    update_model(tmp_path, "student-int8", {"parent": "student-int8"})
    run(tmp_path)
    assert load_manifest(tmp_path).model("student-int8").figures["split"] == "lesion"


def test_progress_names_each_model(publish, tmp_path):
    publish(*MEMBERS)
    seen = []
    run(tmp_path, progress=lambda *call: seen.append(call))
    assert sorted(name for name, *_ in seen) == sorted([*MEMBERS, "ensemble"])
    total = len(MEMBERS) + 1
    assert [call[1:] for call in seen] == [(done, total) for done in range(total)]
