"""Figures with their intervals: a row for each model, pair or cohort, and a mark for each model in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from core.figures.style import INK_ON_LIGHT, LEGEND_BENEATH, NEUTRAL, TITLED_BELOW, figure, hollow

LABEL_HEIGHT = 26
MARK_HEIGHT = 18


@dataclass(frozen=True)
class Mark:
    """One figure with its interval.

    Attributes:
        name: of its series, which the legend explains; marks of one name share a colour and a symbol.
        value, low, high: NaN ends draw no interval, a NaN value draws nothing.
        colour, symbol: as Plotly knows them.
        hollow: drawn as an outline, for what is not to be relied on.
        note: more for the hover.
    """

    name: str
    value: float
    low: float
    high: float
    colour: str
    symbol: str = "circle"
    hollow: bool = False
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A label and its marks, drawn beneath it so that both fit a phone."""

    label: str
    marks: tuple[Mark, ...] = field(default=())


class Style(NamedTuple):
    """How values are written: on the axis in d3's format, at a mark in one that d3 and Python share."""

    tick: str
    digits: str


SHARES, NUMBERS, POINTS = Style(".0%", ".1%"), Style(".3~f", ".3f"), Style("+~f", "+.1f")


def interval_rows(
    rows: Sequence[Row],
    *,
    axis: str,
    share: bool = True,
    points: bool = False,
    reference: tuple[float, str] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Rows of marks with intervals on one axis.

    Args:
        rows: from top to bottom.
        axis: what the axis shows.
        share: whether values are shares, written in per cent.
        points: whether they are differences of shares, written in points of 100.
        reference: (value, what it is) of a line.
        ink: colour of text, for the ground that it is read on.
    """
    style = POINTS if points else SHARES if share else NUMBERS
    if points:
        rows = [Row(row.label, tuple(_times_100(mark) for mark in row.marks)) for row in rows]
        reference = reference and (100 * reference[0], reference[1])
    depth = max((len(row.marks) for row in rows), default=1)
    unit = LABEL_HEIGHT + MARK_HEIGHT * max(depth, 1)
    series: dict[str, list[tuple[float, str, Mark]]] = {}
    for index, row in enumerate(rows):
        for place, mark in enumerate(row.marks):
            y = index + (LABEL_HEIGHT + MARK_HEIGHT * (place + 0.4)) / unit
            series.setdefault(mark.name, []).append((y, row.label, mark))
    legend = depth > 1
    height = (
        unit * max(len(rows), 1) + 56 + 30 * (reference is not None) + 26 * legend * ((len(series) + 1) // 2)
    )
    span = _span([mark for row in rows for mark in row.marks], reference)
    shapes, notes = ([], []) if reference is None else _reference(len(rows), unit, reference, span, ink)
    beside = {"x": 0, "xref": "paper", "xanchor": "left", "showarrow": False}
    labels = [
        {"text": row.label, "y": index + LABEL_HEIGHT / 2 / unit, **beside} for index, row in enumerate(rows)
    ]
    return figure(
        height,
        ink,
        [_series(name, marks, style) for name, marks in series.items()],
        shapes=shapes,
        annotations=labels + notes,
        xaxis={
            "range": span,
            "tickformat": style.tick,
            "nticks": 6,
            "title": {"text": axis},
        },
        yaxis={"range": [max(len(rows), 1), 0], "visible": False},
        showlegend=legend,
        legend=LEGEND_BENEATH,
        margin={
            "l": 12,
            "r": 14,
            "t": 26 if reference is not None else 4,
            "b": 30 if legend else TITLED_BELOW,
            "autoexpand": legend,
        },
    )


def _times_100(mark: Mark) -> Mark:
    return replace(mark, value=100 * mark.value, low=100 * mark.low, high=100 * mark.high)


def _series(name: str, marks: list[tuple[float, str, Mark]], style: Style) -> dict[str, Any]:
    # Plotly's legend shows the first mark, and a hollow one says something of itself alone.
    marks = sorted(marks, key=lambda place: place[2].hollow)
    first = marks[0][2]
    value = np.array([mark.value for _, _, mark in marks], dtype=float)
    low, high = (
        np.array([getattr(mark, end) for _, _, mark in marks], dtype=float) for end in ("low", "high")
    )
    return {
        "type": "scatter",
        "x": value,
        "y": [y for y, _, _ in marks],
        "name": name,
        "mode": "markers",
        "error_x": None if np.isnan(low).all() else _whiskers(value, low, high, first.colour),
        "marker": {
            "color": first.colour,
            "size": 11,
            "symbol": [hollow(mark.symbol) if mark.hollow else mark.symbol for _, _, mark in marks],
            "line": {"width": 1.5, "color": first.colour},
        },
        "customdata": [
            (
                label,
                f"[{mark.low:{style.digits}}, {mark.high:{style.digits}}]" if mark.low == mark.low else "",
                mark.note,
            )
            for _, label, mark in marks
        ],
        "hovertemplate": f"<b>%{{customdata[0]}}</b><br>%{{x:{style.digits}}} %{{customdata[1]}}<br>%{{customdata[2]}}"
        "<extra>%{fullData.name}</extra>",
    }


def _whiskers(value: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": _or_none(high - value),
        "arrayminus": _or_none(value - low),
        "color": colour,
        "thickness": 2,
        "width": 4,
    }


def _or_none(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def _span(marks: Sequence[Mark], reference: tuple[float, str] | None) -> tuple[float, float]:
    values = [v for mark in marks for v in (mark.value, mark.low, mark.high) if np.isfinite(v)]
    values += [] if reference is None else [reference[0]]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max(0.06 * (high - low), 0.005)
    return low - room, high + room


def _reference(
    rows: int, unit: float, reference: tuple[float, str], span: tuple[float, float], ink: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes and annotations of a line through the marks, with gaps where the labels are."""
    value, text = reference
    line = {"type": "line", "x0": value, "x1": value, "line": {"color": NEUTRAL, "width": 2}}
    shapes = [{"y0": row + LABEL_HEIGHT / unit, "y1": row + 1, **line} for row in range(rows)]
    note = {
        "text": text,
        "x": value,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": ink},
        "xanchor": "left" if value < sum(span) / 2 else "right",
    }
    return shapes, [note]
