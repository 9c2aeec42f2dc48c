"""Random views of a lesion, on uint8 with OpenCV: one affine warp and one colour transform an image.

A view is a pure function of (image, augmentation, seed, image index, view number), so that a teacher can answer
the very pixels that the student sees, in another process and on another day.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.data.pixels import to_input


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random transforms; every one is drawn uniformly, zoom and stretch by their logarithms.

    Attributes:
        orientations: all eight flips and quarter turns are equally likely (dermatoscopy has no upright).
        horizontal_flip: mirror one image in two (without `orientations`).
        rotation: largest angle either way, degrees.
        shear: largest shear angle either way, degrees.
        zoom: smallest and largest magnification.
        stretch: largest change of one axis against the other (0.1 = 10%).
        shift: largest shift either way, as a share of the side.
        brightness: smallest and largest factor on all channels.
        contrast: largest relative change about the image's mean.
        saturation: largest relative change of the distance from grey.
        white_balance: largest relative change of each channel on its own (lamp, skin tone).
    """

    orientations: bool = False
    horizontal_flip: bool = False
    rotation: float = 0.0
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    stretch: float = 0.0
    shift: float = 0.0
    brightness: tuple[float, float] = (1.0, 1.0)
    contrast: float = 0.0
    saturation: float = 0.0
    white_balance: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "report": Augmentation(
        horizontal_flip=True, rotation=5, shear=10, zoom=(0.8, 1.2), shift=0.02, brightness=(0.85, 1.15)
    ),
    "strong": Augmentation(
        orientations=True,
        rotation=30,
        shear=5,
        zoom=(0.9, 1.5),
        stretch=0.15,
        shift=0.08,
        brightness=(0.75, 1.25),
        contrast=0.25,
        saturation=0.25,
        white_balance=0.08,
    ),
}


def random_view(
    image: np.ndarray, augmentation: Augmentation, *, seed: int, index: int, view: int, size: int
) -> np.ndarray:
    """One view of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        augmentation: ranges to draw from.
        seed: the recipe's seed.
        index: the image's row in the dataset.
        view: number of the view; the same number gives the same pixels at every `size`.
        size: side of the result in pixels.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    rng = np.random.default_rng([seed, index, view])
    height, width = image.shape[:2]
    warp = _affine(augmentation, rng, width, height)
    warped = cv2.warpAffine(
        image, warp, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    coloured = cv2.transform(warped, _colour(augmentation, rng, float(image.mean())))
    return to_input(coloured, size)


def _affine(a: Augmentation, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(2, 3) matrix from the image to its view, about the centre."""
    angle, shear = np.radians([_symmetric(rng, a.rotation), _symmetric(rng, a.shear)])
    zoom = np.exp(rng.uniform(*np.log(a.zoom)))
    ratio = np.exp(_symmetric(rng, np.log1p(a.stretch)) / 2)
    shift = np.array([_symmetric(rng, a.shift) * width, _symmetric(rng, a.shift) * height])
    turn, mirror = int(rng.integers(4)), int(rng.integers(2))
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotate @ np.array([[1, np.tan(shear)], [0, 1]]) @ np.diag([zoom * ratio, zoom / ratio])
    if a.orientations:
        linear = linear @ np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), turn)
    if mirror and (a.orientations or a.horizontal_flip):
        linear = linear @ np.diag([-1, 1])
    centre = np.array([width - 1, height - 1]) / 2
    return np.column_stack([linear, centre + shift - linear @ centre])


def _colour(a: Augmentation, rng: np.random.Generator, mean: float) -> np.ndarray:
    """(3, 4) matrix on RGB: saturation, white balance, contrast about the mean, brightness."""
    saturation = 1 + _symmetric(rng, a.saturation)
    balance = 1 + rng.uniform(-1, 1, 3) * a.white_balance
    contrast = 1 + _symmetric(rng, a.contrast)
    brightness = rng.uniform(*a.brightness)
    grey = np.tile([0.299, 0.587, 0.114], (3, 1))
    matrix = np.diag(balance) @ (saturation * np.eye(3) + (1 - saturation) * grey)
    offset = np.full((3, 1), mean * (1 - contrast) * brightness)
    return np.hstack([matrix * contrast * brightness, offset])


def _symmetric(rng: np.random.Generator, largest: float) -> float:
    return float(rng.uniform(-largest, largest))
