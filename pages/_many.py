"""The prediction page's table of many images, and what a person takes away of them."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.serving.overview import legend, models_of, most_suspicious_first, overview, overview_csv, thumbnail
from core.serving.panel import Reading
from core.serving.report import BATCH_FILE, batch_report
from core.serving.tables import neutralise
from pages import _downloads, _memory, _shared
from pages._images import Item

COLUMNS = ["picture", "image", "suspicious", "diagnosis", "confidence", "malignancy", "verdict", "reason"]

FIRST = "first-row"
"""The key of the session's state with the row that the table began with: were it told another, it would begin anew."""

ROW_HEIGHT, HEADER_HEIGHT, ROWS_SHOWN = 56, 40, 12
"""In pixels, of a row with its picture and of the table's head; more rows than these are scrolled."""


def pick(items: list[Item], readings: list[Reading]) -> int:
    """The table of many readings; the chosen row, at first the most suspicious one."""
    if len(readings) == 1:
        return 0
    table = overview(readings)
    table["image"] = table["image"].map(neutralise)  # the table has a CSV button of its own
    table["suspicious"] = table["suspicious"].where(table["diagnosis"].notna(), "not judged")
    table.insert(0, "picture", [thumbnail(reading.display) for reading in readings])
    worst = readings.index(most_suspicious_first(readings)[0])
    hashes = [item.sha256 for item in items]
    opened, key = st.session_state.get(_memory.OPENED_HERE), "table-" + "-".join(one[:8] for one in hashes)
    if key not in st.session_state:  # a table of other images, in which the one that was open is opened again
        st.session_state[FIRST] = hashes.index(opened) if opened in hashes else worst
    first = st.session_state[FIRST]
    event = st.dataframe(
        _shared.probabilities(table, ["confidence"]),
        hide_index=True,
        column_order=COLUMNS,
        column_config={
            "picture": st.column_config.ImageColumn("", width=70),
            "image": st.column_config.TextColumn("Image", width=150),
            "verdict": st.column_config.TextColumn("Verdict", width=150),
            "diagnosis": st.column_config.TextColumn("Diagnosis", width=240),
            "confidence": st.column_config.ProgressColumn("Confidence", width=130, **_shared.PROBABILITY),
            "malignancy": st.column_config.ProgressColumn("Malignancy score", width=130, **_shared.SCORE),
            "suspicious": st.column_config.TextColumn("Suspicious", width=90),
            "reason": st.column_config.TextColumn("Reason", width=360),
        },
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * min(len(readings), ROWS_SHOWN) + HEADER_HEIGHT,
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [first]}},
        key=key,
        alt="One row for each image: verdict, leading diagnosis, confidence and malignancy score",
    )
    titles = {model: _shared.title(model) for models in models_of(readings) for model in models}
    leads = list(dict.fromkeys(titles[reading.lead.model] for reading in readings if reading.lead))
    said = f"What {' or '.join(leads)} says of each. " if leads else ""
    st.caption(
        f"{said}{legend(readings, titles)} Click a column's name to sort by it; tick a row's box to open it below."
    )
    with st.container(horizontal=True):
        _downloads.offer(
            "Table as CSV", partial(overview_csv, readings), "predictions.csv", "text/csv", icon=":material/download:",
            key="csv-many",
        )  # fmt: skip
        registry = _shared.registry()
        _downloads.offer(
            "Report on all as HTML", lambda: batch_report(registry, readings), BATCH_FILE, "text/html",
            icon=":material/print:", key="report-many",
        )  # fmt: skip
    rows = event.selection.rows
    chosen = rows[0] if rows else first
    # The most suspicious one is nobody's choice, and gives way to one that is more so.
    if chosen != worst or opened in hashes:
        st.session_state[_memory.OPENED_HERE] = hashes[chosen]
    return chosen
