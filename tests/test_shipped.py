"""The artifacts in the repository: made by the documented commands, whole, and in agreement with each other."""

from __future__ import annotations

import re

import pytest

from core.artifacts import load_manifest
from core.settings import ROOT
from core.training.recipes import Recipe, recipe_for

MANIFEST = load_manifest(ROOT / "artifacts")
TRAINED = [
    entry for entry in MANIFEST.models.values() if entry.recipe and entry.parent is None and not entry.members
]


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: entry.name)
def test_a_model_was_trained_by_the_recipe_that_its_command_uses(entry):
    recipe = Recipe.from_dict(entry.recipe)
    documented = recipe_for("tuned", entry.network, taught=recipe.distillation is not None)
    assert recipe.to_dict() | {"distillation": None} == documented.to_dict()


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: entry.name)
def test_make_models_names_the_teachers(entry):
    commands = re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text())
    distillation = Recipe.from_dict(entry.recipe).distillation
    if distillation is None:
        return
    asked = f"--teachers {','.join(distillation.teachers)} "
    lines = [line for line in commands.splitlines() if "distill" in line and asked in line]
    settings = (
        f"--temperature {distillation.temperature:g} --alpha {distillation.alpha:g} "
        f"--teacher-size {distillation.teacher_size}"
    )
    assert any(settings in line for line in lines), lines


@pytest.mark.parametrize("entry", MANIFEST.models.values(), ids=lambda entry: entry.name)
def test_every_model_has_its_figures_on_test_and_a_calibration_from_validation(entry):
    assert {"validation", "test", "cohorts"} <= set(entry.figures)
    assert entry.calibration["fitted_on"] == "validation"
    assert entry.figures["split"] == "lesion"


def test_every_file_is_whole():
    for relative in MANIFEST.files:
        MANIFEST.read(relative)
