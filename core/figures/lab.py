"""The distillation lab's first half: soft labels as T moves, what they know, and the loss taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.heatmap import SCALE, readable_on
from core.figures.style import BROUGHT, INK_ON_LIGHT, NEUTRAL, annotate, class_colour, figure, model_colour
from core.lab.soft_labels import LARGEST_ENTROPY, TEMPERATURES
from core.lesions import CODES, LESIONS, N_CLASSES

HARD, SOFT, TOTAL = "hard", "soft", "total"
PART_COLOURS: dict[str, str] = {HARD: NEUTRAL, SOFT: "#0083C4", TOTAL: "#9B6FD0"}
"""The terms of the loss; the soft one has the student's blue."""
REPORTED_COLOUR = BROUGHT
CELL = 44


def soft_label_bars(
    once: np.ndarray, soft: np.ndarray, temperature: float, *, ink: str = INK_ON_LIGHT
) -> go.Figure:
    """A teacher's answer at T = 1 (outlined) and softened (filled), in the colours of the classes.

    The dashed line at 1/7 has no words of its own, which some bar would lie under: who shows this says what it is.

    Args:
        once: (7,) probabilities at T = 1.
        soft: (7,) at `temperature`.
        temperature: T.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(270, ink, barmode="overlay", bargap=0.25)
    colours = [class_colour(code) for code in CODES]
    result.add_bar(
        x=list(CODES), y=soft, marker={"color": colours}, name=f"T = {temperature:g}",
        customdata=[lesion.name for lesion in LESIONS],
        hovertemplate="%{customdata}: %{y:.2%}<extra>T = " + f"{temperature:g}</extra>",
    )  # fmt: skip
    result.add_bar(
        x=list(CODES), y=once, marker={"color": "rgba(0,0,0,0)", "line": {"color": colours, "width": 2}},
        name="T = 1", customdata=[lesion.name for lesion in LESIONS],
        hovertemplate="%{customdata}: %{y:.2%}<extra>T = 1</extra>",
    )  # fmt: skip
    _reference(result, 1 / N_CLASSES)
    result.update_xaxes(tickangle=0)
    result.update_yaxes(range=[0, 1.02], tickformat=".0%", nticks=5)
    return result.update_layout(margin={"l": 4, "r": 4, "t": 8, "b": 4})


def entropy_lines(
    curves: Mapping[str, np.ndarray],
    twice: np.ndarray,
    temperature: float,
    titles: Mapping[str, str],
    *,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Entropy of one image's soft labels along T, against ln 7 and against the report's softmax of softmax.

    Args:
        curves: teacher -> (len(TEMPERATURES),).
        twice: the same of probabilities that are softened once more.
        temperature: T, marked.
        titles: teacher -> the name that people read.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(330, ink, showlegend=True)
    for teacher, curve in curves.items():
        result.add_scatter(
            x=TEMPERATURES, y=curve, mode="lines", name=titles.get(teacher, teacher),
            line={"color": model_colour(teacher), "width": 3},
            hovertemplate="T = %{x:.1f}: %{y:.3f} nats<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    result.add_scatter(
        x=TEMPERATURES, y=twice, mode="lines", name="softmax of softmax (the report's)",
        line={"color": REPORTED_COLOUR, "width": 3, "dash": "dot"},
        hovertemplate="T = %{x:.1f}: %{y:.5f} nats<extra>softmax twice</extra>",
    )  # fmt: skip
    _reference(result, LARGEST_ENTROPY, "ln 7: says nothing", ink)
    result.add_shape(
        type="line",
        x0=temperature,
        x1=temperature,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": NEUTRAL, "width": 2},
    )
    _temperature_axis(result)
    result.update_yaxes(
        range=[0, LARGEST_ENTROPY * 1.12], title={"text": "Entropy, nats"},
    )  # fmt: skip
    return _legend_above(result)


def knowledge_map(matrix: np.ndarray, *, of: str, ink: str = INK_ON_LIGHT) -> go.Figure:
    """Rows are true classes, columns classes, cells mean shares in per cent.

    The scale ends at the largest share off the diagonal, since what a soft label holds besides the truth is the point.

    Args:
        matrix: (7, 7); NaN leaves a row empty.
        of: what a cell is, for the hover: `mean soft label`.
        ink: colour of text, for the ground that it is read on.
    """
    off = np.where(np.eye(N_CLASSES, dtype=bool), np.nan, matrix)
    limit = float(np.nanmax(off, initial=0)) or 1.0
    result = figure(CELL * N_CLASSES + 54, ink)
    hover = [
        [
            f"<b>{row.name}</b><br>{column.name}: {of} "
            + ("undefined" if np.isnan(matrix[t, n]) else f"{matrix[t, n]:.1%}")
            for n, column in enumerate(LESIONS)
        ]
        for t, row in enumerate(LESIONS)
    ]
    result.add_heatmap(
        z=np.clip(matrix, 0, limit), x=list(CODES), y=list(CODES), zmin=0, zmax=limit, colorscale=SCALE,
        showscale=False, xgap=2, ygap=2, hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    annotate(
        result,
        (
            {
                "x": CODES[n], "y": CODES[t], "text": f"{100 * matrix[t, n]:.0f}",
                "font": {"size": 13, "color": readable_on(min(matrix[t, n] / limit, 1.0))},
            }
            for t, n in np.argwhere(~np.isnan(matrix))
        ),
    )  # fmt: skip
    result.update_xaxes(side="top", showgrid=False, tickangle=0)
    result.update_yaxes(autorange="reversed", showgrid=False, title={"text": "true class"})
    return result.update_layout(margin={"l": 4, "r": 4, "t": 30, "b": 4})


def gradient_bars(parts: Mapping[str, tuple[str, np.ndarray]], *, ink: str = INK_ON_LIGHT) -> go.Figure:
    """The gradient on each logit, one group of bars for each class.

    Args:
        parts: name -> (colour, (7,) gradient); a bar below 0 pushes the logit up.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(330, ink, barmode="group", bargap=0.2, bargroupgap=0.05, showlegend=True)
    for name, (colour, gradient) in parts.items():
        result.add_bar(
            x=list(CODES), y=gradient, name=name, marker={"color": colour},
            hovertemplate="%{x}: %{y:+.4f}<extra>" + name + "</extra>",
        )  # fmt: skip
    result.update_xaxes(tickangle=0)
    result.update_yaxes(title={"text": "Gradient on the logit"}, zeroline=True, zerolinecolor=NEUTRAL)
    return _legend_above(result)


