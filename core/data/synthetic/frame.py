"""One view of the skin: where each pixel lies, and strokes and spots drawn in skin coordinates.

The unit of length is the height of an undistorted view; the lesion's centre is the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray

_CANVAS_SIDE = 640  # strokes are drawn on a canvas of about this height, then reduced: thin lines stay thin
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Frame:
    """A view of `width` x `height` pixels.

    Attributes:
        x, y: skin coordinates of the pixels' centres, float32 (height, width).
        matrix: skin to pixel coordinates, float64 (2, 3).
        scale: pixels per skin unit.
    """

    width: int
    height: int
    x: Array
    y: Array
    matrix: Array
    scale: float

    @classmethod
    def of(cls, width: int, height: int, shift: Array, angle: float, zoom: float) -> Frame:
        """The view whose centre shows the skin point -`shift`, turned by `angle`, magnified by `zoom`."""
        scale = height * zoom
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([width - 1, height - 1]) / 2
        offset = middle + np.asarray(shift) * height
        column, row = np.meshgrid(np.arange(width) - offset[0], np.arange(height) - offset[1])
        back = rotation.T / scale
        x = (back[0, 0] * column + back[0, 1] * row).astype(np.float32)
        y = (back[1, 0] * column + back[1, 1] * row).astype(np.float32)
        return cls(width, height, x, y, np.hstack([rotation * scale, offset[:, None]]), scale)

    def camera(self) -> tuple[Array, Array]:
        """Coordinates fixed to the instrument: (0, 0) in the middle, 1 = the frame's height."""
        column = (np.arange(self.width, dtype=np.float32) - (self.width - 1) / 2) / self.height
        row = (np.arange(self.height, dtype=np.float32) - (self.height - 1) / 2) / self.height
        return np.meshgrid(column, row)

    def blur(self, image: Array, sigma: float) -> Array:
        """Gaussian blur by `sigma` skin units (nothing below a third of a pixel)."""
        pixels = sigma * self.scale
        return cv2.GaussianBlur(image, (0, 0), pixels) if pixels > 0.33 else image

    def strokes(self, lines: Sequence[Array], widths: Sequence[float], values: Sequence[float]) -> Array:
        """Polylines (points float (N, 2) in skin units, widths in skin units): their cover 0..1.

        A line thinner than a canvas pixel is drawn one pixel wide and paler, so that thin lines fade at
        low resolution instead of growing.
        """
        canvas, factor = self._canvas()
        for line, width, value in zip(lines, widths, values, strict=True):
            pixels = width * self.scale * factor
            shade = round(255 * value * min(pixels, 1.0))
            points = self._fixed(line, factor)
            cv2.polylines(canvas, [points], False, shade, max(1, round(pixels)), cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._reduce(canvas)

    def discs(self, centres: Array, radii: Array, values: Array, thickness: float = -1.0) -> Array:
        """Circles at skin points (N, 2), filled or rings of `thickness` skin units: their cover 0..1."""
        canvas, factor = self._canvas()
        line = -1 if thickness < 0 else max(1, round(thickness * self.scale * factor))
        points = self._fixed(np.reshape(centres, (-1, 2)), factor).reshape(-1, 2)
        for point, radius, value in zip(points, radii, values, strict=True):
            size = round(radius * self.scale * factor * (1 << _SUBPIXEL_BITS))
            centre = (int(point[0]), int(point[1]))
            cv2.circle(canvas, centre, size, round(255 * float(value)), line, cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._reduce(canvas)

    def blobs(self, outlines: Sequence[Array], values: Sequence[float]) -> Array:
        """Filled polygons (points (N, 2) in skin units): their cover 0..1."""
        canvas, factor = self._canvas()
        for outline, value in zip(outlines, values, strict=True):
            points = [self._fixed(outline, factor)]
            cv2.fillPoly(canvas, points, round(255 * float(value)), cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._reduce(canvas)

    def _canvas(self) -> tuple[Array, int]:
        factor = max(1, round(_CANVAS_SIDE / self.height))
        return np.zeros((self.height * factor, self.width * factor), np.uint8), factor

    def _fixed(self, points: Array, factor: int) -> Array:
        """Skin points to the canvas's fixed-point pixels, int32 (N, 1, 2)."""
        pixels = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        pixels = (pixels + 0.5) * factor - 0.5
        return np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)[:, None, :]

    def _reduce(self, canvas: Array) -> Array:
        small = cv2.resize(canvas, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) * np.float32(1 / 255)
