"""What each way of balancing does to the training images: how often a class is shown, and how much it weighs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from core.data.balance import class_counts, class_weights
from core.lesions import CODES

TITLES = {
    "none": "As it is",
    "oversample": "The report's: oversampling",
    "sqrt": "Ours: square-root weights",
}
"""Every way of `core.data.balance.BALANCES`, the one without balancing first."""


def balancing_table(images: Mapping[str, int]) -> pd.DataFrame:
    """What the loss sees of each class in one epoch.

    Args:
        images: class code -> training images.

    Returns:
        One row for each way and class: `balance`, `code`, `images`, `shown` (images of an epoch, repeats counted),
        `repeats` (how often each image is shown), `weight` (of one image in the hard loss) and `share` of the class
        in the loss, which is shown * weight over their sum.
    """
    labels = np.repeat(np.arange(len(CODES)), [images.get(code, 0) for code in CODES])
    own = np.bincount(labels, minlength=len(CODES))
    rows = []
    for balance in TITLES:
        if len(labels):
            shown, weight = class_counts(labels, balance), class_weights(labels, balance).astype(float)
        else:
            shown, weight = own, np.ones(len(CODES))
        effect = shown * weight
        share = effect / max(effect.sum(), 1e-12)
        rows += [
            {
                "balance": balance,
                "code": code,
                "images": int(own[i]),
                "shown": int(shown[i]),
                "repeats": float(shown[i] / own[i]) if own[i] else float("nan"),
                "weight": float(weight[i]) if own[i] else float("nan"),
                "share": float(share[i]),
            }
            for i, code in enumerate(CODES)
        ]
    return pd.DataFrame(rows)
