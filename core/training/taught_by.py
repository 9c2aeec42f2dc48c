"""Which trained networks teach: models of the artifacts folder, or finished runs that were not published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import keras

from core.artifacts import load_manifest
from core.errors import UserError
from core.manifest import ManifestMissing
from core.networks.classifiers import build
from core.networks.normalisation import fused
from core.networks.weights import load_weights
from core.settings import runs_dir
from core.training.checkpoint import read_state
from core.training.precision import for_answering
from core.training.recipes import Recipe
from core.training.teachers import Teacher


def load_teachers(names: Sequence[str]) -> list[Teacher]:
    """Trained networks, as teachers: the artifacts folder's model of that name, else the finished run.

    Raises:
        ArtifactError: there is neither such a model nor such a run, or its weights differ from the manifest's hash.
        UserError: the model has no weights, or the run is not finished.
    """
    return [_teacher(name) for name in names]


def _teacher(name: str) -> Teacher:
    run = runs_dir() / name
    if (run / "best.npz").is_file() and not _is_published(name):
        return _load(name, _recipe_of(run), run / "best.npz")
    manifest = load_manifest()
    entry = manifest.model(name)
    path = entry.files.get("weights")
    if path is None:
        raise UserError(f"teacher {name}: expected weights in the artifacts, found none; train it first")
    manifest.read(path)  # Checks the hash before the file is parsed.
    return _load(name, Recipe.from_dict(dict(entry.recipe)), manifest.folder / path)


def _is_published(name: str) -> bool:
    try:
        return name in load_manifest().models
    except ManifestMissing:
        return False


def _recipe_of(run: Path) -> Recipe:
    """A run's recipe: its checkpoint's, or for a mean of several runs that of its notes."""
    checkpoint = run / "checkpoint.npz"
    if not checkpoint.exists():
        notes = json.loads((run / "run.json").read_text())
        return Recipe.from_dict(notes["recipe"])
    progress, stored = read_state(checkpoint)
    recipe = Recipe.from_dict(stored)
    if progress.epoch < recipe.epochs and not recipe.patience:
        raise UserError(f"{run}: expected a finished run, found one at epoch {progress.epoch}")
    return recipe


def _load(name: str, recipe: Recipe, path: Path) -> Teacher:
    keras.config.set_dtype_policy(for_answering(recipe.precision, keras.config.backend()))
    network = fused(build(recipe.network))
    load_weights(network, path, recipe.network)
    network.trainable = False
    return Teacher(name, network, hashlib.sha256(path.read_bytes()).hexdigest())
