"""Cells, differences with their doubts, and sentences that follow from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student_t

from core.evaluation.metrics import confusion
from core.lab.findings import (
    Estimate,
    TestPart,
    collapse_says,
    difference,
    in_cells,
    mean_of,
    mistakes_say,
    of_cell,
    points,
    seed_half,
    verdict,
    weighted_verdict,
)
from core.lab.plan import taught
from core.lab.table import Outcome
from core.lab.tables import loss_table, missing, runs_table, soft_label_table
from core.lab.variants import ALL_MISTAKES, IMAGE_SPLIT, Variant

N = 280
LABELS = np.arange(N) % 7
TEST = TestPart(LABELS, np.array([f"HAM_{i // 2}" for i in range(N)]))


def outcome(variant: Variant, right: float, seed_of_errors: int = 0) -> Outcome:
    rng = np.random.default_rng([variant.seed, seed_of_errors])
    answers = np.where(rng.random(N) < right, LABELS, (LABELS + 1) % 7)
    matrix = confusion(LABELS, answers)[0].astype(int)
    history = ({"epoch": 1, "val_balanced_accuracy": right},)
    return Outcome(
        variant, "", "c", 1, 1, 9.0, 100, 64, matrix, matrix, answers, 1.0, 0.7, "none", "cpu", {}, history
    )


def cell(variant: Variant, right: float, seeds=(1, 2, 3), errors: int = 0) -> list[Outcome]:
    return [outcome(replace(variant, seed=seed), right, errors) for seed in seeds]


def test_runs_of_a_cell_are_averaged_with_student_s_interval():
    cells = in_cells(cell(Variant(), 0.8)[::-1])
    runs = of_cell(cells, Variant(seed=9))
    assert [run.variant.seed for run in runs] == [1, 2, 3]
    values = [run.figures["test_accuracy"] for run in runs]
    found = mean_of(runs, "accuracy")
    low, high = student_t.interval(0.95, 2, np.mean(values), np.std(values, ddof=1) / 3**0.5)
    assert (found.value, found.half) == pytest.approx((np.mean(values), (high - low) / 2))
    assert of_cell(cells, taught(4.0, 0.5)) == ()
    assert np.isnan(mean_of((), "accuracy").value)
    assert np.isnan(seed_half([0.5]))


def test_a_large_difference_is_clear_and_none_is_not():
    worse, better = cell(Variant(), 0.5), cell(taught(4.0, 0.5), 0.9)
    found = difference(better, worse, "balanced_accuracy", TEST)
    assert found.value == pytest.approx(0.4, abs=0.08)
    assert found.is_clear
    same = difference(cell(taught(4.0, 0.5), 0.7, errors=1), cell(Variant(), 0.7, errors=2), "accuracy", TEST)
    assert not same.is_clear
    assert "no difference" in verdict(same, "accuracy", "distillation")
    assert verdict(found, "balanced_accuracy", "distillation").startswith("At this budget distillation adds")
    back = difference(worse, better, "balanced_accuracy", TEST)
    assert "takes away" in verdict(back, "balanced_accuracy", "distillation")


def test_lesions_add_to_the_doubt_of_seeds():
    first, second = cell(taught(4.0, 0.5), 0.8), cell(Variant(), 0.7)
    both, seeds = (difference(first, second, "accuracy", test) for test in (TEST, None))
    assert both.value == seeds.value
    assert both.half > seeds.half > 0


def test_only_seeds_that_both_have_count_and_one_is_too_few_for_a_verdict():
    found = difference(cell(taught(4.0, 0.5), 0.9, (1, 2)), cell(Variant(), 0.5, (2, 3)), "accuracy", TEST)
    assert found.seeds == 1
    assert np.isnan(found.half), "what another seed would give is unknown"
    assert not found.is_clear
    assert "too few" in verdict(found, "accuracy", "distillation")
    nothing = difference([], cell(Variant(), 0.5), "accuracy", TEST)
    assert "missing" in verdict(nothing, "accuracy", "distillation")


def test_answers_to_other_images_are_not_resampled():
    other = TestPart(LABELS[::-1].copy(), TEST.lesion)
    assert TEST.fits(outcome(Variant(), 0.8))
    assert not other.fits(outcome(Variant(), 0.8))
    assert not TEST.fits(outcome(Variant(mistakes=("image-split",)), 0.8))


def test_the_collapse_in_a_sentence():
    broken = cell(Variant(("resnet50",), 50.0, 0.8, start="scratch", mistakes=ALL_MISTAKES), 0.2)
    said = collapse_says(cell(taught(50.0, 0.8), 0.9), broken)
    gain = mean_of(cell(taught(50.0, 0.8), 0.9), "accuracy").value - mean_of(broken, "accuracy").value
    assert f"{100 * gain:+.1f} points of accuracy" in said
    own = mean_of(broken, "majority_share").value  # both answered the same made-up images
    lead = mean_of(cell(taught(50.0, 0.8), 0.9), "accuracy").value - own
    assert f"{100 * lead:.1f} points above its own test part's share ({own:.1%})" in said
    assert said.endswith("measured on different test parts, as “split by image” is one of the mistakes.")
    assert collapse_says([], broken) is None
    same_part = cell(taught(50.0, 0.8, mistakes=("no-t2",)), 0.2)
    assert "different test parts" not in collapse_says(cell(taught(50.0, 0.8), 0.9), same_part)
    some = collapse_says(
        [*cell(taught(50.0, 0.8), 0.9, (1,)), *cell(taught(50.0, 0.8), 0.3, (2,))], broken[:1]
    )
    assert some == collapse_says(cell(taught(50.0, 0.8), 0.9, (1,)), broken[:1]), (
        "of the seeds that both have"
    )
    worse = collapse_says(cell(taught(50.0, 0.8), 0.01), same_part)
    assert "points below its own test part's share" in worse


def test_points_are_of_a_hundred():
    assert points(Estimate(0.0214, 0.006, 3)) == "+2.1 points (+1.5 to +2.7)"
    assert points(Estimate(0.0112, 0.011, 3)) == "+1.1 points (+0.02 to +2.22)", (
        "a clear gain does not begin at 0"
    )
    assert points(Estimate(0.0108, 0.011, 3)) == "+1.1 points (-0.02 to +2.18)"
    assert points(Estimate(-0.01, float("nan"), 1)) == "-1.0 points"


GAIN, LOSS, NONE = Estimate(0.096, 0.053, 3), Estimate(-0.029, 0.013, 3), Estimate(0.004, 0.04, 3)
ONE_SEED, NO_RUNS = Estimate(-0.014, float("nan"), 1), Estimate(float("nan"), float("nan"), 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (GAIN, "At this budget it adds 9.6 points of accuracy (95% interval 4.3 to 14.9, 3 seeds)."),
        (LOSS, "At this budget it takes away 2.9 points of accuracy (95% interval 1.6 to 4.2, 3 seeds)."),
        (NONE, "At this budget it makes no difference to accuracy that could be shown: +0.4 points (95% interval -3.6 "
               "to +4.4, 3 seeds)."),
        (ONE_SEED, "With it the one seed so far has 1.4 points less of accuracy: too few runs for a verdict."),
        (NO_RUNS, "Nothing can be said of it yet: its runs, or those without, are missing."),
    ],
    ids=["gain", "loss", "none", "one seed", "no runs"],
)  # fmt: skip
def test_the_verdict_follows_from_the_figures(found: Estimate, said: str):
    assert verdict(found, "accuracy", "it") == said


@pytest.mark.parametrize(
    ("plain", "weighted", "said"),
    [
        (GAIN, NONE, "nothing of this gain is left that could be shown: +0.4 points of balanced accuracy (95% interval "
                     "-3.6 to +4.4, 3 seeds)."),
        (LOSS, NONE, "nothing of this loss is left that could be shown: +0.4 points of"),
        (NONE, NONE, "no difference can be shown either: +0.4 points of"),
        (ONE_SEED, NONE, "no difference can be shown: +0.4 points of"),
        (GAIN, GAIN, "distillation still adds 9.6 points of balanced accuracy (95% interval 4.3 to 14.9, 3 seeds)."),
        (GAIN, LOSS, "distillation instead takes away 2.9 points of balanced accuracy (95% interval 1.6 to 4.2, 3"),
        (LOSS, GAIN, "distillation instead adds"),
        (NONE, GAIN, "distillation adds 9.6 points"),
        (NO_RUNS, LOSS, "distillation takes away 2.9 points"),
        (GAIN, ONE_SEED, "the one seed so far has 1.4 points less of balanced accuracy with distillation: too few"),
        (GAIN, NO_RUNS, "nothing can be said yet: these runs, or some of them, are missing."),
    ],
)  # fmt: skip
def test_what_class_weights_leave_of_it(plain: Estimate, weighted: Estimate, said: str):
    found = weighted_verdict(plain, weighted, "balanced_accuracy")
    assert found.startswith(f"When both students get the same square-root class weights, {said}")


def test_tables_hold_what_they_say():
    runs = cell(taught(4.0, 0.5), 0.8)
    table = runs_table(runs)
    assert table["run"].tolist() == [run.variant.name for run in runs]
    assert table["groups"].tolist() == ["grid hints weights data"] * 3
    assert [v.seed for v in missing(in_cells(runs[:1]), [taught(4.0, 0.5, seed=s) for s in (1, 2)])] == [2]
    soft = soft_label_table({"A": np.arange(7.0)}, 2.0)
    assert soft["rank"].tolist() == [7, 6, 5, 4, 3, 2, 1]
    assert soft["at T = 2"].sum() == pytest.approx(1)


def test_the_parts_of_the_loss_add_up():
    from core.lab.loss import take_apart

    table = loss_table(take_apart(np.arange(7.0), np.zeros(7), 3, 4.0, 0.7)).set_index("part")
    adds = table["adds"].to_numpy()
    assert adds[0] + adds[1] == pytest.approx(adds[2])
    assert adds[0] + adds[5] == pytest.approx(adds[6])
    codes = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert (table[codes].iloc[0] + table[codes].iloc[1]).tolist() == pytest.approx(
        table[codes].iloc[2].tolist()
    )


def single(nevi: int, others: int) -> list[Outcome]:
    """A run on 1,000 test images, 640 of them nevi, that gets so many per cent of these and of each other class right;
    the rest it takes for nevi (of nevi, for melanomas)."""
    matrix = np.zeros((7, 7), dtype=int)
    for k in range(7):
        count, share = (640, nevi) if k == 5 else (60, others)
        matrix[k, k] = count * share // 100
        matrix[k, 4 if k == 5 else 5] += count - matrix[k, k]
    return [replace(outcome(taught(4.0, 0.5), 0.9), test=matrix)]


def test_the_mistakes_that_are_enough_are_named_and_where_accuracy_misleads():
    repaired, twice = single(80, 60), single(95, 50)
    runs = {"Faint": single(100, 0), "Frozen": single(98, 5), "Twice": twice, "Mild": single(80, 50)}
    said = mistakes_say(repaired, runs | {"Not run": []})
    assert said.startswith("Made alone, each of “Faint” and “Frozen” is enough")
    assert "“Twice” and “Mild” do not: the labels' term still teaches." in said
    more, fewer = (
        100 * abs(twice[0].figures[f"test_{name}"] - repaired[0].figures[f"test_{name}"])
        for name in ("accuracy", "balanced_accuracy")
    )
    assert f"“Twice” has {more:.1f} points more of it than the repaired recipe and {fewer:.1f} fewer" in said
    assert said.count("more of it") == 1
    assert "Not run" not in said
    assert mistakes_say(repaired, {"Faint": runs["Faint"]}) == (
        "Made alone, “Faint” is enough to end at the majority line."
    )
    said = mistakes_say(repaired, {"Twice": twice, "Not run": []})
    assert said.startswith("Made alone, “Twice” does not end at the majority line."), (
        "of others nothing is known"
    )
    said = mistakes_say(repaired, {"Twice": twice, "Mild": runs["Mild"]})
    assert said.startswith("Made alone, none of “Twice” and “Mild” ends at the majority line.")
    elsewhere = [replace(run, variant=replace(run.variant, mistakes=(IMAGE_SPLIT,))) for run in twice]
    assert "misleads" not in mistakes_say(repaired, {"Elsewhere": elsewhere}), "another test part's accuracy"
    said = mistakes_say(repaired, runs | {"Elsewhere": elsewhere})
    assert "“Twice” and “Mild” do not: the labels' term still teaches. “Elsewhere” does not either." in said
    assert mistakes_say([], runs) is None
    assert mistakes_say(repaired, {}) is None
