"""Which trained networks teach: models of the artifacts folder, or finished runs that were not published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from core.artifacts import Manifest, load_manifest
from core.errors import UserError
from core.manifest import ArtifactError, ManifestMissing, ModelEntry
from core.networks.classifiers import build
from core.networks.normalisation import fused
from core.networks.weights import load_weights
from core.settings import runs_dir
from core.training.checkpoint import CHECKPOINT
from core.training.origins import check_no_trial
from core.training.precision import for_answering
from core.training.recipes import Recipe
from core.training.teachers import Teacher
from core.training.trials import NOTES, read_finished, read_notes


class TeacherMissing(ArtifactError):
    """A teacher that is neither among the artifacts nor a finished run; `name` is its name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def load_teachers(names: Sequence[str], *, for_trial: bool = False) -> list[Teacher]:
    """Trained networks, as teachers: the artifacts folder's model of that name, else the finished run.

    Args:
        names: of the models or runs.
        for_trial: whether nothing is published that they teach; then runs on few images (`--limit`) may teach, too.

    Raises:
        TeacherMissing: there is neither such a model nor such a run.
        ArtifactError: its weights differ from the manifest's hash.
        UserError: the model has no weights, or the run is not finished, lacks its notes, or was a trial.
    """
    return [_teacher(name, for_trial) for name in names]


def _teacher(name: str, for_trial: bool) -> Teacher:
    run = runs_dir() / name
    if (run / "best.npz").is_file() and not _is_published(name):
        if not for_trial:
            check_no_trial(run)
        return _load(name, _recipe_of(run), run / "best.npz")
    manifest, entry = _entry(name)
    path = entry.files.get("weights")
    if path is None:
        remedy = f"use its parent {entry.parent}" if entry.parent else "train it first"
        raise UserError(f"teacher {name}: expected weights in {manifest.folder}, found none; {remedy}")
    manifest.read(path)  # Checks the hash before the file is parsed.
    return _load(name, Recipe.from_dict(dict(entry.recipe)), manifest.folder / path, entry.widths)


def _entry(name: str) -> tuple[Manifest, ModelEntry]:
    """A model of the artifacts, and their manifest."""
    try:
        manifest = load_manifest()
    except ManifestMissing as error:
        raise TeacherMissing(
            name, f"teacher {name}: {error}; runs are looked for in {runs_dir()}, where it is no finished one"
        ) from error
    if name not in {*manifest.models, *manifest.problems}:
        known = ", ".join(manifest.models) or "none"
        raise TeacherMissing(
            name,
            f"teacher {name}: expected one of the models {known} of {manifest.folder}, or a finished run in "
            f"{runs_dir()}, found neither",
        )
    return manifest, manifest.model(name)


def _is_published(name: str) -> bool:
    try:
        return name in load_manifest().models
    except ManifestMissing:
        return False


def _recipe_of(run: Path) -> Recipe:
    """A run's recipe: its checkpoint's, or for a mean of several runs that of its notes."""
    if (run / CHECKPOINT).exists():
        return Recipe.from_dict(read_finished(run)[1])
    recipe = read_notes(run / NOTES).get("recipe")
    if not isinstance(recipe, dict):
        raise UserError(
            f"{run}: expected a finished run or a mean with its notes, found weights with neither a checkpoint nor a "
            f"recipe in {NOTES}"
        )
    return Recipe.from_dict(recipe)


def _load(name: str, recipe: Recipe, path: Path, widths: Mapping[str, int] | None = None) -> Teacher:
    keras.config.set_dtype_policy(for_answering(recipe.precision, keras.config.backend()))
    network = fused(build(recipe.network, widths=widths))
    load_weights(network, path, recipe.network)
    network.trainable = False
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Teacher(name, network, digest, recipe.split, str(path))
