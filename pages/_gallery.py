"""A list of test images with what a model says of each, and the pictures with maps where HAM10000 is at hand."""

from __future__ import annotations

import hashlib

import pandas as pd
import streamlit as st

from core.data.browse import in_words
from core.data.ham10000 import SYNTHETIC_PREFIX, Dataset
from core.errors import UserError
from core.evaluation.contestants import Contestant
from core.lesions import BY_CODE
from core.numbers import percent
from core.serving.looked import Panel, look
from core.serving.panel import fingerprint
from pages import _data, _shared

PER_PAGE = 6
COLUMNS = {
    "image_id": "Image",
    "lesion_id": "Lesion",
    "true": "True",
    "named": "Named",
    "confidence": st.column_config.ProgressColumn("Confidence", **_shared.PROBABILITY),
    "p_true": st.column_config.ProgressColumn("Of the true class", **_shared.PROBABILITY),
    "malignancy": st.column_config.ProgressColumn("Malignancy score", **_shared.SCORE),
    "age": st.column_config.NumberColumn("Age", format="%.0f"),
    "sex": "Sex",
    "localization": "Site",
    "dx_type": "Confirmed by",
}
NO_PICTURES = (
    "No pictures: they are HAM10000's and are not shipped. `python -m core data download` fetches them (2.8 GB); "
    "`DERMDISTILL_DATA` says where they lie."
)
NO_DRAWINGS = (
    "No pictures: these images were drawn by a program, and here photographs alone are shown. Under Dataset, Images, "
    "are those of a folder of drawn lesions."
)


def records() -> pd.DataFrame | None:
    """HAM10000's records, None where it is not at hand."""
    found = _data.dataset()
    return found.records if isinstance(found, Dataset) and not found.is_synthetic else None


@st.fragment
def show(model: Contestant, table: pd.DataFrame, key: str) -> None:
    """The images of `table`, as `core.evaluation.confusions.image_table` gives it: a table, a download, pictures.

    Args:
        model: whose answers these are.
        table: the surest answer first.
        key: of the widgets.
    """
    shown = _shared.probabilities(table, ["confidence", "p_true"])
    if "dx_type" in shown:  # the download keeps HAM10000's codes
        shown["dx_type"] = [in_words("dx_type", code) for code in shown["dx_type"]]
    st.dataframe(
        shown, hide_index=True, column_config=COLUMNS, placeholder="", key=f"{key}-table",
        height="content" if len(table) < 8 else 300, alt="Images with what the model says of each",
    )  # fmt: skip
    _shared.download(table, f"{key}-{model.name}.csv")
    if records() is None:
        are_drawn = table["image_id"].str.startswith(SYNTHETIC_PREFIX).all()
        st.info(NO_DRAWINGS if are_drawn else NO_PICTURES, icon=":material/image_not_supported:")
        return
    pages = -(-len(table) // PER_PAGE)
    page = 1
    if pages > 1:
        # Another list begins at its first page; by its key alone the pages would go on with the number.
        listed = hashlib.sha256("\n".join([model.name, *table["image_id"]]).encode()).hexdigest()[:12]
        page = st.pagination(pages, key=f"{key}-page-{listed}")
    st.caption(
        ":material/info: Each picture, then where the model found what speaks for the class that it named, and for the "
        "true one. Each map is scaled to its own maximum; it shows where the model looked, and proves nothing."
    )
    rows = list(table.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].itertuples())
    with st.spinner("Looking where the model looked ..."):
        for start in range(0, len(rows), 2):  # two beside each other, and on a phone still in their order
            for column, row in zip(st.columns(2, gap="medium"), rows[start : start + 2], strict=False):
                with column, st.container(border=True):
                    _card(model, row.image_id, row.true, row.named, row.confidence)


def _card(model: Contestant, image_id: str, true: str, named: str, confidence: float) -> None:
    verdict = (
        f"rightly named {BY_CODE[named].name}"
        if true == named
        else f"{BY_CODE[true].name}, named {BY_CODE[named].name}"
    )
    st.markdown(f"**{image_id}**: {verdict}, {percent(confidence)}")
    usable = _shared.registry().state(model.name).usable
    try:
        panels = _panels(image_id, model.name, fingerprint(_shared.registry()), usable, (named, true))
    except UserError as error:
        st.text(str(error))
        return
    grid = st.grid(len(panels), min_column_width=90, gap="xsmall")  # beside each other on a phone, too
    for panel in panels:
        grid.cell().image(
            panel.image, panel.caption, "stretch", output_format="JPEG", alt=f"{image_id}: {panel.caption}"
        )
    if not usable:
        st.caption(
            "No maps: this model's file is not here or was refused; the list above says which command makes it."
        )


@st.cache_data(max_entries=240, show_spinner=False)
def _panels(
    image_id: str, model: str, version: str, usable: bool, codes: tuple[str, ...]
) -> tuple[Panel, ...]:
    """Nobody's upload, so one cache serves all sessions; about 1 MB each.

    Raises:
        UserError: the picture cannot be shown. Of an error no cache is kept: the file may be mended at any time.
    """
    found = _data.dataset()
    if not isinstance(found, Dataset):
        raise UserError(found)
    panels = look(_shared.registry().get(model) if usable else None, found.read_bytes(image_id), codes)
    if isinstance(panels, str):
        raise UserError(panels)
    return panels
