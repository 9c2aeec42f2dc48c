"""The table gives back what was written, and refuses what is no table."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest

from core.lab.table import Outcome, TableError, parse, to_csv
from core.lab.variants import ALL_MISTAKES, Variant


def outcome(variant: Variant, **changes) -> Outcome:
    rng = np.random.default_rng(variant.seed)
    matrix = rng.integers(0, 9, (7, 7)) + np.eye(7, dtype=int)
    values = {
        "variant": variant,
        "fingerprint": "0123abcd",
        "commit": "abc+changes",
        "epochs": 2,
        "best_epoch": 1,
        "seconds": 12.5,
        "train_images": 6000,
        "size": 64,
        "validation": matrix.T,
        "test": matrix,
        "answers": rng.integers(0, 7, matrix.sum()),
        "soft_entropy": 1.5 if variant.teachers else float("nan"),
        "teacher_accuracy": 0.8,
        "initial_weights": 'a file, "with" commas',
        "machine": "two cores",
        "recipe": {"network": "mobilenetv2", "stages": [{"epochs": 2}]},
        "history": ({"epoch": 1, "val_loss": 1.0}, {"epoch": 2, "val_loss": 1.5}),
    }
    return Outcome(**values | changes)


RUNS = [
    Variant(),
    Variant(("resnet50", "densenet169"), 4.0, 0.5, share=0.25, seed=3),
    Variant(("resnet50",), 50.0, 0.8, start="scratch", mistakes=ALL_MISTAKES),
    Variant(balance="sqrt"),
]


@pytest.mark.parametrize("variant", RUNS, ids=lambda v: v.cell)
def test_a_run_comes_back_as_it_was(variant: Variant):
    before = outcome(variant)
    (after,) = parse(to_csv([before]), "test")
    for field in dataclasses.fields(Outcome):
        found, expected = getattr(after, field.name), getattr(before, field.name)
        if isinstance(expected, np.ndarray):
            assert np.array_equal(found, expected)
        else:
            assert found == expected or (np.isnan(found) and np.isnan(expected))


def test_tables_from_before_class_weights_hold_runs_without_them():
    text = to_csv([outcome(Variant())])
    rows = list(csv.DictReader(io.StringIO(text)))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [name for name in rows[0] if name != "balance"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    (read,) = parse(buffer.getvalue(), "test")
    assert read.variant == Variant()


def test_the_text_does_not_depend_on_the_order():
    runs = [outcome(variant) for variant in RUNS]
    assert to_csv(runs) == to_csv(runs[::-1])


def test_figures_follow_from_the_matrix():
    matrix = np.zeros((7, 7), int)
    matrix[5, 5], matrix[5, 4], matrix[4, 5], matrix[4, 4] = 60, 10, 10, 20
    figures = outcome(Variant(), test=matrix).figures
    assert figures["test_accuracy"] == pytest.approx(0.8)
    assert figures["test_balanced_accuracy"] == pytest.approx((60 / 70 + 20 / 30) / 2)
    assert figures["test_says_majority"] == pytest.approx(0.7)
    assert figures["test_majority_share"] == pytest.approx(0.7)


def test_a_cut_table_is_named_wherever_it_was_cut():
    text = to_csv([outcome(Variant())])
    first = text.index("\n") + 1
    for end in range(first + 1, len(text) - 2, 3):
        with pytest.raises(TableError, match="row 2"):
            parse(text[:end], "ablation.csv")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("seed,", "seeds,", "column 'seed'"),
        ("imagenet,", "elsewhere,", "row 2"),
        ("2,1,12.5", "x,1,12.5", "row 2"),
        ('""network""', "network", "row 2"),
    ],
)
def test_damage_is_named(old: str, new: str, named: str):
    text = to_csv([outcome(Variant())])
    assert old in text
    with pytest.raises(TableError, match=named):
        parse(text.replace(old, new, 1), "ablation.csv")
