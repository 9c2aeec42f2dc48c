"""How good a network is on validation: the figures of its history, and the one number that epochs are chosen by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def score(figures: Mapping[str, float]) -> float:
    """What is to be large: the mean of accuracy and balanced accuracy, so that neither is bought with the other."""
    return (figures["val_accuracy"] + figures["val_balanced_accuracy"]) / 2


def shown(figures: Mapping[str, float]) -> str:
    """Figures for people to read, in one line."""
    return ", ".join(f"{key.removeprefix('val_')} {value:.4f}" for key, value in figures.items())


def validation_figures(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss, accuracy, balanced accuracy and macro F1 of (M, 7) logits."""
    from sklearn.metrics import balanced_accuracy_score, f1_score

    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    return {
        "val_loss": float(-log_p[np.arange(len(labels)), labels].mean()),
        "val_accuracy": float((predicted == labels).mean()),
        "val_balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "val_macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
    }
