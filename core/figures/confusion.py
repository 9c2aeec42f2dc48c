"""Confusion matrices whose cells can be clicked, the 2x2 table of one class, and where a threshold lies on a curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.evaluation.operating import Decision
from core.figures.heatmap import SCALE, readable_on
from core.figures.style import (
    INK_ON_LIGHT,
    NEUTRAL,
    annotate,
    draw_shapes,
    figure,
    hollow,
    model_colour,
    model_symbol,
)
from core.lesions import CODES, LESIONS, N_CLASSES
from core.text import counted

CELL = 46
"""Height of a cell in pixels; on a phone it is about as wide."""

DIVERGING = "PuOr_r"
"""Orange where the first model has more, violet where the second has; told apart by colour-blind people."""

RIGHT, WRONG = "#0A9271", "#D55E00"


def confusion_matrix(
    images: np.ndarray,
    shares: np.ndarray,
    *,
    as_counts: bool,
    share_of: str,
    chosen: tuple[str, str] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Rows are the true class, columns what the model names; coloured by shares, so that rare classes are seen.

    Args:
        images: (7, 7) counts.
        shares: (7, 7) that colour the cells; NaN leaves one empty.
        as_counts: whether cells are labelled with counts rather than with shares in per cent.
        share_of: what the shares are of, for the hover: `the true class`.
        chosen: (true, named) of the cell to outline.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: an array is not (7, 7).
    """
    _check(images, shares)
    texts = [
        [
            f"{images[t, n]:,}"
            if as_counts
            else "" if np.isnan(shares[t, n]) else f"{100 * shares[t, n]:.0f}"
            for n in range(N_CLASSES)
        ]
        for t in range(N_CLASSES)
    ]  # fmt: skip
    hover = [
        f"<b>{LESIONS[t].name}</b><br>named {LESIONS[n].name}<br>{counted(images[t, n], 'image')}"
        + ("" if np.isnan(shares[t, n]) else f", {shares[t, n]:.1%} of {share_of}")
        for t, n in np.ndindex(images.shape)
    ]
    return _grid(shares, (0.0, 1.0), SCALE, texts, hover, chosen, ink)


