"""What a model's operating point gives on images that had no part in choosing it, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.numbers import percent_range


def on_test(point: Mapping[str, Any] | None) -> str:
    """Sensitivity and specificity on test with their intervals, as a sentence; empty where they are not stored.

    Args:
        point: the manifest's `operating_point`.
    """
    test = (point or {}).get("test")
    if not isinstance(test, Mapping) or not (caught := _share(test.get("sensitivity"))):
        return ""
    passed = _share(test.get("specificity"))
    benign = f", and {passed} of the benign ones stay below" if passed else ""
    return (
        f"On test images, which had no part in choosing it, {caught} of the malignant ones reach it{benign}."
    )


def _share(stored: object) -> str:
    """`91.7% (95% interval 88.5 to 94.7)`; empty for what is no figure."""
    if not isinstance(stored, Mapping):
        return ""
    value, low, high = (stored.get(key) for key in ("value", "low", "high"))
    if not _is_number(value):
        return ""
    ends = f" (95% interval {percent_range(low, high)})" if _is_number(low) and _is_number(high) else ""
    return f"{value * 100:.1f}%{ends}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
