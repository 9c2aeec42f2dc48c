"""A finished run's answers to its own split's test images, straight from its weights, without shipping a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.data.ham10000 import Dataset
from core.data.pixels import PixelStore
from core.data.splits import assign
from core.errors import UserError
from core.evaluation.predictions import Predictions
from core.lesions import INDEX
from core.networks.classifiers import build
from core.settings import INPUT_SIZE
from core.training.inference import predict_logits
from core.training.trials import read_finished, read_notes


def run_facts(folder: Path, trained_images: int) -> dict[str, Any]:
    """What makes a finished run: recipe, commit, initial weights, machine, backend, seconds, epochs, best epoch.

    Args:
        folder: the run's.
        trained_images: how many it must have trained on: all of its split.

    Raises:
        UserError: it is not there, not finished, or trained on fewer images (`--limit`).
    """
    progress, recipe = read_finished(folder)
    notes = read_notes(folder / "run.json")
    found = notes.get("images", {}).get("train")
    if found != trained_images:
        raise UserError(
            f"{folder}: expected a run on all {trained_images} training images of its split, found one on {found}"
        )
    kept = {key: str(notes.get(key, "")) for key in ("commit", "initial_weights", "machine", "backend")}
    times = {"seconds": round(progress.seconds), "epochs": progress.epoch, "best_epoch": progress.best_epoch}
    return {"recipe": recipe, **kept, **times}


def answer_test(folder: Path, recipe: dict[str, Any], dataset: Dataset) -> Predictions:
    """Logits for the test images of the run's split, at the resolution that it was trained for last.

    Args:
        folder: the run's; its best epoch's weights are asked.
        recipe: the run's, as `run_facts` gives it.
        dataset: HAM10000, or another with test images.

    Raises:
        UserError: the weights are missing or damaged.
    """
    records = dataset.records
    store = PixelStore.open(dataset, records["image_id"].tolist())
    rows = np.flatnonzero(assign(records, recipe["split"]) == "test")
    # As in training's own validation, so that test figures stand beside validation's.
    keras.config.set_dtype_policy(recipe["precision"])
    size = INPUT_SIZE if recipe.get("served_statistics") else recipe["stages"][-1]["size"]
    network = build(recipe["network"], init=str(folder / "best.npz"), size=size)
    logits = predict_logits(network, store.pixels, rows, size=size, title=f"{folder.name} answers")
    chosen = records.iloc[rows]
    return Predictions(
        model=folder.name,
        image_id=chosen["image_id"].to_numpy(),
        lesion_id=chosen["lesion_id"].to_numpy(),
        label=chosen["dx"].map(INDEX).to_numpy(),
        logits=logits,
        part=np.full(len(rows), "test"),
    )
