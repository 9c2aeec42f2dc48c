"""The confusion page's matrices: of one model or two beside each other, their difference, and a cell's images."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.evaluation.confusions import (
    cell_rows,
    column_shares,
    image_table,
    matrix_of,
    matrix_table,
    row_shares,
)
from core.evaluation.contestants import Contestant
from core.evaluation.predictions import Predictions
from core.figures.confusion import confusion_difference, confusion_matrix
from core.lesions import BY_CODE, CODES, INDEX
from pages import _gallery, _links, _shared

COUNTS, ROWS, COLUMNS = SHOWN = ("Counts", "Shares of the true class", "Shares of what is named")
NO_CELL = "none"
TRUE, NAMED, WHOSE = "true", "named", "whose"
MATRIX = "matrix-"
DIFFERENCE = f"{MATRIX}difference"
CLICK = "Click a cell to see its images, or choose its two classes."


@st.fragment
def show_matrices(found: list[tuple[Contestant, Predictions]]) -> None:
    """One matrix, or two and their difference; then the images of the chosen cell. A rerun of its own."""
    shown = _links.segmented_control("Cells show", SHOWN, key="cells")
    matrices = {model.title: matrix_of(predictions) for model, predictions in found}
    of = "what the model names so" if shown == COLUMNS else "the true class"
    shares = {t: column_shares(m) if shown == COLUMNS else row_shares(m) for t, m in matrices.items()}
    chosen = chosen_cell()
    for column, (model, _) in zip(
        st.columns([1, 1] if len(found) > 1 else [3, 2], gap="medium"), found, strict=False
    ):
        with column:
            st.markdown(f"**{_shared.plain_text(model.title)}**")
            matrix = matrices[model.title]
            _clickable(
                confusion_matrix(
                    matrix, shares[model.title], as_counts=shown == COUNTS, share_of=of, chosen=chosen,
                    ink=_shared.ink(),
                ),
                f"{MATRIX}{model.name}",
                f"{model.title}: {int(np.trace(matrix)):,} of {int(matrix.sum()):,} images named rightly",
            )  # fmt: skip
    unit = "images" if shown == COUNTS else f"per cent of {of}"
    st.caption(
        f":material/info: A row is a true class, a column what the model named; numbers are {unit}, and bright "
        f"cells hold much of {of}. The diagonal is right. {CLICK}"
    )
    st.caption(" · ".join(f"**{code}** {BY_CODE[code].name}" for code in CODES))
    if len(found) > 1:
        titles = (found[0][0].title, found[1][0].title)
        with st.columns([3, 2])[0]:
            _show_difference(titles, matrices if shown == COUNTS else shares, shown == COUNTS, chosen)
    _shared.download(matrix_table(matrices), "confusion.csv", "Matrices as CSV")
    show_cell(found)


def _show_difference(
    titles: tuple[str, str], values: dict[str, np.ndarray], as_counts: bool, chosen: tuple[str, str] | None
) -> None:
    st.markdown(f"**{_shared.plain_text(titles[0])} minus {_shared.plain_text(titles[1])}**")
    difference = values[titles[0]].astype(float) - values[titles[1]]
    more, less = (_shared.plain_text(title) for title in titles)
    _clickable(
        confusion_difference(
            difference, as_counts=as_counts, titles=titles, chosen=chosen, ink=_shared.ink()
        ),
        DIFFERENCE,
        f"Difference of the two matrices, {titles[0]} minus {titles[1]}",
    )
    unit = "images" if as_counts else "points of 100"
    st.caption(
        f":material/info: Orange: {more} has more, violet: {less} has; in {unit}. "
        "On the diagonal more is better, elsewhere it is worse."
    )


def _clickable(figure: Any, key: str, alt: str) -> None:
    """A figure whose cells can be chosen; a click on one of them fills the two selectboxes."""
    tools = _shared.FIGURE_TOOLS | {
        "toImageButtonOptions": {"format": "svg", "filename": f"dermdistill-{key}"}
    }
    _shared.draw(
        figure, config=tools, key=key, alt=alt, on_select=lambda: take_click(key), selection_mode="points"
    )


def take_click(key: str) -> None:
    """Choose the cell that was clicked; a second click on it, which clears Plotly's selection, keeps it."""
    points = st.session_state[key].selection.points
    if points and points[0]["y"] in CODES and points[0]["x"] in CODES:
        st.session_state[TRUE], st.session_state[NAMED] = points[0]["y"], points[0]["x"]
        if key != DIFFERENCE:  # which is of both, and leaves whose images are listed as it is
            st.session_state[WHOSE] = key.removeprefix(MATRIX)


def chosen_cell() -> tuple[str, str] | None:
    """(true, named) as clicked, chosen or in the address; None where no cell is chosen."""
    asked = (_asked(TRUE), _asked(NAMED))
    return asked if asked[0] in CODES and asked[1] in CODES else None


def _asked(key: str) -> str:
    """What the selectbox beneath the figures holds, or will hold once it has read the address."""
    if key in st.session_state:
        return st.session_state[key]
    words = str(st.query_params.get(key, ""))
    return next((code for code in CODES if words in (code, _name(code))), NO_CELL)


def _name(code: str) -> str:
    return "choose a class" if code == NO_CELL else BY_CODE[code].name


def show_cell(found: list[tuple[Contestant, Predictions]]) -> None:
    """The images of one cell, of every model that stands above."""
    st.subheader("Images of a cell")
    options = [NO_CELL, *CODES]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        true = _links.selectbox("True class", options, 0, _name, key=TRUE, width=300)
        named = _links.selectbox("Named by the model", options, 0, _name, key=NAMED, width=300)
    if NO_CELL in (true, named):
        st.info(CLICK, icon=":material/touch_app:")
        return
    model, predictions = found[0]
    if len(found) > 1:
        by_name = {m.name: (m, p) for m, p in found}
        name = _links.segmented_control("Whose cell", list(by_name), lambda n: by_name[n][0].title, key=WHOSE)
        model, predictions = by_name[name]
    rows, title = cell_rows(predictions, true, named), _shared.plain_text(model.title)
    if not len(rows):
        st.info(f"{title} names no {BY_CODE[true].name} “{BY_CODE[named].name}”: the cell is empty.")
        return
    whole = int((predictions.label == INDEX[true]).sum())
    st.markdown(
        f"{title} names {len(rows):,} of {whole:,} images of {BY_CODE[true].name} “{BY_CODE[named].name}”, the surest "
        "first:"
    )
    table = image_table(predictions, model.temperature, rows, _gallery.records())
    _gallery.show(model, table, f"cell-{true}-{named}")
