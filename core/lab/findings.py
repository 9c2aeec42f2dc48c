"""What the runs say: cells averaged over their seeds, differences with intervals, and sentences that follow.

A difference between two kinds of run has two sources of doubt, which are added as variances: the seeds (Student's t
over the differences of runs with the same seed) and the test lesions (bootstrap over lesions of the mean over the
seeds, the same draws for both kinds). With a single seed the first is unknown, so there is no interval: one of the
lesions alone would look surer than what three seeds show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation.intervals import LEVEL, resample
from core.evaluation.metrics import COLLAPSED_ANSWERS, confusion, from_confusion
from core.evaluation.predictions import Predictions
from core.lab.table import Outcome
from core.lab.variants import BY_KEY, IMAGE_SPLIT, OF_SOFT_TERM, Variant
from core.text import listed

FIGURES: dict[str, str] = {"balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy"}
RESAMPLES = 400

Cells = Mapping[str, tuple[Outcome, ...]]
"""Name of a cell -> its runs by rising seed."""


@dataclass(frozen=True, eq=False)
class TestPart:
    """The test part of the `lesion` split, by rising image_id: what the runs' answers belong to."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    label: np.ndarray
    lesion: np.ndarray

    @classmethod
    def of(cls, predictions: Predictions) -> TestPart:
        """From any model's answers to it."""
        test = predictions.part_only("test")
        order = np.argsort(test.image_id)
        return cls(test.label[order], test.lesion_id[order])

    def fits(self, outcome: Outcome) -> bool:
        """Whether a run answered these very images."""
        if outcome.variant.split != "lesion" or len(outcome.answers) != len(self.label):
            return False
        return bool((confusion(self.label, outcome.answers)[0] == outcome.test).all())


@dataclass(frozen=True)
class Estimate:
    """A figure or a difference.

    Attributes:
        value: mean over the seeds; NaN without runs.
        half: half of its 95% interval; NaN for fewer than two seeds.
        seeds: how many.
    """

    value: float
    half: float
    seeds: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return bool(np.isfinite(self.half) and abs(self.value) > self.half)


NOTHING = Estimate(float("nan"), float("nan"), 0)


def in_cells(outcomes: Iterable[Outcome]) -> Cells:
    """The runs by cell."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.variant.cell, []).append(outcome)
    return {cell: tuple(sorted(runs, key=lambda o: o.variant.seed)) for cell, runs in found.items()}


def of_cell(cells: Cells, variant: Variant) -> tuple[Outcome, ...]:
    """The runs of a variant's cell, whatever its own seed; none where nobody made them."""
    return cells.get(variant.cell, ())


