"""The declared runs: what the lab promises to show is asked for, and each run once."""

from __future__ import annotations

import pytest

from core.lab.plan import (
    ALPHAS,
    CHOSEN,
    GROUPS,
    MATTERING,
    SHARES,
    TEACHERS,
    TEMPERATURES,
    groups_of,
    plan,
    taught,
)
from core.lab.variants import ALL_MISTAKES, BARE_START, IMAGE_SPLIT, SEEDS, Variant


@pytest.mark.parametrize("group", GROUPS)
def test_names_tell_runs_apart_and_are_safe(group: str):
    variants = plan(group)
    names = [variant.name for variant in variants]
    assert len(set(names)) == len(names) == len(set(variants))
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_+.-") for name in names)


def test_collapse_has_each_mistake_alone_all_and_none_with_every_seed():
    kinds = {(variant.mistakes, variant.seed) for variant in plan("collapse")}
    wanted = [(), ALL_MISTAKES, *((key,) for key in ALL_MISTAKES)]
    assert kinds == {(mistakes, seed) for mistakes in wanted for seed in SEEDS}
    assert all((v.temperature, v.alpha) == (50, 0.8) for v in plan("collapse"))


def test_the_grid_has_every_cell_and_the_cells_that_matter_first():
    variants = plan("grid")
    for teachers in TEACHERS:
        for temperature in TEMPERATURES:
            for alpha in ALPHAS:
                assert taught(temperature, alpha, teachers, seed=SEEDS[0]) in variants
    for seed in SEEDS:
        assert {taught(*cell, seed=seed) for cell in MATTERING} <= set(variants)
        assert {taught(*CHOSEN, teachers, seed=seed) for teachers in TEACHERS} <= set(variants)
    assert taught(1.0, 1.0, seed=SEEDS[1]) not in variants, "one seed where less depends on it"
    assert {v.seed for v in variants[:6]} == set(SEEDS)
    assert {v.teachers for v in variants} == {
        (),
        ("resnet50",),
        ("densenet169",),
        ("resnet50", "densenet169"),
    }
    assert {v.start for v in variants} == {"imagenet", "scratch"}


def test_alpha_0_is_the_one_student_without_teachers():
    assert taught(8.0, 0.0, seed=2) == Variant(seed=2)
    assert taught(1.0, 0.0, hint=1.0).teachers == ("resnet50",)


def test_shared_runs_are_one_run():
    assert groups_of(taught(50.0, 0.8)) == ["collapse", "grid"]
    assert groups_of(Variant()) == ["grid", "hints", "weights", "data"]
    assert {v.share for v in plan("data")} == set(SHARES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "elsewhere"},
        {"share": 0.0},
        {"alpha": 0.5},
        {"balance": "oversample"},
        {"mistakes": ("typo",)},
        {"mistakes": (BARE_START,)},
        {"teachers": ("resnet50",), "temperature": -1.0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict):
    with pytest.raises(ValueError, match="expected"):
        Variant(**wrong)


def test_the_split_follows_from_the_mistake():
    assert Variant(mistakes=(IMAGE_SPLIT,)).split == "report"
    assert Variant().split == "lesion"


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match="group: expected one of"):
        plan("typo")
