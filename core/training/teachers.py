"""The teachers' answers to the very pixels that the student sees: from a cache of fixed views, or online."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from core.data.augmentation import AUGMENTATIONS
from core.data.pixels import PixelStore, derived
from core.lesions import N_CLASSES
from core.training.batches import ViewMaker, ViewRequest, mix
from core.training.inference import predict_batch
from core.training.losses import average_logits
from core.training.recipes import Distillation, Recipe
from core.training.statistics import observe

_BATCH = 64

VIEWS = 2048
"""Training images whose views a teacher's statistics are measured on, at most: a bound on the time that it takes."""


@dataclass(frozen=True)
class Teacher:
    """A trained teacher.

    Attributes:
        name: of the model or run.
        network: as trained.
        sha256: of its weight file.
        split: that it was trained on; None where that is not known.
        source: where its weights lie; empty where they lie nowhere.
    """

    name: str
    network: keras.Model
    sha256: str
    split: str | None = None
    source: str = ""


class CachedTeachers:
    """Logits of every teacher for `recipe.views` fixed views of each training image.

    An epoch then costs what plain training costs. One file for each teacher and view, so that a killed
    computation goes on where it was.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        recipe: Recipe,
        store: PixelStore,
        rows: np.ndarray,
        folder: Path,
        maker: ViewMaker,
    ) -> None:
        self._distillation: Distillation = recipe.distillation
        self._position = {int(row): i for i, row in enumerate(rows)}
        adapted: set[str] = set()
        answers = [
            [
                _cached(teacher, recipe, store, rows, view, folder, maker, adapted)
                for view in range(recipe.views)
            ]
            for teacher in teachers
        ]
        self._logits = average_logits(
            np.array(answers), self._distillation.average, self._distillation.temperature
        )

    def __call__(self, rows: Sequence[int], view: int, x: np.ndarray) -> np.ndarray:
        """(B, 7) averaged logits for these rows' view; `x` is not looked at."""
        return self._logits[view, [self._position[int(row)] for row in rows]]


class OnlineTeachers:
    """Teachers that answer each batch as it comes: for a GPU, mixup, and views that never repeat.

    Args:
        teachers: who answers.
        distillation: how.
        adapt_to: gives the teachers statistics of views of a size; called when batches of another size begin.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        distillation: Distillation,
        adapt_to: Callable[[int], None] | None = None,
    ) -> None:
        self._teachers, self._distillation, self._adapt_to = teachers, distillation, adapt_to
        self._size = 0

    def __call__(self, rows: Sequence[int], view: int, x: np.ndarray) -> np.ndarray:
        """(B, 7) averaged logits for the batch (B, s, s, 3)."""
        if self._adapt_to and x.shape[1] != self._size:
            self._adapt_to(x.shape[1])
            self._size = x.shape[1]
        logits = np.stack([predict_batch(t.network, x, len(x)) for t in self._teachers])
        return average_logits(logits, self._distillation.average, self._distillation.temperature)


def adapt(
    teacher: Teacher, recipe: Recipe, store: PixelStore, rows: np.ndarray, size: int, maker: ViewMaker
) -> None:
    """Measure a teacher's batch normalisation anew, in place, on views as the student sees them.

    Statistics of images as they are served fit those and no others: with them the shipped student's log loss on
    augmented validation images is 0.49, with those that its training had gathered 0.46.

    Args:
        teacher: whose network changes.
        recipe: of the student: its augmentation, mixtures and seed.
        store, rows: of the training images.
        size: side of the views in pixels.
        maker: of the views.
    """
    rng = np.random.default_rng(recipe.seed)
    chosen = [int(row) for row in rng.permutation(rows)[:VIEWS]]
    side = min(_BATCH, len(chosen))
    chunks = [tuple(chosen[i : i + side]) for i in range(0, len(chosen) - side + 1, side)]
    augmentation = AUGMENTATIONS[recipe.augmentation]
    requests = [ViewRequest(store.path, augmentation, recipe.seed, size, chunk, view=0) for chunk in chunks]
    title = f"{teacher.name}'s statistics of views"
    views: Iterable = tqdm(maker.make(requests), title, len(requests), unit="batch", leave=False)
    if recipe.mixup:
        unlabelled = np.zeros((side, N_CLASSES), np.float32)
        views = (mix(x, unlabelled, recipe.mixup, rng)[0] for x in views)
    # What is frozen keeps its statistics.
    teacher.network.trainable = True
    observe(teacher.network, views)
    teacher.network.trainable = False


def _cached(
    teacher: Teacher,
    recipe: Recipe,
    store: PixelStore,
    rows: np.ndarray,
    view: int,
    folder: Path,
    maker: ViewMaker,
    adapted: set[str],
) -> np.ndarray:
    """(M, 7) logits of one teacher for one view of the rows."""
    augmentation, size = AUGMENTATIONS[recipe.augmentation], recipe.distillation.teacher_size
    identity = [teacher.sha256, dataclasses.asdict(augmentation), recipe.seed, view, size, store.path.name]
    if adapts := recipe.distillation.teacher_statistics == "views":
        identity.append("statistics of views")
    key = hashlib.sha256(json.dumps([identity, rows.tolist()]).encode()).hexdigest()[:16]
    path = folder / f"teacher-{teacher.name}-{key}.npy"

    def ask() -> np.ndarray:
        # Answers that are there need no statistics, hence as late as this.
        if adapts and teacher.name not in adapted:
            adapt(teacher, recipe, store, rows, size, maker)
            adapted.add(teacher.name)
        chunks = [tuple(int(r) for r in rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]
        requests = [ViewRequest(store.path, augmentation, recipe.seed, size, chunk, view) for chunk in chunks]
        title = f"{teacher.name} answers view {view + 1}/{recipe.views}"
        shown = tqdm(maker.make(requests), title, len(requests), unit="batch", leave=False, mininterval=5)
        return np.concatenate([predict_batch(teacher.network, x, _BATCH) for x in shown])

    return derived(store.path, path, ask)
