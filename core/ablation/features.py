"""Pooled features of a network for one view of many images, computed once and kept in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from core.ablation.images import AUGMENTATION
from core.data.augmentation import AUGMENTATIONS
from core.data.pixels import PixelStore, derived
from core.settings import cache_dir
from core.training.batches import ViewMaker, ViewRequest
from core.training.inference import predict_batch

_CHUNK = 64


def pooled_features(
    name: str,
    identity: str,
    network: Callable[[], keras.Model],
    request: ViewRequest,
    maker: ViewMaker,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Features of the views that `request` describes, whatever its number of rows.

    Args:
        name: of the network, for people and for the file.
        identity: what else decides the features: a hash of the weights.
        network: makes the network, whose layer `pool` is read; called only where the cache has nothing.
        request: rows, view, size, seed and augmentation.
        maker: makes the views.
        prepare: what is done to the pixels before the network sees them.

    Returns:
        (rows, D) float16.
    """
    key = hashlib.sha256(
        json.dumps(
            [
                *(identity, request.store.name, request.seed, request.size, request.view, request.rows),
                dataclasses.asdict(request.augmentation),
            ]
        ).encode()
    ).hexdigest()[:16]
    path = cache_dir() / f"features-{name}-{key}.npy"

    def make() -> np.ndarray:
        whole = network()
        pooled = keras.Model(whole.input, whole.get_layer("pool").output)
        rows = request.rows
        requests = [
            ViewRequest(request.store, request.augmentation, request.seed, request.size, chunk, request.view)
            for chunk in (rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK))
        ]
        shown = tqdm(
            maker.make(requests), f"{name}, view {request.view + 1}", len(requests), unit="batch", leave=False,
            mininterval=5,
        )  # fmt: skip
        found = [predict_batch(pooled, prepare(x) if prepare else x, _CHUNK) for x in shown]
        return np.concatenate(found).astype(np.float16)

    return derived(request.store, path, make)


def request_for(store: PixelStore, rows: np.ndarray, view: int, *, seed: int, size: int) -> ViewRequest:
    """A request for one of the fixed views of the protocol's augmentation."""
    taken = tuple(int(row) for row in rows)
    return ViewRequest(store.path, AUGMENTATIONS[AUGMENTATION], seed, size, taken, view)
