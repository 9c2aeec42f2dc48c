"""What makes a browser draw a figure once, and not again as soon as it stands."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go


def settle(figure: go.Figure) -> go.Figure:
    """Change a figure in place such that Plotly knows it again.

    Streamlit's component gives every figure to `Plotly.react` twice, the second time as another copy. Plotly then draws
    it anew, at half the cost of the whole, if anything in it differs, and three things differ from their own copies:
    arrays in binary, as which NumPy's are sent, all arrays where there is no `datarevision`, and the template, which
    `core.figures.style.figure` does without.

    Args:
        figure: with its own looks; its arrays become lists, and its data revision what they hold.
    """
    revision = 0
    for trace in figure.data:
        revision = zlib.crc32(repr(_settle(trace)).encode(), revision)
    _settle(figure.layout)
    figure.layout.datarevision = f"{revision:08x}"
    return figure


def _settle(part: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays of a trace or a layout as lists; what it held, and the lists, which Python writes out in full."""
    held = part.to_plotly_json()
    found = _lists(held)
    if found:
        # Plotly keeps what it has where the new value is equal, as a list is to its array.
        part.update(_emptied(found))
        part.update(found)
    return held, found


def _lists(held: Mapping[str, Any]) -> dict[str, Any]:
    """NumPy's arrays in it as lists, and nothing else of it."""
    result: dict[str, Any] = {}
    for name, value in held.items():
        if isinstance(value, np.ndarray):
            result[name] = value.tolist()
        elif isinstance(value, Mapping) and (inner := _lists(value)):
            result[name] = inner
    return result


def _emptied(held: Mapping[str, Any]) -> dict[str, Any]:
    """The same with nothing in its places."""
    return {name: _emptied(value) if isinstance(value, Mapping) else None for name, value in held.items()}
