"""The one way from an image to a network's input, and the decoded dataset as one memory-mapped array."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from core.errors import UserError
from core.files import one_at_a_time, replacing, reserve
from core.settings import INPUT_SIZE, cache_dir

PREPROCESSING = "RGB, cv2.resize(INTER_AREA) of the whole frame to 224x224, uint8"


class ImageSource(Protocol):
    """What the store needs of a dataset (`core.data.ham10000.Dataset`)."""

    root: Path
    layout: str

    def read_bytes(self, image_id: str) -> bytes:
        """The image file as it is stored."""
        ...


class PixelError(UserError):
    """An image of the dataset cannot be decoded."""


def to_input(rgb: np.ndarray, size: int = INPUT_SIZE) -> np.ndarray:
    """The pixels that every network sees.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        size: side of the result; 224 everywhere but in low-resolution training stages.

    Returns:
        (size, size, 3) uint8: the whole frame, its aspect squeezed, averaged by area. The array itself where
        it already has that size.

    Raises:
        ValueError: the array has another shape or type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected an RGB uint8 array (height, width, 3), found {rgb.dtype} {rgb.shape}")
    if rgb.shape[:2] == (size, size):
        return rgb
    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(h, w, ...) in orientation 0..7: so many quarter turns, from 4 on mirrored first."""
    return np.rot90(pixels[:, ::-1] if orientation >= 4 else pixels, orientation % 4)


def turn_back(maps: np.ndarray, orientation: int) -> np.ndarray:
    """The maps (7, h, w) of an image after `turn`, as they lie on the upright image."""
    upright = np.rot90(maps, -(orientation % 4), axes=(1, 2))
    return upright[:, :, ::-1] if orientation >= 4 else upright


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode a trusted dataset file to (height, width, 3) uint8 RGB. Uploads go through `core.serving.intake`."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise PixelError(f"{name}: expected a readable image, found {len(data)} bytes that do not decode")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class PixelStore:
    """All images of a dataset as (N, 224, 224, 3) uint8 on disk, mapped into memory on use.

    Workers open it again by `path`, so that nothing is copied between processes.
    """

    path: Path
    image_ids: tuple[str, ...]

    @property
    def pixels(self) -> np.ndarray:
        """(N, 224, 224, 3) uint8, read-only."""
        return np.load(self.path, mmap_mode="r")

    @classmethod
    def open(cls, dataset: ImageSource, image_ids: Sequence[str], folder: Path | None = None) -> PixelStore:
        """The store of these images, decoded now (with a progress bar) unless an earlier call left it.

        Some of its images are compared with the dataset's files, since other images may have come to lie there
        under the same ids (synthetic ones, drawn again).

        Raises:
            PixelError: an image does not decode; it is named.
        """
        ids = tuple(image_ids)
        key = hashlib.sha256(
            json.dumps([str(dataset.root), dataset.layout, PREPROCESSING, ids]).encode()
        ).hexdigest()
        path = (folder or cache_dir()) / f"pixels-{key[:16]}.npy"
        if not _is_of(path, dataset, ids):
            with one_at_a_time(path):
                if not _is_of(path, dataset, ids):
                    _write(path, dataset, ids)
        return cls(path, ids)


def derived(store: Path, path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """What was computed from a store's pixels, from the cache at `path`, or made now and left there.

    Of several processes that ask at once one makes it. A store that was written later holds other pixels under the
    same ids (synthetic lesions, drawn again): then it is made anew.
    """
    if not is_of_store(path, store):
        with one_at_a_time(path):
            if not is_of_store(path, store):
                with replacing(path) as stream:
                    np.save(stream, make())
    return np.load(path)


def is_of_store(path: Path, store: Path) -> bool:
    """Whether a file is there that was made since the store was written."""
    return path.exists() and path.stat().st_mtime_ns >= store.stat().st_mtime_ns


def _is_of(path: Path, dataset: ImageSource, ids: tuple[str, ...]) -> bool:
    """Whether the store is there, whole, and holds the dataset's images as far as its first, middle and last say."""
    if not path.exists():
        return False
    try:
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return False
    samples = sorted({0, len(ids) // 2, len(ids) - 1}) if ids else []
    return pixels.shape[:1] == (len(ids),) and all(
        np.array_equal(pixels[row], to_input(decode(dataset.read_bytes(ids[row]), ids[row])))
        for row in samples
    )


def _write(path: Path, dataset: ImageSource, ids: tuple[str, ...]) -> None:
    from tqdm import tqdm

    partial = path.with_suffix(".partial")
    try:
        array = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(ids), INPUT_SIZE, INPUT_SIZE, 3))
        reserve(partial)
        with ThreadPoolExecutor() as pool:
            images = _map_bounded(pool, lambda i: to_input(decode(dataset.read_bytes(i), i)), ids)
            for row, image in enumerate(tqdm(images, "decoding", len(ids), unit="image", leave=False)):
                array[row] = image
        array.flush()
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _map_bounded(
    pool: ThreadPoolExecutor, function: Callable[[str], np.ndarray], items: Sequence[str], ahead: int = 64
) -> Iterator[np.ndarray]:
    """`pool.map` in order, with at most `ahead` results waiting: the decoded set need not fit in memory."""
    waiting = iter(items)
    queue = [pool.submit(function, item) for item in islice(waiting, ahead)]
    while queue:
        yield queue.pop(0).result()
        queue.extend(pool.submit(function, item) for item in islice(waiting, 1))
