"""The dataset at low resolution, in memory: every image as it is, and the fixed views that training shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from core.ablation.protocol import Protocol
from core.data.augmentation import AUGMENTATIONS
from core.data.ham10000 import Dataset, check_lesions, open_dataset
from core.data.pixels import PixelStore, is_of_store
from core.data.splits import PARTS, assign
from core.errors import UserError
from core.files import one_at_a_time, reserve
from core.lesions import INDEX, N_CLASSES
from core.settings import cache_dir
from core.training.batches import ViewMaker, ViewRequest

PLAIN = AUGMENTATIONS["none"]
AUGMENTATION = "strong"
"""The augmentation of the recipes' default; `core.ablation.protocol.recipe_of` keeps it."""
SPLITS_USED = ("lesion", "report")
"""By lesion, and by image for the run that makes that mistake."""
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Images:
    """Pixels, labels and parts. Pixels are made when the first run asks for them.

    Attributes:
        dataset: whose images these are.
        protocol: which views, at what size.
        maker: makes them.
        image_ids: (N,) of the whole dataset, as are:
        labels: (N,) class indices.
        lesions: (N,) lesion ids.
        rows: split -> part -> row numbers into the dataset, those of `limit` taken.
        positions: (N,) where a row lies in `pixels`; -1 where it is not used.
    """

    dataset: Dataset
    protocol: Protocol
    maker: ViewMaker
    image_ids: tuple[str, ...]
    labels: np.ndarray
    lesions: np.ndarray
    rows: dict[str, dict[str, np.ndarray]]
    positions: np.ndarray

    @cached_property
    def store(self) -> PixelStore:
        """Of the whole dataset at 224 px, for the teachers."""
        return PixelStore.open(self.dataset, self.image_ids)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(1 + views, M, size, size, 3) uint8: the images as they are, then their views; mapped from the cache."""
        return _pixels(self.store, np.flatnonzero(self.positions >= 0), self.protocol, self.maker)

    def plain(self, rows: np.ndarray) -> np.ndarray:
        """(B, size, size, 3) uint8 of these rows, as they are."""
        return self.pixels[0, self.positions[rows]]

    def view(self, rows: np.ndarray, view: int) -> np.ndarray:
        """(B, size, size, 3) uint8 of these rows in one of the fixed views."""
        return self.pixels[1 + view, self.positions[rows]]

    def training_rows(self, split: str, share: float) -> np.ndarray:
        """The training rows of a share of the lesions, of every class alike; smaller shares lie within larger ones."""
        rows = self.rows[split]["train"]
        if share == 1:
            return rows
        kept = set()
        for label in range(N_CLASSES):
            ids = sorted(set(self.lesions[rows[self.labels[rows] == label]]), key=_rank)
            kept |= set(ids[: max(round(share * len(ids)), 1)])
        return rows[[lesion in kept for lesion in self.lesions[rows]]]

    def digest(self, split: str) -> str:
        """Of the ids and labels of a split's parts: what must be the same when a run goes on."""
        found = [
            [[self.image_ids[row], int(self.labels[row])] for row in self.rows[split][part]] for part in PARTS
        ]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def load_images(protocol: Protocol, maker: ViewMaker) -> Images:
    """The dataset at `settings.data_dir()` under a protocol.

    Raises:
        UserError: there is no dataset, a part of it is empty, or nobody knows which images are of one lesion.
    """
    dataset = open_dataset()
    check_lesions(dataset)
    records = dataset.records
    rows = {}
    for split in SPLITS_USED:
        parts = assign(records, split)
        rows[split] = {part: _take(np.flatnonzero(parts == part), protocol.limit) for part in PARTS}
        for part, found in rows[split].items():
            if not len(found):
                raise UserError(f"{dataset.root}: expected images for {part}, found none of {len(records)}")
    used = np.unique(np.concatenate([found for parts in rows.values() for found in parts.values()]))
    positions = np.full(len(records), -1)
    positions[used] = np.arange(len(used))
    return Images(
        dataset,
        protocol,
        maker,
        tuple(records["image_id"]),
        records["dx"].map(INDEX).to_numpy(),
        records["lesion_id"].to_numpy(dtype=str),
        rows,
        positions,
    )


def _pixels(store: PixelStore, used: np.ndarray, protocol: Protocol, maker: ViewMaker) -> np.ndarray:
    """(1 + views, M, size, size, 3) uint8, mapped from the cache."""
    augmentation = AUGMENTATIONS[AUGMENTATION]
    identity = [store.path.name, dataclasses.asdict(augmentation), protocol.view_seed, protocol.views]
    key = hashlib.sha256(json.dumps([identity, protocol.size, used.tolist()]).encode()).hexdigest()[:16]
    path = cache_dir() / f"small-{key}.npy"
    if not is_of_store(path, store.path):
        with one_at_a_time(path):
            if not is_of_store(path, store.path):
                _write(path, store, used, protocol, maker)
    return np.load(path, mmap_mode="r")


def _write(path: Path, store: PixelStore, used: np.ndarray, protocol: Protocol, maker: ViewMaker) -> None:
    kinds: Sequence[tuple] = [
        (PLAIN, 0),
        *((AUGMENTATIONS[AUGMENTATION], view) for view in range(protocol.views)),
    ]
    chunks = [tuple(int(r) for r in used[i : i + _CHUNK]) for i in range(0, len(used), _CHUNK)]
    requests = [
        ViewRequest(store.path, augmentation, protocol.view_seed, protocol.size, chunk, view)
        for augmentation, view in kinds
        for chunk in chunks
    ]
    shape = (len(kinds), len(used), protocol.size, protocol.size, 3)
    partial = path.with_suffix(".partial")
    array = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
    reserve(partial)
    flat, start = array.reshape(-1, *shape[2:]), 0
    title = f"images at {protocol.size} px"
    for views in tqdm(maker.make(requests), title, len(requests), unit="batch", leave=False, mininterval=2):
        flat[start : start + len(views)] = views
        start += len(views)
    array.flush()
    os.replace(partial, path)


def _take(rows: np.ndarray, limit: int | None) -> np.ndarray:
    if limit is None or limit >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(int)]


def _rank(lesion: str) -> str:
    """An order of lesions that no library decides."""
    return hashlib.sha256(f"share:{lesion}".encode()).hexdigest()
