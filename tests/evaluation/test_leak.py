"""One recipe on both splits: groups, differences, what is refused, and the file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from core.artifacts import load_manifest, update_shared
from core.data.splits import SPLITS, assign
from core.evaluation.intervals import bootstrap, resample, unpaired_difference
from core.evaluation.leak import (
    GROUPS,
    LeakError,
    Pair,
    leak_table,
    measure_pair,
    sentence,
)
from core.evaluation.leak_file import FILE, KEY, read_pairs, save_pairs
from core.evaluation.metrics import classification
from core.evaluation.predictions import Predictions
from core.lesions import CODES, N_CLASSES


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    """1,400 lesions of all classes, every second one with two or three images."""
    rng = np.random.default_rng(1)
    lesion = np.repeat(np.arange(1400), np.where(np.arange(1400) % 2, rng.integers(2, 4, 1400), 1))
    return pd.DataFrame(
        {
            "image_id": [f"ISIC_{i:07d}" for i in range(len(lesion))],
            "lesion_id": [f"HAM_{i:07d}" for i in lesion],
            "dx": [CODES[i % N_CLASSES] for i in lesion],
        }
    )


def answers(records: pd.DataFrame, split: str, remembered: float) -> Predictions:
    """A model right for seven images in ten, and for `remembered` more of those whose lesion it was trained on."""
    parts = assign(records, split)
    trained = set(records["lesion_id"][parts == "train"])
    test = records[parts == "test"]
    known = test["lesion_id"].isin(trained).to_numpy()
    right = np.random.default_rng(3).random(len(test)) < 0.7 + remembered * known
    label = test["dx"].map(CODES.index).to_numpy()
    predicted = np.where(right, label, (label + 1) % N_CLASSES)
    return Predictions(
        f"student-{split}", test["image_id"].to_numpy(), test["lesion_id"].to_numpy(), label,
        4 * np.eye(N_CLASSES)[predicted], np.full(len(test), "test"),
    )  # fmt: skip


def facts(side: str, **changes) -> dict:
    soft = {"teachers": [f"resnet50-{side}"], "temperature": 2.0}
    recipe = {"split": side, "network": "mobilenetv2", "seed": 1, "distillation": soft} | changes
    return {"recipe": recipe, "commit": "abc", "machine": "a machine", "seconds": 60, "epochs": 2, "best_epoch": 1,
            "initial_weights": "x", "backend": "keras"}  # fmt: skip


@pytest.fixture(scope="module")
def pair(records) -> Pair:
    found = {split: answers(records, split, 0.25) for split in SPLITS}
    return measure_pair("student", found, {split: facts(split) for split in SPLITS}, records, resamples=400)


def test_figures_are_scikit_learn_s(pair, records) -> None:
    for split, side in pair.sides.items():
        found = answers(records, split, 0.25)
        assert side.figures["accuracy"].value == pytest.approx(accuracy_score(found.label, found.predicted))
        balanced = balanced_accuracy_score(found.label, found.predicted)
        assert side.figures["balanced_accuracy"].value == pytest.approx(balanced)
        assert (side.images, side.run) == (len(found), f"student-{split}")


def test_the_groups_are_a_partition_and_single_images_cannot_leak(pair, records) -> None:
    many = records["lesion_id"].value_counts()
    for split, side in pair.sides.items():
        test = records[assign(records, split) == "test"]
        several = test["lesion_id"].map(many) > 1
        assert side.groups["several"].images == several.sum()
        assert sum(group.images for group in side.groups.values()) == side.images
        assert side.groups["single"].trained == 0
        right = sum(group.images * group.accuracy.value for group in side.groups.values())
        assert right / side.images == pytest.approx(side.figures["accuracy"].value)
    assert pair.sides["lesion"].groups["several"].trained == 0
    assert pair.sides["report"].groups["several"].trained > 50


def test_memory_shows_in_the_difference_and_only_where_lesions_leak(pair) -> None:
    gain = {key: pair.gain[key] for key in ("accuracy", *GROUPS)}
    assert gain["accuracy"].low > 0
    assert gain["several"].low > 0.05
    assert gain["single"].low < 0 < gain["single"].high
    ours, theirs = pair.sides["lesion"], pair.sides["report"]
    difference = theirs.groups["several"].accuracy.value - ours.groups["several"].accuracy.value
    assert gain["several"].value == pytest.approx(difference)


def test_the_unpaired_interval_has_the_width_of_independent_errors(pair) -> None:
    ends = [pair.sides[split].figures["accuracy"] for split in SPLITS]
    expected = np.hypot(*(end.high - end.low for end in ends))
    assert pair.gain["accuracy"].high - pair.gain["accuracy"].low == pytest.approx(expected, rel=0.2)


def test_two_sides_of_equal_size_are_not_drawn_in_step(records) -> None:
    """The same answers on both: drawn in step, they would differ in no resample."""
    both = dict.fromkeys(SPLITS, answers(records, "lesion", 0))
    found = measure_pair("student", both, {s: facts(s) for s in SPLITS}, records, resamples=100)
    for key in ("accuracy", *GROUPS):
        gain = found.gain[key]
        assert gain.low < gain.value == 0 < gain.high, key


def test_all_right_on_both_sides_is_no_certainty(records) -> None:
    both = {split: answers(records, split, 0) for split in SPLITS}
    for found in both.values():
        found.logits[:] = 4 * np.eye(N_CLASSES)[found.label]
    found = measure_pair("student", both, {s: facts(s) for s in SPLITS}, records, resamples=100)
    for side in found.sides.values():
        for accuracy in (side.figures["accuracy"], *(group.accuracy for group in side.groups.values())):
            assert accuracy.low < accuracy.value == 1
    assert "accuracy +0.0 points for student. None of it is beyond chance" in sentence([found])


def test_one_sample_is_no_two(records) -> None:
    found = answers(records, "lesion", 0)
    drawn, more = resample(found.lesion_id, 100), resample(found.lesion_id, 200)
    one, other = (bootstrap(classification(found.label, found.predicted), d) for d in (drawn, more))
    for second in (one, other):
        with pytest.raises(ValueError, match="two samples"):
            unpaired_difference(one, second)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seed": 2}, "differ in seed"),
        ({"distillation": None}, "differ in distillation"),
        (
            {"distillation": {"teachers": ["densenet169-report"], "temperature": 2.0}},
            "differ in distillation",
        ),
        ({"split": "lesion"}, "expected a run on the report split"),
    ],
)
def test_other_recipes_are_no_pair(changes, word, records) -> None:
    both = {"lesion": facts("lesion"), "report": facts("report", **changes)}
    with pytest.raises(LeakError, match=word):
        measure_pair("student", {s: answers(records, s, 0) for s in SPLITS}, both, records, resamples=10)


def test_runs_that_began_otherwise_are_no_pair(records) -> None:
    both = {"lesion": facts("lesion"), "report": facts("report") | {"initial_weights": "other"}}
    with pytest.raises(LeakError, match="begin alike, found other and x"):
        measure_pair("student", {s: answers(records, s, 0) for s in SPLITS}, both, records, resamples=10)


def test_a_set_without_lesions_of_several_images_shows_no_leak(records) -> None:
    single = records.drop_duplicates("lesion_id", ignore_index=True)
    found = {split: answers(single, split, 0) for split in SPLITS}
    with pytest.raises(LeakError, match="lesions with several images, found none"):
        measure_pair("student", found, {s: facts(s) for s in SPLITS}, single, resamples=10)


def test_the_file_gives_back_what_was_saved(pair, tmp_path) -> None:
    save_pairs(tmp_path, [pair])
    assert read_pairs(load_manifest(tmp_path)) == [pair]
    table = leak_table([pair])
    assert list(table["split"]) == list(SPLITS)
    assert table["several_trained"][0] == 0
    assert "+" in sentence([pair], title=str.upper)
    assert "STUDENT" in sentence([pair], title=str.upper)
    assert sentence([]) == ""


@pytest.mark.parametrize("change", ["version", "pairs", "gain", "nan", "text"])
def test_a_damaged_file_is_refused(pair, tmp_path, change) -> None:
    path = save_pairs(tmp_path, [pair])
    raw = json.loads(path.read_bytes())
    if change == "version":
        raw["version"] = 9
    elif change == "pairs":
        raw.pop("pairs")
    elif change == "gain":
        raw["pairs"][0].pop("gain")
    elif change == "nan":
        raw["pairs"][0]["gain"]["accuracy"]["value"] = None
    path.write_text("no JSON" if change == "text" else json.dumps(raw))
    update_shared(tmp_path, {KEY: FILE})
    with pytest.raises(LeakError, match="expected runs on both splits"):
        read_pairs(load_manifest(tmp_path))


def test_nobody_measured(tmp_path) -> None:
    update_shared(tmp_path, {})
    assert read_pairs(load_manifest(tmp_path)) == []
