"""What is done about 67% of one class: which images an epoch shows, and how much each class weighs."""

from __future__ import annotations

import numpy as np

from core.lesions import N_CLASSES

BALANCES = ("none", "oversample", "sqrt")
REPORT_OVERSAMPLING = 1200
"""Images that the report's section 3.3 raises every smaller class to."""


def epoch_rows(labels: np.ndarray, balance: str, rng: np.random.Generator) -> np.ndarray:
    """The rows of one epoch, shuffled.

    Args:
        labels: (N,) class indices of the training images.
        balance: `oversample` repeats images of classes under 1,200 until they have 1,200; the others show every
            image once.
        rng: decides the order and which images are repeated.

    Returns:
        (M,) row numbers into `labels`, M >= N.
    """
    rows = np.arange(len(labels))
    if balance == "oversample":
        extra = [_repeats(np.flatnonzero(labels == c), rng) for c in range(N_CLASSES)]
        rows = np.concatenate([rows, *extra])
    elif balance not in BALANCES:
        raise ValueError(f"balance: expected one of {BALANCES}, found {balance!r}")
    return rng.permutation(rows)


def class_weights(labels: np.ndarray, balance: str) -> np.ndarray:
    """(7,) weight of each class in the hard loss, with mean 1 over the images.

    `sqrt` weighs by the inverse square root of the class's share: between ignoring and undoing the imbalance.
    """
    if balance != "sqrt":
        return np.ones(N_CLASSES, np.float32)
    counts = np.bincount(labels, minlength=N_CLASSES)
    weights = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
    return (weights / np.average(weights, weights=counts)).astype(np.float32)


def class_counts(labels: np.ndarray, balance: str) -> np.ndarray:
    """(7,) images of each class that one epoch shows."""
    return np.bincount(labels[epoch_rows(labels, balance, np.random.default_rng(0))], minlength=N_CLASSES)


def _repeats(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    missing = REPORT_OVERSAMPLING - len(rows)
    return rng.choice(rows, missing) if len(rows) and missing > 0 else rows[:0]
