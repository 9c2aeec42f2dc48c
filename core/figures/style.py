"""What all figures share: one colour per class and per model, and a ground that suits both themes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import plotly.graph_objects as go

from core.lesions import BY_CODE

TRANSPARENT = "rgba(0,0,0,0)"

TITLED_LEFT, TITLED_BELOW = 84, 68
"""Pixels for a vertical axis with labels as long as "100%" and its title, and for a horizontal one with its title.
Where a figure has its margins by itself, Plotly need not draw it a second time to find them."""
LEGEND_BENEATH = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
"""A legend in as many columns as there is room for, at the figure's lower edge: measured from the axis in parts of its
length, it would touch the axis' title where a phone leaves little of that."""

NEUTRAL = "#7C8791"
"""Grey with a contrast above 3 on the light and the dark ground; for lines, ticks and what is not chosen."""

CLASS_EDGE = {"width": 0.75, "color": NEUTRAL}
"""Around what has a class' colour: two of the seven are too light for the light ground by themselves."""

FONT = '"Source Sans", sans-serif'
"""Streamlit's, so that figures read as the page does."""

INK_ON_LIGHT, INK_ON_DARK = "#545D66", "#E6EAF1"
"""For text on the light ground, where Streamlit's own grey has a contrast of 3.7, and on the dark one."""


class Ground(NamedTuple):
    """What lies behind figures of one ink, as `.streamlit/config.toml` has it: a page's colour, its borders', and that
    of grid lines, which should hardly be seen."""

    page: str
    border: str
    grid: str


GROUNDS: dict[str, Ground] = {
    INK_ON_LIGHT: Ground("#FFFFFF", "#CBD5DB", "#E6EAF1"),
    INK_ON_DARK: Ground("#10171D", "#3A4853", "#31333F"),
}

MODEL_COLOURS: dict[str, str] = {
    "resnet50": "#D55E00",
    "densenet169": "#AA7700",
    "student": "#0083C4",
    "student-fp16": "#3D90E0",
    "student-dynamic": "#2E9CCB",
    "student-int8": "#7A86E0",
    "student-pruned": "#9B6FD0",
    "baseline": NEUTRAL,
    "ensemble": "#0A9271",
}
"""Teachers warm, the student and what was made of it blue to violet, the ensemble of all green."""

MODEL_SYMBOLS: dict[str, str] = {
    "resnet50": "diamond",
    "densenet169": "diamond-tall",
    "student": "circle",
    "student-fp16": "triangle-up",
    "student-dynamic": "pentagon",
    "student-int8": "hourglass",
    "student-pruned": "triangle-down",
    "baseline": "square",
    "ensemble": "star",
}
"""A shape as well, so that no figure needs its colours to be told apart; all full and by their outline alone, since
hollow marks say something of their own (as reported, thin), and a full mark hides Plotly's dots and crosses."""

BROUGHT = "#C44E9C"
"""For a model that a user brought along, or any other that is not ours."""

TRAINING, VALIDATION = "#2E86DE", "#D9484A"
"""Training blue, validation red, as the report draws its curves."""


def class_colour(code: str) -> str:
    """The colour of a class."""
    return BY_CODE[code].colour


def model_colour(name: str) -> str:
    """The colour of a model; one of its own for whatever is not ours."""
    return MODEL_COLOURS.get(name, BROUGHT)


def model_symbol(name: str) -> str:
    """The marker of a model."""
    return MODEL_SYMBOLS.get(name, "cross")


_SHAPES: dict[str, str] = {
    "diamond": "50% 0,100% 50%,50% 100%,0 50%",
    "diamond-tall": "50% 0,80% 50%,50% 100%,20% 50%",
    "triangle-up": "50% 5%,100% 95%,0 95%",
    "triangle-down": "0 5%,100% 5%,50% 95%",
    "hourglass": "5% 0,95% 0,5% 100%,95% 100%",
    "pentagon": "50% 0,100% 38%,82% 100%,18% 100%,0 38%",
    "square": "5% 5%,95% 5%,95% 95%,5% 95%",
    "star": "50% 0,62% 36%,100% 36%,70% 58%,81% 95%,50% 73%,19% 95%,30% 58%,0 36%,38% 36%",
    "cross": "33% 0,67% 0,67% 33%,100% 33%,100% 67%,67% 67%,67% 100%,33% 100%,33% 67%,0 67%,0 33%,33% 33%",
}
"""Corners of Plotly's symbols, for marks in HTML."""


