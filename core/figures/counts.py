"""How many images there are: by class, by whom and where, in the parts of a split, and after balancing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.data.summary import Counts
from core.figures.style import CLASS_EDGE, INK_ON_LIGHT, NEUTRAL, annotate, at_both_ends, class_colour, figure
from core.lesions import BY_CODE, CODES, LESIONS, N_CLASSES

ROW_HEIGHT = 44
BAR_WIDTH = 0.36
FAINT = 0.22


def class_bars(
    images: Mapping[str, int], lesions: Mapping[str, int] | None = None, *, ink: str = INK_ON_LIGHT
) -> go.Figure:
    """The classes' images as bars, each named above its bar so that it fits a phone; lesions as a mark in it.

    Args:
        images: class code -> images.
        lesions: class code -> lesions; None draws no marks.
        ink: colour of text, for the ground that it is read on.
    """
    total = max(sum(images.values()), 1)
    result = figure(ROW_HEIGHT * N_CLASSES + 60, ink, bargap=0)
    rows = np.arange(N_CLASSES)
    result.add_bar(
        x=[images.get(code, 0) for code in CODES],
        y=rows,
        width=BAR_WIDTH,
        orientation="h",
        marker={"color": [lesion.colour for lesion in LESIONS], "line": CLASS_EDGE},
        customdata=[(lesion.name, images.get(lesion.code, 0) / total) for lesion in LESIONS],
        hovertemplate="<b>%{customdata[0]}</b>: %{x:,} images, %{customdata[1]:.1%}<extra></extra>",
    )
    if lesions is not None:
        result.add_scatter(
            x=[lesions.get(code, 0) for code in CODES],
            y=rows,
            mode="markers",
            marker={
                "symbol": "diamond",
                "size": 8,
                "color": "#FFFFFF",
                "line": {"width": 1.5, "color": "#0C151C"},
            },
            customdata=[lesion.name for lesion in LESIONS],
            hovertemplate="<b>%{customdata}</b>: %{x:,} lesions<extra></extra>",
        )
    notes = []
    for row, lesion in zip(rows, LESIONS, strict=True):
        count = images.get(lesion.code, 0)
        kind = " · malignant" if lesion.malignant else ""
        notes += at_both_ends(row - 0.42, lesion.name + kind, f"{count:,} · {count / total:.1%}")
    annotate(result, notes)
    result.update_xaxes(rangemode="tozero", nticks=5, title={"text": "Images"})
    result.update_yaxes(range=[N_CLASSES - 0.7, -0.7], visible=False)
    return result.update_layout(margin={"l": 2, "r": 2, "t": 2, "b": 40})


def value_bars(
    counts: Counts,
    labels: Mapping[str, str] | None = None,
    *,
    marked: Sequence[str] = (),
    totals: Mapping[str, int] | None = None,
    ink: str = INK_ON_LIGHT,
) -> go.Figure:
    """One bar for each value, made of the classes in their colours, from the top in the order given.

    Args:
        counts: value -> class code -> images.
        labels: value -> what people read; the value itself where it is missing.
        marked: values whose label is set in bold, since they are chosen.
        totals: value -> images without any choice, drawn faintly behind.
        ink: colour of text, for the ground that it is read on.
    """
    values = list(counts)
    names = [(labels or {}).get(value, value) for value in values]
    texts = [f"<b>{name}</b>" if value in marked else name for value, name in zip(values, names, strict=True)]
    rows = np.arange(len(values))
    length = np.array([[counts[value].get(code, 0) for code in CODES] for value in values], dtype=float)
    length = length.reshape(len(values), N_CLASSES)
    faint = {
        "type": "bar", "x": [(totals or {}).get(value, 0) for value in values], "y": rows, "orientation": "h",
        "marker": {"color": NEUTRAL, "opacity": FAINT}, "hoverinfo": "skip",
    }  # fmt: skip
    # One trace for all classes and one update for the rest, since Plotly takes its time for each.
    classes = {
        "type": "bar",
        "x": length.ravel(),
        "y": rows.repeat(N_CLASSES),
        "base": (length.cumsum(axis=1) - length).ravel(),
        "orientation": "h",
        "marker": {"color": [class_colour(code) for code in CODES] * len(values), "line": CLASS_EDGE},
        "customdata": [(name, BY_CODE[code].name) for name in names for code in CODES],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}: %{x:,}<extra></extra>",
    }
    result = figure(34 + 24 * max(len(values), 1), ink)
    result.add_traces([classes] if totals is None else [faint, classes])
    return result.update_layout(
        barmode="overlay",
        bargap=0.25,
        xaxis={"rangemode": "tozero", "nticks": 4},
        yaxis={
            "range": [max(len(values), 1) - 0.5, -0.5], "tickvals": rows, "ticktext": texts,
            "showgrid": False,
        },
        margin={"l": 4, "r": 12, "t": 2, "b": 26},
    )  # fmt: skip


def leak_bars(seen: Mapping[str, tuple[int, int]], *, ink: str = INK_ON_LIGHT) -> go.Figure:
    """The share of a part's images whose lesion was trained on, one bar for each part.

    Args:
        seen: what it is -> (images of a trained lesion, all images).
        ink: colour of text, for the ground that it is read on.
    """
    rows = np.arange(len(seen))
    shares = [part / whole if whole else 0.0 for part, whole in seen.values()]
    result = figure(50 * len(seen) + 40, ink, barmode="overlay")
    result.add_bar(
        x=[1] * len(seen), y=rows, width=BAR_WIDTH, orientation="h",
        marker={"color": NEUTRAL, "opacity": FAINT}, hoverinfo="skip",
    )  # fmt: skip
    result.add_bar(
        x=shares, y=rows, width=BAR_WIDTH, orientation="h", marker={"color": class_colour("bcc")},
        customdata=list(seen.values()),
        hovertemplate="%{customdata[0]:,} of %{customdata[1]:,} images, %{x:.1%}<extra></extra>",
    )  # fmt: skip
    notes = []
    for row, (name, (part, whole)) in zip(rows, seen.items(), strict=True):
        notes += at_both_ends(row - 0.4, name, f"{part:,} of {whole:,}")
    annotate(result, notes)
    result.update_xaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    result.update_yaxes(range=[len(seen) - 0.6, -0.75], visible=False)
    # Room for half of the outer ticks: one that would leave the figure is not drawn.
    return result.update_layout(margin={"l": 12, "r": 20, "t": 2, "b": 24})


def balancing_bars(table: pd.DataFrame, column: str, *, axis: str, ink: str = INK_ON_LIGHT) -> go.Figure:
    """One way of balancing: a column of the classes after it, the same without balancing as an outline.

    Args:
        table: rows of `core.data.balancing.balancing_table` for one way, with a column `before` beside.
        column: `shown` or `share`.
        axis: what the axis shows.
        ink: colour of text, for the ground that it is read on.
    """
    share = column == "share"
    rows = np.arange(len(table))
    text = [f"{v:.1%}" if share else f"{int(v):,}" for v in table[column]]
    result = figure(30 * max(len(table), 1) + 50, ink, barmode="overlay", bargap=0.3)
    result.add_bar(
        x=table[column], y=rows, orientation="h", marker={"color": [class_colour(c) for c in table["code"]]},
        customdata=[(BY_CODE[c].name, t) for c, t in zip(table["code"], text, strict=True)],
        hovertemplate="<b>%{customdata[0]}</b>: %{customdata[1]}<extra></extra>",
    )  # fmt: skip
    result.add_bar(
        x=table["before"], y=rows, orientation="h", hoverinfo="skip",
        marker={"color": "rgba(0,0,0,0)", "line": {"color": NEUTRAL, "width": 1.5}},
    )  # fmt: skip
    result.add_scatter(
        x=np.maximum(table[column], table["before"]), y=rows, mode="text", text=[f" {t}" for t in text],
        textposition="middle right", textfont={"color": ink, "size": 13}, cliponaxis=False, hoverinfo="skip",
    )  # fmt: skip
    end = 1.25 * max(float(table[column].max()), float(table["before"].max()), 1e-9)
    result.update_xaxes(
        range=[0, end], tickformat=".0%" if share else ",", nticks=5,
        title={"text": axis},
    )  # fmt: skip
    result.update_yaxes(
        range=[len(table) - 0.5, -0.5], tickvals=rows, ticktext=list(table["code"]), showgrid=False,
    )  # fmt: skip
    return result.update_layout(margin={"l": 4, "r": 8, "t": 2, "b": 40})
