"""A training run's history, epoch by epoch, as training wrote it."""

from __future__ import annotations

import io

import pandas as pd

from core.errors import UserError
from core.manifest import Manifest

COLUMNS: tuple[str, ...] = ("epoch", "loss", "val_loss", "val_accuracy")
"""What a history must have; `accuracy`, `size`, `val_balanced_accuracy` and `seconds` are used where they are."""


class HistoryError(UserError):
    """A history that is missing or cannot be drawn."""


def read_history(manifest: Manifest, name: str) -> pd.DataFrame:
    """The history of a model, one row for each epoch, by rising epoch.

    Raises:
        ArtifactError: the model or its file is missing or damaged.
        HistoryError: it has no history, or one without the columns or the epochs that a curve needs.
    """
    entry = manifest.model(name)
    path = entry.files.get("history")
    if path is None:
        if entry.parent:
            raise HistoryError(
                f"expected a training history of {name}, found none: it is a conversion of {entry.parent}, whose "
                "training is shown under its own name"
            )
        raise HistoryError(f"expected a training history of {name}, found none; training writes it")
    try:
        frame = pd.read_csv(io.BytesIO(manifest.read(path)))
    except ValueError as error:
        raise HistoryError(f"{path}: expected a CSV, found a damaged file") from error
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise HistoryError(f"{path}: expected the columns {', '.join(COLUMNS)}, found no {missing[0]}")
    numbers = [c for c in frame.columns if c not in ("head_only",)]
    frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
    frame = frame.dropna(subset=["epoch"]).sort_values("epoch", ignore_index=True)
    if frame.empty:
        raise HistoryError(f"{path}: expected a row for each epoch, found none")
    return frame
