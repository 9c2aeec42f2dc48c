"""From a recipe's name to a finished run: data, network, teachers, and the loop."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout

from core.data.ham10000 import SYNTHETIC_PREFIX, check_lesions, open_dataset
from core.data.pixels import PixelStore
from core.data.splits import assign
from core.errors import UserError
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE
from core.lesions import INDEX
from core.networks.classifiers import build
from core.networks.normalisation import fused
from core.settings import cache_dir, runs_dir
from core.training.batches import ViewMaker
from core.training.checkpoint import BEST, CHECKPOINT, Progress
from core.training.loop import AfterStep, TeacherAnswers, Trainer, TrainingData
from core.training.origins import check_same_photographs, check_split, images_seen, split_of_weights
from core.training.precision import advice
from core.training.publish import INIT, describe_init, digest_of, note_start
from core.training.recipes import Recipe
from core.training.teachers import CachedTeachers, OnlineTeachers, Teacher, adapt


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its recipe, the trained network and its progress."""

    folder: Path
    recipe: Recipe
    network: keras.Model
    progress: Progress


@dataclass(frozen=True)
class Start:
    """Where a run begins that is not built from initial weights: with a network made of a trained one.

    Attributes:
        described: the network's weights in words, for the model's provenance.
        make: (run's folder, data) -> network, called again when the run goes on from its checkpoint: it must have the
            same shape then.
        after_step: see `Trainer`.
    """

    described: str
    make: Callable[[Path, TrainingData], keras.Model]
    after_step: AfterStep | None = None


def load_training_data(split: str, limit: int | None = None) -> TrainingData:
    """The dataset at `settings.data_dir()` as pixels, labels and rows; the test part is left out.

    Args:
        split: `lesion` or `report`.
        limit: use at most that many images of each part, drawn evenly over it, to try a command out.

    Raises:
        UserError: a part is empty, or has no image of some class, or a split by lesion is asked for where nobody knows
            which images are of one.
    """
    dataset = open_dataset()
    if split == "lesion":
        check_lesions(dataset, ", or split by image, as the report did: --split report")
    records = dataset.records
    store = PixelStore.open(dataset, records["image_id"].tolist())
    parts = assign(records, split)
    labels = records["dx"].map(INDEX).to_numpy()
    rows = {part: np.flatnonzero(parts == part) for part in ("train", "validation")}
    for part, found in rows.items():
        if not len(found):
            raise UserError(f"{dataset.root}: expected images for {part}, found none among {len(records)}")
        if lacking := _classes_without(labels[found]):
            raise UserError(
                f"{dataset.root}: expected images of every class for {part}, found none of {', '.join(lacking)}"
            )
    return limited(TrainingData(store, labels, rows["train"], rows["validation"]), limit)


def limited(data: TrainingData, limit: int | None) -> TrainingData:
    """At most `limit` images of each part, drawn evenly over it; classes that none is of are named."""
    if limit is None:
        return data
    taken = {"train": _take(data.train, limit), "validation": _take(data.validation, limit)}
    for part, found in taken.items():
        if lacking := _classes_without(data.labels[found]):
            print(f"note: among {len(found)} images for {part} there is none of {', '.join(lacking)}")
    return dataclasses.replace(data, **taken)


def _classes_without(labels: np.ndarray) -> list[str]:
    return [code for code, number in INDEX.items() if number not in labels]


def run_recipe(
    name: str,
    recipe: Recipe,
    *,
    init: str | None = None,
    init_note: str | None = None,
    teachers: list[Teacher] | None = None,
    restart: bool = False,
    limit: int | None = None,
    workers: int = 0,
    on_epoch: Callable[[dict], None] | None = None,
    start: Start | None = None,
) -> Run:
    """Train `recipe` in the run folder `name`, going on from its checkpoint if there is one.

    Args:
        name: of the run's folder under `settings.runs_dir()`.
        recipe: what to train.
        init: initial weights: `imagenet`, a file, or None.
        init_note: where that file comes from and under which terms, for the model's provenance.
        teachers: for a recipe with distillation.
        restart: forget what the folder holds.
        limit: at most that many training and validation images.
        workers: processes that make augmented views, 0 for this one. Each starts by importing the main module: a script
            that asks for some does its work under `if __name__ == "__main__":`.
        on_epoch: called with each epoch's history row.
        start: the network to begin with, in place of one with the weights of `init`.

    Raises:
        UserError: the name, the initial weights or the data cannot be used, the initial weights or a teacher were
            trained on another split or on other images of the same source, the folder holds a mean or a run of
            another recipe, of other images, initial weights or teachers, or another process is training there.
    """
    check_name(name)
    _check_splits(recipe, init, teachers or ())
    initial_weights = start.described if start else describe_init(init, init_note)
    folder = runs_dir() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder), _begun(folder, restart):
        whole = load_training_data(recipe.split)
        _check_images(whole, init, teachers or ())
        data = limited(whole, limit)
        if recipe.served_statistics and len(data.train) < 2:
            raise UserError(
                f"served_statistics: expected at least 2 training images, found {len(data.train)}: one has no variance"
            )
        began = {INIT: start.described if start else digest_of(init)}
        began |= {teacher.name: teacher.sha256[:16] for teacher in teachers or ()}
        note_start(folder, initial_weights, _source(data), images_of(data, limit), began)
        return _train(name, recipe, folder, data, init, teachers, workers, on_epoch, start)


