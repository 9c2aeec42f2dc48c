"""What options of commands take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

SEED_BOUND = 2**32
"""No seed reaches it: NumPy would refuse it."""


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers for `argparse`, both ends included; says what it expected and what came."""
    expected = f"a whole number from {least:,}" + ("" if most is None else f" to {most:,}")

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= (int(text) if most is None else most):
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")
        return int(text)

    return parse


def amount(text: str) -> float:
    """A finite number from 0, for `argparse`."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return found
