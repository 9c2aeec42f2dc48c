"""Probabilities of the seven classes, of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.style import NEUTRAL, figure, model_colour, model_symbol
from core.lesions import LESIONS, N_CLASSES

ROW_HEIGHT = 44


def agreement_dots(
    probabilities: Mapping[str, Sequence[float]], titles: Mapping[str, str], *, ink: str | None = None
) -> go.Figure:
    """Every model's probability of every class on one line per class: dots that lie together agree.

    Args:
        probabilities: model -> (7,) calibrated.
        titles: model -> the name that people read.
        ink: colour of text; None leaves it to the page's theme.
    """
    mean = np.mean([np.asarray(row, dtype=float) for row in probabilities.values()], axis=0)
    order = np.argsort(-mean, kind="stable")
    names = [LESIONS[i].name for i in order]
    rows = np.arange(N_CLASSES)
    line = {"type": "line", "x0": 0, "x1": 1, "line": {"color": NEUTRAL, "width": 1}, "opacity": 0.5}
    beside = {"x": 0, "xref": "paper", "xanchor": "left", "yanchor": "middle", "showarrow": False}
    return figure(
        ROW_HEIGHT * N_CLASSES + 90,
        ink,
        [
            {
                "type": "scatter",
                "x": np.asarray(shares, dtype=float)[order],
                "y": rows,
                "mode": "markers",
                "name": titles.get(model, model),
                "customdata": names,
                "marker": {
                    "color": model_colour(model),
                    "symbol": model_symbol(model),
                    "size": 13,
                    "line": {"width": 1.5, "color": model_colour(model)},
                },
                "hovertemplate": "%{customdata}: %{x:.1%}<extra>%{fullData.name}</extra>",
            }
            for model, shares in probabilities.items()
        ],
        shapes=[{"y0": row, "y1": row, **line} for row in rows],
        annotations=[
            {"text": name, "y": row - 0.42, **beside} for row, name in zip(rows, names, strict=True)
        ],
        xaxis={
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={"range": [N_CLASSES - 0.6, -0.8], "visible": False, "fixedrange": True},
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        margin={"l": 4, "r": 16, "t": 40, "b": 24},
    )
