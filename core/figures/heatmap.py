"""Sensitivity of every model for every class, as a table that is coloured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from core.figures.style import INK_ON_LIGHT, figure
from core.lesions import CODES, LESIONS, N_CLASSES

SCALE = "Cividis"
"""Told apart by colour-blind people, and its brightness rises with the value."""


def readable_on(share: float, scale: str = SCALE) -> str:
    """Black or white, whichever has the larger contrast on the scale's colour at `share`."""
    return _readable_on(round(float(np.clip(share, 0, 1)), 2), scale)


@cache
def _readable_on(share: float, scale: str) -> str:
    colour = sample_colorscale(scale, [share], colortype="tuple")[0]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#FFFFFF"


def _in_words(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "undefined"
    return f"{value:.1%}" + ("" if np.isnan(low) or np.isnan(high) else f" [{low:.1%}, {high:.1%}]")


def sensitivity_heatmap(
    titles: Sequence[str],
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """One row for each model, one column for each class, in per cent.

    Args:
        titles: (M,) of the models.
        value, low, high: (M, 7) sensitivities with their intervals; NaN leaves a cell empty.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: the shapes do not fit.
    """
    value, low, high = (np.asarray(v, dtype=float) for v in (value, low, high))
    if not value.shape == low.shape == high.shape == (len(titles), N_CLASSES):
        raise ValueError(f"expected arrays of shape ({len(titles)}, {N_CLASSES}), found {value.shape}")
    hover = [
        [
            f"<b>{lesion.name}</b><br>{titles[m]}: {_in_words(value[m, k], low[m, k], high[m, k])}"
            for k, lesion in enumerate(LESIONS)
        ]
        for m in range(len(titles))
    ]
    cells = np.argwhere(~np.isnan(value))
    return figure(
        58 + 40 * len(titles),
        ink,
        [
            {
                "type": "heatmap",
                "z": value,
                "x": list(CODES),
                "y": list(titles),
                "zmin": 0,
                "zmax": 1,
                "colorscale": SCALE,
                "showscale": False,
                "xgap": 2,
                "ygap": 2,
                "hovertext": hover,
                "hovertemplate": "%{hovertext}<extra></extra>",
            },
            # One trace: the browser draws as many annotations in several times the time.
            {
                "type": "scatter",
                "mode": "text",
                "x": [CODES[k] for _, k in cells],
                "y": [titles[m] for m, _ in cells],
                "text": [f"{100 * value[m, k]:.0f}" for m, k in cells],
                "textfont": {"size": 14, "color": [readable_on(value[m, k]) for m, k in cells]},
                "hoverinfo": "skip",
            },
        ],
        xaxis={"side": "top", "showgrid": False, "tickangle": 0},
        yaxis={"autorange": "reversed", "showgrid": False},
        margin={"l": 4, "r": 4, "t": 30, "b": 4},
    )
