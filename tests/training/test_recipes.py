"""Recipes: written down in full, read back the same, and refused where they make no sense."""

from __future__ import annotations

import dataclasses
import json

import pytest

from core.errors import UserError
from core.training.fields import FIELDS
from core.training.recipes import TUNED, Distillation, Recipe, Stage, customised, distilled, recipe_for

NETWORKS = ("resnet50", "densenet169", "mobilenetv2")


@pytest.mark.parametrize("name", ["tuned", "report"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("with_teachers", [False, True])
def test_a_recipe_survives_json(name, network, with_teachers):
    recipe = recipe_for(name, network, taught=with_teachers)
    if with_teachers:
        recipe = distilled(recipe, Distillation(("resnet50", "densenet169"), temperature=3.5))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_every_field_is_written_down():
    assert set(TUNED["resnet50"].to_dict()) == {field.name for field in dataclasses.fields(Recipe)}


def test_every_plain_field_has_a_rule():
    plain = {field.name for field in dataclasses.fields(Recipe)} - {"network", "stages", "distillation"}
    assert set(FIELDS) == plain


@pytest.mark.parametrize("network", ["resnet50", "densenet169"])
def test_the_reports_teachers(network):
    recipe = recipe_for("report", network)
    assert recipe.stages == (Stage(20, 224, head_only=True),)
    assert recipe.learning_rate == 1e-4
    assert (recipe.batch_size, recipe.balance, recipe.augmentation) == (32, "oversample", "report")
    assert (recipe.final_rate, recipe.weight_decay, recipe.split) == (1.0, 0.0, "lesion")


@pytest.mark.parametrize("network", ["resnet50", "densenet169", "mobilenetv2"])
@pytest.mark.parametrize("name", ["tuned", "report"])
def test_the_rate_that_is_asked_for_is_that_of_every_stage(name, network):
    recipe = customised(recipe_for(name, network), ["learning_rate=0.01"])
    assert {stage.learning_rate or recipe.learning_rate for stage in recipe.stages} == {0.01}


def test_the_reports_student():
    recipe = recipe_for("report", "mobilenetv2")
    assert recipe.stages == (Stage(20, 224),)
    assert recipe.learning_rate == 1e-3


def test_distilling_changes_nothing_but_the_teachers():
    baseline = recipe_for("tuned", "mobilenetv2")
    student = distilled(recipe_for("tuned", "mobilenetv2", taught=True), Distillation(("resnet50",)))
    assert dataclasses.replace(student, distillation=None) == baseline


@pytest.mark.parametrize("network", NETWORKS)
def test_what_learns_from_teachers_has_views_that_they_can_answer_once(network):
    assert recipe_for("tuned", network, taught=True).views is not None


@pytest.mark.parametrize(
    ("name", "network", "said"),
    [
        ("tuned", "vgg16", "network: expected one of resnet50, densenet169, mobilenetv2, found 'vgg16'"),
        ("best", "resnet50", "recipe: expected report or tuned, found 'best'"),
    ],
)
def test_unknown_names_are_refused(name, network, said):
    with pytest.raises(UserError, match=said):
        recipe_for(name, network)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("learning_rate=0.01", 0.01),
        ("learning_rate=1", 1),
        ("balance=none", "none"),
        ("ema=null", None),
        ("views=4", 4),
        ("xla=true", True),
        ("xla=True", True),
        ("xla=False", False),
        ("ema=None", None),
        ("precision=mixed_bfloat16", "mixed_bfloat16"),
        ("patience=3", 3),
    ],
)
def test_a_field_is_changed(change, value):
    key = change.partition("=")[0]
    assert getattr(customised(TUNED["mobilenetv2"], [change]), key) == value


def test_stages_split_and_seed_are_changed():
    recipe = customised(TUNED["resnet50"], [], "head2x96, 3x128,1x224", "report", 7)
    assert recipe.stages == (Stage(2, 96, head_only=True), Stage(3, 128), Stage(1, 224))
    assert (recipe.split, recipe.seed, recipe.epochs) == ("report", 7, 6)
    assert customised(TUNED["resnet50"], []) == TUNED["resnet50"]


@pytest.mark.parametrize(
    "change",
    [
        "learning_rates=1", "network=vgg16", "distillation=x", "learning_rate=fast", "learning_rate=0",
        "learning_rate=true", "learning_rate=NaN", "learning_rate=null", "batch_size=0", "batch_size=1.5",
        "balance=smote",
        "balance=3", "augmentation=cutout", "augmentation", "precision=float8", "split=image", "views=0", "views=many",
        "ema=1", "ema=yes", "xla=1", "seed=-1", "seed=0.5", "focal_gamma=0.5", "label_smoothing=1", "patience=0",
        "warmup_epochs=-1", "weight_decay=-0.1", "mixup=-1", "final_rate=2", "logit_adjustment=[1]",
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_and_echoed(change):
    with pytest.raises(UserError, match=r"expected .*found") as caught:
        customised(TUNED["mobilenetv2"], [change])
    assert change.split("=")[0] in str(caught.value)


@pytest.mark.parametrize("stages", ["4", "x128", "4x", "4x128,", "tail4x128", "0x128", "4x16", "-1x128"])
def test_wrong_stages_are_refused(stages):
    with pytest.raises(UserError, match="stages: expected"):
        customised(TUNED["mobilenetv2"], [], stages)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 1.5},
        {"alpha": -0.1},
        {"alpha": float("nan")},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"average": "median"},
        {"teacher_size": 0},
        {"teacher_size": 31},
        {"teachers": ("baseline", "baseline")},
        {"teachers": ()},
    ],
    ids=str,
)
def test_a_wrong_distillation_is_refused(wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))}: expected"):
        distilled(TUNED["mobilenetv2"], Distillation(**{"teachers": ("resnet50",)} | wrong))


def test_a_recipe_needs_stages():
    with pytest.raises(UserError, match="at least one stage"):
        Recipe(network="resnet50", stages=(), learning_rate=1e-3)


def test_a_head_alone_cannot_have_statistics_of_its_own():
    with pytest.raises(
        UserError, match="served_statistics: expected a last stage that trains the whole network"
    ):
        customised(recipe_for("report", "resnet50"), ["served_statistics=true"])
    customised(recipe_for("report", "resnet50"), ["served_statistics=true"], "2x64")
