"""The map of the test images: a point for each, coloured by what one wants to know of it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.figures.heatmap import SCALE
from core.figures.style import CLASS_EDGE, INK_ON_LIGHT, NEUTRAL, class_colour, figure
from core.lesions import CODES, LESIONS

CLASS, PREDICTION, ERROR, CONFIDENCE = COLOURINGS = ("class", "prediction", "error", "confidence")
POINT = 7
WRONG = class_colour("bcc")


def embedding_map(
    position: np.ndarray,
    image_id: np.ndarray,
    label: np.ndarray,
    predicted: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    *,
    colouring: str = CLASS,
    marked: str | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """Points that can be clicked; each carries its image id as the first of its `customdata`.

    Args:
        position: (N, 2), to the right and upwards.
        image_id: (N,) str.
        label: (N,) the true class as an index into `CODES`.
        predicted: (N,) what a model names, likewise; needed for every colouring but by class.
        confidence: (N,) its largest probability.
        colouring: one of `COLOURINGS`.
        marked: an image id to mark with a ring.
        ink: colour of text, for the ground that it is read on.

    Raises:
        ValueError: the colouring is unknown, or needs answers that are not given.
    """
    if colouring not in COLOURINGS:
        raise ValueError(f"colouring: expected one of {COLOURINGS}, found {colouring!r}")
    if colouring != CLASS and (predicted is None or confidence is None):
        raise ValueError(f"colouring by {colouring}: expected a model's answers, found none")
    hover = _hover(image_id, label, predicted, confidence)
    result = figure(620, ink, showlegend=colouring != CONFIDENCE)
    if colouring == CONFIDENCE:
        result.add_trace(_by_confidence(position, hover, confidence, ink))
    elif colouring == ERROR:
        wrong = label != predicted
        result.add_trace(_points(position, hover, ~wrong, "right", NEUTRAL, opacity=0.45))
        result.add_trace(_points(position, hover, wrong, "wrong", WRONG, symbol="x"))
    else:
        values = label if colouring == CLASS else predicted
        # The commonest class first, so that the rare ones lie on top of it.
        for i in sorted(range(len(CODES)), key=lambda i: -int((values == i).sum())):
            if (values == i).any():
                result.add_trace(_points(position, hover, values == i, LESIONS[i].name, LESIONS[i].colour))
    if marked is not None and (image_id == marked).any():
        x, y = position[image_id == marked][0]
        result.add_scatter(
            x=[x], y=[y], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"size": 18, "color": "rgba(0,0,0,0)", "line": {"width": 3, "color": NEUTRAL}},
        )  # fmt: skip
    axis = {"showticklabels": False, "showgrid": False, "title": None, "fixedrange": False}
    result.update_xaxes(**axis)
    result.update_yaxes(**axis)
    return result.update_layout(
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0, "itemsizing": "constant"},
        uirevision="kept",  # a rerun leaves the zoom as it is
        hovermode="closest",
    )


def _hover(
    image_id: np.ndarray, label: np.ndarray, predicted: np.ndarray | None, confidence: np.ndarray | None
) -> np.ndarray:
    """(N, 2) of image id and text."""
    names = np.array([lesion.name for lesion in LESIONS])
    texts = [str(name) for name in names[label]]
    if predicted is not None and confidence is not None:
        texts = [
            f"{text}<br>named {name}, {share:.0%}"
            for text, name, share in zip(texts, names[predicted], confidence, strict=True)
        ]
    return np.column_stack([np.asarray(image_id, dtype=object), np.asarray(texts, dtype=object)])


def _points(
    position: np.ndarray,
    hover: np.ndarray,
    rows: np.ndarray,
    name: str,
    colour: str,
    *,
    symbol: str = "circle",
    opacity: float = 0.8,
) -> go.Scatter:
    return go.Scatter(
        x=position[rows, 0],
        y=position[rows, 1],
        mode="markers",
        name=name,
        marker={"color": colour, "size": POINT, "symbol": symbol, "opacity": opacity, "line": CLASS_EDGE},
        customdata=hover[rows],
        # What is not selected stays as it is: a click opens an image, it does not choose a group.
        unselected={"marker": {"opacity": opacity}},
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    )


def _by_confidence(
    position: np.ndarray, hover: np.ndarray, confidence: np.ndarray | None, ink: str
) -> go.Scatter:
    trace = _points(position, hover, np.ones(len(position), bool), "confidence", NEUTRAL)
    trace.marker.update(
        color=confidence, colorscale=SCALE, cmin=0, cmax=1, showscale=True,
        colorbar={"orientation": "h", "y": -0.02, "yanchor": "top", "thickness": 12, "tickformat": ".0%",
                  "title": {"text": "Confidence", "side": "top"}, "tickfont": {"color": ink}},
    )  # fmt: skip
    return trace
