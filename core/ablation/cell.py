"""One run: epochs over the fixed views, the epoch with the lowest validation loss kept, a checkpoint after each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from core.ablation.answers import Embeddings
from core.ablation.images import Images
from core.ablation.mistakes import answers_given, soft_target
from core.ablation.protocol import Protocol
from core.ablation.student import NO_TEACHER, Student
from core.data.balance import class_weights
from core.errors import UserError
from core.evaluation.metrics import confusion
from core.lab.variants import Variant
from core.training.checkpoint import CHECKPOINT, Checkpoint, Progress, save_checkpoint
from core.training.loop import TeacherAnswers
from core.training.scores import validation_figures


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run gave.

    Attributes:
        progress: epochs, seconds, history, and which epoch was kept.
        answers: (N,) predicted class of each test image, by rising row, of the kept epoch.
        validation, test: 7x7 confusion matrices, rows true.
        soft_entropy: mean entropy in nats of the soft target that the first view gets, by mistake that of another
            image; NaN without one.
        teacher_accuracy: share of these images for which the largest logit given is right; NaN without teachers.
        train_images: how many different images it saw.
    """

    progress: Progress
    answers: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    soft_entropy: float
    teacher_accuracy: float
    train_images: int


class Cell:
    """A run of one variant in a folder of its own, which goes on where it was killed.

    Args:
        variant: what is trained.
        identity: the recipe and whatever else has to be the same when the run goes on, JSON-ready.
        images, student, protocol: shared by all runs.
        teachers: the answers, None for a run without.
        embeddings: for a run with a hint.
        folder: its own.
    """

    def __init__(
        self,
        variant: Variant,
        identity: dict[str, Any],
        images: Images,
        student: Student,
        protocol: Protocol,
        teachers: TeacherAnswers | None,
        embeddings: Embeddings | None,
        folder: Path,
    ) -> None:
        self.variant, self.identity, self.images, self.student = variant, identity, images, student
        self.protocol, self.embeddings, self.folder = protocol, embeddings, folder
        self.parts = images.rows[variant.split]
        self.rows = images.training_rows(variant.split, variant.share)
        self.given = teachers and answers_given(variant, teachers, self.parts["train"], protocol.batch_size)
        # A label's weight is its target's height, as in the loop of the shipped models.
        self.targets = np.diag(class_weights(images.labels[self.rows], variant.balance))
        self.progress = Progress(best_score=-np.inf)
        self.best: list[np.ndarray] = []

    def run(self) -> Trained:
        """Train to the end, or from the checkpoint to the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.student.begin(self.variant)
        self._resume()
        while self.progress.epoch < self.protocol.epochs:
            self._epoch()
        return self._result()

    def _resume(self) -> None:
        try:
            checkpoint = Checkpoint.read(self.folder / CHECKPOINT, self.identity)
        except UserError:
            # None there, or one of another recipe or of other weights: the run begins anew.
            return
        checkpoint.restore(self.student.network, self.student.network.optimizer)
        self.progress, self.best = checkpoint.progress, checkpoint.average or []

    def _epoch(self) -> None:
        progress, view = self.progress, self.progress.epoch % self.protocol.views
        started = time.monotonic()
        batches = self._batches()
        title = f"{self.variant.name} epoch {progress.epoch + 1}/{self.protocol.epochs}"
        loss, right, seen = 0.0, 0.0, 0
        for rows in tqdm(batches, title, unit="step", mininterval=2, leave=False):
            x = self.images.view(rows, view)
            teacher = self.given(rows, view, x) if self.given else np.tile(NO_TEACHER, (len(rows), 1))
            hint = self.embeddings(rows, view) if self.embeddings else None
            step_loss, accuracy = self.student.step(x, self.targets[self.images.labels[rows]], teacher, hint)
            loss, right, seen = loss + step_loss * len(rows), right + accuracy * len(rows), seen + len(rows)
        row = {"epoch": progress.epoch + 1, "loss": loss / seen, "accuracy": right / seen}
        logits = self.student.logits(self.images.plain(self.parts["validation"]))
        row |= validation_figures(logits, self.images.labels[self.parts["validation"]])
        self._keep_best(row)
        progress.epoch += 1
        progress.seconds += time.monotonic() - started
        row["seconds"] = round(progress.seconds, 1)
        progress.history.append(
            {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
        )
        network = self.student.network
        save_checkpoint(
            self.folder / CHECKPOINT, progress, self.identity, network, network.optimizer, self.best
        )

    def _batches(self) -> list[np.ndarray]:
        """As many images as the whole training part has, whatever the share: a function of seed and epoch."""
        rng = np.random.default_rng([self.variant.seed, self.progress.epoch])
        needed = len(self.parts["train"])
        rounds = -(-needed // len(self.rows))
        order = np.concatenate([rng.permutation(self.rows) for _ in range(rounds)])[:needed]
        size = self.protocol.batch_size
        return [order[i : i + size] for i in range(0, max(needed - size, 0) + 1, size)]

    def _keep_best(self, row: dict[str, Any]) -> None:
        """Remember the weights if validation has not been better; the test part has no say."""
        if not self.best or -row["val_loss"] > self.progress.best_score:
            self.progress.best_score, self.progress.best_epoch = -row["val_loss"], row["epoch"]
            self.best = self.student.network.get_weights()

    def _result(self) -> Trained:
        self.student.network.set_weights(self.best)
        parts = {part: self.parts[part] for part in ("validation", "test")}
        answers = {
            part: self.student.logits(self.images.plain(rows)).argmax(axis=1) for part, rows in parts.items()
        }
        matrices = [confusion(self.images.labels[rows], answers[part])[0] for part, rows in parts.items()]
        entropy, accuracy = self._soft_labels()
        return Trained(self.progress, answers["test"], *matrices, entropy, accuracy, len(self.rows))

    def _soft_labels(self) -> tuple[float, float]:
        """Entropy of what the soft term asks for, and how often it is right, over the first view in batches."""
        if self.given is None:
            return float("nan"), float("nan")
        # Whose soft labels an image gets may depend on its place in a batch, so they are shuffled as in training.
        rows = np.random.default_rng([self.variant.seed, 0]).permutation(self.rows)
        size = self.protocol.batch_size
        batches = [[int(row) for row in rows[i : i + size]] for i in range(0, len(rows), size)]
        logits = np.concatenate([self.given(batch, 0, np.empty(0)) for batch in batches])
        target = soft_target(self.variant, logits)
        entropy = float(-(target * np.log(np.maximum(target, 1e-300))).sum(axis=1).mean())
        return entropy, float((logits.argmax(axis=1) == self.images.labels[rows]).mean())
