"""A class's map, drawn back over the image that it came from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MAX_SIDE = 1024
"""Longest side of a drawn overlay, in pixels: a map of 7 x 7 has no more to show."""

COLOUR_MAPS: dict[str, int] = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "cividis": cv2.COLORMAP_CIVIDIS,
}


@dataclass(frozen=True, eq=False)
class Overlay:
    """The drawing, or a note on why there is none; exactly one of the two.

    Attributes:
        image: (height, width, 3) uint8 RGB of the original's aspect, or None.
        note: a sentence, or None.
    """

    image: np.ndarray | None
    note: str | None


def draw_overlay(
    rgb: np.ndarray,
    layer: np.ndarray,
    *,
    opacity: float = 0.5,
    colours: str = "turbo",
    label: str = "this class",
) -> Overlay:
    """Blend one class's map over its image.

    The map is stretched over the whole frame, as the network saw the whole frame, and scaled to its maximum. Where
    it is weak the image shows through: a pixel's opacity is `opacity` times its share of the maximum.

    Args:
        rgb: (height, width, 3) uint8 RGB, the original, shrunk to `MAX_SIDE` where it is larger.
        layer: (h, w) float >= 0, `Diagnosis.maps[class]`.
        opacity: 0 (image only) to 1.
        colours: a key of `COLOUR_MAPS`.
        label: how the note names the class.

    Raises:
        ValueError: the opacity or the colour map is unknown.
    """
    if not 0 <= opacity <= 1 or colours not in COLOUR_MAPS:
        raise ValueError(
            f"expected an opacity from 0 to 1 and one of {', '.join(COLOUR_MAPS)}, found {opacity}, {colours!r}"
        )
    if not np.isfinite(layer).all() or layer.max() <= 0:
        return Overlay(None, f"Nothing in the image speaks for {label}: its map is zero everywhere.")
    image = shrink(rgb)
    heat = stretch(layer, image.shape[0], image.shape[1])
    colour = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), COLOUR_MAPS[colours])
    weight = opacity * heat
    blended = cv2.blendLinear(image, cv2.cvtColor(colour, cv2.COLOR_BGR2RGB), 1 - weight, weight)
    return Overlay(blended, None)


def stretch(layer: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) float32 in 0..1: a map (h, w) over a whole frame, its maximum at 1."""
    heat = cv2.resize(
        np.ascontiguousarray(layer, np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.clip(heat / max(float(heat.max()), np.finfo(np.float32).tiny), 0, 1)


def shrink(rgb: np.ndarray, longest: int = MAX_SIDE) -> np.ndarray:
    """The image with its longest side at most `longest`, its aspect kept; the array itself where it fits."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def encode_png(rgb: np.ndarray) -> bytes:
    """(height, width, 3) uint8 RGB as PNG."""
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"expected an image that PNG can hold, found {rgb.dtype} {rgb.shape}")
    return data.tobytes()
