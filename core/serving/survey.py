"""What the shipped file itself answers to the dataset: the table of logits that every figure is computed from.

Figures measured on a Keras model would describe a relative of what people use; these describe the very bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from core.artifacts import load_manifest, update_model
from core.data.ham10000 import Dataset
from core.data.pixels import PixelStore
from core.data.splits import assign
from core.errors import UserError
from core.evaluation.contestants import read_predictions
from core.evaluation.origin import check_origin
from core.evaluation.predictions import Predictions
from core.evaluation.refresh import split_of
from core.lesions import INDEX
from core.manifest import Manifest
from core.serving.classifier import Classifier
from core.serving.runtime import cores


def survey(
    classifier: Classifier, records: pd.DataFrame, parts: np.ndarray, store: PixelStore
) -> tuple[Predictions, np.ndarray]:
    """Run one model over the validation and test images.

    Args:
        classifier: a loaded LiteRT model.
        records: the dataset's records, in the store's order.
        parts: (N,) part of each record.
        store: pixels of every record.

    Returns:
        The predictions of M images, and their (M, D) float32 embeddings.
    """
    rows = np.flatnonzero(np.isin(parts, ["validation", "test"]))
    logits, embeddings = answers(classifier, store, rows)
    chosen = records.iloc[rows]
    predictions = Predictions(
        model=classifier.name,
        image_id=chosen["image_id"].to_numpy(),
        lesion_id=chosen["lesion_id"].to_numpy(),
        label=chosen["dx"].map(INDEX).to_numpy(),
        logits=logits,
        part=parts[rows],
    )
    return predictions, embeddings


def answers(classifier: Classifier, store: PixelStore, rows: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """(M, 7) logits and (M, D) embeddings of some rows of a store, both float32, on all cores."""
    rows, pixels = list(rows), store.pixels
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(lambda row: _answer(classifier, np.asarray(pixels[row])), rows)
        pairs = list(tqdm(found, classifier.name, len(rows), unit="image", leave=False, mininterval=1))
    return np.stack([logits for logits, _ in pairs]), np.stack([embedding for _, embedding in pairs])


def survey_missing(
    folder: Path, dataset: Dataset, names: Sequence[str] | None = None, again: bool = False
) -> list[str]:
    """Ask the models that have a LiteRT file but no predictions, or damaged ones, and record what they say.

    Args:
        folder: of the manifest.
        dataset: HAM10000.
        names: of the models; None for all.
        again: ask also those that have predictions.

    Returns:
        The models that were asked.

    Raises:
        ArtifactError: a model is not there, or its file is damaged.
        UserError: the dataset is synthetic, and a model that would be asked is not.
    """
    manifest = load_manifest(folder)
    asked = []
    for name in list(manifest.models) if names is None else names:
        entry = manifest.model(name)
        if "litert" not in entry.files or (not again and _has_answered(manifest, name)):
            continue
        check_origin(manifest, name, dataset)
        records = dataset.records
        store = PixelStore.open(dataset, records["image_id"].tolist())
        parts = assign(records, split_of(manifest, name))
        predictions, _ = survey(Classifier.load(manifest, name), records, parts, store)
        record_predictions(manifest, predictions)
        asked.append(name)
    return asked


def _has_answered(manifest: Manifest, name: str) -> bool:
    """Whether a model's predictions are there and sound."""
    if "predictions" not in manifest.model(name).files:
        return False
    try:
        read_predictions(manifest, name)
    except UserError:
        return False
    return True


def record_predictions(manifest: Manifest, predictions: Predictions) -> Manifest:
    """Write a model's predictions into the artifacts; `evaluate` turns them into figures."""
    relative = f"predictions/{predictions.model}.parquet"
    path = manifest.folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    predictions.save(path)
    return update_model(manifest.folder, predictions.model, {}, {"predictions": relative})


def _answer(classifier: Classifier, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    diagnosis = classifier.classify(pixels)
    return diagnosis.logits.astype(np.float32), np.asarray(diagnosis.embedding, np.float32)
