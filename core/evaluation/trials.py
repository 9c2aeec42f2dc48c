"""The table of training runs: what was tried, and what each gave on validation. Test images take no part in it."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import UserError
from core.manifest import Manifest

KEY, FILE = "trials", "trials.csv"
"""Under which the manifest's shared files list the table, and where it lies."""
COMMAND = "python -m core trials --save"


class TrialsError(UserError):
    """The table is damaged, or holds what is no run."""


@dataclass(frozen=True)
class Trial:
    """One finished run.

    Attributes:
        name: of the run.
        recipe: the first 12 hexadecimal digits of the sha256 of its whole recipe; with the name and `begun` it tells
            runs apart.
        network: key of `core.networks.classifiers.NETWORKS`.
        begun: the weights that it began with, in words.
        teachers: their names, separated by blanks; empty without.
        stages: epochs x side in pixels, as `--stages` takes them.
        learning_rate: its peak.
        temperature, alpha: of the distillation (alpha weighs the soft term); None without.
        seed: of everything random.
        other: what else is not as a recipe has it by default, `field=value`, separated by blanks.
        split: `lesion` or `report`.
        data: what it was trained on, in words.
        train_images: how many different ones; 0 where nobody wrote it down.
        epochs, best_epoch: trained; whose weights were kept.
        val_accuracy, val_balanced_accuracy, val_macro_f1: of the best epoch.
        seconds: of training.
        commit: of the code; empty where nobody wrote it down.
    """

    name: str
    recipe: str
    network: str
    begun: str
    teachers: str
    stages: str
    learning_rate: float
    temperature: float | None
    alpha: float | None
    seed: int
    other: str
    split: str
    data: str
    train_images: int
    epochs: int
    best_epoch: int
    val_accuracy: float
    val_balanced_accuracy: float
    val_macro_f1: float
    seconds: float
    commit: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells two runs apart."""
        return self.name, self.recipe, self.begun


COLUMNS = tuple(field.name for field in dataclasses.fields(Trial))
_KINDS: dict[str, type] = {"int": int, "float": float, "float | None": float, "str": str}


def merge(old: Iterable[Trial], new: Iterable[Trial]) -> list[Trial]:
    """Both, ordered by network and name; of a run in both the new one."""
    found = {trial.identity: trial for trial in (*old, *new)}
    return sorted(found.values(), key=lambda trial: (trial.network, *trial.identity))


def to_csv(trials: Iterable[Trial]) -> str:
    """The table's text, in the order given."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if v is None else v for v in dataclasses.astuple(trial)] for trial in trials)
    return buffer.getvalue()


def parse(text: str, source: str) -> list[Trial]:
    """The runs of a table.

    Raises:
        TrialsError: it has other columns, or a cell makes no sense; its line is named.
    """
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if tuple(header) != COLUMNS:
        raise TrialsError(f"{source}: expected the columns {', '.join(COLUMNS)}, found {', '.join(header)}")
    trials = []
    for line, row in enumerate(reader, start=2):
        try:
            trials.append(_trial(row))
        except ValueError as error:
            raise TrialsError(f"{source}, row {line}: expected a run, found {error}") from error
    return trials


def read_trials(manifest: Manifest) -> list[Trial]:
    """The runs that the manifest's table holds; none where nobody saved any.

    Raises:
        FileRefused: the file is not the one that was listed.
        TrialsError: it is damaged.
    """
    path = manifest.shared.get(KEY)
    return [] if path is None else parse(manifest.read(path).decode("utf-8", "replace"), path)


def _trial(row: list[str]) -> Trial:
    values: dict[str, object] = {}
    for field, cell in zip(dataclasses.fields(Trial), row, strict=True):
        if cell == "" and field.type == "float | None":
            values[field.name] = None
            continue
        value = _KINDS[str(field.type)](cell)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name} {cell}")
        values[field.name] = value
    return Trial(**values)  # type: ignore[arg-type]
