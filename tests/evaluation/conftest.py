"""Predictions to measure, simulated."""

from collections.abc import Callable

import numpy as np
import pytest

from core.evaluation.predictions import Predictions
from core.lesions import N_CLASSES

SHARES = np.array([0.033, 0.051, 0.110, 0.012, 0.111, 0.669, 0.014])


def _simulate(
    n_lesions: int = 200,
    *,
    seed: int = 0,
    skill: float = 2.5,
    model: str = "student",
    parts: tuple[str, ...] = ("test",),
) -> Predictions:
    """Lesions of one to three images, of all classes, whose images get similar answers."""
    rng = np.random.default_rng(seed)
    label = rng.choice(N_CLASSES, size=n_lesions, p=SHARES / SHARES.sum())
    label[:14] = np.arange(14) % N_CLASSES  # every class in every part
    images = rng.integers(1, 4, size=n_lesions)
    part = np.asarray(parts)[(np.arange(n_lesions) // 7) % len(parts)]
    lesion = np.repeat(np.arange(n_lesions), images)
    # The same cases for every model of one seed and their answers by skill, so that models can be compared.
    noise = np.random.default_rng((seed, sum(model.encode())))
    logits = 1.2 * noise.normal(size=(n_lesions, N_CLASSES))[lesion] + 0.6 * noise.normal(
        size=(len(lesion), N_CLASSES)
    )
    logits[np.arange(len(lesion)), label[lesion]] += skill
    return Predictions(
        model,
        np.array([f"ISIC_{i:07d}" for i in range(len(lesion))]),
        np.array([f"HAM_{i:07d}" for i in lesion]),
        label[lesion],
        logits,
        part[lesion],
    )


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Predictions]:
    """Makes predictions: see `_simulate`."""
    return _simulate
