"""Logits of a Keras network over a pixel store: for validation while training and for teachers' answers."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
from tqdm import tqdm

from core.data.pixels import to_input


def predict_logits(
    network: keras.Model,
    pixels: np.ndarray,
    rows: np.ndarray,
    *,
    size: int,
    batch_size: int = 64,
    title: str = "",
) -> np.ndarray:
    """Logits of some images as they are, without augmentation.

    Args:
        network: raw RGB 0..255 in, (batch, 7) logits out.
        pixels: (N, 224, 224, 3) uint8.
        rows: (M,) row numbers into `pixels`.
        size: side that the network sees.
        batch_size: images a step.
        title: what the progress bar says; none is shown without it.

    Returns:
        (M, 7) float32.
    """
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    images = (np.stack([to_input(np.asarray(pixels[row]), size) for row in batch]) for batch in batches)
    shown: Iterable = tqdm(images, title, len(batches), unit="batch", leave=False) if title else images
    return np.concatenate([predict_batch(network, x, batch_size) for x in shown])


def predict_batch(network: keras.Model, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Logits of one batch, padded to `batch_size` so that the graph is traced once."""
    padded = np.zeros((batch_size, *x.shape[1:]), np.float32)
    padded[: len(x)] = x
    return np.asarray(network.predict_on_batch(padded), np.float32)[: len(x)]
