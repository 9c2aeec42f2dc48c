"""Advice on a photograph: blurred, too dark or too light, glaring, flat, too small. Advice never refuses.

The limits are measured, not chosen: each is what the worst few of HAM10000's validation images only just pass
(`core.serving.fitting`), so "blurred" means more blurred than nearly all of those. A picture that is worse than all of
them is another matter, since nothing is known of those. Of 120 malignant validation images an earlier student-int8
found 95% suspicious; blurred by a Gaussian of 2 and 4 pixels of 224 only 77 and 35%, darkened to three tenths 63%, a
fifth of the width overexposed 68%. 95% and more of these were worse than every original, and so were 5 of the 2,012
test images. Lost contrast is caught less well: at three tenths of it 44% were found suspicious, and 43% were worse than
every original.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from core.artifacts import ArtifactError
from core.data.pixels import to_input
from core.settings import INPUT_SIZE

if TYPE_CHECKING:
    from core.serving.registry import Registry

VERSION = 2
KEY = "quality"
_DARK, _LIGHT = 8, 247
"""At or below, at or above: values in which nothing can be told apart any more."""

TOO_SMALL = (
    f"The picture is small: a side has fewer than the {INPUT_SIZE} pixels that the models look at. "
    "Use the original file, or come closer."
)


def _sharpness(grey: np.ndarray) -> float:
    return float(np.log10(cv2.Laplacian(grey, cv2.CV_32F).var() + 0.01))


def _brightness(grey: np.ndarray) -> float:
    return float(np.median(grey))


def _contrast(grey: np.ndarray) -> float:
    return float(np.subtract(*np.percentile(grey, [95, 5])))


def _glare(grey: np.ndarray) -> float:
    return float((grey >= _LIGHT).mean())


def _shadow(grey: np.ndarray) -> float:
    return float((grey <= _DARK).mean())


MEASURES: Mapping[str, Callable[[np.ndarray], float]] = {
    "sharpness": _sharpness,
    "brightness": _brightness,
    "contrast": _contrast,
    "glare": _glare,
    "shadow": _shadow,
}
"""Of the luminance (h, w) uint8 of what a network sees: log10 of the variance of the Laplacian; median; 95th minus 5th
percentile; share of the pixels that are nearly white, and nearly black."""


@dataclass(frozen=True)
class Check:
    """One piece of advice.

    Attributes:
        name: what the limits call it.
        measure: key of `MEASURES`.
        above: whether too much of it is bad, rather than too little.
        sentence: what to tell people.
    """

    name: str
    measure: str
    above: bool
    sentence: str

    def fails(self, values: Mapping[str, float], limits: Mapping[str, float]) -> bool:
        """Whether a photograph's measures lie beyond this check's limit."""
        value, limit = values[self.measure], limits[self.name]
        return value > limit if self.above else value < limit


CHECKS = (
    Check(
        "blurred", "sharpness", False, "The picture is blurred: focus again and hold the dermatoscope still."
    ),
    Check("dark", "brightness", False, "The picture is dark: use more light or a longer exposure."),
    Check("light", "brightness", True, "The picture is very light: use less light or a shorter exposure."),
    Check(
        "flat", "contrast", False, "The picture has little contrast: structures in it are hard to tell apart."
    ),
    Check(
        "glare",
        "glare",
        True,
        "Parts of the picture are overexposed: avoid reflections, polarise or use gel.",
    ),
    Check(
        "shadow",
        "shadow",
        True,
        "Large parts of the picture are black: come closer, or cut the dark frame off.",
    ),
)


WORSE = (
    "In this it is worse than every picture by which the models were chosen and calibrated, and in such pictures "
    "malignant lesions can look harmless."
)
"""Behind the advice on a poor picture, whose last sentence is the one that it is true of."""


@dataclass(frozen=True)
class Quality:
    """What is to be said of a photograph.

    Attributes:
        advice: sentences on what is wrong with it, last what makes it poor; none for a good one.
        poor: whether it is worse, in what one of the checks measures, than all images that the limits come from.
    """

    advice: tuple[str, ...] = ()
    poor: bool = False


GOOD = Quality()
"""Of a photograph of which nothing is to be said."""


@dataclass(frozen=True)
class PhotoLimits:
    """The limits of all checks, and where they come from.

    Attributes:
        limits: `Check.name` -> value that is only just good.
        worst: `Check.name` -> value of the worst image that they were measured on.
        images: how many validation images they were measured on.
        share: of these, the largest share that any one check advises.
    """

    limits: Mapping[str, float]
    worst: Mapping[str, float]
    images: int
    share: float

    def to_json(self) -> dict[str, Any]:
        """What the limits' file holds."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> PhotoLimits:
        """Read the limits' file.

        Raises:
            ArtifactError: it is damaged or of another version.
        """
        try:
            raw = json.loads(data)
            if raw["version"] != VERSION:
                raise ValueError(f"version {raw['version']!r}")
            limits, worst = ({c.name: float(raw[key][c.name]) for c in CHECKS} for key in ("limits", "worst"))
            if not np.isfinite([*limits.values(), *worst.values()]).all():
                raise ValueError("a limit that is not finite")
            return cls(limits, worst, int(raw["images"]), float(raw["share"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{what}: expected limits of version {VERSION}, found: {error}") from error


def load_limits(registry: Registry) -> PhotoLimits | None:
    """The limits shipped with these models, None where there are none.

    Raises:
        ArtifactError: their file is damaged.
    """
    return registry.shared(KEY, PhotoLimits.from_bytes)


def measure(rgb: np.ndarray) -> dict[str, float]:
    """All of `MEASURES` of a photograph, (h, w, 3) uint8 RGB of any size, at the networks' own.

    At a photograph's own size one and the same blur would be worse the more pixels there are.
    """
    grey = cv2.cvtColor(to_input(rgb), cv2.COLOR_RGB2GRAY)
    return {name: function(grey) for name, function in MEASURES.items()}


def judge(rgb: np.ndarray, limits: PhotoLimits) -> Quality:
    """What is wrong with a photograph (h, w, 3) uint8 RGB."""
    values = measure(rgb)
    advice = [TOO_SMALL] if min(rgb.shape[:2]) < INPUT_SIZE else []
    failed = [check for check in CHECKS if check.fails(values, limits.limits)]
    failed.sort(key=lambda check: check.fails(values, limits.worst))  # `WORSE` is said behind the last
    advice += [check.sentence for check in failed]
    return Quality(tuple(advice), any(check.fails(values, limits.worst) for check in CHECKS))
