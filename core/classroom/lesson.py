"""One lesson: the same small student twice, from labels alone and with a teacher, batch by batch side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.classroom.network import Adam, Network, scaled
from core.data.balance import class_weights
from core.errors import UserError
from core.evaluation.calibration import log_softmax
from core.evaluation.metrics import confusion, from_confusion
from core.lab.loss import hard_term, soft_term

SOURCES = ("ham10000", "synthetic")
SIZES = (32, 48, 64)
MOST_EPOCHS = 40
SECONDS = 105.0
"""After which a lesson ends whatever is left of it: two minutes, less what starting and drawing take."""

ALONE, TAUGHT = ARMS = ("alone", "taught")
BATCH, RATE = 32, 2e-3


@dataclass(frozen=True)
class Order:
    """What a lesson is to be.

    Attributes:
        source: one of `SOURCES`.
        teacher: name of a model.
        size: side of the images in pixels.
        temperature: T.
        alpha: weight of the soft term.
        epochs: passes over the training images.
        seed: of weights and order; both students have the same.

    Raises:
        UserError: a value is out of range.
    """

    source: str
    teacher: str
    size: int = 32
    temperature: float = 4.0
    alpha: float = 0.7
    epochs: int = 15
    seed: int = 1

    def __post_init__(self) -> None:
        rules = (
            ("source", self.source in SOURCES, " or ".join(SOURCES)),
            ("size", self.size in SIZES, f"one of {SIZES}"),
            ("temperature", 0 < self.temperature <= 100, "above 0 and at most 100"),
            ("alpha", 0 <= self.alpha <= 1, "from 0 to 1"),
            ("epochs", 1 <= self.epochs <= MOST_EPOCHS, f"from 1 to {MOST_EPOCHS}"),
        )
        for name, right, expected in rules:
            if not right:
                raise UserError(f"{name}: expected {expected}, found {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Material:
    """What both students learn from and are measured on.

    Attributes:
        images, labels: (N, s, s, 3) uint8 and (N,) int to learn from.
        teacher: (N, 7) the teacher's logits for these very images, before they were made small.
        test_images, test_labels: (M, s, s, 3) and (M,).
        told: what it is, in a sentence.
    """

    images: np.ndarray
    labels: np.ndarray
    teacher: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    told: str


def learn(order: Order, material: Material, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Train both students; give a point for each after every half epoch.

    Args:
        order: T, alpha, epochs, seed.
        material: images, labels and the teacher's logits.
        seconds: after which no further half epoch is begun.

    Yields:
        arm, epoch (0 before the first step), loss (mean of what was minimised; None before the first step),
        test_loss (cross-entropy), test_accuracy, test_balanced_accuracy.
    """
    begun = time.monotonic()
    students = {arm: Network.fresh(order.size, order.seed) for arm in ARMS}
    per_half = max(len(material.labels) // BATCH // 2, 1)
    steps = 2 * per_half * order.epochs
    optimizers = {arm: Adam(student.parameters, RATE, steps) for arm, student in students.items()}
    weights = class_weights(material.labels, "sqrt")
    for arm, student in students.items():
        yield _point(arm, 0.0, None, student, material)
    batches = _batches(len(material.labels), order.seed)
    for half in range(1, 2 * order.epochs + 1):
        if time.monotonic() - begun > seconds:
            return
        rows = [next(batches) for _ in range(per_half)]
        for arm, student in students.items():
            alpha = order.alpha if arm == TAUGHT else 0.0
            loss = float(
                np.mean([_step(student, optimizers[arm], material, weights, order, alpha, r) for r in rows])
            )
            yield _point(arm, half / 2, loss, student, material)


def _step(
    student: Network,
    optimizer: Adam,
    material: Material,
    weights: np.ndarray,
    order: Order,
    alpha: float,
    rows: np.ndarray,
) -> float:
    """One step on a batch; gives its mean loss."""
    labels = material.labels[rows]
    logits = student.forward(scaled(material.images[rows]), remember=True)
    weight = weights[labels]
    hard = hard_term(logits, labels)
    value = (1 - alpha) * weight * hard.value
    gradient = (1 - alpha) * weight[:, None] * hard.gradient
    if alpha:
        soft = soft_term(material.teacher[rows], logits, order.temperature)
        value, gradient = value + alpha * soft.value, gradient + alpha * soft.gradient
    optimizer.update(student.backward((gradient / len(rows)).astype(np.float32)))
    return float(value.mean())


def _point(
    arm: str, epoch: float, loss: float | None, student: Network, material: Material
) -> dict[str, Any]:
    chunks = np.array_split(material.test_images, max(len(material.test_images) // 128, 1))
    logits = np.concatenate([student.forward(scaled(chunk)) for chunk in chunks])
    labels = material.test_labels
    figures = from_confusion(confusion(labels, logits.argmax(axis=1)))
    return {
        "arm": arm,
        "epoch": epoch,
        "loss": loss,
        "test_loss": float(-log_softmax(logits)[np.arange(len(labels)), labels].mean()),
        "test_accuracy": float(figures["accuracy"][0]),
        "test_balanced_accuracy": float(figures["balanced_accuracy"][0]),
    }


def _batches(n: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of a batch, forever; both students get the same."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n)
        for start in range(0, max(n - BATCH, 0) + 1, BATCH):
            yield order[start : start + BATCH]
