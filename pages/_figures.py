"""What the views of figures share: a model's mark, rows of one figure, its column and its choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.evaluation.contestants import (
    HEADLINE_NAMES,
    Contestant,
)
from core.evaluation.intervals import Interval
from core.evaluation.tables import (
    NO_SHARES,
)
from core.figures.intervals import Mark, Row, interval_rows
from core.figures.style import model_colour, model_symbol
from pages import _links, _shared


def mark(model: Contestant, interval: Interval, *, note: str = "", hollow: bool = False) -> Mark:
    """A model's mark, in its colour and with its symbol."""
    return Mark(
        model.title, interval.value, interval.low, interval.high, model_colour(model.name), model_symbol(model.name),
        hollow, note,
    )  # fmt: skip


def rows_of_figure(
    rows: Sequence[Row],
    name: str,
    *,
    axis: str,
    reference: tuple[float, str] | None = None,
    differences: bool = False,
) -> go.Figure:
    """`interval_rows` of one figure: of shares in per cent, or in points of 100 for `differences`; an AUC as decimals.

    Args:
        rows: from top to bottom.
        name: of the figure, which says whether it is a share.
        axis: what the axis shows.
        reference: (value, what it is) of a line.
        differences: whether the marks are differences of the figure.
    """
    share = name not in NO_SHARES
    return interval_rows(
        rows, axis=axis, share=share, points=share and differences, reference=reference, ink=_shared.ink()
    )


def bars(name: str, label: str) -> Any:
    """A figure's column with bars: shares, which `_shared.in_percent` has to have made, or decimals of an AUC."""
    return st.column_config.ProgressColumn(label, **(_shared.SCORE if name in NO_SHARES else _shared.PERCENT))


def pick_figure(key: str, names: Sequence[str], labels: dict[str, str] = HEADLINE_NAMES) -> str:
    """One figure of merit."""
    return _links.selectbox("Figure", names, 0, lambda name: labels[name], key=key, width=320)
