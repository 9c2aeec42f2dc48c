"""What it gains and costs to ask a model about an image in all eight turns and mirror images, instead of once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import UserError
from core.evaluation.compare import or_few
from core.evaluation.contestants import NO_SHARES
from core.evaluation.intervals import RESAMPLES, Interval, bootstrap, paired_difference, resample
from core.evaluation.metrics import classification, ranking, together
from core.manifest import Manifest
from core.serving.classifier import ORIENTATIONS, Model

ALL = max(ORIENTATIONS)
COMMAND = "python -m core turned"
FIGURES: dict[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
}
Pixels = Callable[[int], np.ndarray]


class TurnedError(UserError):
    """A stored gain that cannot be used."""


@dataclass(frozen=True)
class Gain:
    """All orientations minus one, on the same images.

    Attributes:
        model: whose.
        model_sha256: of its file.
        part: of the split, "validation": what is chosen by it must not be chosen by test images.
        images, lesions: so many.
        differences: figure of `FIGURES` -> value, low, high (95%, over lesions), None where it is undefined.
        times: how many times as long it took, the median over the images.
    """

    model: str
    model_sha256: str
    part: str
    images: int
    lesions: int
    differences: dict[str, dict[str, float | None]]
    times: float

    def sentence(self) -> str:
        """The gain in words."""
        said = []
        for name, label in FIGURES.items():
            value, low, high = (self.differences[name][end] for end in ("value", "low", "high"))
            if value is None:
                said.append(f"{label} by what so few images do not tell")
                continue
            times, digits, unit = (1, 3, "") if name in NO_SHARES else (100, 1, " points")
            ends = (
                ""
                if low is None or high is None
                else f" ({times * low:+.{digits}f} to {times * high:+.{digits}f})"
            )
            said.append(f"{label} {times * value:+.{digits}f}{unit}{ends}")
        return (
            f"On {self.images:,} {self.part} images it changes {', '.join(said)}, and takes {self.times:.1f} times as "
            "long."
        )


def turned_key(name: str) -> str:
    """The shared file's key in the manifest."""
    return f"turned-{name}"


def measure_gain(
    model: Model,
    model_sha256: str,
    pixels: Pixels,
    labels: np.ndarray,
    lesion_id: np.ndarray,
    *,
    part: str = "validation",
    resamples: int = RESAMPLES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gain:
    """Ask about every image once and in all orientations.

    Args:
        model: to ask.
        model_sha256: of its file.
        pixels: row -> (h, w, 3) uint8 RGB.
        labels: (N,) class indices.
        lesion_id: (N,).
        part: what the images are.
        resamples: of lesions, for the intervals.
        progress: called with how many images are done, of how many.
    """
    once, turned, times = [], [], []
    for row in range(len(labels)):
        image = pixels(row)
        seconds = []
        for answers, orientations in ((once, 1), (turned, ALL)):
            start = time.perf_counter()
            answers.append(model.classify(image, orientations=orientations).probabilities)
            seconds.append(time.perf_counter() - start)
        times.append(seconds[1] / seconds[0])
        progress(row + 1, len(labels))
    differences = _differences(np.array(once), np.array(turned), labels, lesion_id, resamples)
    lesions = len(np.unique(lesion_id))
    return Gain(model.name, model_sha256, part, len(labels), lesions, differences, float(np.median(times)))


def _differences(
    once: np.ndarray, turned: np.ndarray, labels: np.ndarray, lesion_id: np.ndarray, resamples: int
) -> dict[str, dict[str, float | None]]:
    drawn = resample(lesion_id, resamples)

    def figures(probabilities: np.ndarray) -> Any:
        statistic = together(
            classification(labels, probabilities.argmax(axis=1)), ranking(probabilities, labels)
        )
        return bootstrap(statistic, drawn)

    difference = paired_difference(figures(turned), figures(once))
    found: dict[str, Interval] = {
        name: or_few(difference.interval(name), drawn.lesion if name == "accuracy" else None)
        for name in FIGURES
    }
    return {name: interval.to_dict() for name, interval in found.items()}


def to_json(gain: Gain) -> str:
    """As it is stored."""
    return json.dumps(asdict(gain), indent=1)


def read_gain(manifest: Manifest, name: str) -> Gain | None:
    """The stored gain of a model's present file; None where it was not measured, or for another file.

    Raises:
        TurnedError: it is stored and cannot be used.
    """
    path = manifest.shared.get(turned_key(name))
    if path is None:
        return None
    try:
        gain = Gain(**json.loads(manifest.read(path)))
        gain.sentence()
    except (ValueError, TypeError, KeyError) as error:
        raise TurnedError(f"{path}: expected a measured gain, found {error}; run {COMMAND}") from error
    file = manifest.files.get(manifest.model(name).files.get("litert", ""))
    return gain if file is not None and file.sha256 == gain.model_sha256 else None
