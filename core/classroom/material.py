"""What a lesson is given on: HAM10000 with the teacher's stored answers, or drawn lesions that it is shown now.

The teacher is never trained here, nor asked about images that it learnt from: of HAM10000 the students learn from the
validation part and are measured on the test part, for both of which evaluation has stored its logits.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from core.classroom.lesson import Material, Order
from core.data.ham10000 import Dataset, open_dataset
from core.data.pixels import decode, to_input
from core.data.synthetic import render
from core.errors import UserError
from core.evaluation.contestants import read_predictions
from core.evaluation.origin import is_of_photographs
from core.lesions import CODES
from core.manifest import Manifest
from core.serving.registry import Registry
from core.settings import cache_dir

Say = Callable[[str], None]

TRAIN_IMAGES, TEST_IMAGES = 1200, 500
"""Of HAM10000: as many as two cores decode in some seconds, the first time."""
DRAWN_TRAIN, DRAWN_TEST = 30, 15
"""Drawn lesions of each class."""
_BLOCK = 3
"""Lesions of each class that are cached together: what a preparation that was cut short leaves behind."""
_FIRST_SEED = 20_000
"""Of drawn lesions; those that the prediction page offers lie far below."""


def gather(order: Order, registry: Registry, say: Say) -> Material:
    """The material of an order; small pixels and a teacher's answers to drawn lesions are kept in the cache.

    Args:
        order: source, teacher and size.
        registry: of the models.
        say: told what is being done, as it may take a while the first time.

    Raises:
        UserError: there is no such teacher, it has no answers, or HAM10000 is not at hand.
    """
    if registry.manifest is None:
        raise UserError("expected trained models, found none")
    if order.source == "ham10000":
        return _real(order, registry.manifest, say)
    return _drawn(order, registry, say)


def _real(order: Order, manifest: Manifest, say: Say) -> Material:
    dataset = open_dataset()
    if dataset.is_synthetic:
        raise UserError(
            f"{dataset.root}: expected HAM10000, found synthetic lesions; choose these as the source"
        )
    predictions = read_predictions(manifest, order.teacher)
    taken = []
    for part, n in (("validation", TRAIN_IMAGES), ("test", TEST_IMAGES)):
        rows = np.flatnonzero(predictions.part == part)
        ranks = [hashlib.sha256(image.encode()).hexdigest() for image in predictions.image_id[rows]]
        taken.append(predictions.take(rows[np.argsort(ranks)[:n]]))
    train, test = taken
    if not len(train) or not len(test):
        raise UserError(
            f"{order.teacher}: expected answers to validation and test, found {len(train)} and {len(test)}"
        )
    ids = [*train.image_id, *test.image_id]
    pixels = _cached(
        ["ham10000", str(dataset.root), order.size, ids], lambda: _decode(dataset, ids, order.size, say)
    )
    n = len(train)
    right = float((train.predicted == train.label).mean())
    told = (
        f"{n:,} validation images of HAM10000 to learn from, {len(test):,} test images to be measured on, all at "
        f"{order.size} px; the teacher answered at 224 px and names {right:.0%} of the former rightly."
    )
    return Material(pixels["images"][:n], train.label, train.logits, pixels["images"][n:], test.label, told)


def _decode(dataset: Dataset, ids: list[str], size: int, say: Say) -> dict[str, np.ndarray]:
    say(f"Decoding {len(ids):,} images, this first time ...")

    def small(image_id: str) -> np.ndarray:
        return to_input(decode(dataset.read_bytes(image_id), image_id), size)

    with ThreadPoolExecutor() as pool:
        return {"images": np.stack(list(pool.map(small, ids)))}


def _drawn(order: Order, registry: Registry, say: Say) -> Material:
    manifest = registry.manifest
    litert = manifest.model(order.teacher).files.get("litert") if manifest is not None else None
    sha256 = manifest.files[litert].sha256 if manifest is not None and litert else ""
    total = DRAWN_TRAIN + DRAWN_TEST
    found = []
    for start in range(0, total, _BLOCK):
        numbers = range(start, min(start + _BLOCK, total))

        def draw(numbers: range = numbers) -> dict[str, np.ndarray]:
            say(f"Drawing lesions and asking the teacher, this first time: {numbers[0] / total:.0%} ...")
            return _draw(order, registry, numbers)

        found.append(
            _cached(
                ["drawn at full size", order.size, _FIRST_SEED, list(numbers), order.teacher, sha256], draw
            )
        )
    images, logits = (np.concatenate([block[name] for block in found]) for name in ("images", "logits"))
    labels = np.tile(np.arange(len(CODES)), total)
    n = DRAWN_TRAIN * len(CODES)
    right = float((logits[:n].argmax(axis=1) == labels[:n]).mean())
    is_strange = manifest is not None and is_of_photographs(manifest, order.teacher)
    seen = ", which has only ever seen photographs," if is_strange else ""
    told = (
        f"{n} drawn lesions to learn from and {len(labels) - n} to be measured on, at {order.size} px; the teacher"
        f"{seen} names {right:.0%} of the former as they were meant."
    )
    return Material(images[:n], labels[:n], logits[:n], images[n:], labels[n:], told)


def _draw(order: Order, registry: Registry, numbers: range) -> dict[str, np.ndarray]:
    """A lesion of each class for each number; the teacher is asked of those to learn from."""
    model = registry.get(order.teacher)
    images, logits = [], []
    for number in numbers:
        for code in CODES:
            # Drawn small, those to be measured on would be coarser than those to learn from.
            image = render(code, _FIRST_SEED + number).image
            logits.append(model.classify(image).logits if number < DRAWN_TRAIN else np.zeros(len(CODES)))
            images.append(to_input(image, order.size))
    return {"images": np.stack(images), "logits": np.stack(logits)}


def _cached(identity: list, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, or made now and written there."""
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    path: Path = cache_dir() / f"classroom-{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)  # damaged: what can be made again is
    arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # of a full disk, or a lesson that was stopped
    return arrays
