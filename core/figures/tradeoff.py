"""What accuracy costs: a figure of merit against file size or latency, with the front that nobody beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.evaluation.contestants import Contestant, pareto_front
from core.figures.style import (
    INK_ON_LIGHT,
    LEGEND_BENEATH,
    NEUTRAL,
    figure,
    hollow,
    model_colour,
    model_symbol,
)
from core.reported import MARK, RESULTS

SMALLEST, LARGEST = 11.0, 34.0
"""Diameters of bubbles, pixels."""
REPORTED_NOTE = f"{MARK}: another split, another machine"


@dataclass(frozen=True)
class Bubble:
    """One model.

    Attributes:
        model: whose colour and symbol it has.
        title: in the legend.
        cost: position to the right, such as megabytes; above 0.
        gain, low, high: position upwards with its interval; NaN ends draw none.
        area: what the bubble's area shows, or None for the smallest.
        front: whether no other is better in one and as good in the other.
        reported: hollow, because the figure is not ours.
        note: more for the hover.
        unit: of the cost.
    """

    model: str
    title: str
    cost: float
    gain: float
    low: float
    high: float
    area: float | None = None
    front: bool = False
    reported: bool = False
    note: str = ""
    unit: str = ""

    @property
    def cost_text(self) -> str:
        """The cost with its unit: `4.08 MB`."""
        return f"{self.cost:.3g} {self.unit}".rstrip()


UNITS = {"megabytes": "MB", "milliseconds": "ms"}
"""Of what is paid for a model, by attribute of a contestant."""


def bubbles_of(
    models: Sequence[Contestant], cost: str, figure_name: str = "accuracy", *, reported: bool = True
) -> list[Bubble]:
    """Bubbles of the models whose cost and figure are known, and of the report's.

    Args:
        models: in the order of the legend.
        cost: `megabytes` or `milliseconds`.
        figure_name: one of `HEADLINE_NAMES`.
        reported: whether the report's rows follow; only where accuracy stands against megabytes, since the report
            has no other figure of merit and no time for one image.
    """
    known = [
        (model, float(getattr(model, cost)), model.interval(figure_name))
        for model in models
        if getattr(model, cost) and not np.isnan(model.interval(figure_name).value)
    ]
    front = pareto_front([price for _, price, _ in known], [gain.value for *_, gain in known])
    found = [
        Bubble(
            model.name, model.title, price, gain.value, gain.low, gain.high, area=model.megabytes, front=bool(best),
            note=f"{model.megabytes:.1f} MB" if model.megabytes and cost != "megabytes" else "", unit=UNITS[cost],
        )
        for (model, price, gain), best in zip(known, front, strict=True)
    ]  # fmt: skip
    if reported and (cost, figure_name) == ("megabytes", "accuracy"):
        unknown = float("nan")
        found += [
            Bubble(
                row.counterpart, f"{row.title}, {MARK}", row.megabytes, row.accuracy, unknown, unknown,
                area=row.megabytes, reported=True, note=REPORTED_NOTE, unit=UNITS[cost],
            )
            for row in RESULTS
        ]  # fmt: skip
    return found


def tradeoff(
    bubbles: Sequence[Bubble],
    *,
    cost: str,
    gain: str,
    share: bool = True,
    reference: tuple[float, str] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Bubbles on a logarithmic axis of cost, the Pareto front dotted.

    Args:
        bubbles: with costs above 0.
        cost, gain: what the axes show.
        share: whether the gain is a share, written in per cent.
        reference: (gain, what it is) of a dashed line, such as the majority's share.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: a cost is not above 0.
    """
    if any(not b.cost > 0 for b in bubbles):
        raise ValueError(f"expected costs above 0, found {[b.cost for b in bubbles]}")
    result = figure(400 + 13 * len(bubbles), ink, showlegend=True)
    largest = max((b.area for b in bubbles if b.area), default=1.0)
    _front(result, [b for b in bubbles if b.front])
    for bubble in bubbles:
        result.add_trace(_trace(bubble, largest, ".1%" if share else ".3f"))
    if reference is not None:
        result.add_hline(reference[0], line={"color": NEUTRAL, "width": 2, "dash": "dash"})
        result.add_annotation(
            text=reference[1], x=0, xref="paper", xanchor="left", y=reference[0], yanchor="top", showarrow=False,
            font={"size": 12, "color": ink},
        )  # fmt: skip
    result.update_xaxes(
        type="log", title={"text": cost}, range=_decades(bubbles),
        tickvals=[a * 10**k for k in range(-2, 5) for a in (1, 2, 5)],
    )  # fmt: skip
    result.update_yaxes(
        title={"text": gain}, tickformat=".0%" if share else ".3~f",
        range=_gains(bubbles, reference),
    )  # fmt: skip
    return result.update_layout(
        legend=LEGEND_BENEATH | {"itemsizing": "constant"},
        margin={"l": 4, "r": 16, "t": 8, "b": 8},
    )


def _decades(bubbles: Sequence[Bubble]) -> list[float] | None:
    costs = [b.cost for b in bubbles]
    return [float(np.log10(min(costs))) - 0.15, float(np.log10(max(costs))) + 0.15] if costs else None


def _gains(bubbles: Sequence[Bubble], reference: tuple[float, str] | None) -> list[float] | None:
    """Room for every whisker, and for the line's text beneath it."""
    ends = [v for b in bubbles for v in (b.gain, b.low, b.high) if np.isfinite(v)]
    ends += [reference[0]] if reference else []
    room = 0.08 * (max(ends) - min(ends)) + 0.01 if ends else 0.0
    return [min(ends) - room, max(ends) + room] if ends else None


def _front(result: go.Figure, front: list[Bubble]) -> None:
    if len(front) > 1:
        ordered = sorted(front, key=lambda b: b.cost)
        result.add_scatter(
            x=[b.cost for b in ordered],
            y=[b.gain for b in ordered],
            mode="lines",
            line={"color": NEUTRAL, "width": 2, "dash": "dot", "shape": "hv"},
            name="Pareto front",
            hoverinfo="skip",
        )


def _trace(bubble: Bubble, largest: float, digits: str) -> go.Scatter:
    colour, symbol = model_colour(bubble.model), model_symbol(bubble.model)
    if bubble.reported:
        symbol = hollow(symbol)
    share = (bubble.area or 0.0) / largest
    known = np.isfinite([bubble.low, bubble.high]).all()
    note = f"<br>{bubble.note}" if bubble.note else ""
    interval = f" [{bubble.low:{digits}}, {bubble.high:{digits}}]" if known else ""
    return go.Scatter(
        x=[bubble.cost],
        y=[bubble.gain],
        mode="markers",
        name=bubble.title,
        cliponaxis=False,  # on a phone the largest bubble is wider than the room beside it
        marker={
            "color": colour,
            "symbol": symbol,
            "size": SMALLEST + (LARGEST - SMALLEST) * share**0.5,
            "opacity": 0.9,
            "line": {"width": 2, "color": colour},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [bubble.high - bubble.gain],
            "arrayminus": [bubble.gain - bubble.low],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        }
        if known
        else None,
        hovertemplate=f"%{{y:{digits}}}{interval} at {bubble.cost_text}{note}<extra>{bubble.title}</extra>",
    )
