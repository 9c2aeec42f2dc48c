"""The one table of the experiments: a row for each finished run, read by pages and written by `python -m core ablate`.

A CSV, so that anyone can take it away; what is an array in a run (confusion matrix, answers, history) is one cell.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from core.errors import UserError
from core.lab.plan import COMMAND
from core.lab.variants import Variant
from core.lesions import N_CLASSES
from core.manifest import Manifest

KEY = "ablation"
"""Under which the manifest's shared files list the table."""
FILE = "ablation.csv"
TEACHER_WEIGHTS = "teacher_weights"
"""In a run's recipe: each teacher's name -> sha256 of the weights that it answered with."""
DATA = "data"
"""In the recipe of a run on drawn lesions: what they are. A run without it is of HAM10000."""


class TableError(UserError):
    """The table of the experiments is missing, damaged, or holds what is no run."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """One finished run.

    Attributes:
        variant: what was trained.
        fingerprint: of all that decides the result: recipe, teachers' weights, images, initial weights.
        commit: of the code.
        epochs, best_epoch: trained; whose weights (the lowest validation loss) gave the figures.
        seconds: of training, without the teachers' answers, which the runs share.
        train_images, size: images and their side in pixels.
        validation: 7x7 confusion matrix of the validation part, rows true.
        test: the same of the test part of the run's own split.
        answers: (N,) predicted class of every test image, by rising image_id.
        soft_entropy: mean entropy, in nats, of the soft target that the loss saw; NaN without one.
        teacher_accuracy: share of the training views whose label is the largest of the teachers' logits.
        initial_weights, machine: for people.
        recipe: all of it, the protocol included.
        history: one row for each epoch.
    """

    variant: Variant
    fingerprint: str
    commit: str
    epochs: int
    best_epoch: int
    seconds: float
    train_images: int
    size: int
    validation: np.ndarray
    test: np.ndarray
    answers: np.ndarray
    soft_entropy: float
    teacher_accuracy: float
    initial_weights: str
    machine: str
    recipe: dict[str, Any]
    history: tuple[dict[str, Any], ...]

    @property
    def is_of_drawings(self) -> bool:
        """Whether drawn lesions took the place of HAM10000."""
        return DATA in self.recipe

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy, balanced accuracy and share of the commonest class among the answers, of both parts."""
        found = {}
        for part in ("validation", "test"):
            matrix: np.ndarray = getattr(self, part)
            true = matrix.sum(axis=1)
            found |= {
                f"{part}_accuracy": float(np.trace(matrix) / matrix.sum()),
                f"{part}_balanced_accuracy": float((np.diag(matrix)[true > 0] / true[true > 0]).mean()),
                f"{part}_says_majority": float(matrix[:, true.argmax()].sum() / matrix.sum()),
                f"{part}_majority_share": float(true.max() / true.sum()),
            }
        return found


def to_csv(outcomes: Iterable[Outcome]) -> str:
    """The table's text, ordered by the runs' names."""
    rows = [_to_row(outcome) for outcome in sorted(outcomes, key=lambda o: o.variant.name)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def parse(text: str, source: str) -> list[Outcome]:
    """The runs of a table.

    Raises:
        TableError: it has other columns, or a cell makes no sense; its line is named.
    """
    csv.field_size_limit(1 << 24)
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if missing:
        raise TableError(f"{source}: expected the column {missing[0]!r}, found none; make it with {COMMAND}")
    outcomes = []
    for line, row in enumerate(reader, start=2):
        try:
            if None in row.values():
                raise ValueError(f"{sum(cell is not None for cell in row.values())} of {len(row)} cells")
            outcomes.append(_from_row(row))
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"{source}, row {line}: expected a run, found {error}") from error
    return outcomes


