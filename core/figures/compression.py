"""What pruning costs: accuracy against what is left of size, time or weights, for both ways of pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from core.evaluation.compressed import CHANNELS, MAGNITUDE, METHODS, Curves, Point
from core.evaluation.intervals import Interval
from core.figures.style import INK_ON_LIGHT, LEGEND_BENEATH, NEUTRAL, figure, model_colour, model_symbol

SHIPPED = "student-pruned"
COLOURS = {CHANNELS: model_colour(SHIPPED), MAGNITUDE: "#AA7700"}
SYMBOLS = {CHANNELS: "circle", MAGNITUDE: "square"}


@dataclass(frozen=True)
class Cost:
    """What stands to the right: a figure of a point, as a share of the whole network's.

    Attributes:
        axis: its name for people.
        of: the figure.
    """

    axis: str
    of: Callable[[Point], float]


COSTS: dict[str, Cost] = {
    "Time": Cost("Time of one image, share of the whole network's", lambda point: point.times),
    "Size": Cost(
        "Size of the zipped file, share of the whole network's", lambda point: point.compressed_bytes
    ),
    "Multiply-adds": Cost("Multiply-adds, share of the whole network's", lambda point: point.multiply_adds),
    "Weights": Cost("Weights that are not zero, share of the whole network's", lambda point: point.weights),
}

GAINS: dict[str, str] = {"balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy"}


def compression_curves(
    curves: Curves,
    *,
    cost: str = "Time",
    gain: str = "balanced_accuracy",
    band: Interval | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """A line for each method, both beginning at the network that was not pruned; its figure is the dashed line.

    Args:
        curves: with the whole network among its points.
        cost: a key of `COSTS`.
        gain: a key of `GAINS`.
        band: the whole network's figure with its own 95% interval. A point within it is not thereby equal: all answer
            the same images, so only a paired comparison tells two of them apart.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: the whole network is not among the points, or a key is not known.
    """
    whole = curves.whole
    if whole is None or cost not in COSTS or gain not in GAINS:
        raise ValueError(
            f"expected curves with the whole network, a cost of {list(COSTS)} and a gain of {list(GAINS)}"
        )
    of = COSTS[cost].of
    result = figure(420, ink, showlegend=True)
    reference = getattr(whole, gain)
    result.add_hline(reference, line={"color": NEUTRAL, "width": 2, "dash": "dash"})
    if band is not None and band.low == band.low:
        result.add_hrect(band.low, band.high, fillcolor=NEUTRAL, opacity=0.12, line_width=0)
        # A figure's own range does not look at shapes.
        seen = [*(getattr(point, gain) for point in curves.points), band.low, band.high]
        result.update_yaxes(range=[min(seen) - 0.01, max(seen) + 0.01])
    for method in (CHANNELS, MAGNITUDE):
        # By what is left of it, up to the whole network: by a time that hardly differs, a line would zigzag.
        points = sorted((*curves.of(method), whole), key=lambda point: point.weights)
        if len(points) > 1:
            result.add_trace(_line(method, points, [of(point) / of(whole) for point in points], gain))
    result.add_scatter(
        x=[1.0], y=[reference], mode="markers", name=METHODS[whole.method],
        marker={"color": model_colour("student-int8"), "symbol": model_symbol("student-int8"), "size": 13},
        hovertemplate=f"%{{y:.1%}}<extra>{METHODS[whole.method]}</extra>",
    )  # fmt: skip
    result.update_xaxes(
        title={"text": COSTS[cost].axis}, tickformat=".0%",
        rangemode="tozero",
    )  # fmt: skip
    result.update_yaxes(
        title={"text": f"{GAINS[gain]} on validation"}, tickformat=".1%",
    )  # fmt: skip
    return result.update_layout(
        legend=LEGEND_BENEATH,
        margin={"l": 4, "r": 16, "t": 8, "b": 8},
    )


def described(method: str, point: Point) -> str:
    """What was asked for, in words."""
    what = {CHANNELS: "multiply-adds kept", MAGNITUDE: "of the weights at zero"}.get(method)
    return METHODS[method] if what is None else f"{point.share:.0%} {what}"


def _line(method: str, points: list[Point], shares: list[float], gain: str) -> go.Scatter:
    return go.Scatter(
        x=shares,
        y=[getattr(point, gain) for point in points],
        mode="lines+markers",
        name=METHODS[method],
        line={"color": COLOURS[method], "width": 2.5},
        marker={"symbol": SYMBOLS[method], "size": 10, "color": COLOURS[method]},
        customdata=[
            [described(point.method, point), point.compressed_bytes / 1e6, point.milliseconds]
            for point in points
        ],
        hovertemplate="%{customdata[0]}: %{y:.1%} at %{x:.0%}<br>%{customdata[1]:.2f} MB zipped, "
        "%{customdata[2]:.1f} ms<extra>" + METHODS[method] + "</extra>",
    )
