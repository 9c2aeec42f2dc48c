"""Which pictures the models were made from, so that memory is not taken for skill.

Of each training and validation image the artifacts hold a fingerprint: whether the brightness rises from one cell of a
coarse grid to the next, along rows and down columns (a difference hash in both directions). It cannot be turned back
into a picture. Measured on HAM10000 in bits of 512: the image itself differs in 0, scaled to 600 x 450 and back in 8 at
most, as a JPEG of quality 80 in 21 or fewer for nine of ten. The nearest training image differs from any validation
image in at least 36 and from any test image in at least 29. What was cropped, turned or recoloured is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from core.artifacts import ArtifactError
from core.data.pixels import PREPROCESSING
from core.serving.arrays import pack, unpack
from core.serving.registry import Registry

KEY = "seen"
COMMAND = "python -m core gate fit"
VERSION = 1
GRID = 16
LIMIT = 24
"""Bits; up to it two fingerprints are of one picture."""

TRAIN, VALIDATION = "train", "validation"
SENTENCES = {
    TRAIN: "This is one of the pictures that the models learned from: what they say of it is memory, and no test of "
    "them.",
    VALIDATION: "This is one of the pictures by which the models were chosen and calibrated: what they say of it is no "
    "test of them.",
}
_FIELDS = {"version": ("i", 0), "preprocessing": ("U", 0), "bits": ("u", 2), "trained": ("b", 1)}


def fingerprint(rgb: np.ndarray) -> np.ndarray:
    """(64,) uint8, the 512 bits of a network's input (224, 224, 3) uint8 RGB."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    rows, columns = (
        cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for size in ((GRID + 1, GRID), (GRID, GRID + 1))
    )
    rises = [rows[:, 1:] > rows[:, :-1], columns[1:] > columns[:-1]]
    return np.packbits(np.concatenate([rise.ravel() for rise in rises]))


@dataclass(frozen=True, eq=False)
class Seen:
    """Fingerprints of the pictures that models were made from.

    Attributes:
        bits: (N, 64) uint8.
        trained: (N,) bool, whether the models learned from it, or only were chosen by it.
    """

    bits: np.ndarray
    trained: np.ndarray

    @classmethod
    def of(cls, pictures: Iterable[np.ndarray], trained: Iterable[bool]) -> Seen:
        """From networks' inputs (224, 224, 3) uint8 RGB."""
        return cls(
            np.stack([fingerprint(np.asarray(picture)) for picture in pictures]),
            np.array(list(trained), bool),
        )

    def part(self, rgb: np.ndarray) -> str | None:
        """`TRAIN` or `VALIDATION` where a network's input is one of the pictures; None for any other."""
        if not len(self.bits):
            return None
        differing = np.bitwise_count(self.bits ^ fingerprint(rgb)).sum(axis=1, dtype=np.int64)
        nearest = int(differing.argmin())
        if differing[nearest] > LIMIT:
            return None
        return TRAIN if self.trained[nearest] else VALIDATION

    def sentence(self, rgb: np.ndarray) -> str:
        """What it means that a network's input is one of the pictures; empty for any other."""
        return SENTENCES.get(self.part(rgb) or "", "")

    def to_bytes(self) -> bytes:
        """The file of the fingerprints."""
        header = {"version": np.asarray(VERSION), "preprocessing": np.asarray(PREPROCESSING)}
        return pack(header | {"bits": self.bits, "trained": self.trained})

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Seen:
        """Read the file of the fingerprints.

        Raises:
            ArtifactError: it is damaged, of another version, or of other pixels.
        """
        arrays = unpack(data, _FIELDS, what)
        found = (int(arrays["version"]), str(arrays["preprocessing"]))
        width = 2 * GRID * GRID // 8
        if found != (VERSION, PREPROCESSING) or arrays["bits"].shape != (len(arrays["trained"]), width):
            raise ArtifactError(
                f"{what}: expected fingerprints of version {VERSION} for {PREPROCESSING}, found {found}, "
                f"{arrays['bits'].shape}; run {COMMAND}"
            )
        return cls(arrays["bits"], arrays["trained"])


def load_seen(registry: Registry) -> Seen | None:
    """The fingerprints shipped with these models, None where there are none.

    Raises:
        ArtifactError: their file is damaged.
    """
    return registry.shared(KEY, Seen.from_bytes)