def mark_style(name: str) -> str:
    """CSS of a model's marker, for a box of HTML as wide as it is high: its colour and its symbol."""
    corners = _SHAPES.get(model_symbol(name))
    shape = f"clip-path:polygon({corners})" if corners else "border-radius:50%"
    return f"background:{model_colour(name)};{shape}"


def hollow(symbol: str) -> str:
    """The outline of a full marker."""
    return f"{symbol}-open"


def figure(
    height: int, ink: str = INK_ON_LIGHT, data: Iterable[Mapping[str, Any]] = (), **layout: Any
) -> go.Figure:
    """A figure on a transparent ground, without tools that its reader does not need.

    All of its looks are set here and none is left to Streamlit's theme, whose template makes the browser draw every
    figure twice (see `core.figures.settled`).

    Args:
        height: pixels.
        ink: colour of text, one of `GROUNDS`.
        data: traces, each with its `type`. They and the layout are best given here: Plotly checks a whole figure in
            the time of two or three later changes.
        layout: what else the layout has, over what is set here.
    """
    ground = GROUNDS[ink]
    fixed = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8, "pad": 8},
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "showlegend": False,
        "dragmode": False,
        "font": {"size": 14, "color": ink, "family": FONT},
        "hoverlabel": {
            "bgcolor": ground.page,
            "bordercolor": ground.border,
            "font": {"size": 13, "color": ink, "family": FONT},
        },
        "legend": {"font": {"size": 12, "color": ink}, "bgcolor": TRANSPARENT, "valign": "top"},
        "xaxis": across(ink),
        "yaxis": upwards(ink),
    }
    result = go.Figure(list(data), _over(fixed, layout))
    # A figure that is made takes Plotly's default for a template that is None.
    result.layout.template = None
    return result


def legend_height(entries: int) -> int:
    """Pixels of a legend with its entries beneath each other."""
    return 10 + 19 * entries


def across(ink: str) -> dict[str, Any]:
    """A horizontal axis for `ink`, without grid lines."""
    return _axis(ink, standoff=20) | {"showgrid": False}


def upwards(ink: str) -> dict[str, Any]:
    """A vertical axis for `ink`."""
    return _axis(ink, standoff=24)


def _axis(ink: str, standoff: int) -> dict[str, Any]:
    line = GROUNDS[ink].grid
    return {
        "tickfont": {"size": 13, "color": ink},
        "title": {"font": {"size": 13, "color": ink}, "standoff": standoff},
        "gridcolor": line,
        "ticks": "",
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
    }


def _over(ground: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`ground` with `changes`, dictionaries in both of them likewise."""
    result = dict(ground)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def annotate(result: go.Figure, notes: Iterable[Mapping[str, Any]]) -> None:
    """Add annotations all at once: one by one they take Plotly milliseconds each.

    Args:
        result: the figure, changed in place.
        notes: as `add_annotation` takes them, without arrows.
    """
    result.layout.annotations += tuple({"showarrow": False, **note} for note in notes)


def at_both_ends(y: float, left: str, right: str) -> list[dict[str, Any]]:
    """Two annotations beside each other above a bar, at the left and the right edge of the figure."""
    beside = {"y": y, "yref": "y", "xref": "paper", "yanchor": "middle"}
    return [
        {"text": left, "x": 0, "xanchor": "left", **beside},
        {"text": right, "x": 1, "xanchor": "right", **beside},
    ]


def draw_shapes(result: go.Figure, shapes: Iterable[Mapping[str, Any]]) -> None:
    """Likewise shapes, as `add_shape` takes them."""
    result.layout.shapes += tuple(map(dict, shapes))


def themed_css() -> str:
    """CSS by which figures follow a theme that their reader changes, until the page's next run draws them for it: what
    has a colour of one ground gets that of the other as soon as the page is of it."""
    light, dark = ((ink, ground) for ink, ground in GROUNDS.items())
    swapped = [
        ("text", "fill", light[0], dark[0]),
        ("path", "stroke", light[1].grid, dark[1].grid),
        (".hovertext path", "fill", light[1].page, dark[1].page),
        (".hovertext path", "stroke", light[1].border, dark[1].border),
    ]
    return "".join(
        f".js-plotly-plot {what}[style*='{how}: {_as_browsers_write(drawn)}']"
        f" {{{how}: light-dark({on_light}, {on_dark}) !important}}"
        for what, how, on_light, on_dark in swapped
        for drawn in (on_light, on_dark)
    )


def _as_browsers_write(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"
