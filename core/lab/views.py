"""What the lab shows of the runs, as arrays: a plane of T and alpha, comparisons, curves by epoch and by data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.lab.findings import NOTHING, Cells, Estimate, TestPart, difference, mean_of, of_cell, seed_half
from core.lab.plan import ALPHAS, CHOSEN, HINT, SHARES, TEACHERS, TEMPERATURES, taught
from core.lab.table import TEACHER_WEIGHTS, Outcome
from core.lab.variants import ALL_MISTAKES, BY_KEY, Variant

Titled = Callable[[str], str]
"""A model's name -> what people read."""


def described(variant: Variant, title: Titled = str) -> str:
    """A run in words, but for its seed."""
    parts = [" and ".join(title(name) for name in variant.teachers) or "no teacher"]
    if set(variant.mistakes) == set(ALL_MISTAKES):
        return f"{parts[0]}, {mistakes_of(variant).lower()}"  # its T, alpha and start are the report's
    if variant.teachers and variant.alpha:
        parts.append(f"T = {variant.temperature:g}, alpha = {variant.alpha:g}")
    if variant.hint:
        parts.append("hint" if variant.alpha else "hint alone")
    if variant.start == "scratch":
        parts.append("from scratch")
    if variant.balance != "none":
        parts.append("class weights")
    if variant.share < 1:
        parts.append(f"{variant.share:.0%} of the lesions")
    if variant.mistakes:
        parts.append(mistakes_of(variant).lower())
    return ", ".join(parts)


def mistakes_of(variant: Variant) -> str:
    """A run of the collapse by its mistakes."""
    if not variant.mistakes:
        return "Repaired"
    if set(variant.mistakes) == set(ALL_MISTAKES):
        return "All mistakes together"
    return ", ".join(BY_KEY[key].title for key in variant.mistakes)


def trained_since(outcomes: Iterable[Outcome], weights: Mapping[str, str]) -> tuple[str, ...]:
    """The teachers of some runs that have other weights by now than those that taught them.

    Args:
        outcomes: the runs.
        weights: model -> sha256 of its present weights; a model that is not among them has not changed.
    """
    taught_by = {pair for outcome in outcomes for pair in outcome.recipe.get(TEACHER_WEIGHTS, {}).items()}
    return tuple(sorted({name for name, sha256 in taught_by if weights.get(name, sha256) != sha256}))


