"""The distillation lab's second half: what the runs gave, and a lesson while it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.confusion import DIVERGING
from core.figures.curves import DASHES
from core.figures.heatmap import SCALE, readable_on
from core.figures.style import INK_ON_LIGHT, NEUTRAL, annotate, figure, model_colour

CELL = 58


@dataclass(frozen=True, eq=False)
class Series:
    """A line with its doubt.

    Attributes:
        name: in the legend.
        colour, symbol: as Plotly knows them.
        x, y: (P,).
        half: (P,) half of an interval; NaN draws none.
        runs: lines behind it, one for each seed: pairs of (x, y).
    """

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    half: Sequence[float] | None = None
    symbol: str = "circle"
    runs: tuple[tuple[Sequence[float], Sequence[float]], ...] = ()


def cell_map(
    columns: Sequence[str],
    rows: Sequence[str],
    value: np.ndarray,
    half: np.ndarray,
    hover: Sequence[Sequence[str]],
    *,
    axes: tuple[str, str],
    difference: bool,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """A cell for each choice of two things, its figure and half of its interval beneath, in points of 100.

    Args:
        columns, rows: their names.
        value, half: (R, C); a NaN value leaves the cell empty, a NaN half is not written.
        hover: (R, C) texts.
        axes: names of the columns' and of the rows' axis.
        difference: whether values lie about 0.
        ink: colour of text, for the ground that it is read on.
    """
    value, half = np.asarray(value, dtype=float), np.asarray(half, dtype=float)
    known = value[~np.isnan(value)]
    if difference:
        limit = float(np.abs(known).max(initial=0)) or 0.01
        low, high, scale = -limit, limit, DIVERGING
    else:
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        scale = SCALE
    room = (high - low) or 1.0
    result = figure(CELL * len(rows) + 76, ink)
    result.add_heatmap(
        z=value, x=list(range(len(columns))), y=list(range(len(rows))), zmin=low, zmax=low + room,
        colorscale=scale, showscale=False, xgap=2, ygap=2, hovertext=[list(row) for row in hover],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    notes = []
    for r, c in np.argwhere(~np.isnan(value)):
        text = f"{100 * value[r, c]:{'+' if difference else ''}.1f}"
        if not np.isnan(half[r, c]):
            text += f"<br><span style='font-size:11px'>± {100 * half[r, c]:.1f}</span>"
        font = {"size": 14, "color": readable_on((value[r, c] - low) / room, scale)}
        notes.append({"x": int(c), "y": int(r), "text": text, "font": font})
    annotate(result, notes)
    result.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=list(columns), range=[-0.5, len(columns) - 0.5],
        title={"text": axes[0]}, showgrid=False, tickangle=0,
    )  # fmt: skip
    result.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.5, -0.5],
        title={"text": axes[1]}, showgrid=False,
    )  # fmt: skip
    return result.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 8})


def lines(
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    share: bool,
    ink: str = INK_ON_LIGHT,
    x_axis: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Series with their intervals, and behind them a thin line for each run.

    Args:
        series: what is drawn.
        x, y: names of the axes.
        share: whether values are shares, written in per cent.
        ink: colour of text, for the ground that it is read on.
        x_axis: more for the horizontal axis.
    """
    result = figure(350 + 12 * len(series), ink, showlegend=True)
    style = "%{y:.1%}" if share else "%{y:.3f}"
    for index, one in enumerate(series):
        for run_x, run_y in one.runs:
            result.add_scatter(
                x=list(run_x), y=list(run_y), mode="lines", line={"color": one.colour, "width": 1}, opacity=0.4,
                showlegend=False, hoverinfo="skip",
            )  # fmt: skip
        result.add_scatter(
            x=list(one.x), y=list(one.y), mode="lines+markers", name=one.name,
            line={"color": one.colour, "width": 3, "dash": DASHES[index % len(DASHES)]},
            marker={"color": one.colour, "symbol": one.symbol, "size": 9},
            error_y=None if one.half is None else {
                "type": "data", "array": [0 if np.isnan(h) else h for h in one.half], "thickness": 1.5, "width": 4,
                "color": one.colour,
            },
            hovertemplate=f"%{{x:g}}: {style}<extra>{one.name}</extra>",
        )  # fmt: skip
    result.update_xaxes(title={"text": x}, **(x_axis or {}))
    result.update_yaxes(
        title={"text": y},
        tickformat=".0%" if share else None,
    )
    return result.update_layout(
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 4, "r": 16, "t": 8, "b": 8},
    )


ARM_NAMES = {"alone": "from labels alone", "taught": "with the teacher"}
ARM_MODELS = {"alone": "baseline", "taught": "student"}
"""The two students of a lesson have the colours of the two that were shipped."""


def lesson_curves(
    points: Sequence[Mapping[str, Any]],
    key: str,
    *,
    label: str,
    share: bool,
    epochs: int,
    reference: tuple[float, str] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """One quantity of both students by epoch, as far as the lesson has come.

    Args:
        points: of `core.classroom.lesson.learn`.
        key: which of their figures.
        label: what it is.
        share: whether it is written in per cent.
        epochs: of the whole lesson, so that the axis does not move.
        reference: (value, what it is) of a line.
        ink: colour of text, for the ground that it is read on.
    """
    series = []
    for arm, name in ARM_NAMES.items():
        found = [p for p in points if p["arm"] == arm and p.get(key) is not None]
        symbol = "square" if arm == "alone" else "circle"
        series.append(
            Series(
                name,
                model_colour(ARM_MODELS[arm]),
                [p["epoch"] for p in found],
                [p[key] for p in found],
                None,
                symbol,
            )
        )
    result = lines(series, x="Epoch", y=label, share=share, ink=ink, x_axis={"range": [-0.2, epochs + 0.2]})
    if reference is not None:
        value, text = reference
        result.add_shape(
            type="line", x0=0, x1=1, xref="paper", y0=value, y1=value,
            line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        )  # fmt: skip
        result.add_annotation(
            x=1, xref="paper", xanchor="right", y=value, yanchor="bottom", text=text, showarrow=False,
            font={"size": 12, "color": ink},
        )  # fmt: skip
    return result.update_layout(height=300, uirevision="lesson")
