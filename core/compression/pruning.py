"""Pruning a trained network in either way: from a target to a training run that begins with it, and to the manifest.

The fine-tuning is a run like any other (`core.training`): the parent's own recipe with fewer epochs, so with its
teachers, or with others that are named.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.artifacts import Manifest, ModelEntry, write_atomically
from core.compression.budget import Ledger, choose
from core.compression.channels import find_channels, narrow
from core.compression.magnitude import MagnitudePruning, schedule_end
from core.compression.scores import SCORES
from core.errors import UserError
from core.evaluation.compressed import CHANNELS, MAGNITUDE
from core.lesions import N_CLASSES
from core.networks.classifiers import build
from core.networks.trained import load_trained, weights_of
from core.networks.weights import load_weights
from core.training.checkpoint import BEST, CHECKPOINT
from core.training.launch import Run, Start
from core.training.loop import TrainingData
from core.training.publish import publish
from core.training.recipes import Distillation, Recipe, Stage
from core.training.scores import shown
from core.training.soup import cook, keep_mean, parts_of, settling, validation_of

STAGES = (Stage(6, 224),)
"""Of the fine-tuning, unless other ones are asked for: at full size, as the parent was trained last."""

PLAN = "pruning.json"


@dataclass(frozen=True)
class Target:
    """What to prune to.

    Attributes:
        method: `channels` or `magnitude`.
        share: of multiply-adds kept, or of weights set to zero.
        size: share of the int8 file's weights kept (channels alone).
        score: how channels are judged, a key of `SCORES`.
        images: of each class, to judge by.
    """

    method: str
    share: float
    size: float = 1.0
    score: str = "taylor"
    images: int = 64

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise UserError(f"score: expected one of {', '.join(SCORES)}, found {self.score!r}")
        if not 0 < self.share < 1:
            raise UserError(f"{self.method}: expected a share between 0 and 1, found {self.share:g}")
        if not 0 < self.size <= 1:
            raise UserError(f"size: expected a share above 0 and up to 1, found {self.size:g}")

    def run_name(self, parent: str, alpha: float | None = None, further: bool = False) -> str:
        """Of the folder of its run; one for each target, for each alpha where there are several, and for what goes
        further from there."""
        size = f"-{1000 * self.size:.0f}-{self.score}" if self.method == CHANNELS else ""
        end = ("-further" if further else "") + ("" if alpha is None else f"-alpha{alpha:g}")
        return f"{parent}-{self.method}-{1000 * self.share:.0f}{size}{end}"


def recipe_for_tuning(entry: ModelEntry, teachers: str | None = None, alpha: float | None = None) -> Recipe:
    """The parent's recipe with the stages of a fine-tuning and statistics of images as they are served.

    Args:
        entry: of the parent.
        teachers: names of others than the parent's teachers, by comma; the parent itself may be one.
        alpha: weight of the soft term, None for the parent's.

    Raises:
        UserError: the manifest has no recipe of it, or alpha has nothing to weigh: nobody teaches.
    """
    if "weights" not in entry.files or not entry.recipe:
        raise UserError(
            f"model {entry.name}: expected a trained model with its recipe, found the role {entry.role}"
        )
    # Narrowed layers, or such with zeros, see other inputs than the parent's did: its statistics are not theirs.
    changed = {"stages": STAGES, "served_statistics": True}
    recipe = dataclasses.replace(Recipe.from_dict(dict(entry.recipe)), **changed)
    known = recipe.distillation
    if teachers:
        names = tuple(teachers.split(","))
        known = dataclasses.replace(known, teachers=names) if known else Distillation(teachers=names)
    if known:
        # The teachers may have statistics of images as they are served, the student itself has.
        known = dataclasses.replace(known, teacher_statistics="views")
    if alpha is not None:
        if known is None:
            raise UserError(f"alpha: expected teachers, found none: model {entry.name} had none; name some")
        known = dataclasses.replace(known, alpha=alpha)
    return dataclasses.replace(recipe, distillation=known)


def start(manifest: Manifest, name: str, target: Target, recipe: Recipe) -> Start:
    """Where the fine-tuning of a pruned model begins.

    Raises:
        UserError: channels were taken out of it before.
    """
    entry = manifest.model(name)
    if entry.widths:
        raise UserError(
            f"model {name}: expected a whole network, found one that was pruned from {entry.parent}: prune that one, "
            "or go on with this one by --further"
        )
    digest = manifest.files[entry.files["weights"]].sha256
    asked = {"parent": name, "parent_sha256": digest, "target": asdict(target)}
    described = f"those of {name} (sha256 {digest[:16]}...), pruned"

    def make(folder: Path, data: TrainingData) -> keras.Model:
        plan = _stored_plan(folder, asked)
        if target.method == MAGNITUDE:
            _write_plan(folder, asked)
            return load_trained(manifest, name, size=None)
        whole = load_trained(manifest, name)
        kept = plan["kept"] if plan else {k: v.tolist() for k, v in _judge(whole, target, data).items()}
        widths = {layer: len(indices) for layer, indices in kept.items()}
        _write_plan(folder, {**asked, "kept": kept, "widths": widths})
        small = narrow(whole, {layer: np.array(indices) for layer, indices in kept.items()})
        network = build(entry.network, widths=widths)
        network.set_weights(small.get_weights())
        return network

    if target.method == MAGNITUDE:
        return Start(described, make, MagnitudePruning(target.share, schedule_end(recipe)))
    return Start(described, make)


def further(manifest: Manifest, name: str, pruned: str, target: Target, folder: Path | None = None) -> Start:
    """Where the fine-tuning of a pruned network that is published goes on: with its channels and its weights.

    Args:
        manifest: of the artifacts.
        name: of the model that it was pruned from.
        pruned: its own name.
        target: what it was pruned to.
        folder: of the run that goes on, where one does.

    Raises:
        UserError: it was pruned from another model or to another target, is no pruned network, or was published anew
            since the run in the folder began, mostly by that run.
    """
    entry = manifest.model(pruned)
    known = dict(entry.provenance.get("pruning", {}))
    parent_digest = known.pop("parent_sha256", None)
    if entry.parent != name or known != asdict(target):
        raise UserError(
            f"model {pruned}: expected one that was pruned from {name} to {asdict(target)}, found one of "
            f"{entry.parent or 'no parent'} and {known or 'no pruning'}"
        )
    digest = manifest.files[weights_of(manifest, pruned)].sha256
    asked = {"parent": name, "parent_sha256": parent_digest, "target": asdict(target), "further": digest}

    if folder and (plan := _plan_of(folder)) and plan.get("further") != digest:
        raise UserError(
            f"{folder}: expected a run that goes on from {pruned} as it is published, found one from other weights; "
            f"where {pruned} is what that run gave, `python -m core compress --model {pruned}` makes its files; begin "
            "a new run from it with --restart"
        )
    epochs = entry.provenance.get("epochs_before", 0) + Recipe.from_dict(dict(entry.recipe)).epochs

    def make(folder: Path, data: TrainingData) -> keras.Model:
        _stored_plan(folder, asked)
        _write_plan(folder, {**asked, "widths": dict(entry.widths), "epochs_before": epochs})
        return load_trained(manifest, pruned, size=None)

    before = entry.provenance.get("initial_weights", "")
    return Start(f"those of {pruned} (sha256 {digest[:16]}...), which began with {before}", make)


def mean_of(
    runs: Sequence[Run], name: str, data: TrainingData, beginning: Mapping[str, Path] | None = None
) -> Run:
    """The mean of several fine-tunings of one pruned network, as long as validation gains; else the best of them.

    Args:
        runs: finished ones, to the same channels; the mean goes by the recipe and history of the first in it.
        name: of the mean's folder, before `-soup`.
        data: whose validation images judge.
        beginning: name -> weights that the runs went on from, which may be part of the mean.

    Raises:
        UserError: the runs kept different channels, or what they went on from is better than all of them.
    """
    first = runs[0]
    plans = [json.loads((run.folder / PLAN).read_text()) for run in runs]
    for run, plan in zip(runs, plans, strict=True):
        if [plan.get("kept"), plan["widths"]] != [plans[0].get("kept"), plans[0]["widths"]]:
            raise UserError(f"{run.folder}: expected the channels of {first.folder}, found others")
    files = {run.folder.name: run.folder / BEST for run in runs} | dict(beginning or {})
    network = first.network
    settle = settling(network, data, first.recipe)
    ingredients, _ = cook(network, first.recipe.network, files, validation_of(network, data), settle)
    for one in ingredients:
        print(f"{'+' if one.used else ' '} {one.name}: {shown(one.figures)}", flush=True)
    used = [run for run, one in zip(runs, ingredients, strict=False) if one.used]
    if not used:
        raise UserError(
            f"{' and '.join(run.folder.name for run in runs)}: expected a network that is better on validation than "
            f"{' and '.join(beginning or ())}, which it went on from, found none; nothing was changed"
        )
    first = dataclasses.replace(used[0], network=network)
    if sum(one.used for one in ingredients) == 1:
        load_weights(network, first.folder / BEST, first.recipe.network)
        return first
    folder = keep_mean(name, first.folder, first.recipe, network)
    # As they are kept, so that what is measured is what is published.
    load_weights(network, folder / BEST, first.recipe.network)
    _write_plan(folder, {**plans[0], "mean_of": parts_of(ingredients)})
    return dataclasses.replace(first, folder=folder)


def publish_pruned(manifest: Manifest, parent: str, name: str, run: Run) -> Manifest:
    """Enter the network of a finished run of whole channels under its own name, widths included."""
    plan = json.loads((run.folder / PLAN).read_text())
    entry = manifest.model(parent)
    progress = run.progress
    changes: dict[str, Any] = {
        "title": f"{entry.title}, pruned",
        "role": "variant",
        "parent": parent,
        "widths": plan["widths"],
        "provenance": {"pruning": {"parent_sha256": plan["parent_sha256"], **plan["target"]}},
    }
    changes["provenance"] |= {key: plan[key] for key in ("mean_of", "epochs_before") if key in plan}
    return publish(run.folder, name, run.recipe, run.network, progress.seconds, progress.best_epoch, changes)


def epochs_of(run: Run) -> int:
    """Epochs of fine-tuning behind a run's network, with those of what it went on from."""
    plan = json.loads((run.folder / PLAN).read_text())
    return run.recipe.epochs + plan.get("epochs_before", 0)


