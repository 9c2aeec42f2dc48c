"""The prediction page's research drawer: slow explanations by tf-keras-vis, loaded only when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.data.pixels import to_input
from core.errors import UserError
from core.lesions import BY_CODE, CODES, INDEX
from core.serving.intake import Rejection, read_image
from core.serving.overlay import draw_overlay
from core.serving.panel import Reading
from pages import _links, _shared
from pages._images import Item
from pages._maps import LEADING, class_name

if TYPE_CHECKING:
    import keras

METHODS = {
    "grad-cam++": "Grad-CAM++",
    "score-cam": "Score-CAM",
    "smoothgrad": "SmoothGrad",
    "saliency": "Saliency",
    "grad-cam": "Grad-CAM",
}
"""Keys of `core.networks.oracle.METHODS`, which itself imports tensorflow."""


@st.fragment
def show_research(item: Item, reading: Reading) -> None:
    """The drawer; a rerun of its own."""
    drawer = st.expander(
        "Research: other explanations", icon=":material/science:", on_change="rerun", key="research"
    )
    if not drawer.open:
        return
    with drawer:
        st.markdown(
            "Other methods on the Keras network, one class at a time. They take seconds; opening this loads "
            "TensorFlow, which takes some more the first time."
        )
        models = with_weights(reading)
        if not models:
            st.info(
                "None of the models that answered has Keras weights here: `python -m core train` and "
                "`python -m core distill` make them."
            )
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            model = st.selectbox(
                "Network", list(models), format_func=_shared.title, key="research-model", width=220
            )
            code = _links.selectbox(
                "Class", [LEADING, *CODES], 0, class_name, key="research-class", width=290
            )
        methods = st.pills(
            "Methods", list(METHODS), default=["grad-cam++"], selection_mode="multi", format_func=METHODS.get,
            key="methods",
        )  # fmt: skip
        chosen = models[model] if code == LEADING else code
        columns = st.columns(3, gap="medium")
        for place, method in enumerate(methods):
            with columns[place % 3]:
                _show(item, reading, model, chosen, method)
        st.caption(
            ":material/visibility: Where a method finds what speaks for a class; no proof, and methods differ."
        )


def with_weights(reading: Reading) -> dict[str, str]:
    """Models that answered and have Keras weights, or whose parent has: name -> the class that it leads with.

    A parent that answered as well leads with its own class, and otherwise with that of the variant which was asked.
    """
    manifest = _shared.registry().manifest
    found: dict[str, str] = {}
    for diagnosis in [one for each in reading.diagnoses for one in (each, *each.members)]:
        entry = manifest.models.get(diagnosis.model) if manifest else None
        for name in (diagnosis.model, entry.parent if entry else None):
            if manifest and name in manifest.models and "weights" in manifest.models[name].files:
                if name == diagnosis.model or name not in found:
                    found[name] = diagnosis.label
                break
    return found


def _show(item: Item, reading: Reading, model: str, code: str, method: str) -> None:
    name = BY_CODE[code].name
    try:
        layer = _explain(item.sha256, model, _hash(model), code, method, item.data)
    except UserError as error:
        st.error(str(error))
        return
    overlay = draw_overlay(reading.display, layer, opacity=0.7, label=name)
    words = f"{METHODS[method]} of {name}"
    if overlay.image is None:
        st.info(f"{METHODS[method]}: {overlay.note}")
    else:
        st.image(overlay.image, words, "stretch", alt=f"{words} over the original image")
    st.caption(_about(method))


def _hash(model: str) -> str:
    manifest = _shared.registry().manifest
    return manifest.files[manifest.models[model].files["weights"]].sha256 if manifest else ""


def _about(method: str) -> str:
    from core.networks.oracle import METHODS as ORACLES

    return f"{ORACLES[method].note} {ORACLES[method].source}."


@st.cache_data(scope="session", max_entries=32, show_spinner="Computing the explanation ...")
def _explain(sha256: str, model: str, weights: str, code: str, method: str, _data: bytes) -> np.ndarray:
    network = _network(model, weights)
    from core.networks.oracle import explain

    upload = read_image(_data)
    if isinstance(upload, Rejection):
        raise UserError(upload.reason)
    return explain(network, to_input(upload.pixels), INDEX[code], method)


def forget() -> None:
    """Let go of this visit's explanations."""
    _explain.clear()


@st.cache_resource(max_entries=2, show_spinner="Loading TensorFlow and the network ...")
def _network(model: str, weights: str) -> keras.Model:
    from core.networks.trained import load_trained

    manifest = _shared.registry().manifest
    if manifest is None:
        raise UserError("expected trained models, found none")
    return load_trained(manifest, model)