def read_table(manifest: Manifest) -> list[Outcome]:
    """The runs that the manifest's table holds; none where nobody ran the experiments yet.

    Raises:
        FileRefused: the file is not the one that was listed.
        TableError: it is damaged.
    """
    path = manifest.shared.get(KEY)
    return [] if path is None else parse(manifest.read(path).decode("utf-8", "replace"), path)


_NUMBERS = ("temperature", "alpha", "hint", "share")
_PLAIN: dict[str, type] = {
    "fingerprint": str,
    "commit": str,
    "epochs": int,
    "best_epoch": int,
    "seconds": float,
    "train_images": int,
    "size": int,
    "soft_entropy": float,
    "teacher_accuracy": float,
    "initial_weights": str,
    "machine": str,
}
_FIGURES = tuple(
    f"{part}_{name}"
    for part in ("validation", "test")
    for name in ("accuracy", "balanced_accuracy", "says_majority", "majority_share")
)
_LATER = {"balance": "none"}
"""Columns that tables of earlier versions lack, and what their runs had."""
_VARIANT = ("start", "teachers", *_NUMBERS, "mistakes", "seed")
_ARRAYS = ("validation_confusion", "test_confusion", "test_answers", "recipe", "history")
_NEEDED = (*_VARIANT, *_PLAIN, *_ARRAYS)
COLUMNS: tuple[str, ...] = ("run", *_VARIANT, *_LATER, "split", *_FIGURES, *_PLAIN, *_ARRAYS)
"""Of the CSV. `split` and the figures follow from other columns; they are there for who reads the file alone."""


def _to_row(outcome: Outcome) -> dict[str, Any]:
    variant = outcome.variant
    row = {field.name: getattr(variant, field.name) for field in fields(Variant)}
    row |= {"run": variant.name, "split": variant.split}
    row |= {"teachers": "+".join(variant.teachers), "mistakes": "+".join(variant.mistakes)}
    row |= {name: f"{value:.6f}" for name, value in outcome.figures.items()}
    row |= {name: getattr(outcome, name) for name in _PLAIN}
    return row | {
        "validation_confusion": _join(outcome.validation),
        "test_confusion": _join(outcome.test),
        "test_answers": "".join(str(int(answer)) for answer in outcome.answers),
        "recipe": json.dumps(outcome.recipe, separators=(",", ":")),
        "history": json.dumps(outcome.history, separators=(",", ":")),
    }


def _from_row(row: dict[str, str]) -> Outcome:
    numbers = {name: float(row[name]) for name in _NUMBERS}
    variant = Variant(
        teachers=_split(row["teachers"]),
        mistakes=_split(row["mistakes"]),
        start=row["start"],
        seed=int(row["seed"]),
        **{name: row.get(name) or default for name, default in _LATER.items()},
        **numbers,
    )
    answers = np.frombuffer(row["test_answers"].encode("ascii"), np.uint8).astype(int) - ord("0")
    if ((answers < 0) | (answers >= N_CLASSES)).any():
        raise ValueError("answers that are no classes")
    recipe, history = json.loads(row["recipe"]), json.loads(row["history"])
    if not isinstance(recipe, dict) or not all(isinstance(epoch, dict) for epoch in history):
        raise ValueError("a recipe or a history that is none")
    return Outcome(
        variant=variant,
        **{name: kind(row[name]) for name, kind in _PLAIN.items()},
        validation=_matrix(row["validation_confusion"]),
        test=_matrix(row["test_confusion"]),
        answers=answers,
        recipe=recipe,
        history=tuple(history),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("+")) if text else ()


def _join(matrix: np.ndarray) -> str:
    return " ".join(str(int(n)) for n in np.asarray(matrix).ravel())


def _matrix(text: str) -> np.ndarray:
    """(7, 7) counts."""
    counts: Sequence[int] = [int(n) for n in text.split()]
    if len(counts) != N_CLASSES**2 or min(counts) < 0 or not sum(counts):
        raise ValueError(f"a confusion matrix of {len(counts)} counts")
    return np.array(counts).reshape(N_CLASSES, N_CLASSES)