def judging_images(data: TrainingData, per_class: int) -> np.ndarray:
    """Rows of training images to judge channels by: as many of each class, evenly over their ids."""
    labels = data.labels[data.train]
    rows = [data.train[labels == k] for k in range(N_CLASSES)]
    return np.concatenate(
        [r[np.linspace(0, len(r) - 1, min(per_class, len(r))).astype(int)] for r in rows if len(r)]
    )


def _judge(whole: keras.Model, target: Target, data: TrainingData) -> dict[str, np.ndarray]:
    rows = judging_images(data, target.images)
    groups = find_channels(whole)
    print(f"judging {sum(g.width for g in groups):,} channels by {len(rows)} training images", flush=True)
    images = np.stack([np.asarray(data.store.pixels[row]) for row in rows])
    scores = SCORES[target.score](whole, groups, images, data.labels[rows])
    return choose(scores, Ledger(whole, groups), multiply_adds=target.share, size=target.size)


def _stored_plan(folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The plan of the run that goes on in a folder; None for a new one.

    Raises:
        UserError: the run there prunes other weights, or to another target.
    """
    if (plan := _plan_of(folder)) is None:
        return None
    if {key: plan.get(key) for key in asked} != json.loads(json.dumps(asked)):
        raise UserError(
            f"{folder}: expected a run that prunes these weights of {asked['parent']} in this way, found another; "
            "start afresh with --restart"
        )
    return plan


def _plan_of(folder: Path) -> dict[str, Any] | None:
    path = folder / PLAN
    return json.loads(path.read_text()) if path.exists() and (folder / CHECKPOINT).exists() else None


def _write_plan(folder: Path, plan: dict[str, Any]) -> None:
    write_atomically(folder / PLAN, json.dumps(plan).encode())
