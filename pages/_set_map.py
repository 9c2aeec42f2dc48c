"""The dataset page's map: the test images as a model's embedding arranges them; a click opens one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.evaluation.predictions import Predictions
from core.figures.embedding import CLASS, COLOURINGS, CONFIDENCE, ERROR, PREDICTION, embedding_map
from core.lesions import CODES
from core.manifest import Manifest
from core.serving.projection import COMMAND, Projection, map_key, mapped_models, read_projection
from pages import _links, _set, _set_image, _shared
from pages._set import Shown

CLICKS = "map-clicks"
COLOUR_TITLES = {
    CLASS: "True class",
    PREDICTION: "What the model names",
    ERROR: "Right or wrong",
    CONFIDENCE: "Confidence",
}
TOOLS = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "svg", "filename": "dermdistill-map"},
}


@dataclass(frozen=True, eq=False)
class Answers:
    """What the model said of the map's images: (N,) class indices and (N,) confidences."""

    predicted: np.ndarray
    confidence: np.ndarray


def show_map(images: Shown) -> None:
    """The map, or which command makes it."""
    manifest = _shared.registry().manifest
    names = mapped_models(manifest)
    if manifest is None or not names:
        st.info(
            f"The map was not drawn yet. `{COMMAND}` draws it, with HAM10000 and the student at hand.",
            icon=":material/scatter_plot:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = _links.selectbox(
            "In the eyes of", _shared.in_order(names), 0, _shared.title, key="eyes", width=240
        )
        projection, answers = _read(manifest, name)
        colourings = COLOURINGS if answers else (CLASS,)
        colouring = _links.segmented_control(
            "Coloured by", colourings, COLOUR_TITLES.get, key="colour", wrap=True
        )
    if projection is None:
        return
    _draw(projection, answers, colouring)
    _shared.download(_table(projection, answers), "map.csv", "Positions and answers as CSV")


def _read(manifest: Manifest, name: str) -> tuple[Projection | None, Answers | None]:
    try:
        projection = _projection(manifest.files[manifest.shared[map_key(name)]].sha256, name, manifest)
    except UserError as error:
        st.warning(f"The map cannot be used: {_shared.plain_text(str(error))}")
        return None, None
    try:
        predictions = _shared.predictions(name)
    except UserError as error:
        st.caption(f":material/info: Only the classes can be shown: {_shared.plain_text(str(error))}")
        return projection, None
    answers = answers_of(projection, predictions, manifest.models[name].temperature)
    if answers is None:
        st.caption(":material/info: Only the classes can be shown: the model was evaluated on other images.")
    return projection, answers


@st.cache_resource(max_entries=4, show_spinner="Reading the map ...")
def _projection(sha256: str, name: str, _manifest: Manifest) -> Projection:
    return read_projection(_manifest, name)


def answers_of(projection: Projection, predictions: Predictions, temperature: float) -> Answers | None:
    """The model's answers in the map's order; None unless it answered every image."""
    order = np.argsort(predictions.image_id)
    rows = np.searchsorted(predictions.image_id, projection.image_id, sorter=order)
    rows = order[np.minimum(rows, len(order) - 1)] if len(order) else rows
    if not len(order) or (predictions.image_id[rows] != projection.image_id).any():
        return None
    shares = predictions.take(rows).probabilities(temperature)
    return Answers(shares.argmax(axis=1), shares.max(axis=1))


def _draw(projection: Projection, answers: Answers | None, colouring: str) -> None:
    # A new key after each click clears Plotly's selection, so that the same point can be clicked again.
    key = f"map-{st.session_state.get(CLICKS, 0)}"
    _shared.draw(
        embedding_map(
            projection.position, projection.image_id, projection.label,
            answers.predicted if answers else None, answers.confidence if answers else None,
            colouring=colouring, marked=_set_image.asked_for(), ink=_shared.ink(),
        ),
        config=TOOLS, key=key, on_select=lambda: take_click(key), selection_mode="points",
        alt=f"{len(projection.image_id):,} test images as points, coloured by {COLOUR_TITLES[colouring].lower()}",
    )  # fmt: skip
    wrong = ""
    if answers is not None:
        errors = int((answers.predicted != projection.label).sum())
        wrong = f" The model is wrong on {errors:,} of these {len(projection.label):,} images."
    st.caption(
        ":material/info: Each point is a test image; points that lie together look alike to the model. Distances "
        f"between groups, and their sizes, mean nothing (t-SNE).{wrong} Click a point to open its image."
    )


def take_click(key: str) -> None:
    """Open the image of the clicked point; a callback."""
    points = st.session_state[key].selection.points
    if points and points[0].get("customdata"):
        _set.open_image(str(points[0]["customdata"][0]))
        st.session_state[CLICKS] = st.session_state.get(CLICKS, 0) + 1


def _table(projection: Projection, answers: Answers | None) -> pd.DataFrame:
    codes = np.asarray(CODES)
    table = pd.DataFrame(
        {
            "image_id": projection.image_id,
            "x": projection.position[:, 0],
            "y": projection.position[:, 1],
            "true": codes[projection.label],
        }
    )
    if answers is not None:
        table = table.assign(named=codes[answers.predicted], confidence=answers.confidence)
    return table
