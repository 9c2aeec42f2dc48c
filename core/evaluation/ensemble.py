"""The ensemble: the mean of its members' calibrated probabilities.

That mean is too unsure of itself (Rahaman, Thiery, "Uncertainty Quantification and Deep Ensembles", NeurIPS 2021), and
so has a temperature of its own, fitted on validation like any model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.evaluation.predictions import Predictions, PredictionsError

NAME = "ensemble"
MEMBERS: tuple[str, ...] = ("resnet50", "student", "baseline")
"""Of all sets of the four networks that with the smallest log loss on validation, once it is calibrated; a test of the
shipped predictions says when it is another one's. Which set has the largest accuracy changes with every training, since
a few images decide it."""


def combine(
    members: Sequence[Predictions], temperatures: Mapping[str, float], model: str = NAME
) -> Predictions:
    """Predictions of the mean over members of softmax(logits / temperature), as log-probabilities.

    Softmax at temperature 1 gives the mean probabilities back, so metrics, pages and files treat the
    ensemble like any model.

    Args:
        members: at least two, on the same images in any order.
        temperatures: by member's name.
        model: name of the result.

    Raises:
        PredictionsError: fewer than two members, a member without temperature, or different images.
    """
    if len(members) < 2:
        raise PredictionsError(f"expected an ensemble of at least two models, found {len(members)}")
    uncalibrated = [member.model for member in members if member.model not in temperatures]
    if uncalibrated:
        raise PredictionsError(
            f"expected a temperature for each member, found none for {', '.join(uncalibrated)}"
        )
    first = members[0]
    aligned = [member.aligned_to(first) for member in members]
    mean = np.mean([member.probabilities(temperatures[member.model]) for member in aligned], axis=0)
    return Predictions.from_probabilities(
        model,
        image_id=first.image_id,
        lesion_id=first.lesion_id,
        label=first.label,
        probabilities=mean,
        part=first.part,
    )
