"""What a picture looks like before any network sees it: its colours and how much texture it has at which scale.

Turning or mirroring a picture changes none of these numbers, whatever the network makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
LEVELS = 4
FLOOR = 0.3
"""Added to a spread before its logarithm, in CIELAB units: differences below it are nothing that one sees."""

FEATURES = 3 * len(QUANTILES) + 2 * LEVELS


def features(pixels: np.ndarray) -> np.ndarray:
    """The appearance of a network's input.

    Args:
        pixels: (224, 224, 3) uint8 of `core.data.pixels.to_input`.

    Returns:
        (23,) float32: quantiles of L, a and b in CIELAB; then for each scale from fine to coarse the log of the
        spread of lightness and of colour within blocks of 2 x 2.
    """
    image = cv2.cvtColor(_half(np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)), cv2.COLOR_RGB2LAB)
    values = np.sort(np.ascontiguousarray(image.reshape(-1, 3).T), axis=1)
    found = [values[:, round(q * (values.shape[1] - 1))] for q in QUANTILES]
    spread = _variance(image)
    for _ in range(LEVELS):
        image = _half(image)
        left = _variance(image)
        # Means of blocks keep the mean, so what a level loses of the variance is the variance within its blocks.
        within = np.maximum(spread - left, 0)
        found.append(np.log(np.sqrt([within[0], within[1:].mean()]) + FLOOR))
        spread = left
    return np.concatenate(found).astype(np.float32)


def _variance(image: np.ndarray) -> np.ndarray:
    """(3,) of each channel, float64."""
    return cv2.meanStdDev(image)[1].ravel() ** 2


def _half(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks: unlike a smooth filter exactly the same for every orientation."""
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True, eq=False)
class Appearance:
    """The appearances of training images, and the distance of others to the nearest of them.

    Attributes:
        mean, scale: (F,) float32 by which features are standardised.
        references: (N, F) float32, standardised.
        neighbours: how many of the nearest are averaged over.
    """

    mean: np.ndarray
    scale: np.ndarray
    references: np.ndarray
    neighbours: int

    @classmethod
    def fit(cls, found: np.ndarray, neighbours: int) -> Appearance:
        """From (N, F) features, rounded to what is stored (float16 references)."""
        mean, scale = found.mean(axis=0), np.maximum(found.std(axis=0), 1e-3)
        references = ((found - mean) / scale).astype(np.float16).astype(np.float32)
        return cls(
            mean.astype(np.float32), scale.astype(np.float32), references, min(neighbours, len(references))
        )

    def distance(self, found: np.ndarray) -> float:
        """How far (F,) features are from the nearest references: the mean Euclidean distance to them."""
        offset = self.references - (found - self.mean) / self.scale
        squared = np.einsum("nf,nf->n", offset, offset)
        nearest = np.partition(squared, self.neighbours - 1)[: self.neighbours]
        return float(np.sqrt(nearest).mean())
