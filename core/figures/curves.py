"""ROC and precision-recall curves, reliability diagrams, training curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.evaluation.calibration import Reliability
from core.evaluation.operating import Curve
from core.figures.style import (
    INK_ON_LIGHT,
    NEUTRAL,
    TITLED_BELOW,
    TITLED_LEFT,
    TRAINING,
    VALIDATION,
    figure,
    legend_height,
    model_colour,
    upwards,
)
from core.text import counted

POINTS = 150
"""Points of a curve that are drawn; more cannot be told apart and make the page slow."""
DECIMALS = 5
SQUARE = 370
"""Height of what the curves are drawn in, pixels; on a phone it is higher than wide."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True, eq=False)
class Line:
    """A model's curve: `area` of it is told in the legend."""

    model: str
    title: str
    curve: Curve


def thinned(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Indices of at most `points` of a curve's points (P,), evenly spread along it, its two ends among them."""
    if len(x) <= points:
        return np.arange(len(x))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(0, len(x) - 1))


def roc_curves(lines: Sequence[Line], *, ink: str = INK_ON_LIGHT) -> go.Figure:
    """Sensitivity against false alarms; the diagonal is guessing."""
    drawn = _drawn(lines, "AUC", "false positive rate %{x:.1%}<br>sensitivity %{y:.1%}")
    return _square(drawn, ("False positive rate (1 - specificity)", "Sensitivity"), (0, 1), ink)


def precision_recall_curves(
    lines: Sequence[Line], prevalence: float, *, ink: str = INK_ON_LIGHT
) -> go.Figure:
    """Precision against sensitivity; the dashed line at the class' share is guessing.

    Args:
        lines: of one class.
        prevalence: share of the images that are of the class.
        ink: colour of text, for the ground that it is read on.
    """
    drawn = _drawn(lines, "AP", "sensitivity %{x:.1%}<br>precision %{y:.1%}")
    return _square(drawn, ("Sensitivity (recall)", "Precision (PPV)"), (prevalence, prevalence), ink)


def _square(
    traces: list[dict[str, Any]], titles: tuple[str, str], guessing: tuple[float, float], ink: str
) -> go.Figure:
    """Traces on two axes of shares, with the line of guessing from its height on the left to that on the right."""
    axes = [
        {
            "title": {"text": title},
            "range": [-0.01, 1.01],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "tickformat": ".0%",
        }
        for title in titles
    ]
    dashed = {"color": NEUTRAL, "width": 1.5, "dash": "dash"}
    top, below = 8, TITLED_BELOW + legend_height(len(traces))
    return figure(
        top + SQUARE + below,
        ink,
        traces,
        shapes=[{"type": "line", "x0": 0, "x1": 1, "y0": guessing[0], "y1": guessing[1], "line": dashed}],
        xaxis=axes[0],
        yaxis=axes[1],
        showlegend=True,
        legend={"orientation": "v", "y": -TITLED_BELOW / SQUARE, "yanchor": "top", "x": 0},
        margin={"l": TITLED_LEFT, "r": 28, "t": top, "b": below, "autoexpand": False},
    )


def _drawn(lines: Sequence[Line], area: str, hover: str) -> list[dict[str, Any]]:
    traces = []
    for index, line in enumerate(lines):
        curve = line.curve
        rows = thinned(curve.x, curve.y)
        # Finer than a pixel, and less than half of what a browser would have to read otherwise.
        x, y = (values[rows].round(DECIMALS).tolist() for values in (curve.x, curve.y))
        traces.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "mode": "lines",
                "name": f"{line.title}, {area} {curve.area:.3f}" if np.isfinite(curve.area) else line.title,
                "line": {
                    "color": model_colour(line.model),
                    "width": 2.5,
                    "dash": DASHES[index % len(DASHES)],
                },
                "customdata": [_threshold(value) for value in curve.threshold[rows]],
                "hovertemplate": f"{hover}<br>threshold %{{customdata}}<extra>{line.title}</extra>",
            }
        )
    return traces


def _threshold(value: float) -> str:
    """As the hover says it; a curve begins where no image reaches the threshold."""
    return f"{value:.3f}" if np.isfinite(value) else "above every score"


def reliability_diagram(
    before: Reliability, after: Reliability, model: str, *, ink: str = INK_ON_LIGHT
) -> go.Figure:
    """Accuracy against confidence before and after temperature scaling, and how many images each bin holds.

    Args:
        before, after: of the same images and bins.
        model: whose colour the calibrated points have.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(500, ink, showlegend=True, bargap=0.15)
    result.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"}
    )
    for found, name, colour, symbol in (
        (before, "before", NEUTRAL, "circle-open"),
        (after, "after calibration", model_colour(model), "circle"),
    ):
        rows = found.count > 0
        result.add_scatter(
            x=found.confidence[rows],
            y=found.accuracy[rows],
            mode="lines+markers",
            name=f"{name}, ECE {found.ece:.1%}",
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (found.high - found.accuracy)[rows],
                "arrayminus": (found.accuracy - found.low)[rows],
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[counted(int(count), "image") for count in found.count[rows]],
            hovertemplate="says %{x:.1%}, right in %{y:.1%}<br>%{customdata}<extra>" + name + "</extra>",
        )
    middle = (after.edges[:-1] + after.edges[1:]) / 2
    result.add_bar(
        x=middle, y=after.count, yaxis="y2", marker={"color": model_colour(model), "opacity": 0.6}, showlegend=False,
        width=(after.edges[1] - after.edges[0]) * 0.85, hovertemplate="%{y} images<extra></extra>",
    )  # fmt: skip
    result.update_layout(
        yaxis={"domain": [0.3, 1]},
        yaxis2=upwards(ink) | {"domain": [0, 0.2], "nticks": 3},
        yaxis2_title_text="images",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 4, "r": 28, "t": 8, "b": 8},
    )  # fmt: skip
    return _shares(result, "Confidence in the leading class", "Share that is right")


def _shares(result: go.Figure, x: str, y: str) -> go.Figure:
    common = {"tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    result.update_xaxes(range=[-0.01, 1.01], title={"text": x}, anchor="y2", **common)
    return result.update_layout(
        yaxis={
            "range": [-0.02, 1.04],
            "title": {"text": y},
            **common,
        }
    )


def training_curves(
    epoch: Sequence[float],
    training: Sequence[float] | None,
    validation: Sequence[float],
    *,
    label: str,
    share: bool,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """One quantity by epoch, training blue and validation red.

    Args:
        epoch: (E,), rising.
        training: (E,), or None where only validation was measured.
        validation: (E,).
        label: what is drawn.
        share: whether it is written in per cent.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(340, ink, showlegend=True)
    style = ".1%" if share else ".3f"
    for name, values, colour, symbol in (
        ("training", training, TRAINING, "square"),
        ("validation", validation, VALIDATION, "circle"),
    ):
        if values is not None:
            result.add_scatter(
                x=list(epoch), y=list(values), mode="lines+markers", name=name,
                line={"color": colour, "width": 2.5}, marker={"color": colour, "symbol": symbol, "size": 8},
                hovertemplate=f"epoch %{{x}}: %{{y:{style}}}<extra>{name}</extra>",
            )  # fmt: skip
    result.update_xaxes(
        title={"text": "Epoch"},
        dtick=1 if len(epoch) <= 12 else None,
    )  # fmt: skip
    result.update_yaxes(
        title={"text": label}, tickformat=".0%" if share else None,
    )  # fmt: skip
    return result.update_layout(
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": TITLED_LEFT, "r": 28, "t": legend_height(1) + 9, "b": TITLED_BELOW, "autoexpand": False},
    )
