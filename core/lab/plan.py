"""The declared experiments: which runs each group has, those that matter most first.

A run that two groups ask for is one run: the repaired recipe is a cell of the grid, and all of the lesions are a
point of the curve over the data. All of them go through one protocol, so any two may be compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.lab.variants import (
    ALL_MISTAKES,
    BARE_START,
    REPORT_ALPHA,
    REPORT_TEMPERATURE,
    SEEDS,
    Variant,
)

COMMAND = "python -m core ablate"
GROUPS: dict[str, str] = {
    "collapse": "each of the report's mistakes alone, all of them together, and none",
    "grid": "T x alpha, from ImageNet; with which teachers, and from scratch, where it matters",
    "hints": "the student's embedding regressed onto the teacher's, with and without soft labels",
    "weights": "square-root class weights, which the teachers learned with, without a teacher and with one",
    "data": "10, 25, 50 and 100% of the training lesions, with teachers and without",
}

TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 20.0, 50.0)
ALPHAS = (0.0, 0.25, 0.5, 0.8, 1.0)
SHARES = (0.1, 0.25, 0.5, 1.0)
TEACHERS: tuple[tuple[str, ...], ...] = (("resnet50",), ("densenet169",), ("resnet50", "densenet169"))
"""Sets of teachers of the grid; a run waits until its teachers are there."""

TEACHER = TEACHERS[0]
"""The teacher of every group but the grid's other planes: the one that the report's appendix starves."""

CHOSEN = (4.0, 0.5)
"""T and alpha in the middle of the plane, where teachers, starts, hints and amounts of data are compared."""

MATTERING = (CHOSEN, (2.0, 0.5), (4.0, 0.8), (20.0, 0.5), (REPORT_TEMPERATURE, REPORT_ALPHA))
"""Cells (T, alpha) of the plane with every seed; the others have the first alone."""

HINT = 1.0


def taught(temperature: float, alpha: float, teachers: tuple[str, ...] = TEACHER, **more: object) -> Variant:
    """A run with teachers; at alpha 0 it is the one without, whatever T."""
    if alpha == 0 and not more.get("hint"):
        return Variant(**more)
    return Variant(teachers=teachers, temperature=temperature, alpha=alpha, **more)


def collapse(seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """None, all, then each mistake alone; a whole seed after the other."""
    choices = [(), ALL_MISTAKES, *((key,) for key in ALL_MISTAKES)]
    return [
        taught(
            REPORT_TEMPERATURE,
            REPORT_ALPHA,
            mistakes=mistakes,
            start="scratch" if BARE_START in mistakes else "imagenet",
            seed=seed,
        )
        for seed in seeds
        for mistakes in choices
    ]


def grid(seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """What matters with every seed, then the plane's other cells with the first, then the other teachers' planes."""
    seeds = list(seeds)
    first = [taught(*CHOSEN, seed=seed) for seed in seeds] + [Variant(seed=seed) for seed in seeds]
    first += [taught(*cell, seed=seed) for cell in MATTERING for seed in seeds]
    first += [taught(*CHOSEN, teachers, seed=seed) for teachers in TEACHERS for seed in seeds]
    for start in [Variant(start="scratch"), taught(*CHOSEN, start="scratch")]:
        first += [_with_seed(start, seed) for seed in seeds]
    plane = [(t, a) for a in ALPHAS for t in TEMPERATURES]
    first += [
        taught(t, a, teachers, seed=seed) for seed in seeds[:1] for teachers in TEACHERS for t, a in plane
    ]
    return _once(first)


def hints(seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """The hint beside the soft labels and instead of them, and both of what they are compared with."""
    t, alpha = CHOSEN
    kinds = [
        taught(t, alpha, hint=HINT),
        taught(1.0, 0.0, hint=HINT),
        taught(t, alpha),
        Variant(),
    ]
    return [_with_seed(kind, seed) for seed in seeds for kind in kinds]


def weights(seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """Class weights without a teacher and with one, and both of what they are compared with."""
    kinds = [Variant(balance="sqrt"), taught(*CHOSEN), Variant(), taught(*CHOSEN, balance="sqrt")]
    return [_with_seed(kind, seed) for seed in seeds for kind in kinds]


def data(seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """Amounts of data, smallest first, with the teacher and without."""
    return [
        _with_seed(kind, seed)
        for seed in seeds
        for share in SHARES
        for kind in (taught(*CHOSEN, share=share), Variant(share=share))
    ]


def plan(group: str, seeds: Iterable[int] = SEEDS) -> list[Variant]:
    """The runs of a group, in the order in which they are best made.

    Raises:
        ValueError: there is no such group.
    """
    makers = {"collapse": collapse, "grid": grid, "hints": hints, "weights": weights, "data": data}
    if group not in makers:
        raise ValueError(f"group: expected one of {', '.join(makers)}, found {group!r}")
    return _once(makers[group](seeds))


def groups_of(variant: Variant) -> list[str]:
    """The groups that ask for a run."""
    return [group for group in GROUPS if variant in plan(group, [variant.seed])]


def command_for(group: str) -> str:
    """What makes a group's runs."""
    return f"{COMMAND} --group {group}"


def _with_seed(variant: Variant, seed: int) -> Variant:
    return replace(variant, seed=seed)


def _once(variants: Iterable[Variant]) -> list[Variant]:
    return list(dict.fromkeys(variants))
