"""What is shown of the runs, as arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.metrics import confusion
from core.lab.findings import in_cells
from core.lab.plan import ALPHAS, CHOSEN, TEMPERATURES, taught
from core.lab.table import TEACHER_WEIGHTS, Outcome
from core.lab.variants import ALL_MISTAKES, IMAGE_SPLIT, Variant
from core.lab.views import (
    best_by_validation,
    chosen_verdict,
    comparisons,
    data_curve,
    described,
    epoch_curve,
    mistakes_of,
    of_one_teaching,
    plane,
    trained_since,
)

LABELS = np.arange(70) % 7


def outcome(variant: Variant, right: int, on_validation: int | None = None) -> Outcome:
    """As many of each ten images right on test, and on validation as many or another number."""
    answers, others = (
        np.where(np.arange(70) // 7 < count, LABELS, (LABELS + 1) % 7)
        for count in (right, right if on_validation is None else on_validation)
    )
    test, validation = (confusion(LABELS, given)[0].astype(int) for given in (answers, others))
    history = ({"epoch": 1, "val_accuracy": 0.1}, {"epoch": 2, "val_accuracy": right / 10})
    return Outcome(
        variant, "", "", 2, 2, 1.0, 70, 64, validation, test, answers, 1.0, 0.5, "", "", {}, history
    )  # fmt: skip


def runs(variant: Variant, *right: int) -> list[Outcome]:
    return [outcome(replace(variant, seed=seed), r) for seed, r in enumerate(right, start=1)]


def test_the_plane_has_what_has_runs():
    cells = in_cells([*runs(Variant(), 5, 5), *runs(taught(4.0, 0.5), 6, 8)])
    found = plane(cells, ("resnet50",), "accuracy", None, against_none=True)
    assert found.alphas == ALPHAS[1:]
    place = (ALPHAS[1:].index(0.5), TEMPERATURES.index(4.0))
    assert found.value[place] == pytest.approx(0.2)
    assert found.seeds[place] == 2
    assert np.isnan(found.value).sum() == found.value.size - 1
    whole = plane(cells, ("resnet50",), "accuracy", None, against_none=False)
    assert whole.value[0] == pytest.approx([0.5] * len(TEMPERATURES))
    assert np.isnan(plane(cells, ("densenet169",), "accuracy", None, against_none=True).value).all()


def test_each_comparison_has_its_own_baseline():
    cells = in_cells(
        [
            *runs(Variant(), 5, 5),
            *runs(taught(*CHOSEN), 7, 7),
            *runs(Variant(start="scratch"), 2, 2),
            *runs(taught(*CHOSEN, start="scratch"), 3, 3),
            *runs(Variant(balance="sqrt"), 6, 6),
            *runs(taught(*CHOSEN, balance="sqrt"), 9, 9),
        ]
    )
    found = dict(comparisons(cells, "accuracy", None))
    assert found[taught(*CHOSEN)].value == pytest.approx(0.2)
    assert found[taught(*CHOSEN, start="scratch")].value == pytest.approx(0.1)
    assert found[Variant(balance="sqrt")].value == pytest.approx(0.1), "against the student without weights"
    assert found[taught(*CHOSEN, balance="sqrt")].value == pytest.approx(0.3), "against the one with them"
    assert sum(estimate.seeds > 0 for estimate in found.values()) == 4
    assert chosen_verdict(cells, ("resnet50",), "accuracy", None).value == pytest.approx(0.2)
    assert chosen_verdict(cells, ("densenet169",), "accuracy", None).seeds == 0


def test_epochs_are_averaged_over_the_runs():
    curve = epoch_curve(runs(Variant(), 4, 8), "val_accuracy")
    assert curve.epoch.tolist() == [1, 2]
    assert curve.mean == pytest.approx([0.1, 0.6])
    assert len(curve.runs) == 2
    assert epoch_curve(runs(Variant(), 4), "val_nothing") is None


def test_the_data_curve_joins_the_full_set():
    cells = in_cells([*runs(Variant(share=0.25), 3, 5), *runs(Variant(), 6)])
    curve = data_curve(cells, Variant(), "accuracy")
    assert curve.share.tolist() == [0.25, 1.0]
    assert curve.mean == pytest.approx([0.4, 0.6])
    assert np.isnan(curve.half[1])
    assert not len(data_curve({}, Variant(), "accuracy").share)


def test_validation_chooses_the_cell():
    worse = outcome(taught(8.0, 0.8, seed=1), 5, on_validation=7)
    cells = in_cells([*runs(taught(4.0, 0.5), 6), worse, *runs(Variant(), 9)])
    assert best_by_validation(cells, ("resnet50",), "accuracy") == taught(8.0, 0.8)
    alone = in_cells([*runs(taught(4.0, 0.5), 6), *runs(Variant(), 9)])
    assert best_by_validation(alone, ("resnet50",), "accuracy") is None, "one cell is no choice"
    assert best_by_validation({}, ("resnet50",), "accuracy") is None


def test_words():
    title = {"resnet50": "ResNet50", "densenet169": "DenseNet169"}.get
    assert described(Variant(), title) == "no teacher"
    assert described(Variant(balance="sqrt"), title) == "no teacher, class weights"
    both = taught(4.0, 0.5, ("resnet50", "densenet169"), share=0.1)
    assert described(both, title) == "ResNet50 and DenseNet169, T = 4, alpha = 0.5, 10% of the lesions"
    assert (
        described(taught(1.0, 0.0, hint=1.0, start="scratch"), title) == "ResNet50, hint alone, from scratch"
    )
    assert mistakes_of(Variant()) == "Repaired"
    assert mistakes_of(Variant(start="scratch", mistakes=ALL_MISTAKES)) == "All mistakes together"
    assert mistakes_of(Variant(mistakes=(IMAGE_SPLIT,))) == "Split by image"


def test_teachers_with_other_weights_than_those_that_taught_are_named():
    alone, *others = runs(Variant(), 5), runs(taught(*CHOSEN), 5, 6)
    first, second = (replace(o, recipe={TEACHER_WEIGHTS: {"resnet50": "aa"}}) for o in others[0])
    assert trained_since([*alone, first], {"resnet50": "aa", "student": "cc"}) == ()
    assert trained_since([*alone, first], {"resnet50": "bb"}) == ("resnet50",)
    assert trained_since([first, second], {}) == ()  # a model that is not here has not changed
    assert trained_since([*alone, *others[0]], {"resnet50": "bb"}) == ()  # runs that tell nothing


def test_runs_stand_together_that_the_same_weights_taught():
    alone, taught_by = runs(Variant(), 5), runs(taught(4.0, 0.5), 6, 7, 8)
    weights = [{"resnet50": "old"}, {"resnet50": "new"}, {"resnet50": "old"}]
    marked = [replace(o, recipe={TEACHER_WEIGHTS: w}) for o, w in zip(taught_by, weights, strict=True)]
    both = replace(taught_by[0], recipe={TEACHER_WEIGHTS: {"resnet50": "old", "densenet169": "aa"}})
    other = replace(taught_by[0], recipe={TEACHER_WEIGHTS: {"resnet50": "new", "densenet169": "aa"}})
    found = of_one_teaching([*alone, *marked, both, other, *taught_by])
    assert found == [*alone, marked[0], marked[2], both, *taught_by]
    # Of equally many the first.
    assert of_one_teaching(marked[:2]) == marked[:1]
    assert of_one_teaching([]) == []
