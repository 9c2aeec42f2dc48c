"""Model soups: the mean of the weights of several trainings of one network.

Trainings that began from the same weights mostly lie in one valley of the loss, and the mean of their weights is as
good as their ensemble at the cost of one network (Wortsman et al., "Model soups", ICML 2022). Ingredients are added
greedily, the best first, and stay only where they are no loss on validation.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from core.artifacts import write_atomically
from core.errors import UserError
from core.networks.weights import load_weights, save_weights
from core.settings import INPUT_SIZE
from core.training.checkpoint import BEST, CHECKPOINT
from core.training.inference import predict_logits
from core.training.scores import score, validation_figures
from core.training.statistics import reestimate
from core.training.trials import NOTES, read_notes

if TYPE_CHECKING:
    from core.training.loop import TrainingData
    from core.training.recipes import Recipe

Figures = Mapping[str, float]

HISTORY = "history.csv"
"""In a run's folder: a row for each epoch."""


@dataclass(frozen=True)
class Ingredient:
    """One file of weights.

    Attributes:
        name: of the file, or of the run that it is the best epoch of.
        sha256: of the file.
        figures: of these weights alone, on validation.
        used: whether they are part of the mean.
    """

    name: str
    sha256: str
    figures: Figures
    used: bool


def cook(
    network: keras.Model,
    key: str,
    files: Mapping[str, Path],
    validate: Callable[[], Figures],
    settle: Callable[[], None] = lambda: None,
) -> tuple[list[Ingredient], Figures]:
    """Fill a network with the greedy mean of several files' weights.

    Args:
        network: the graph.
        key: of `core.networks.classifiers.NETWORKS`.
        files: name -> its weights, all of that network.
        validate: the figures of `network` as it is.
        settle: called when `network` holds the mean of several, before it is validated: see `settling`.

    Returns:
        The ingredients, in the order of `files`, and the figures of the mean.

    Raises:
        WeightFileError: a file holds something else.
    """
    alone: dict[str, tuple[list[np.ndarray], Figures]] = {}
    for name, path in files.items():
        load_weights(network, path, key)
        alone[name] = [keras.ops.convert_to_numpy(variable) for variable in network.weights], validate()
    order = sorted(alone, key=lambda name: score(alone[name][1]), reverse=True)
    used, best = [order[0]], alone[order[0]][1]
    for name in order[1:]:
        _fill(network, [alone[one][0] for one in (*used, name)])
        settle()
        figures = validate()
        if score(figures) >= score(best):
            used.append(name)
            best = figures
    _fill(network, [alone[name][0] for name in used])
    if len(used) > 1:
        settle()
    found = [
        Ingredient(name, hashlib.sha256(path.read_bytes()).hexdigest(), alone[name][1], name in used)
        for name, path in files.items()
    ]
    return found, best


def validation_of(network: keras.Model, data: TrainingData) -> Callable[[], Figures]:
    """A function that gives the figures of a network, as it is then, on all validation images."""

    def validate() -> Figures:
        # At the size at which models are served, whatever the last stage's was.
        logits = predict_logits(
            network, data.store.pixels, data.validation, size=INPUT_SIZE, title="validating"
        )
        return validation_figures(logits, data.labels[data.validation])

    return validate


def settling(network: keras.Model, data: TrainingData, recipe: Recipe) -> Callable[[], None]:
    """A function that gives a mean of weights what the mean of its parts' statistics is not: statistics of its own.

    Where the recipe does not measure them as images are served, it leaves the network alone.
    """

    def settle() -> None:
        if recipe.served_statistics:
            reestimate(network, data.store.pixels, data.train, size=INPUT_SIZE, seed=recipe.seed)

    return settle


def keep_mean(name: str, run: Path, recipe: Recipe, network: keras.Model) -> Path:
    """Write a mean into a run folder of its own, with the history and the notes of one of its runs.

    Args:
        name: of the mean; see `place_of_mean`.
        run: folder of the run.
        recipe: of the run.
        network: the mean.

    Raises:
        UserError: the run lacks its notes or history, or the mean's place is a training's.
    """
    notes, target = notes_of(run), place_of_mean(name, run)
    target.mkdir(exist_ok=True)
    # Of new weights an earlier mean's notes say nothing true, should this be killed between them.
    (target / NOTES).unlink(missing_ok=True)
    save_weights(network, target / BEST, recipe.network)
    shutil.copyfile(run / HISTORY, target / HISTORY)
    notes |= {"recipe": recipe.to_dict()}
    write_atomically(target / NOTES, json.dumps(notes, indent=1).encode())
    return target


def place_of_mean(name: str, run: Path) -> Path:
    """The folder of a mean, beside that of the run that it goes by. An earlier mean there gives way.

    Raises:
        UserError: a training lies there, whose weights would be lost, or the mean goes by what lies there.
    """
    target = run.with_name(f"{name}-soup")
    if target == run:
        raise UserError(
            f"{target}: expected a mean beside the runs that it is of, found --name {name}; take another"
        )
    if (target / CHECKPOINT).exists():
        raise UserError(
            f"{target}: expected no run or an earlier mean, found a training; take another --name"
        )
    return target


def notes_of(run: Path) -> dict[str, Any]:
    """The notes of a run that a mean can go by.

    Raises:
        UserError: they, or the run's history, are not there or damaged.
    """
    notes = read_notes(run / NOTES)
    if not notes or not (run / HISTORY).is_file():
        raise UserError(
            f"{run}: expected a finished run with its notes and history, found no {HISTORY if notes else NOTES}"
        )
    return notes


def parts_of(ingredients: Iterable[Ingredient]) -> list[dict[str, object]]:
    """What a mean consists of, for its model's provenance."""
    return [
        {"name": one.name, "sha256": one.sha256[:16], **{key: round(v, 4) for key, v in one.figures.items()}}
        for one in ingredients
        if one.used
    ]


def _fill(network: keras.Model, weights: Sequence[Sequence[np.ndarray]]) -> None:
    for variable, values in zip(network.weights, zip(*weights, strict=True), strict=True):
        variable.assign(np.mean(np.stack(values).astype(np.float32), axis=0))
