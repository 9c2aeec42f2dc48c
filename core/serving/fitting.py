"""Fits what guards and accompanies a model: its gate, the photograph's limits, its index of similar lesions.

References and subspace come from the training part, every limit from the validation part; the test part is for the
report alone (`core.serving.rates`). Whatever is fitted is rounded as it is stored before a limit is measured with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from core.data.ham10000 import Dataset
from core.data.pixels import PixelStore, decode, turn
from core.lesions import INDEX
from core.serving.appearance import Appearance, features
from core.serving.classifier import ORIENTATIONS, Classifier
from core.serving.gate import FittedGate, symmetric
from core.serving.quality import CHECKS, MEASURES, PhotoLimits, measure
from core.serving.runtime import cores
from core.serving.similar import LesionIndex
from core.serving.subspace import Subspace
from core.serving.survey import answers

KEPT = 0.99
"""Share of the validation images that the gate keeps: 98%, and three standard errors of such a share of 1,600 images,
so that other images of the kind keep 98% too."""

EMBEDDING_SHARE = 0.001
"""What of the rest the embedding may refuse; the appearance, which an orientation cannot change, refuses the others."""

DIMENSIONS = 64
NEIGHBOURS = 3
SAFETY = 1.5
"""How much wider the margin is than validation needed it."""
SMALLEST_MARGIN = 0.05
NEAR = 0.2
"""Share of the validation images, those with the largest residuals, that are looked at in all orientations."""

ADVISED = 0.02
"""Share of the validation images that any one check may advise on."""


@dataclass(frozen=True)
class Fitted:
    """A gate, and how it was fitted.

    Attributes:
        gate: to be stored.
        index: of similar lesions, to be stored.
        references: appearances in the gate.
        validation: how many validation images its limits were measured on.
    """

    gate: FittedGate
    index: LesionIndex
    references: int
    validation: int


def fit(
    classifier: Classifier,
    sha256: str,
    records: pd.DataFrame,
    parts: np.ndarray,
    store: PixelStore,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> Fitted:
    """Fit a model's gate and its index of lesions.

    Args:
        classifier: the model, loaded from the file that it ships as.
        sha256: of that file.
        records: the dataset's records, in the store's order.
        parts: (N,) part of each record.
        store: pixels of every record.
        limit: use at most so many training lesions and validation images, for a trial.
        seed: of the altered references.
    """
    lesions = _first_of_each_lesion(records, parts)[:limit]
    validation = np.flatnonzero(parts == "validation")[:limit]
    _, embeddings = answers(classifier, store, lesions)
    subspace = Subspace.fit(embeddings, DIMENSIONS)
    residuals = _symmetric_residuals(classifier, subspace, store, validation)
    embedding_limit = float(np.quantile(residuals.judged, 1 - EMBEDDING_SHARE))
    appearance = Appearance.fit(_references(store, lesions, seed), NEIGHBOURS)
    found = _features(store.pixels[row] for row in tqdm(validation, "appearance", leave=False))
    distances = [appearance.distance(each) for each in found]
    gate = FittedGate(
        model=classifier.name,
        model_sha256=sha256,
        lesions=len(lesions),
        subspace=subspace,
        embedding_limit=embedding_limit,
        margin=residuals.margin(embedding_limit),
        appearance=appearance,
        appearance_limit=float(np.quantile(distances, KEPT + EMBEDDING_SHARE)),
    )
    chosen = records.iloc[lesions]
    index = LesionIndex.build(
        classifier.name,
        sha256,
        chosen["image_id"].to_numpy(str),
        chosen["dx"].map(INDEX).to_numpy(int),
        embeddings,
        DIMENSIONS,
    )
    return Fitted(gate, index, len(appearance.references), len(validation))


def fit_quality(dataset: Dataset, image_ids: Iterable[str]) -> PhotoLimits:
    """The photograph's limits, from the validation images at their full size."""
    ids = list(image_ids)
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(lambda name: measure(decode(dataset.read_bytes(name), name)), ids)
        rows = list(tqdm(found, "quality", len(ids), unit="image", leave=False, mininterval=1))
    table = {name: np.array([row[name] for row in rows]) for name in MEASURES}
    limits = {
        check.name: float(np.quantile(table[check.measure], 1 - ADVISED if check.above else ADVISED))
        for check in CHECKS
    }
    worst = {c.name: float((np.max if c.above else np.min)(table[c.measure])) for c in CHECKS}
    shares = [np.mean([check.fails(row, limits) for row in rows]) for check in CHECKS]
    return PhotoLimits(limits, worst, len(ids), float(max(shares)))


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Residuals of validation images: (M,) as they are judged, and (K, 8) of those looked at in all orientations."""

    judged: np.ndarray
    turned: np.ndarray

    def margin(self, limit: float) -> float:
        """How close to the limit a residual must be to need all orientations.

        With this margin no orientation of these images is judged otherwise than their mean.
        """
        logs = np.log(self.turned / limit)
        refused = logs.mean(axis=1, keepdims=True) > 0
        needed = np.where(refused, -logs, logs).max(initial=0.0)
        return max(SMALLEST_MARGIN, SAFETY * float(needed))


def _symmetric_residuals(
    classifier: Classifier, subspace: Subspace, store: PixelStore, rows: np.ndarray
) -> _Residuals:
    _, embeddings = answers(classifier, store, rows)
    judged = subspace.residual(embeddings)
    # The limit lies among the largest, so the others need no second look.
    near = np.argsort(-judged)[: max(1, round(NEAR * len(rows)))]
    pixels = store.pixels

    def look(row: int) -> np.ndarray:
        views = (turn(np.asarray(pixels[row]), k) for k in range(max(ORIENTATIONS)))
        return subspace.residual(
            np.stack([classifier.classify(np.ascontiguousarray(view)).embedding for view in views])
        )

    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(look, rows[near])
        turned = np.stack(list(tqdm(found, "orientations", len(near), unit="image", leave=False)))
    judged[near] = [symmetric(each) for each in turned]
    return _Residuals(judged, turned)


def _first_of_each_lesion(records: pd.DataFrame, parts: np.ndarray) -> np.ndarray:
    """Rows of one picture, the first by id, of every training lesion."""
    first = records.reset_index(drop=True).sort_values("image_id").drop_duplicates("lesion_id").index
    return np.sort(first[parts[first] == "train"].to_numpy())


def _references(store: PixelStore, rows: np.ndarray, seed: int) -> np.ndarray:
    """Appearances of the images, and of each once more as another camera might have taken it."""
    pixels = store.pixels
    own = _features(pixels[row] for row in tqdm(rows, "appearance", leave=False))
    rng = np.random.default_rng(seed)
    others = _features(altered(np.asarray(pixels[row]), rng) for row in tqdm(rows, "cameras", leave=False))
    return np.concatenate([own, others])


def _features(images: Iterable[np.ndarray] | Iterator[np.ndarray]) -> np.ndarray:
    return np.stack([features(np.asarray(image)) for image in images])


def altered(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An input as another dermatoscope might have given it: light, white balance, focus, JPEG, round black frame.

    Without these the references would know one clinic's cameras alone. The ranges are those of everyday exports, not
    measured.
    """
    light = rng.uniform(0.8, 1.15) * rng.uniform(0.92, 1.05, 3)
    image = 255 * (np.clip(pixels * light, 0, 255) / 255) ** rng.uniform(0.8, 1.25)
    blur = rng.uniform(0, 1.5)
    if blur > 0.4:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    if rng.uniform() < 0.15:
        image *= _disc(len(pixels), rng.uniform(0.85, 1.2))
    bgr = np.ascontiguousarray(image.astype(np.uint8)[..., ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def _disc(side: int, radius: float) -> np.ndarray:
    """(side, side, 1): 1 within `radius` half sides of the middle, else 0."""
    axis = np.linspace(-1, 1, side)
    return (np.hypot(axis[:, np.newaxis], axis) < radius)[..., np.newaxis]
