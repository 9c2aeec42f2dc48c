"""Pixels -> `Diagnosis`: the explaining graph, then calibration and softmax in their one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from core.artifacts import Manifest, ModelEntry
from core.data.pixels import to_input, turn, turn_back
from core.errors import UserError
from core.evaluation.calibration import softmax
from core.lesions import CODES, MALIGNANT
from core.serving.runtime import InterpreterPool, RawOutput

ORIENTATIONS = (1, 4, 8)
"""As given; with its four rotations; with the four rotations and their mirror images."""


class ModelOutputError(UserError):
    """A model answered with NaN or infinity: no class can be read from that."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What one model says of one image.

    Attributes:
        model: its name.
        label: the class with the largest probability.
        confidence: that probability.
        malignancy: probability of mel + bcc + akiec.
        suspicious: whether `malignancy` reaches the model's operating point; None where it has none.
        probabilities: (7,) float64, calibrated, sum 1.
        logits: (7,) float64; softmax(logits / temperature) gives the probabilities.
        temperature: the model's calibration.
        maps: (7, h, w) float32 >= 0, Grad-CAM of each class in the graph's own unit, all zero where nothing speaks
            for the class. For an ensemble the mean of its members' maps, each first divided by its maximum.
        embedding: (D,) float32 of the upright image; None for an ensemble.
        members: an ensemble's single diagnoses.
    """

    model: str
    label: str
    confidence: float
    malignancy: float
    suspicious: bool | None
    probabilities: np.ndarray
    logits: np.ndarray
    temperature: float
    maps: np.ndarray
    embedding: np.ndarray | None
    members: tuple[Diagnosis, ...] = ()

    def of(self, model: str) -> Diagnosis | None:
        """This diagnosis or a member's, whichever is `model`'s; None if neither."""
        return next((diagnosis for diagnosis in (self, *self.members) if diagnosis.model == model), None)


class Model(Protocol):
    """What `Classifier` and `Ensemble` have in common."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> Diagnosis:
        """Diagnose (height, width, 3) uint8 RGB of any size."""
        ...


class Classifier:
    """One LiteRT model, loaded. Every method may be called from many threads at once."""

    def __init__(self, entry: ModelEntry, pool: InterpreterPool) -> None:
        self.entry = entry
        self._pool = pool

    @classmethod
    def load(cls, manifest: Manifest, name: str) -> Classifier:
        """Read, check and load one model.

        Raises:
            ArtifactError: it is not in the manifest, or its file is missing or damaged.
            RuntimeModelError: its file is no explaining graph.
        """
        entry = manifest.model(name)
        if "litert" not in entry.files:
            raise UserError(
                f"model {name}: expected a LiteRT file in the manifest, found {sorted(entry.files)}"
            )
        return cls(entry, InterpreterPool(manifest.read(entry.files["litert"]), name))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.entry.name

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> Diagnosis:
        """Diagnose one image.

        Args:
            rgb: (height, width, 3) uint8, RGB, of any size.
            orientations: 1, or 4 or 8 to take the mean of the probabilities (and of the maps, turned back) over that
                many orientations, which are all equally valid for a dermatoscopic image; costs as many times more.

        Raises:
            ModelOutputError: the model answered with NaN or infinity.
        """
        pixels = to_input(rgb)
        views = [self._run(turn(pixels, k)) for k in range(_checked(orientations))]
        temperature = self.entry.temperature
        maps = np.mean([turn_back(view.maps, k) for k, view in enumerate(views)], axis=0)
        if len(views) == 1:
            logits = views[0].logits.astype(np.float64)
        else:
            mean = np.mean([softmax(view.logits, temperature) for view in views], axis=0)
            logits = temperature * _log(mean)
        return _diagnosis(self.entry, logits, maps, views[0].embedding)

    def _run(self, pixels: np.ndarray) -> RawOutput:
        raw = self._pool.run(np.ascontiguousarray(pixels))
        if not np.isfinite(raw.logits).all():
            raise ModelOutputError(f"model {self.name}: expected finite logits, found {raw.logits.tolist()}")
        # A map that is not finite shows nothing; an all-zero map is drawn as a note, never as an overlay.
        maps = np.where(np.isfinite(raw.maps).all(axis=(1, 2), keepdims=True), raw.maps, np.float32(0))
        return replace(raw, maps=np.maximum(maps, 0))


class Ensemble:
    """The mean of the calibrated probabilities of several models."""

    def __init__(self, entry: ModelEntry, members: Sequence[Model]) -> None:
        self.entry = entry
        self._members = tuple(members)

    @property
    def name(self) -> str:
        """The ensemble's name."""
        return self.entry.name

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> Diagnosis:
        """Diagnose one image; see `Classifier.classify`. The logits are those of the mean, log p."""
        pixels = to_input(rgb)
        members = tuple(member.classify(pixels, orientations=orientations) for member in self._members)
        mean = np.mean([member.probabilities for member in members], axis=0)
        maps = mean_maps([member.maps for member in members])
        return replace(_diagnosis(self.entry, _log(mean), maps, None), members=members)


def mean_maps(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of maps (7, h, w) of several models, on the grid of the first.

    Networks scale their Grad-CAM differently, so each class's map is divided by its maximum first.
    """
    height, width = maps[0].shape[1:]
    total = np.zeros_like(maps[0], dtype=np.float32)
    for each in maps:
        if each.shape[1:] != (height, width):
            each = np.stack(
                [cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR) for layer in each]
            )
        peak = each.max(axis=(1, 2), keepdims=True)
        total += np.divide(each, peak, out=np.zeros_like(total), where=peak > 0)
    return total / len(maps)


def _diagnosis(
    entry: ModelEntry, logits: np.ndarray, maps: np.ndarray, embedding: np.ndarray | None
) -> Diagnosis:
    probabilities = softmax(logits, entry.temperature)
    top = int(probabilities.argmax())
    malignancy = min(1.0, float(probabilities[list(MALIGNANT)].sum()))
    threshold = entry.malignancy_threshold
    return Diagnosis(
        model=entry.name,
        label=CODES[top],
        confidence=float(probabilities[top]),
        malignancy=malignancy,
        suspicious=None if threshold is None else malignancy >= threshold,
        probabilities=probabilities,
        logits=logits,
        temperature=entry.temperature,
        maps=maps,
        embedding=embedding,
    )


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))


def _checked(orientations: int) -> int:
    if orientations not in ORIENTATIONS:
        raise ValueError(f"expected {ORIENTATIONS} orientations, found {orientations!r}")
    return orientations