def check_name(name: str) -> None:
    """Refuse a name that is none in the manifest: before the training, not after it.

    Raises:
        UserError: the name has other characters.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise UserError(
            f"--name: expected letters a-z, digits, '.', '_' and '-', not beginning with a sign, found {name!r}"
        )


def _check_splits(recipe: Recipe, init: str | None, teachers: Sequence[Teacher]) -> None:
    for teacher in teachers:
        check_split(f"teacher {teacher.name}", teacher.split, recipe.split)
    if init:
        check_split(f"--init {init}", split_of_weights(Path(init)), recipe.split)


def _check_images(whole: TrainingData, init: str | None, teachers: Sequence[Teacher]) -> None:
    """Before a limit is put on the images: what saw all of them may begin a trial, which sees a part."""
    files = {f"teacher {teacher.name}": teacher.source for teacher in teachers} | {f"--init {init}": init}
    for what, file in files.items():
        if file and Path(file).is_file():
            here = images_of(whole, images_seen(Path(file)).get("limit"))
            check_same_photographs(what, Path(file), _source(whole), here)


def _train(
    name: str,
    recipe: Recipe,
    folder: Path,
    data: TrainingData,
    init: str | None,
    teachers: list[Teacher] | None,
    workers: int,
    on_epoch: Callable[[dict], None] | None,
    start: Start | None,
) -> Run:
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    network = fused(start.make(folder, data) if start else build(recipe.network, init=init))
    print(
        f"{name}: {len(data.train)} training and {len(data.validation)} validation images, "
        f"{network.count_params():,} parameters, {recipe.epochs} epochs, in {folder}",
        flush=True,
    )
    if said := advice(recipe.precision, keras.config.backend()):
        print(f"{name}: {said}", flush=True)
    for teacher in teachers or ():
        print(
            f"{name}: taught by {teacher.name}, {teacher.source}, sha256 {teacher.sha256[:16]}...", flush=True
        )
    with ViewMaker(workers) as maker:
        answers = _answers(recipe, teachers, data, maker)
        after_step = start.after_step if start else None
        progress = Trainer(recipe, data, network, folder, maker, answers, on_epoch, after_step).run()
    return Run(folder, recipe, network, progress)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder; the lock of a killed process is free."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"{folder}: expected no other process to train there, found one; wait for it"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _begun(folder: Path, restart: bool) -> Iterator[None]:
    """The folder of a run; what `restart` forgets comes back if the new run ends before its first checkpoint."""
    before = folder.with_name(f".{folder.name}.before")
    if (
        before.exists() and not (folder / CHECKPOINT).exists()
    ):  # the process that was to start afresh was killed
        _move(before, folder)
    if restart and folder.exists():
        _move(folder, before)
    if (folder / BEST).exists() and not (folder / CHECKPOINT).exists():
        raise UserError(
            f"{folder}: expected no weights or those of a training that goes on, found some without a checkpoint, as "
            "a mean of several runs has them; take another --name, or replace them with --restart"
        )
    folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        if before.exists() and not (folder / CHECKPOINT).exists():
            _move(before, folder)
        shutil.rmtree(before, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    source.rename(target)


def _source(data: TrainingData) -> str:
    # As `Dataset.is_synthetic` has it: a few drawings among photographs make none of them a measured figure.
    drawn = any(image_id.startswith(SYNTHETIC_PREFIX) for image_id in data.store.image_ids)
    return SYNTHETIC_NOTE if drawn else DATA_NOTE


def images_of(data: TrainingData, limit: int | None) -> dict[str, Any]:
    """Which images a run sees: counts for people, a digest of ids and labels for the comparison, a trial's limit.

    Args:
        data: all images, or those of the limit.
        limit: of the run, on each part.
    """
    parts = {"train": _take(data.train, limit), "validation": _take(data.validation, limit)}
    seen = [[[data.store.image_ids[row], int(data.labels[row])] for row in rows] for rows in parts.values()]
    digest = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
    return {part: len(rows) for part, rows in parts.items()} | (
        {"digest": digest, "limit": limit} if limit else {"digest": digest}
    )


def _answers(
    recipe: Recipe, teachers: list[Teacher] | None, data: TrainingData, maker: ViewMaker
) -> TeacherAnswers | None:
    if recipe.distillation is None:
        return None
    if not teachers:
        raise UserError(
            f"distillation: expected the teachers {', '.join(recipe.distillation.teachers)}, found none"
        )
    if recipe.views is None:

        def adapt_to(size: int) -> None:
            for teacher in teachers:
                adapt(teacher, recipe, data.store, data.train, size, maker)

        adapts = recipe.distillation.teacher_statistics == "views"
        return OnlineTeachers(teachers, recipe.distillation, adapt_to if adapts else None)
    return CachedTeachers(teachers, recipe, data.store, data.train, cache_dir(), maker)


def _take(rows: np.ndarray, limit: int | None) -> np.ndarray:
    if limit is None or limit >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(int)]
