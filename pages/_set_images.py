"""The dataset page's filters, which know of each other, and its gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from core.data.browse import (
    FACETS,
    ORDERS,
    SHUFFLED,
    Facet,
    Selection,
    chosen,
    facet_counts,
    in_order,
    in_words,
    values_of,
    with_split,
)
from core.data.splits import SPLITS
from core.data.summary import Counts
from core.figures.counts import value_bars
from core.serving.tables import to_csv
from core.text import counted
from pages import _downloads, _links, _set, _shared
from pages._set import Shown

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAGE = "gallery-page"
PER_PAGE = (8, 16, 24, 48)
SPLIT_TITLES = {"lesion": "By lesion (ours)", "report": "By image (the report's)"}
KEYS = {
    "dx": "dx",
    "dx_type": "confirmed",
    "sex": "sex",
    "age_band": "age",
    "localization": "site",
    "part": "part",
}
"""Facet -> the name of its filter in the address."""

LEAKS = "leaks"


def pick_split(key: str = "split") -> str:
    """One of the two splits."""
    return _links.segmented_control("Split", SPLITS, SPLIT_TITLES.get, key=key, on_change=to_first_page)


def show_images(images: Shown) -> None:
    """Filters, then the gallery, then what the selection consists of."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = pick_split()
        leaking = st.toggle(
            "Only lesions that the report's split leaks", key=LEAKS, bind="query-params", on_change=to_first_page
        )  # fmt: skip
    table = with_split(images.table, split)
    if leaking:
        table = table[table["leaks"]]
    grid = st.grid(len(FACETS), min_column_width=150, gap="xsmall")
    selection = {facet.column: _filter(grid, table, facet) for facet in FACETS}
    found = table[chosen(table, selection)]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(
            f"**{len(found):,} of {len(images.table):,} images**, {counted(found['lesion_id'].nunique(), 'lesion')}"
            + (", all drawn by a program" if images.synthetic else "")
        )
        st.button(
            "Clear the filters", on_click=clear, icon=":material/filter_alt_off:", key="clear",
            disabled=not leaking and not any(selection.values()),
        )  # fmt: skip
    if found.empty:
        st.info("No image fits all of these: take one of the filters away.")
    else:
        show_gallery(images, found)
    show_facets(table, selection)
    columns = ["image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization"]
    parts = [f"part_{name}" for name in SPLITS]
    _downloads.offer(
        "Records of these images as CSV", lambda: to_csv(found[[*columns, *parts]]), "images.csv", "text/csv",
        key="csv-images", icon=":material/download:",
    )  # fmt: skip


def _filter(grid: Any, table: pd.DataFrame, facet: Facet) -> list[str]:
    with grid.cell():
        return _links.multiselect(
            facet.title, values_of(table, facet.column), lambda value: in_words(facet.column, value),
            key=KEYS[facet.column], placeholder="all", on_change=to_first_page,
        )  # fmt: skip


def to_first_page() -> None:
    """What fits a new filter is read from its beginning; a widget's callback."""
    if PAGE in st.session_state:
        st.session_state[PAGE] = 1


def clear() -> None:
    """Take all filters away; a button's callback."""
    for key in KEYS.values():
        st.session_state[key] = []
    st.session_state[LEAKS] = False
    to_first_page()


def show_gallery(images: Shown, found: pd.DataFrame) -> None:
    """One page of thumbnails."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = _links.selectbox("Order", ORDERS, ORDERS.index(SHUFFLED), key="order", width=180)
        # Drawing costs more than reading.
        many = _links.selectbox(
            "A page has", PER_PAGE, 2 if images.live else 0, lambda n: f"{n} images", key="many", width=150,
            on_change=to_first_page,
        )  # fmt: skip
    pages = -(-len(found) // many)
    with st.container(horizontal=True, vertical_alignment="center"):
        _links.say_what_is_out_of_range(PAGE, 1, pages)
        page = st.pagination(pages, key=PAGE, bind="query-params")
        st.caption(f"Page {page:,} of {pages:,}")
    ordered = in_order(found, order)
    _set.cards(
        images, ordered.iloc[(page - 1) * many : page * many],
        lambda row: f"{_set.swatch(row.dx)} {row.dx} · {row.part}", "open",
    )  # fmt: skip
    images.thumbnails.prepare(list(ordered["image_id"].iloc[page * many : (page + 1) * many]))
    st.caption(
        ":material/info: Class and part of the split. "
        + " · ".join(
            f"{_set.swatch(code)} **{code}** {in_words('dx', code)}" for code in values_of(found, "dx")
        )
    )


def show_facets(table: pd.DataFrame, selection: Selection) -> None:
    """How the images that fit divide, by each thing that can be filtered by."""
    st.subheader("What these images are")
    grid = st.grid("auto", min_column_width=300, gap="medium")
    rows = []
    for facet in FACETS:
        counts = facet_counts(table, selection, facet.column)
        totals = {value: sum(by.values()) for value, by in facet_counts(table, {}, facet.column).items()}
        # Names of classes would leave no room for the bars; the gallery above says them.
        labels = {v: v if facet.column == "dx" else in_words(facet.column, v) for v in counts}
        with grid.cell():
            st.markdown(f"**{facet.title}**")
            _shared.chart(
                _bars(counts, labels, selection[facet.column], totals, _shared.ink()),
                key=f"facet-{KEYS[facet.column]}",
                alt="; ".join(f"{labels[v]}: {sum(by.values()):,}" for v, by in counts.items()),
            )  # fmt: skip
        rows += [{"by": facet.title, "value": value, **by} for value, by in counts.items()]
    st.caption(
        ":material/info: Images by value and class, in the classes' colours; the grey bar behind is all of them. Each "
        "figure follows all filters but its own, so a bar says how many images choosing it would give."
    )
    _shared.download(pd.DataFrame(rows), "selection.csv", "These counts as CSV")


@st.cache_resource(max_entries=256, show_spinner=False)
def _bars(
    counts: Counts, labels: dict[str, str], marked: list[str], totals: dict[str, int], ink: str
) -> go.Figure:
    """`value_bars`, drawn once for the same counts: turning a page or opening an image changes none of them."""
    return value_bars(counts, labels, marked=marked, totals=totals, ink=ink)
