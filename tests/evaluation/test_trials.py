"""The table of training runs: what is written reads back, runs are told apart, damage is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.artifacts import FileRefused, load_manifest, update_shared
from core.evaluation.trials import COLUMNS, FILE, KEY, Trial, TrialsError, merge, parse, read_trials, to_csv

TRIAL = Trial(
    name="student", recipe="0123456789ab", network="mobilenetv2", begun='weights, "as published"\nsomewhere',
    teachers="resnet50 baseline", stages="head1x96,3x128", learning_rate=4e-4, temperature=2.0, alpha=0.5, seed=1,
    other="views=3 ema=0.98", split="lesion", data="HAM10000", train_images=6400, epochs=4, best_epoch=3,
    val_accuracy=0.81, val_balanced_accuracy=0.7, val_macro_f1=0.69, seconds=1646.5, commit="abc",
)  # fmt: skip
PLAIN = dataclasses.replace(
    TRIAL, name="baseline", teachers="", temperature=None, alpha=None, commit="", other=""
)


def test_written_and_read_they_are_equal() -> None:
    assert parse(to_csv([TRIAL, PLAIN]), "x") == [TRIAL, PLAIN]
    assert parse(to_csv([]), "x") == []


def test_a_run_is_known_by_name_and_recipe() -> None:
    again = dataclasses.replace(TRIAL, val_accuracy=0.82)
    other = dataclasses.replace(TRIAL, recipe="ba9876543210", val_accuracy=0.5)
    assert merge([TRIAL, PLAIN], [again]) == [PLAIN, again], "the new one stands, the others stay"
    assert merge([TRIAL], [other]) == [TRIAL, other]
    assert merge([TRIAL], []) == [TRIAL]


def test_ordered_by_network_and_name() -> None:
    teacher = dataclasses.replace(TRIAL, name="a", network="resnet50")
    assert [t.name for t in merge([teacher], [TRIAL, PLAIN])] == ["baseline", "student", "a"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "expected the columns name, recipe"),
        (lambda text: text.replace("val_accuracy", "accuracy"), "found name, .*accuracy"),
        (lambda text: text.replace("0.81", "much"), "row 2: expected a run, found could not convert"),
        (lambda text: text.replace("0.81", "nan"), "row 2: expected a run, found val_accuracy nan"),
        (lambda text: text[: text.rindex(",")], "row 2: expected a run"),
    ],
)
def test_what_is_damaged_is_named(change, said: str) -> None:
    with pytest.raises(TrialsError, match=f"^x.*{said}"):
        parse(change(to_csv([TRIAL])), "x")


def test_read_from_the_artifacts(tmp_path: Path) -> None:
    update_shared(tmp_path, {})
    assert read_trials(load_manifest(tmp_path)) == []
    (tmp_path / FILE).write_text(to_csv([TRIAL]))
    update_shared(tmp_path, {KEY: FILE})
    assert read_trials(load_manifest(tmp_path)) == [TRIAL]
    (tmp_path / FILE).write_text(to_csv([PLAIN]))
    with pytest.raises(FileRefused):
        read_trials(load_manifest(tmp_path))
    assert len(COLUMNS) == len(set(COLUMNS))
