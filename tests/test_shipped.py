"""The artifacts in the repository: made by the documented commands, whole, and in agreement with each other."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest
from core.data.splits import SPLITS
from core.evaluation.calibration import fit_temperature
from core.evaluation.compressed import read_curves
from core.evaluation.contestants import read_predictions
from core.evaluation.ensemble import MEMBERS, combine
from core.evaluation.latency import read_benchmark
from core.evaluation.leak_file import read_pairs
from core.evaluation.metrics import confusion
from core.settings import ROOT
from core.training.recipes import Recipe, customised, recipe_for

MANIFEST = load_manifest(ROOT / "artifacts")
TRAINED = [
    entry for entry in MANIFEST.models.values() if entry.recipe and entry.parent is None and not entry.members
]


MOST_BYTES = 160 * 1000 * 1000
"""Of all artifacts: what people have to fetch before they see anything."""


def test_the_artifacts_are_small_enough_to_be_fetched():
    sizes = {path: path.stat().st_size for path in MANIFEST.folder.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= MOST_BYTES, max(sizes, key=sizes.get)


def make_models() -> list[str]:
    """The Makefile's lines, each command on one."""
    return re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text()).splitlines()


def own_command(name: str) -> str:
    """The line that trains a model; of a mean of several runs the first one's, whose recipe the mean has."""
    lines = [line for line in make_models() if f" --name {name} " in f"{line} "]
    assert lines, name
    mean = re.search(r" soup (\S+) .*--name ", lines[-1])
    return own_command(mean[1]) if mean else lines[-1]


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: entry.name)
def test_a_model_was_trained_by_the_recipe_that_its_command_uses_but_for_its_teachers(entry):
    recipe = Recipe.from_dict(entry.recipe)
    documented = recipe_for("tuned", entry.network, taught=recipe.distillation is not None)
    own = own_command(entry.name)
    stages, seed = (re.findall(rf"--{option} (\S+)", own) for option in ("stages", "seed"))
    wanted = customised(
        documented,
        re.findall(r"--set (\S+)", own),
        *stages[-1:] or [None],
        seed=int(seed[-1]) if seed else None,
    )
    assert recipe.to_dict() | {"distillation": None} == wanted.to_dict()


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: entry.name)
def test_make_models_names_the_teachers(entry):
    distillation = Recipe.from_dict(entry.recipe).distillation
    if distillation is None:
        return
    asked = f"--teachers {','.join(distillation.teachers)} "
    lines = [line for line in make_models() if "distill" in line and asked in line]
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
    answers = read_predictions(MANIFEST, entry.name)
    validation, test = (answers.part_only(part) for part in ("validation", "test"))
    assert not set(validation.lesion_id) & set(test.lesion_id)
    assert entry.temperature == pytest.approx(fit_temperature(validation.logits, validation.label), rel=1e-3)
    for part, found in (("validation", validation), ("test", test)):
        counted = confusion(found.label, found.predicted)[0].astype(int).tolist()
        assert entry.figures[part]["confusion"] == counted


def test_the_ensemble_is_the_set_of_networks_that_is_best_on_validation():
    names = [entry.name for entry in TRAINED]
    answers = {name: read_predictions(MANIFEST, name).part_only("validation") for name in names}
    temperatures = {name: MANIFEST.model(name).temperature for name in names}

    def log_loss(members):
        found = combine([answers[name] for name in members], temperatures)
        shares = found.probabilities(fit_temperature(found.logits, found.label))
        return -np.log(shares[np.arange(len(shares)), found.label]).mean()

    assert len(names) == 4
    sets = [members for size in (2, 3, 4) for members in combinations(names, size)]
    assert set(min(sets, key=log_loss)) == set(MEMBERS) == set(MANIFEST.model("ensemble").members)


def test_the_readme_has_the_figures_of_the_manifest(capsys, monkeypatch):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(ROOT / "artifacts"))
    assert main(["models", "--markdown"]) == 0
    readme, table = (ROOT / "README.md").read_text(encoding="utf-8"), capsys.readouterr().out
    assert sum(line.startswith("|") for line in table.splitlines()) == 3 + len(MANIFEST.models)
    assert "Student minus baseline" in table
    assert "Times on " in table
    assert table in readme
    assert f"On the {MANIFEST.model('student').figures['test']['n_images']:,} test images" in readme


def test_two_files_that_hold_times_of_one_machine_tell_the_same():
    """Under one machine's name the curves once had another's times."""
    curves, benchmark = read_curves(MANIFEST), read_benchmark(MANIFEST)
    runs = [run for run in (benchmark, *benchmark.elsewhere) if run.hardware == curves.hardware]
    assert runs, "the machine of the curves has a benchmark, too"
    for run in runs:
        measured = run.milliseconds("student-int8")
        assert curves.whole.milliseconds == pytest.approx(measured, rel=0.5)


def test_every_file_is_whole():
    for relative in MANIFEST.files:
        MANIFEST.read(relative)


def test_the_leak_was_measured_by_the_runs_of_make_leak_on_the_whole_of_both_splits():
    commands = (ROOT / "Makefile").read_text().partition("\nleak:")[2].partition("\n\n")[0]
    pairs = {pair.name: pair for pair in read_pairs(MANIFEST)}
    assert list(pairs) == ["resnet50", "student"]
    for pair in pairs.values():
        ours, report = (pair.sides[split] for split in SPLITS)
        assert (ours.images, report.images) == (MANIFEST.model("student").figures["test"]["n_images"], 2003)
        assert ours.groups["several"].trained == 0 < report.groups["several"].trained
        stages = ",".join(f"{stage['epochs']}x{stage['size']}" for stage in report.facts["recipe"]["stages"])
        assert f"--stages {stages} " in commands.replace("\\", " ")
        assert pair.gain["accuracy"].value == pytest.approx(
            report.figures["accuracy"].value - ours.figures["accuracy"].value
        )