def seed_half(values: Sequence[float]) -> float:
    """Half of Student's 95% interval of the mean of (S,) values; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan")
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2))
    return quantile * float(np.std(values, ddof=1)) / len(values) ** 0.5


def mean_of(runs: Sequence[Outcome], figure: str, part: str = "test") -> Estimate:
    """A figure over the seeds, with the interval that the seeds give."""
    values = [run.figures[f"{part}_{figure}"] for run in runs]
    return Estimate(float(np.mean(values)), seed_half(values), len(values)) if values else NOTHING


def difference(
    first: Sequence[Outcome], second: Sequence[Outcome], figure: str, test: TestPart | None
) -> Estimate:
    """First minus second on the test part, over the seeds that both have.

    Args:
        first, second: runs of two cells.
        figure: key of `FIGURES`.
        test: what the answers belong to; without it, or where they do not fit, the interval is of the seeds alone.
    """
    by_seed = {run.variant.seed: run for run in second}
    pairs = [(run, by_seed[run.variant.seed]) for run in first if run.variant.seed in by_seed]
    if not pairs:
        return NOTHING
    name = f"test_{figure}"
    values = [one.figures[name] - other.figures[name] for one, other in pairs]
    half = seed_half(values)
    if np.isfinite(half) and test is not None and all(test.fits(run) for pair in pairs for run in pair):
        half = float(np.hypot(half, _lesion_half(pairs, figure, test)))
    return Estimate(float(np.mean(values)), half, len(pairs))


def _lesion_half(pairs: Sequence[tuple[Outcome, Outcome]], figure: str, test: TestPart) -> float:
    """Half of the bootstrap's 95% interval of the mean difference over the seeds."""
    draws = []
    for weights in resample(test.lesion, RESAMPLES).blocks():
        pair_draws = [
            from_confusion(confusion(test.label, one.answers, weights))[figure]
            - from_confusion(confusion(test.label, other.answers, weights))[figure]
            for one, other in pairs
        ]
        draws.append(np.mean(pair_draws, axis=0))
    low, high = np.quantile(np.concatenate(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(high - low) / 2


def points(estimate: Estimate) -> str:
    """A difference in points of 100: `+2.1 points (+1.5 to +2.7)`."""
    ends = f" ({_ends(estimate)})" if np.isfinite(estimate.half) else ""
    return f"{100 * estimate.value:+.1f} points{ends}"


def _ends(found: Estimate, sign: str = "+") -> str:
    """Of its interval, in points of 100: `+1.5 to +2.7`; with a digit more where an end would be shown as 0, since
    on which side of 0 it lies is what the interval is looked at for."""
    ends = [100 * (found.value + way * found.half) for way in (-1, 1)]
    digits = 2 if any(round(end, 1) == 0 for end in ends) else 1
    return " to ".join(f"{end:{sign}.{digits}f}" for end in ends)


def _signed(found: Estimate, of: str = "") -> str:
    """`+0.4 points of accuracy (95% interval -3.6 to +4.4, 3 seeds)`."""
    return f"{100 * found.value:+.1f} points{of} (95% interval {_ends(found)}, {found.seeds} seeds)"


def _adds(found: Estimate, name: str, how: str = "") -> str:
    """Of a clear difference: `adds 3.1 points of accuracy (95% interval 1.0 to 5.2, 3 seeds)`."""
    size = Estimate(abs(found.value), found.half, found.seeds)
    return (
        f"{how}{'adds' if found.value > 0 else 'takes away'} {100 * size.value:.1f} points of {name} "
        f"(95% interval {_ends(size, '')}, {size.seeds} seeds)"
    )


def _of_one_seed(found: Estimate, name: str) -> str:
    """`1.2 points more of accuracy`."""
    return f"{100 * abs(found.value):.1f} points {'more' if found.value >= 0 else 'less'} of {name}"


def budget(outcome: Outcome) -> str:
    """What a run may cost, in words."""
    recipe = outcome.recipe.get("protocol", {})
    return (
        f"{outcome.epochs} epochs at {outcome.size} px, {recipe.get('batch_size', '?')} images a step, "
        f"from {'ImageNet' if outcome.variant.start == 'imagenet' else 'scratch'}"
    )


def verdict(found: Estimate, figure: str, what: str) -> str:
    """What a difference says, in a sentence that the figures decide.

    Args:
        found: with minus without.
        figure: key of `FIGURES`.
        what: the subject: `distillation from ResNet50`.
    """
    name = FIGURES[figure].lower()
    if not found.seeds:
        return f"Nothing can be said of {what} yet: its runs, or those without, are missing."
    if found.seeds == 1:
        return f"With {what} the one seed so far has {_of_one_seed(found, name)}: too few runs for a verdict."
    if not found.is_clear:
        return f"At this budget {what} makes no difference to {name} that could be shown: {_signed(found)}."
    return f"At this budget {what} {_adds(found, name)}."


def weighted_verdict(plain: Estimate, weighted: Estimate, figure: str) -> str:
    """What is left of what distillation gives where the student without a teacher has class weights too.

    Args:
        plain: with minus without, of students without class weights.
        weighted: the same of students that both have square-root class weights.
        figure: key of `FIGURES`.
    """
    name = FIGURES[figure].lower()
    both = "When both students get the same square-root class weights, "
    if not weighted.seeds:
        return f"{both}nothing can be said yet: these runs, or some of them, are missing."
    if weighted.seeds == 1:
        return (
            f"{both}the one seed so far has {_of_one_seed(weighted, name)} with distillation: too few runs for a "
            "verdict."
        )
    if weighted.is_clear:
        same = (plain.value > 0) == (weighted.value > 0)
        how = ("still " if same else "instead ") if plain.is_clear else ""
        return f"{both}distillation {_adds(weighted, name, how)}."
    measured = _signed(weighted, f" of {name}")
    if plain.is_clear:
        what = "gain" if plain.value > 0 else "loss"
        return f"{both}nothing of this {what} is left that could be shown: {measured}."
    either = " either" if plain.seeds > 1 else ""
    return f"{both}no difference can be shown{either}: {measured}."


def mistakes_say(repaired: Sequence[Outcome], single: Mapping[str, Sequence[Outcome]]) -> str | None:
    """Which mistakes, made alone, end at the majority line, and where accuracy alone would mislead.

    Args:
        repaired: runs without a mistake.
        single: title of a mistake -> runs with it alone; those without runs are not spoken of.
    """
    found = {title: runs for title, runs in single.items() if runs}
    if not found or not repaired:
        return None
    fallen = [title for title, runs in found.items() if _at_majority(runs)]
    others = [title for title in found if title not in fallen]
    if fallen:
        said = [
            f"Made alone, {'each of ' * (len(fallen) > 1)}{_quoted(fallen)} is enough to end at the majority line."
        ]
        if others:
            said.append(_not_enough(others, {title: found[title][0].variant.mistakes for title in others}))
    else:  # by name: of a mistake without runs nothing is known
        none = f"none of {_quoted(others)} ends" if len(others) > 1 else f"{_quoted(others)} does not end"
        said = [f"Made alone, {none} at the majority line."]
    misleading = [words for title in others if (words := _misleads(title, found[title], repaired))]
    if misleading:
        said.append(f"Accuracy alone misleads, since most test images are nevi: {'; '.join(misleading)}.")
    return " ".join(said)


def _not_enough(titles: Sequence[str], mistakes: Mapping[str, Sequence[str]]) -> str:
    """Which mistakes do not end there; the reason is that of those that leave the labels' term as it is."""
    of_soft_term = [title for title in titles if set(mistakes[title]) <= OF_SOFT_TERM]
    rest = [title for title in titles if title not in of_soft_term]
    said = []
    if of_soft_term:
        does = "does" if len(of_soft_term) == 1 else "do"
        said.append(f"{_quoted(of_soft_term)} {does} not: the labels' term still teaches.")
    if rest:
        either = " either" if of_soft_term else ""
        said.append(f"{_quoted(rest)} {'does' if len(rest) == 1 else 'do'} not{either}.")
    return " ".join(said)


NEAR_MAJORITY = 0.015
"""Of accuracy: within it of the commonest class' share, and with hardly another answer, a student has learnt no more
than that class."""


def _at_majority(runs: Sequence[Outcome]) -> bool:
    near = abs(mean_of(runs, "accuracy").value - mean_of(runs, "majority_share").value) <= NEAR_MAJORITY
    return near and mean_of(runs, "says_majority").value >= COLLAPSED_ANSWERS


def _misleads(title: str, runs: Sequence[Outcome], repaired: Sequence[Outcome]) -> str:
    """Of a mistake with more accuracy and less balanced accuracy than none, seed by seed; empty for others, and for
    one that is measured on another test part: there a difference of accuracies is one of the parts too."""
    if runs[0].variant.split != repaired[0].variant.split:
        return ""
    change = {name: 100 * difference(runs, repaired, name, None).value for name in FIGURES}
    if not (change["accuracy"] > 0 > change["balanced_accuracy"]):  # nor where no seed has both
        return ""
    return (
        f"“{title}” has {change['accuracy']:.1f} points more of it than the repaired recipe and "
        f"{-change['balanced_accuracy']:.1f} fewer of balanced accuracy"
    )


def _quoted(titles: Sequence[str]) -> str:
    return listed([f"“{title}”" for title in titles])


def collapse_says(repaired: Sequence[Outcome], broken: Sequence[Outcome]) -> str | None:
    """How near the report's recipe with its mistakes is to always answering "nevus", and what repairing it gains.

    None without runs, or without a seed that both have.
    """
    seeds = {run.variant.seed for run in repaired} & {run.variant.seed for run in broken}
    repaired, broken = ([run for run in runs if run.variant.seed in seeds] for runs in (repaired, broken))
    gains = {name: difference(repaired, broken, name, None).value for name in FIGURES}
    if np.isnan(gains["accuracy"]):
        return None
    accuracy, says = mean_of(broken, "accuracy").value, mean_of(broken, "says_majority").value
    share = mean_of(broken, "majority_share").value
    better, own = mean_of(repaired, "accuracy").value, mean_of(repaired, "majority_share").value
    differ = repaired[0].variant.split != broken[0].variant.split
    title = BY_KEY[IMAGE_SPLIT].title.lower()
    where = f", measured on different test parts, as “{title}” is one of the mistakes" if differ else ""
    return (
        f"With all of the report's mistakes the student answers “nevus” to {says:.1%} of the test images and reaches "
        f"an accuracy of {accuracy:.1%}, {abs(accuracy - share) * 100:.1f} points from its test part's share of nevi "
        f"({share:.1%}). Repaired, at the same budget, it reaches {better:.1%}, {100 * abs(better - own):.1f} points "
        f"{'above' if better >= own else 'below'} its own test part's share ({own:.1%}). The two "
        f"differ by {100 * gains['accuracy']:+.1f} points of accuracy and {100 * gains['balanced_accuracy']:+.1f} "
        f"points of balanced accuracy{where}."
    )
