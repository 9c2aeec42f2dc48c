"""Probabilities of the seven classes, of one model or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.style import (
    NEUTRAL,
    at_both_ends,
    class_colour,
    figure,
    model_colour,
    model_symbol,
)
from core.lesions import LESIONS, N_CLASSES
from core.numbers import percent

ROW_HEIGHT = 44
BAR_WIDTH = 0.34
_ROUNDING = 1e-5
"""By so much a sum of float32 probabilities may be above 1."""

_BAR = {"type": "bar", "width": BAR_WIDTH, "orientation": "h"}


def probability_bars(
    probabilities: Sequence[float], *, chosen: str | None = None, ink: str | None = None
) -> go.Figure:
    """The seven probabilities as bars, the largest on top, each named above its bar so that it fits a phone.

    Args:
        probabilities: (7,) in the order of `core.lesions.CODES`, calibrated.
        chosen: code of the class to mark, as that of the map beside it.
        ink: colour of text; None leaves it to the page's theme.

    Raises:
        ValueError: there are not seven finite probabilities.
    """
    shares = np.asarray(probabilities, dtype=float)
    if shares.shape != (N_CLASSES,) or not np.isfinite(shares).all():
        raise ValueError(f"expected {N_CLASSES} finite probabilities, found {probabilities!r}")
    order = np.argsort(-shares, kind="stable")
    lesions = [LESIONS[i] for i in order]
    rows = np.arange(N_CLASSES)
    notes = []
    for row, lesion in zip(rows, lesions, strict=True):
        name = f"<b>{lesion.name}</b>" if lesion.code == chosen else lesion.name
        kind = " · malignant" if lesion.malignant else ""
        notes += at_both_ends(row - 0.42, name + kind, percent(shares[order][row]))
    return figure(
        ROW_HEIGHT * N_CLASSES + 16,
        ink,
        [
            _ground(rows),
            _BAR
            | {
                "x": shares[order],
                "y": rows,
                "marker": {"color": [class_colour(lesion.code) for lesion in lesions]},
                "customdata": [(lesion.name, lesion.note) for lesion in lesions],
                "hovertemplate": "<b>%{customdata[0]}</b>: %{x:.1%}<br>%{customdata[1]}<extra></extra>",
            },
        ],
        annotations=[{"showarrow": False, **note} for note in notes],
        xaxis={"range": [0, 1], "visible": False, "fixedrange": True},
        yaxis={"range": [N_CLASSES - 0.7, -0.7], "visible": False, "fixedrange": True},
        bargap=0,
        barmode="overlay",
        margin={"l": 2, "r": 2, "t": 2, "b": 2},
    )


def _ground(rows: np.ndarray) -> dict[str, Any]:
    """What bars of at most 1 fill a part of."""
    marker = {"color": NEUTRAL, "opacity": 0.18}
    return _BAR | {"x": np.ones(len(rows)), "y": rows, "marker": marker, "hoverinfo": "skip"}


def malignancy_gauge(score: float, threshold: float | None) -> str:
    """The malignancy score on its scale from 0 to 1, with the operating point from which it counts as suspicious.

    It is HTML, since it stands in the verdict, which nobody should wait for: Plotly takes the browser longer for one
    bar than the student takes for the image.

    Args:
        score: probability of all malignant classes together.
        threshold: the operating point; None draws none.

    Raises:
        ValueError: the score is no probability.
    """
    if not 0 <= score <= 1 + _ROUNDING:
        raise ValueError(f"expected a score from 0 to 1, found {score!r}")
    suspicious = threshold is not None and score >= threshold
    words = f"malignancy score {score:.3f} on a scale from 0 to 1"
    parts = [
        _box(f"left:0;right:0;top:26px;height:18px;background:{NEUTRAL};opacity:0.18"),
        _box(
            f"left:0;width:{100 * min(score, 1):.2f}%;top:26px;height:18px;"
            f"background:{class_colour('bcc' if suspicious else 'nv')}"
        ),
        *(
            _box(f"left:{100 * tick:g}%;top:46px;transform:translateX(-50%)", f"{tick:g}")
            for tick in (0, 0.25, 0.5, 0.75, 1)
        ),
    ]
    if threshold is not None:
        words += f", operating point {threshold:.3f}"
        place = f"right:{100 - 100 * threshold:.2f}%" if threshold > 0.5 else f"left:{100 * threshold:.2f}%"
        parts += [
            _box(f"left:{100 * threshold:.2f}%;top:21px;height:28px;border-left:3px solid {NEUTRAL}"),
            _box(f"{place};top:0;white-space:nowrap", f"operating point {threshold:.3f}"),
        ]
    style = "position:relative;height:66px;margin:0 14px 0 4px;font-size:14px;line-height:1.4"
    return f'<div role="img" aria-label="{words}" title="{words}" style="{style}">{"".join(parts)}</div>'


def _box(style: str, text: str = "") -> str:
    return f'<div style="position:absolute;{style}">{text}</div>'


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
