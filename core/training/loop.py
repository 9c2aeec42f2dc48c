"""The loop that every training run goes through: stages, batches, validation, checkpoints, the best epoch kept."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from core.data.augmentation import AUGMENTATIONS
from core.data.balance import class_weights, epoch_rows
from core.data.pixels import PixelStore
from core.errors import UserError
from core.files import replacing
from core.lesions import N_CLASSES
from core.networks.classifiers import backbone
from core.networks.weights import load_weights, save_weights
from core.settings import INPUT_SIZE
from core.training.average import WeightAverage, due
from core.training.batches import ViewMaker, ViewRequest, mix, repeats_of
from core.training.checkpoint import (
    BEST,
    CHECKPOINT,
    Checkpoint,
    Progress,
    candidate,
    is_finished,
    save_checkpoint,
    settle_best,
)
from core.training.inference import predict_logits
from core.training.losses import DistillationLoss, hard_accuracy, smooth
from core.training.recipes import Recipe, Stage
from core.training.schedule import WarmupCosine
from core.training.scores import score, validation_figures
from core.training.statistics import reestimate

CHECKPOINT_SECONDS = 300
_TURNS = 8
"""Keeps the draw of orientations apart from every other draw."""
TeacherAnswers = Callable[[Sequence[int], int, np.ndarray], np.ndarray]
"""(rows, view, pixels) -> (B, 7) averaged teacher logits."""

AfterStep = Callable[[keras.Model, WeightAverage | None, float], None]
"""(network, its average, share of the run's steps that are done): may change the weights of both."""


@dataclass(frozen=True)
class TrainingData:
    """A pixel store with its labels and the rows that may be seen.

    Attributes:
        store: pixels of the whole dataset.
        labels: (N,) class indices.
        train, validation: row numbers.
    """

    store: PixelStore
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray


class Trainer:
    """One run of a recipe in a folder: `checkpoint.npz`, `history.csv` and in the end `best.npz`.

    Args:
        recipe: everything that decides the result.
        data: pixels, labels and rows.
        network: the graph to train, with any input size.
        folder: where the run's files lie; a checkpoint found there is continued.
        maker: makes the augmented views.
        teachers: their answers, for a recipe with distillation.
        on_epoch: called with each history row (TensorBoard, a page).
        after_step: called after each step, with its weights in the average (pruning).

    Raises:
        ValueError: a recipe with distillation came without teachers.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        network: keras.Model,
        folder: Path,
        maker: ViewMaker,
        teachers: TeacherAnswers | None = None,
        on_epoch: Callable[[dict], None] | None = None,
        after_step: AfterStep | None = None,
    ) -> None:
        if recipe.distillation and teachers is None:
            raise ValueError(
                f"teachers: expected answers of {', '.join(recipe.distillation.teachers)}, found none"
            )
        self.recipe, self.data, self.network, self.folder = recipe, data, network, folder
        self.maker, self.teachers = maker, teachers
        self.on_epoch, self.after_step = on_epoch, after_step
        self.stages = [stage for stage in recipe.stages for _ in range(stage.epochs)]
        self.labels = data.labels[data.train]
        self.weights = class_weights(self.labels, recipe.balance)
        self.progress = Progress()
        self.average: WeightAverage | None = None
        self._saved_at = time.monotonic()

    def run(self) -> Progress:
        """Train to the end (or from the checkpoint to the end); the network then holds the best epoch's weights."""
        self._begin()
        while not is_finished(self.progress, self.recipe.to_dict()):
            self._epoch(self.stages[self.progress.epoch])
        # Again, since a run killed between its last checkpoint and its last history comes here at once.
        write_history(self.folder / "history.csv", self.progress.history)
        load_weights(self.network, self.folder / BEST, self.recipe.network)
        return self.progress

    # Beginning ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            self._compile(self.stages[0])
            if self.recipe.ema:
                self.average = WeightAverage(self.network, self.recipe.ema)
            return
        checkpoint = Checkpoint.read(path, self.recipe.to_dict())
        self.progress = checkpoint.progress
        settle_best(self.folder, self.progress.best_epoch)
        # Between two epochs the optimizer is still that of the epoch before; a new phase begins in `_epoch`.
        under_way = self.progress.epoch if self.progress.step else max(self.progress.epoch - 1, 0)
        self._compile(self.stages[under_way])
        checkpoint.restore(self.network, self.network.optimizer)
        if self.recipe.ema:
            self.average = WeightAverage(self.network, self.recipe.ema, checkpoint.average)
        if self.after_step and (done := self._done()):
            self.after_step(self.network, self.average, done)
        print(
            f"resuming {self.folder.name} after epoch {self.progress.epoch}, step {self.progress.step}",
            flush=True,
        )

    def _compile(self, stage: Stage) -> None:
        """Optimizer and loss of the phase that `stage` belongs to: stages with one schedule in common."""
        recipe = self.recipe
        for layer in backbone(self.network):
            layer.trainable = not stage.head_only
        epochs = sum(s.epochs for s in recipe.stages if s.phase == stage.phase)
        per_epoch = self._steps_per_epoch()
        schedule = WarmupCosine(
            stage.learning_rate or recipe.learning_rate,
            epochs * per_epoch,
            round(recipe.warmup_epochs * per_epoch),
            recipe.final_rate,
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
        # Biases and batch normalisation do not overfit; decaying them only shifts the activations.
        optimizer.exclude_from_weight_decay(
            var_list=[v for v in self.network.trainable_variables if len(v.shape) < 2]
        )
        distillation = recipe.distillation
        loss = DistillationLoss(
            alpha=distillation.alpha if distillation else 0.0,
            temperature=distillation.temperature if distillation else 1.0,
            focal_gamma=recipe.focal_gamma,
            logit_offset=self._logit_offset(),
        )
        self.network.compile(
            optimizer,
            loss,
            metrics=[hard_accuracy],
            jit_compile=recipe.xla or keras.config.backend() == "jax",
        )
        # Keras' own, since it wraps the optimizer under mixed_float16.
        self.network.optimizer.build(self.network.trainable_variables)

    def _logit_offset(self) -> np.ndarray | None:
        if not self.recipe.logit_adjustment:
            return None
        counts = np.bincount(self.labels, minlength=N_CLASSES)
        return self.recipe.logit_adjustment * np.log(np.maximum(counts, 1) / counts.sum())

    def _steps_per_epoch(self) -> int:
        rows = epoch_rows(self.labels, self.recipe.balance, np.random.default_rng(0))
        return max(len(rows) // self.recipe.batch_size, 1)

    # One epoch ---------------------------------------------------------------------------------------------------

    def _epoch(self, stage: Stage) -> None:
        progress = self.progress
        previous = self.stages[progress.epoch - 1] if progress.epoch else stage
        if progress.step == 0 and previous.phase != stage.phase:
            self._compile(stage)
        elif previous.size != stage.size:
            # A graph traced for one size is slower for two.
            self.network.make_train_function(force=True)
            self.network.make_predict_function(force=True)
        view = progress.epoch % self.recipe.views if self.recipe.views else progress.epoch
        batches = self._batches()
        bar = tqdm(
            zip(batches[progress.step :], self._views(batches, view, stage.size), strict=True),
            f"{self.folder.name} epoch {progress.epoch + 1}/{len(self.stages)} at {stage.size} px",
            total=len(batches),
            initial=progress.step,
            unit="step",
            mininterval=2,
            leave=False,
        )
        started = time.monotonic()
        for rows, x in bar:
            self._step(rows, x, view)
            bar.set_postfix_str(f"loss {progress.loss / progress.seen:.3f}", refresh=False)
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                progress.seconds += time.monotonic() - started
                started = time.monotonic()
                self._save()
        progress.seconds += time.monotonic() - started
        self._finish_epoch(stage)

    def _batches(self) -> list[tuple[int, ...]]:
        """Rows of each step of this epoch: a function of seed and epoch alone, so that a resumed run sees the same."""
        rng = np.random.default_rng([self.recipe.seed, self.progress.epoch])
        rows = self.data.train[epoch_rows(self.labels, self.recipe.balance, rng)]
        size = self.recipe.batch_size
        return [
            tuple(int(r) for r in rows[i * size : (i + 1) * size]) for i in range(self._steps_per_epoch())
        ]

    def _views(self, batches: list[tuple[int, ...]], view: int, size: int) -> Iterator[np.ndarray]:
        """The epoch's pixels from the present step on. An oversampled image is shown in ever new views, unless views
        are fixed: teachers that answered before know no others."""
        augmentation = AUGMENTATIONS[self.recipe.augmentation]
        store, seed, step = self.data.store.path, self.recipe.seed, self.progress.step
        repeats = [()] * len(batches) if self.recipe.views else repeats_of(batches)
        turns = [self._orientations(rows) for rows in batches]
        return self.maker.make(
            [
                ViewRequest(store, augmentation, seed, size, *of_batch)
                for of_batch in list(zip(batches, [view] * len(batches), repeats, turns, strict=True))[step:]
            ]
        )

    def _orientations(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Of each row's view in this epoch, the same after a resume; none where the recipe leaves views as they are."""
        if not self.recipe.reoriented:
            return ()
        seed, epoch = self.recipe.seed, self.progress.epoch
        return tuple(int(np.random.default_rng([seed, epoch, row, _TURNS]).integers(8)) for row in rows)

    def _step(self, rows: tuple[int, ...], x: np.ndarray, view: int) -> None:
        progress, recipe = self.progress, self.recipe
        classes = self.data.labels[list(rows)]
        # The image's weight as a whole: weighted class by class, smoothing would favour the rare classes.
        labels = smooth(classes, recipe.label_smoothing) * self.weights[classes, None]
        if recipe.mixup:
            rng = np.random.default_rng([recipe.seed, progress.epoch, progress.step])
            x, labels = mix(x, labels, recipe.mixup, rng)
        targets = [labels]
        if self.teachers:
            targets.append(self.teachers(rows, view, x))
        self.network.reset_metrics()
        loss, accuracy = self.network.train_on_batch(x.astype(np.float32), np.stack(targets, axis=1))
        if not math.isfinite(loss):
            raise UserError(
                f"{self.folder}: expected a finite loss, found {loss} in epoch {progress.epoch + 1}: the training "
                "diverged; take a lower learning rate and start afresh with --restart"
            )
        progress.step += 1
        progress.loss += float(loss) * len(rows)
        progress.correct += float(accuracy) * len(rows)
        progress.seen += len(rows)
        done = progress.epoch * self._steps_per_epoch() + progress.step
        if self.average and (steps := due(done, progress.step, self._steps_per_epoch())):
            self.average.update(done, steps)
        if self.after_step:
            self.after_step(self.network, self.average, self._done())

    def _done(self) -> float:
        """Share of the run's steps that are behind."""
        steps = self._steps_per_epoch()
        return (self.progress.epoch * steps + self.progress.step) / (len(self.stages) * steps)

    def _finish_epoch(self, stage: Stage) -> None:
        """Validate, keep the weights if they are the best so far, write history and checkpoint."""
        progress = self.progress
        row = {
            "epoch": progress.epoch + 1,
            "size": stage.size,
            "head_only": stage.head_only,
            "loss": progress.loss / progress.seen,
            "accuracy": progress.correct / progress.seen,
        }
        if self.average:
            with self.average.applied():
                self._validate(stage, row)
        else:
            self._validate(stage, row)
        row["seconds"] = round(progress.seconds, 1)
        progress.history.append(row)
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.loss, progress.correct, progress.seen = 0.0, 0.0, 0
        self._save()
        settle_best(self.folder, progress.best_epoch)
        write_history(self.folder / "history.csv", progress.history)
        shown = ", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print(f"{self.folder.name}: {shown}", flush=True)
        if self.on_epoch:
            self.on_epoch(row)

    def _validate(self, stage: Stage, row: dict) -> None:
        # A score at a lower resolution says little about the last one's; the epochs that count are the last stage's.
        counts = stage.size == self.stages[-1].size
        pixels = self.data.store.pixels
        serves = counts and self.recipe.served_statistics
        # Statistics are of one size: that of images as they are served, whatever the stage's.
        size = INPUT_SIZE if serves else stage.size
        if serves:
            reestimate(self.network, pixels, self.data.train, size=size, seed=self.recipe.seed)
        logits = predict_logits(self.network, pixels, self.data.validation, size=size)
        row.update(validation_figures(logits, self.data.labels[self.data.validation]))
        if counts and score(row) > self.progress.best_score:
            self.progress.best_score, self.progress.best_epoch = score(row), row["epoch"]
            save_weights(self.network, candidate(self.folder, row["epoch"]), self.recipe.network)

    def _save(self) -> None:
        average = self.average.values if self.average else None
        save_checkpoint(
            self.folder / CHECKPOINT,
            self.progress,
            self.recipe.to_dict(),
            self.network,
            self.network.optimizer,
            average,
        )
        self._saved_at = time.monotonic()


def write_history(path: Path, rows: list[dict]) -> None:
    """Write the epochs' rows as CSV, atomically."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
