"""The question before every diagnosis, is this a dermatoscopic image at all, answered by a `Gate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from core.serving.intake import Upload
    from core.serving.registry import Registry


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one image.

    Attributes:
        accepted: False for an image that is out of distribution: no class may be shown for it.
        reason: why not, in a sentence; empty for an accepted image.
        score: the measured distance, larger is stranger.
        threshold: the distance from which images are refused.
    """

    accepted: bool
    reason: str
    score: float
    threshold: float


class Gate(Protocol):
    """Decides on an embedding and the image that it came from.

    Attributes:
        model: the model whose embedding it judges.
    """

    model: str

    def check(self, embedding: np.ndarray, upload: Upload) -> Verdict:
        """The verdict on (D,) float32 of `model` for `upload`; safe to call from many threads."""
        ...


def load_gate(registry: Registry) -> Gate | None:
    """The gate shipped with these models, None where there is none."""
    return None
