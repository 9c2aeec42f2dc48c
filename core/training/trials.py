"""The finished runs of the runs folder, read from their checkpoints and notes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.evaluation.trials import Trial
from core.training.checkpoint import CHECKPOINT, Progress, is_finished, read_state
from core.training.recipes import Recipe

NOTES = "run.json"
"""In a run's folder: what makes the run, written down when it began."""

OWN = {"network", "stages", "learning_rate", "seed", "split", "distillation"}
"""Fields of a recipe that have a column of their own."""


def find_trials(folder: Path) -> tuple[list[Trial], list[str]]:
    """All finished runs beneath a folder, and in a sentence each why others are left out.

    Means of several runs and the lab's experiments are no runs of their own here: they have their own tables.
    """
    trials, left_out = [], []
    for run in sorted(folder.iterdir()) if folder.is_dir() else []:
        # A name that begins with a dot is no run's: a restart sets the old run aside under one.
        if run.name.startswith(".") or not (run / CHECKPOINT).is_file():
            continue
        try:
            progress, recipe = read_state(run / CHECKPOINT)
            if limit := read_notes(run / NOTES).get("images", {}).get("limit"):
                left_out.append(f"{run.name}: to try the command out, on {limit} images (--limit)")
                continue
            if not is_finished(progress, recipe):
                epochs = sum(stage["epochs"] for stage in recipe["stages"])
                left_out.append(f"{run.name}: not finished, {progress.epoch} of {epochs} epochs")
                continue
            trials.append(_trial(run, progress, recipe))
        except UserError as error:
            left_out.append(f"{run.name}: {error}")
    return trials, left_out


def read_finished(folder: Path) -> tuple[Progress, dict[str, Any]]:
    """A finished run's progress and recipe, as `read_state` has them.

    Raises:
        UserError: there is no run, it is not finished, or its checkpoint is damaged.
    """
    progress, recipe = read_state(folder / CHECKPOINT)
    if not is_finished(progress, recipe):
        epochs = sum(stage["epochs"] for stage in recipe["stages"])
        raise UserError(f"{folder}: expected a finished run, found {progress.epoch} of {epochs} epochs")
    return progress, recipe


def split_of(folder: Path) -> str | None:
    """The split that the run in a folder is on, finished or not; None where that was not written down."""
    try:
        recipe = (
            read_state(folder / CHECKPOINT)[1]
            if (folder / CHECKPOINT).exists()
            else read_notes(folder / NOTES).get("recipe")  # a mean of several runs
        )
    except UserError:
        return None
    return recipe.get("split") if isinstance(recipe, dict) else None


def digest(recipe: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for a whole recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def _trial(run: Path, progress: Progress, recipe: Mapping[str, Any]) -> Trial:
    notes = read_notes(run / NOTES)
    best = next((row for row in progress.history if row["epoch"] == progress.best_epoch), None)
    if best is None:
        raise UserError("expected a best epoch in its history, found none")
    soft = recipe.get("distillation") or {}
    return Trial(
        name=run.name,
        recipe=digest(recipe),
        network=recipe["network"],
        begun=str(notes.get("initial_weights", "")),
        teachers=" ".join(soft.get("teachers", ())),
        stages=",".join(_stage(stage) for stage in recipe["stages"]),
        learning_rate=recipe["learning_rate"],
        temperature=soft.get("temperature"),
        alpha=soft.get("alpha"),
        seed=recipe["seed"],
        other=_other(recipe),
        split=recipe["split"],
        data=str(notes.get("data", "")),
        train_images=int(notes.get("images", {}).get("train", 0)),
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        **{
            f"val_{key}": round(best[f"val_{key}"], 5)
            for key in ("accuracy", "balanced_accuracy", "macro_f1")
        },
        seconds=round(progress.seconds, 1),
        commit=str(notes.get("commit", "")),
    )


def read_notes(path: Path) -> dict[str, Any]:
    """What was written down when the run began; nothing where the file is not there."""
    try:
        notes = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: expected the notes of a run, found {error}") from error
    return notes if isinstance(notes, dict) else {}


def _stage(stage: Mapping[str, Any]) -> str:
    return f"{'head' if stage.get('head_only') else ''}{stage['epochs']}x{stage['size']}"


def _other(recipe: Mapping[str, Any]) -> str:
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    changed = {key: v for key, v in recipe.items() if key not in OWN and v != defaults.get(key)}
    return " ".join(f"{key}={value}" for key, value in changed.items())