def of_one_teaching(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs that may stand beside each other: each teacher with the weights that taught most of the runs.

    Where teachers learn further half way through the experiments, runs taught before and after differ in more than in
    what the cells say. Runs that tell nothing of their teachers' weights stay.
    """
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for name, sha256 in outcome.recipe.get(TEACHER_WEIGHTS, {}).items():
            counts.setdefault(name, Counter())[sha256] += 1
    # Of equally many the first in the table, which were there before.
    chosen = {(name, count.most_common(1)[0][0]) for name, count in counts.items()}
    return [one for one in outcomes if chosen >= set(one.recipe.get(TEACHER_WEIGHTS, {}).items())]


@dataclass(frozen=True, eq=False)
class Plane:
    """T along the columns, alpha along the rows.

    Attributes:
        alphas: of the rows.
        value, half: (rows, 6); NaN where there are no runs, or no interval.
        seeds: (rows, 6) int.
    """

    alphas: tuple[float, ...]
    value: np.ndarray
    half: np.ndarray
    seeds: np.ndarray


def plane(
    cells: Cells, teachers: tuple[str, ...], figure: str, test: TestPart | None, *, against_none: bool
) -> Plane:
    """A figure for each T and alpha, or its difference from the student without teachers.

    Args:
        cells: the runs.
        teachers: of the plane.
        figure: key of `core.lab.findings.FIGURES`.
        test: what the answers belong to.
        against_none: the difference; the row of alpha 0, which is that student, is then left out.
    """
    alphas = tuple(alpha for alpha in ALPHAS if alpha or not against_none)
    alone = of_cell(cells, Variant())
    found = [
        [
            difference(runs, alone, figure, test) if against_none else mean_of(runs, figure)
            for runs in (of_cell(cells, taught(t, alpha, teachers)) for t in TEMPERATURES)
        ]
        for alpha in alphas
    ]
    arrays = (
        np.array([[getattr(e, name) for e in row] for row in found]) for name in ("value", "half", "seeds")
    )
    return Plane(alphas, *arrays)


def comparisons(cells: Cells, figure: str, test: TestPart | None) -> list[tuple[Variant, Estimate]]:
    """With minus without, where it matters: each set of teachers, the hint with soft labels and alone, from scratch,
    with class weights; last these weights alone, to tell what of the gain they explain."""
    alone, scratch, weighted = Variant(), Variant(start="scratch"), Variant(balance="sqrt")
    pairs = [(taught(*CHOSEN, teachers), alone) for teachers in TEACHERS]
    pairs += [
        (taught(*CHOSEN, hint=HINT), alone),
        (taught(1.0, 0.0, hint=HINT), alone),
        (taught(*CHOSEN, start="scratch"), scratch),
        (taught(*CHOSEN, balance="sqrt"), weighted),
        (weighted, alone),
    ]
    return [
        (one, difference(of_cell(cells, one), of_cell(cells, other), figure, test)) for one, other in pairs
    ]


@dataclass(frozen=True, eq=False)
class EpochCurve:
    """A figure by epoch: (E,) mean over the seeds, and each run's own."""

    epoch: np.ndarray
    mean: np.ndarray
    runs: tuple[tuple[list[float], list[float]], ...]


def epoch_curve(runs: Sequence[Outcome], key: str) -> EpochCurve | None:
    """A column of the histories; None where no run has it."""
    found = [
        ([row["epoch"] for row in run.history if key in row], [row[key] for row in run.history if key in row])
        for run in runs
    ]
    found = [(x, y) for x, y in found if x]
    if not found:
        return None
    epochs = sorted({epoch for x, _ in found for epoch in x})
    mean = [np.mean([y[x.index(epoch)] for x, y in found if epoch in x]) for epoch in epochs]
    return EpochCurve(np.array(epochs), np.array(mean), tuple(found))


@dataclass(frozen=True, eq=False)
class DataCurve:
    """A figure by the share of the lesions: (S,) shares that have runs, means over seeds, halves of intervals."""

    share: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    images: np.ndarray


def data_curve(cells: Cells, kind: Variant, figure: str) -> DataCurve:
    """The curve of one kind of run, with teachers or without."""
    rows = []
    for share in SHARES:
        runs = of_cell(cells, replace(kind, share=share))
        if runs:
            values = [run.figures[f"test_{figure}"] for run in runs]
            rows.append((share, np.mean(values), seed_half(values), runs[0].train_images))
    return (
        DataCurve(*(np.array(column, dtype=float) for column in zip(*rows, strict=True))) if rows else _EMPTY
    )


_EMPTY = DataCurve(*(np.empty(0) for _ in range(4)))


def best_by_validation(cells: Cells, teachers: tuple[str, ...], figure: str) -> Variant | None:
    """The cell of the plane that validation would choose; None where there are no two to choose from."""
    variants = [taught(t, alpha, teachers) for alpha in ALPHAS if alpha for t in TEMPERATURES]
    scored = [
        (mean_of(runs, figure, "validation").value, variant)
        for variant in variants
        if (runs := of_cell(cells, variant))
    ]
    return max(scored, key=lambda pair: pair[0])[1] if len(scored) > 1 else None


def chosen_verdict(
    cells: Cells, teachers: tuple[str, ...], figure: str, test: TestPart | None, balance: str = "none"
) -> Estimate:
    """What teachers give at the T and alpha that were named before any run was made.

    Args:
        cells: the runs.
        teachers: who taught.
        figure: key of `core.lab.findings.FIGURES`.
        test: what the answers belong to.
        balance: class weights of both students, with teachers and without.
    """
    runs = of_cell(cells, taught(*CHOSEN, teachers, balance=balance))
    alone = of_cell(cells, Variant(balance=balance))
    return difference(runs, alone, figure, test) if runs and alone else NOTHING