def pull_by_temperature(
    temperatures: np.ndarray,
    lines: Mapping[str, tuple[str, np.ndarray]],
    temperature: float,
    *,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Length of a term's gradient along T, both axes logarithmic.

    Args:
        temperatures: (P,).
        lines: name -> (colour, (P,) lengths).
        temperature: T, marked.
        ink: colour of text, for the ground that it is read on.
    """
    result = figure(330, ink, showlegend=True)
    for index, (name, (colour, lengths)) in enumerate(lines.items()):
        result.add_scatter(
            x=temperatures, y=lengths, mode="lines", name=name,
            line={"color": colour, "width": 3, "dash": ("solid", "dash", "dot", "dashdot")[index % 4]},
            hovertemplate="T = %{x:.1f}: %{y:.2g}<extra>" + name + "</extra>",
        )  # fmt: skip
    result.add_shape(
        type="line",
        x0=temperature,
        x1=temperature,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": NEUTRAL, "width": 2},
    )
    _temperature_axis(result)
    result.update_yaxes(
        type="log", title={"text": "Length of the gradient"}, exponentformat="power",
        dtick=1,
    )  # fmt: skip
    return _legend_above(result)


def _temperature_axis(result: go.Figure) -> None:
    ticks: Sequence[float] = (1, 2, 4, 8, 20, 50)
    result.update_xaxes(
        type="log", tickvals=list(ticks), ticktext=[f"{t:g}" for t in ticks], title={"text": "Temperature T"},
    )  # fmt: skip


def _reference(result: go.Figure, y: float, text: str = "", ink: str = INK_ON_LIGHT) -> None:
    result.add_shape(
        type="line",
        x0=0,
        x1=1,
        xref="paper",
        y0=y,
        y1=y,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
    )
    if text:
        result.add_annotation(
            x=1, xref="paper", xanchor="right", y=y, yanchor="bottom", text=text, showarrow=False,
            font={"size": 12, "color": ink},
        )  # fmt: skip


def _legend_above(result: go.Figure) -> go.Figure:
    return result.update_layout(
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 4, "r": 16, "t": 8, "b": 8},
    )
