"""How near a converted network's answers are to those of the network that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from scipy.special import softmax


@dataclass(frozen=True)
class Agreement:
    """Two tables of logits, compared.

    Attributes:
        images: how many rows.
        same_class: share of rows with the same top class, 0 to 1.
        mean_change: mean over the rows of the largest change of a probability (softmax, temperature 1).
        largest_change: the largest of them.
        signal_to_noise_db: energy of the logits over energy of their differences; infinite for equal tables.
    """

    images: int
    same_class: float
    mean_change: float
    largest_change: float
    signal_to_noise_db: float

    def text(self) -> str:
        """One line for people."""
        return (
            f"same class for {self.same_class:.1%} of {self.images} images, probabilities change by "
            f"{self.mean_change:.3f} on average and {self.largest_change:.3f} at most"
        )


def agreement(reference: np.ndarray, found: np.ndarray) -> Agreement:
    """Compare logits (N, 7) with those that they should be.

    Raises:
        ValueError: the shapes differ, or there are no rows.
    """
    if reference.shape != found.shape or len(reference) == 0:
        raise ValueError(f"expected two equal shapes (N, 7), found {reference.shape} and {found.shape}")
    change = np.abs(softmax(reference, axis=1) - softmax(found, axis=1)).max(axis=1)
    noise = float(np.square(reference.astype(np.float64) - found).sum())
    signal = float(np.square(reference, dtype=np.float64).sum())
    return Agreement(
        images=len(reference),
        same_class=float((reference.argmax(axis=1) == found.argmax(axis=1)).mean()),
        mean_change=float(change.mean()),
        largest_change=float(change.max()),
        signal_to_noise_db=10 * float(np.log10(signal / noise)) if noise else float("inf"),
    )


def litert_answers(path: Path, images: np.ndarray, *, threads: int = 1) -> dict[str, np.ndarray]:
    """Every output of a LiteRT file for some images.

    Args:
        path: what `core.compression.litert.convert` wrote.
        images: (N, 224, 224, 3) uint8.
        threads: of the interpreter.

    Returns:
        Name of the output -> (N, ...) float32.
    """
    runner = Interpreter(model_content=path.read_bytes(), num_threads=threads).get_signature_runner()
    answers = [runner(image=np.asarray(image)[np.newaxis]) for image in images]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
