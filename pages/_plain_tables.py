"""The overview's tables as plain HTML: what draws data frames would be megabytes of script more to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.reported import MARK, Choice
from pages import _shared

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

BARS = ("accuracy", "balanced_accuracy", "melanoma_sensitivity")
COSTS = ("megabytes", "reported_megabytes", "milliseconds")
COLUMNS = {
    "model": ("Model", None),
    "accuracy": ("Accuracy", "{:.1%}"),
    "interval": ("95% interval, %", None),
    "reported_accuracy": (f"Accuracy {MARK}", "{:.2%}"),
    "balanced_accuracy": ("Balanced accuracy", "{:.1%}"),
    "melanoma_sensitivity": ("Melanoma sensitivity", "{:.1%}"),
    "megabytes": ("MB", "{:.1f}"),
    "numbers": ("Numbers in the file", None),
    "reported_megabytes": (f"MB {MARK}", "{:.1f}"),
    "milliseconds": ("ms per image", "{:.1f}"),
    "note": ("Note", None),
}
"""Heading and format of each column of the headline table, in order."""

# Grey and blue-green that let the page through: they must be seen on light and on dark. A shadow spares the bars.
LINES, BAR = "rgba(124, 135, 145, 0.35)", "rgba(53, 160, 184, 0.32)"
MARKED = "font-style: italic; box-shadow: inset 0 0 0 100rem rgba(124, 135, 145, 0.18)"
LOOKS = [
    {"selector": "", "props": "width: 100%; border-collapse: collapse; font-size: 0.875rem;"},
    {"selector": "th, td", "props": f"padding: 0.35rem 0.6rem; border-bottom: 1px solid {LINES}; text-align: left;"},
    {"selector": "th", "props": "font-weight: 600; vertical-align: bottom;"},
    {"selector": "td", "props": "vertical-align: top; font-variant-numeric: tabular-nums;"},
]  # fmt: skip
NARROW = [{"selector": "td", "props": "white-space: nowrap;"}]
TO_THE_RIGHT = [{"selector": "", "props": "text-align: right;"}]
BOX = '<div role="region" tabindex="0" aria-label="{label}" style="overflow-x: auto">{table}</div>'
"""On a narrow screen the table is pushed sideways, by keys as well."""


def headline(table: pd.DataFrame) -> None:
    """A table of `core.evaluation.tables.headline_table`: shares with bars, the majority line marked.

    Args:
        table: as it comes; columns that nobody has are left out.
    """
    shown = table.assign(
        interval=_shared.ranges(table, "accuracy"),
        numbers=["several formats" if "+" in str(numbers) else numbers for numbers in table["numbers"]],
    )
    columns = [name for name in COLUMNS if name == "note" or shown[name].notna().any()]
    bars = [name for name in BARS if name in columns]
    style = shown[columns].astype(dict.fromkeys(bars, float)).style.set_table_styles(NARROW + _pinned())
    style = style.set_table_styles({name: TO_THE_RIGHT for name in columns if name in COSTS}, overwrite=False)
    style = style.format({name: COLUMNS[name][1] for name in columns}, na_rep="", escape="html")
    style = style.bar(subset=bars, vmin=0, vmax=1, color=BAR, height=70).apply(_mark_majority, axis=1)
    style = style.format_index({name: COLUMNS[name][0] for name in columns}.get, axis="columns")
    _show(style, "headline", "Each model's accuracy, its interval and what the report says")


def corrections(choices: Sequence[Choice]) -> None:
    """What the report did and what is done here instead, side by side."""
    import pandas as pd

    rows = pd.DataFrame(
        [(choice.subject, choice.reported, choice.section, choice.ours) for choice in choices],
        columns=["", MARK.capitalize(), "Where", "Here"],
    )
    _show(
        rows.style.format(None, escape="html"),
        "corrections",
        "What the report did, and what is done here instead",
    )


def _pinned() -> list[dict[str, str]]:
    """The first column stays while the others are pushed beneath it; they would shine through without a colour."""
    if not st.context.theme.type:
        return []
    colour = st.get_option(f"theme.{st.context.theme.type}.backgroundColor")
    return [{"selector": "tr > :first-child", "props": f"position: sticky; left: 0; background: {colour};"}]


def _show(style: Styler, name: str, label: str) -> None:
    """The table under a name of its own, so that a rerun changes nothing."""
    style = style.hide(axis="index").set_uuid(name).set_table_styles(LOOKS, overwrite=False)
    st.html(BOX.format(label=label, table=style.to_html()))


def _mark_majority(row: pd.Series) -> list[str]:
    is_line = str(row["model"]).startswith("Always")
    return [MARKED if is_line else ""] * len(row)