def confusion_difference(
    difference: np.ndarray,
    *,
    as_counts: bool,
    titles: tuple[str, str],
    chosen: tuple[str, str] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """First minus second, cell by cell.

    Args:
        difference: (7, 7) of counts, or of shares, which are written in points of 100; NaN leaves a cell empty.
        as_counts: whether these are counts.
        titles: of the two models.
        chosen: (true, named) of the cell to outline.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: the array is not (7, 7).
    """
    _check(difference)
    scaled = np.asarray(difference, dtype=float) * (1 if as_counts else 100)
    limit = float(np.nanmax(np.abs(scaled), initial=0)) or 1.0
    texts = [["" if np.isnan(v) else f"{v:+.0f}" if round(v) else "0" for v in row] for row in scaled]
    unit = "images" if as_counts else "points"
    hover = [
        f"<b>{LESIONS[t].name}</b><br>named {LESIONS[n].name}<br>{titles[0]} minus {titles[1]}: "
        + ("undefined" if np.isnan(scaled[t, n]) else f"{scaled[t, n]:+.{0 if as_counts else 1}f} {unit}")
        for t, n in np.ndindex(scaled.shape)
    ]
    return _grid(scaled, (-limit, limit), DIVERGING, texts, hover, chosen, ink)


def _check(*arrays: np.ndarray) -> None:
    for array in arrays:
        if np.shape(array) != (N_CLASSES, N_CLASSES):
            raise ValueError(
                f"expected an array of shape ({N_CLASSES}, {N_CLASSES}), found {np.shape(array)}"
            )


def _grid(
    values: np.ndarray,
    span: tuple[float, float],
    scale: str,
    texts: Sequence[Sequence[str]],
    hover: Sequence[str],
    chosen: tuple[str, str] | None,
    ink: str,
) -> go.Figure:
    low, high = span
    result = figure(CELL * N_CLASSES + 66, ink, hovermode="closest", hoverdistance=-1)
    result.add_heatmap(
        z=values, x=list(CODES), y=list(CODES), zmin=low, zmax=high, colorscale=scale, showscale=False,
        xgap=2, ygap=2, hoverinfo="skip",
    )  # fmt: skip
    annotate(
        result,
        (
            {
                "x": CODES[n], "y": CODES[t], "text": texts[t][n],
                "font": {"size": 13, "color": readable_on((values[t, n] - low) / (high - low), scale)},
            }
            for t, n in np.argwhere(~np.isnan(values))
        ),
    )  # fmt: skip
    _add_targets(result, hover)
    if chosen is not None:
        row, column = CODES.index(chosen[0]), CODES.index(chosen[1])
        box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
        # Two lines, light in dark: one of them is seen on every colour of the scale.
        lines = ({"color": "#000000", "width": 5}, {"color": "#FFFFFF", "width": 2})
        draw_shapes(result, ({"type": "rect", "line": line, **box} for line in lines))
    result.update_xaxes(
        side="top", showgrid=False, tickangle=0, title={"text": "named by the model"},
        range=[-0.5, N_CLASSES - 0.5],
    )  # fmt: skip
    result.update_yaxes(
        range=[N_CLASSES - 0.5, -0.5], showgrid=False,
        title={"text": "true class"},
    )  # fmt: skip
    return result.update_layout(margin={"l": 4, "r": 4, "t": 52, "b": 4})


def _add_targets(result: go.Figure, hover: Sequence[str]) -> None:
    """Invisible markers over the cells: Streamlit reports a click on a point, and none on a heatmap."""
    cells = list(np.ndindex(N_CLASSES, N_CLASSES))
    unchanged = {"marker": {"opacity": 0}}
    result.add_scatter(
        x=[CODES[n] for _, n in cells], y=[CODES[t] for t, _ in cells], mode="markers",
        marker={"symbol": "square", "size": CELL - 8, "opacity": 0, "color": NEUTRAL},
        selected=unchanged, unselected=unchanged, hovertext=list(hover), hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def two_by_two(decision: Decision, name: str, *, ink: str = INK_ON_LIGHT) -> go.Figure:
    """What is and what was said, as four counted fields: green for right, orange for wrong.

    Args:
        decision: the counts.
        name: of the positive class.
        ink: colour of text, for the ground that it is read on.
    """
    fields = (
        (0, 0, decision.tp, "found", RIGHT),
        (1, 0, decision.fn, "missed", WRONG),
        (0, 1, decision.fp, "false alarms", WRONG),
        (1, 1, decision.tn, "rightly spared", RIGHT),
    )
    total = max(decision.tp + decision.fn + decision.fp + decision.tn, 1)
    result = figure(190, ink, hovermode=False)
    draw_shapes(
        result,
        (
            {
                "type": "rect", "x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.46, "y1": y + 0.46, "fillcolor": colour,
                "line": {"color": colour, "width": 2}, "opacity": 0.16 + 0.3 * count / total,
            }
            for x, y, count, _, colour in fields
        ),
    )  # fmt: skip
    annotate(
        result,
        (
            {"x": x, "y": y + down, "text": text, "font": {"size": size}}
            for x, y, count, word, _ in fields
            for down, text, size in ((-0.12, f"<b>{count:,}</b>", 20), (0.2, word, 13))
        ),
    )
    result.update_xaxes(
        range=[-0.5, 1.5], tickvals=[0, 1], ticktext=["said yes", "said no"], side="top",
        showgrid=False,
    )  # fmt: skip
    result.update_yaxes(
        range=[1.5, -0.5], tickvals=[0, 1], ticktext=["is", "is not"], showgrid=False,
        title={"text": name if len(name) < 24 else ""},
    )  # fmt: skip
    return result.update_layout(margin={"l": 4, "r": 4, "t": 28, "b": 4})


def mark_point(
    result: go.Figure, x: float, y: float, model: str, title: str, *, on_curve: bool = True
) -> None:
    """Mark where a decision lies on a ROC or precision-recall figure; what is undefined is not drawn.

    Args:
        result: the figure, changed in place.
        x, y: as its axes.
        model, title: whose point it is.
        on_curve: False draws it hollow: a decision that no threshold makes lies beside the curve.
    """
    if np.isnan(x) or np.isnan(y):
        return
    colour, symbol = model_colour(model), model_symbol(model)
    result.add_scatter(
        x=[x], y=[y], mode="markers", showlegend=False,
        marker={
            "size": 15, "color": colour, "symbol": symbol if on_curve else hollow(symbol),
            "line": {"width": 2.5, "color": colour if not on_curve else "#FFFFFF"},
        },
        hovertemplate=f"{title}: this decision<extra></extra>",
    )  # fmt: skip
