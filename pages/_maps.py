"""The prediction page's probabilities and maps: of one model large, of all of them side by side."""

from __future__ import annotations

import streamlit as st

from core.figures.probabilities import agreement_dots
from core.figures.verdict import probability_bars
from core.lesions import BY_CODE, CODES, INDEX
from core.numbers import percent
from core.serving.classifier import Diagnosis
from core.serving.overlay import COLOUR_MAPS, draw_overlay
from core.serving.panel import Reading
from pages import _links, _shared

LEADING = "leading"
NOT_PROOF = (
    "Where the model looked, not proof: a map shows what spoke for a class, not that the class is right."
)


def class_name(code: str) -> str:
    """What the chooser of a map calls a class."""
    return "the leading class" if code == LEADING else BY_CODE[code].name


@st.fragment
def show_maps(reading: Reading) -> None:
    """Probabilities of a model beside the original and the map of a class; a rerun of its own."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = _links.selectbox(
            "Model", [d.model for d in reading.diagnoses], 0, _shared.title, key="model", width=200
        )
        code = _links.selectbox("Map of", [LEADING, *CODES], 0, class_name, key="map", width=290)
        opacity = _links.slider("Opacity", 0, 100, 60, 5, "%d%%", key="opacity", width=220)
        colours = _links.selectbox("Colours", list(COLOUR_MAPS), key="colours", width=140)
    diagnosis = reading.of(model) or reading.diagnoses[0]
    chosen = diagnosis.label if code == LEADING else code
    bars, original, overlay = st.columns(3, gap="medium")
    with bars:
        st.markdown(f"**Calibrated probabilities** of {_shared.title(diagnosis.model)}")
        st.html(probability_bars(diagnosis.probabilities, chosen=chosen))
    original.image(reading.display, "Original", "stretch", alt="The original image")
    with overlay:
        draw(reading, diagnosis, chosen, opacity / 100, colours, f"Map of {BY_CODE[chosen].name}")
    st.caption(f":material/visibility: {NOT_PROOF} Each map is scaled to its own maximum.")
    if len(reading.diagnoses) > 1:
        show_side_by_side(reading, chosen, opacity / 100, colours)


def draw(
    reading: Reading, diagnosis: Diagnosis, code: str, opacity: float, colours: str, caption: str
) -> None:
    """One overlay, or the note on why there is none."""
    overlay = draw_overlay(
        reading.display,
        diagnosis.maps[INDEX[code]],
        opacity=opacity,
        colours=colours,
        label=BY_CODE[code].name,
    )
    if overlay.image is None:
        st.info(overlay.note)
        st.caption(caption)
    else:
        st.image(overlay.image, caption, "stretch", alt=f"{caption} over the original image")


def show_side_by_side(reading: Reading, code: str, opacity: float, colours: str) -> None:
    """All models' probabilities on one line per class, and their maps of one class; drawn when it is opened."""
    drawer = st.expander(
        "Models side by side",
        icon=":material/compare:",
        key="side-by-side",
        on_change="rerun",
        bind="query-params",
    )
    if not drawer.open:
        return
    with drawer:
        titles = {d.model: _shared.title(d.model) for d in reading.diagnoses}
        st.html(agreement_dots({d.model: d.probabilities for d in reading.diagnoses}, titles))
        st.caption("Marks that lie together agree. All probabilities are calibrated.")
        for column, diagnosis in zip(st.columns(len(reading.diagnoses)), reading.diagnoses, strict=True):
            with column:
                said = percent(float(diagnosis.probabilities[INDEX[code]]))
                draw(reading, diagnosis, code, opacity, colours, f"{titles[diagnosis.model]}: {said}")
        st.caption(f"Maps of {BY_CODE[code].name}. {NOT_PROOF}")
