"""What each plain field of a recipe may be, so that a wrong one is refused before the training and not during it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from core.data.augmentation import AUGMENTATIONS
from core.data.balance import BALANCES
from core.data.splits import SPLITS
from core.options import SEED_BOUND

SMALLEST_SIZE = 32
"""Side in pixels below which the networks' last features would be empty."""

Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is right, and what is expected, in words."""


def _one_of(choices: Collection[str]) -> Rule:
    return lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(choices)}"


def _number(is_right: Callable[[Any], bool], expected: str, *types: type) -> Rule:
    """A rule for finite numbers (for None too, where it is among the types); True is no number."""
    return (
        lambda value: (
            isinstance(value, types)
            and not isinstance(value, bool)
            and (value is None or (math.isfinite(value) and is_right(value)))
        ),
        expected,
    )


FIELDS: dict[str, Rule] = {
    "learning_rate": _number(lambda v: v > 0, "a number above 0", int, float),
    "final_rate": _number(lambda v: 0 <= v <= 1, "a number from 0 to 1", int, float),
    "warmup_epochs": _number(lambda v: v >= 0, "a number from 0", int, float),
    "weight_decay": _number(lambda v: v >= 0, "a number from 0", int, float),
    "batch_size": _number(lambda v: v >= 1, "a whole number from 1", int),
    "label_smoothing": _number(lambda v: 0 <= v < 1, "a number from 0 to below 1", int, float),
    "balance": _one_of(BALANCES),
    # Between 0 and 1 the gradient of the focal loss has no bound at a probability of 1.
    "focal_gamma": _number(lambda v: v == 0 or v >= 1, "0 or a number from 1", int, float),
    "logit_adjustment": _number(lambda v: v >= 0, "a number from 0", int, float),
    "augmentation": _one_of(AUGMENTATIONS),
    "views": _number(lambda v: v >= 1, "a whole number from 1 or null", int, type(None)),
    "reoriented": (lambda value: isinstance(value, bool), "true or false"),
    "mixup": _number(lambda v: v >= 0, "a number from 0", int, float),
    "ema": _number(lambda v: 0 < v < 1, "a number between 0 and 1 or null", int, float, type(None)),
    "served_statistics": (lambda value: isinstance(value, bool), "true or false"),
    "precision": _one_of(("float32", "mixed_bfloat16", "mixed_float16")),
    "xla": (lambda value: isinstance(value, bool), "true or false"),
    "seed": _number(lambda v: 0 <= v < SEED_BOUND, f"a whole number from 0 to below {SEED_BOUND:,}", int),
    "split": _one_of(SPLITS),
    "patience": _number(lambda v: v >= 1, "a whole number from 1 or null", int, type(None)),
}
"""The rule of each field by its name in `Recipe`."""

DISTILLATION_FIELDS: dict[str, Rule] = {
    "teachers": (lambda value: len(set(value)) == len(value) > 0, "one or more names, each once"),
    "temperature": _number(lambda v: v > 0, "a number above 0", int, float),
    "alpha": _number(lambda v: 0 <= v <= 1, "a number from 0 to 1", int, float),
    "average": _one_of(("logits", "probabilities")),
    "teacher_statistics": _one_of(("own", "views")),
    "teacher_size": _number(lambda v: v >= SMALLEST_SIZE, f"a whole number from {SMALLEST_SIZE}", int),
}
"""The rule of each field by its name in `Distillation`."""
