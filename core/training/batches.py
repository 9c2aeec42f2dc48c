"""Batches of augmented views, made in worker processes ahead of the training step that needs them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.data.augmentation import Augmentation, random_view
from core.data.pixels import turn

_REPEAT = 1_000_000
"""Between the numbers of an image's repeated views: more than there are epochs."""

_AHEAD = 6
"""Batches in the making: enough to hide a worker's hiccup, few enough to stay small in memory."""


@dataclass(frozen=True)
class ViewRequest:
    """What a worker needs to make a batch: no pixels travel towards it, it maps the store itself.

    Attributes:
        store: the pixels' file.
        augmentation, seed, size: see `core.data.augmentation.random_view`.
        rows: images of the batch.
        view: number of the view, the same for all rows.
        repeats: how often each row was shown before under this number; a repeated image is another view of it.
            Empty: never.
        orientations: `core.data.pixels.turn`'s for each row's finished view. Empty: as it is.
    """

    store: Path
    augmentation: Augmentation
    seed: int
    size: int
    rows: tuple[int, ...]
    view: int
    repeats: tuple[int, ...] = ()
    orientations: tuple[int, ...] = ()


class ViewMaker:
    """A pool of processes that turn requests into (B, size, size, 3) uint8, in order.

    Args:
        workers: processes; 0 makes the views in this process.
    """

    def __init__(self, workers: int = 1) -> None:
        # spawn, since a forked TensorFlow deadlocks.
        context = multiprocessing.get_context("spawn")
        self._pool = (
            ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_with_parent)
            if workers
            else None
        )

    def __enter__(self) -> ViewMaker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def make(self, requests: list[ViewRequest]) -> Iterator[np.ndarray]:
        """Views of each request, in order, a few ahead of the reader."""
        if not self._pool:
            yield from map(make_views, requests)
            return
        waiting = iter(requests)
        queue: deque = deque()
        for request in waiting:
            queue.append(self._pool.submit(make_views, request))
            if len(queue) >= _AHEAD:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _leave_with_parent() -> None:
    """End this worker when the training process is gone: one that was killed cannot tell its workers."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@lru_cache(maxsize=4)
def _open(store: Path, written: int) -> np.ndarray:
    """The mapped store; `written` (its time, in ns) makes a store that was written again a new one."""
    return np.load(store, mmap_mode="r")


def make_views(request: ViewRequest) -> np.ndarray:
    """(B, size, size, 3) uint8 views of the request's rows."""
    pixels = _open(request.store, request.store.stat().st_mtime_ns)
    none = (0,) * len(request.rows)
    repeats, orientations = request.repeats or none, request.orientations or none
    views = (
        random_view(
            np.asarray(pixels[row]),
            request.augmentation,
            seed=request.seed,
            index=row,
            view=request.view + _REPEAT * repeat,
            size=request.size,
        )
        for row, repeat in zip(request.rows, repeats, strict=True)
    )
    return np.stack([turn(view, k) for view, k in zip(views, orientations, strict=True)])


def repeats_of(batches: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """How often each row of an epoch's batches came before in that epoch, in the same shape."""
    seen: Counter[int] = Counter()
    counted = []
    for batch in batches:
        numbers = []
        for row in batch:
            numbers.append(seen[row])
            seen[row] += 1
        counted.append(tuple(numbers))
    return counted


def mix(
    x: np.ndarray, labels: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mixup (Zhang et al. 2018) of a batch with itself reversed in order: pixels (B, s, s, 3) and labels (B, 7)."""
    share = rng.beta(alpha, alpha)
    mixed = share * x.astype(np.float32) + (1 - share) * x[::-1].astype(np.float32)
    return mixed, (share * labels + (1 - share) * labels[::-1]).astype(np.float32)
