"""Advice on a photograph: blurred, too dark or too light, glaring, flat, too small. Advice never refuses.

The limits are measured, not chosen: each is what the worst few of HAM10000's validation images only just pass
(`core.serving.fitting`), so "blurred" means more blurred than nearly all of those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from core.artifacts import ArtifactError
from core.settings import INPUT_SIZE

if TYPE_CHECKING:
    from core.serving.registry import Registry

VERSION = 1
KEY = "quality"
SIDE = 600
"""Longest side at which a photograph is judged, HAM10000's; larger ones are reduced, smaller ones stay."""

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
"""Of the luminance (h, w) uint8 at the normal size: log10 of the variance of the Laplacian; median; 95th minus 5th
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


CHECKS = (
    # Of 120 malignant validation images 95 % reached student-int8's operating point, blurred by a Gaussian of 2, 4 and
    # 6 pixels of 224 only 77, 35 and 9 %.
    Check(
        "blurred",
        "sharpness",
        False,
        "The picture is blurred, and blur makes malignant lesions look harmless to these models: focus again and hold "
        "the dermatoscope still.",
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


@dataclass(frozen=True)
class PhotoLimits:
    """The limits of all checks, and where they come from.

    Attributes:
        limits: `Check.name` -> value that is only just good.
        images: how many validation images they were measured on.
        share: of these, the largest share that any one check advises.
    """

    limits: Mapping[str, float]
    images: int
    share: float

    def to_json(self) -> dict[str, Any]:
        """What the limits' file holds."""
        return {"version": VERSION, "limits": dict(self.limits), "images": self.images, "share": self.share}

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
            limits = {check.name: float(raw["limits"][check.name]) for check in CHECKS}
            if not np.isfinite(list(limits.values())).all():
                raise ValueError("a limit that is not finite")
            return cls(limits, int(raw["images"]), float(raw["share"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{what}: expected limits of version {VERSION}, found: {error}") from error


def load_limits(registry: Registry) -> PhotoLimits | None:
    """The limits shipped with these models, None where there are none.

    Raises:
        ArtifactError: their file is damaged.
    """
    manifest = registry.manifest
    relative = manifest.shared.get(KEY) if manifest is not None else None
    if manifest is None or relative is None:
        return None
    return registry.part(KEY, lambda: PhotoLimits.from_bytes(manifest.read(relative), relative))


def measure(rgb: np.ndarray) -> dict[str, float]:
    """All of `MEASURES` of a photograph, (h, w, 3) uint8 RGB of any size."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return {name: function(grey) for name, function in MEASURES.items()}


def advise(rgb: np.ndarray, limits: PhotoLimits) -> tuple[str, ...]:
    """Sentences on what is wrong with a photograph (h, w, 3) uint8 RGB; none for a good one."""
    found = [TOO_SMALL] if min(rgb.shape[:2]) < INPUT_SIZE else []
    values = measure(rgb)
    for check in CHECKS:
        value, limit = values[check.measure], limits.limits[check.name]
        if value > limit if check.above else value < limit:
            found.append(check.sentence)
    return tuple(found)
