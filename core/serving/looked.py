"""Where a model looked in one picture, for several classes at once: the pictures beside a list of errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.lesions import BY_CODE, INDEX
from core.numbers import percent
from core.serving.classifier import Model
from core.serving.intake import Rejection, read_image
from core.serving.overlay import draw_overlay, shrink

SIDE = 320
"""Longest side of these pictures, in pixels."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: (height, width, 3) uint8 RGB, and the words beneath it."""

    image: np.ndarray
    caption: str


def look(model: Model | None, data: bytes, codes: Sequence[str]) -> tuple[Panel, ...] | str:
    """The picture itself, then the map of each class over it; a sentence where it cannot be read.

    Args:
        model: whose maps; None gives the picture alone.
        data: the file's bytes.
        codes: classes, in the order of the maps; what occurs twice is drawn once.

    Raises:
        ModelOutputError: the model answered with NaN or infinity.
    """
    upload = read_image(data)
    if isinstance(upload, Rejection):
        return upload.reason
    small = shrink(upload.display, SIDE)
    panels = [Panel(small, "Image")]
    if model is None:
        return tuple(panels)
    diagnosis = model.classify(upload.pixels)
    for code in dict.fromkeys(codes):
        overlay = draw_overlay(small, diagnosis.maps[INDEX[code]], opacity=0.6)
        said = f"{BY_CODE[code].name}: {percent(float(diagnosis.probabilities[INDEX[code]]))}"
        if overlay.image is None:
            panels.append(Panel(small, f"{said}; nothing speaks for it"))
        else:
            panels.append(Panel(overlay.image, said))
    return tuple(panels)
