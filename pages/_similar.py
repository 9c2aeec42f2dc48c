"""The prediction page's similar lesions: what the model has learned from that is like the image."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.data.browse import fingerprint as fingerprint_of
from core.data.ham10000 import Dataset
from core.errors import UserError
from core.lesions import BY_CODE
from core.serving.looked import look
from core.serving.panel import Reading, fingerprint
from core.serving.similar import COMMAND, MOST, SimilarLesion, SimilarUnavailable, describe, similar_to
from core.serving.wording import as_sentence
from pages import _data, _shared
from pages._images import Item

COUNT = 5


def find(item: Item, reading: Reading) -> tuple[SimilarLesion, ...] | str:
    """The nearest lesions, with what HAM10000 records of them where it is at hand; a sentence where there are none."""
    models = tuple(diagnosis.model for diagnosis in reading.diagnoses)
    try:
        found = _find(item.sha256, models, fingerprint(_shared.registry()), item, reading)
    except SimilarUnavailable as error:
        said = as_sentence(f"The index of lesions cannot be used: {_shared.plain_text(str(error))}")
        return f"{said} `{COMMAND}` makes it."
    if found is None:
        return f"Similar lesions need an index of those that the model learned from: `{COMMAND}` makes it."
    dataset = _data.dataset()
    return describe(found, dataset.records) if _is_real(dataset) else found


@st.cache_data(scope="session", max_entries=64, show_spinner=False)
def _find(
    sha256: str, models: tuple[str, ...], version: str, _item: Item, _reading: Reading
) -> tuple[SimilarLesion, ...] | None:
    return similar_to(_shared.registry(), _reading.diagnoses, _item.data, COUNT)


def forget() -> None:
    """Let go of what this visit has found."""
    _find.clear()


def _is_real(dataset: Dataset | str) -> bool:
    return isinstance(dataset, Dataset) and not dataset.is_synthetic


def show(found: tuple[SimilarLesion, ...] | str) -> None:
    """Pictures where the dataset is at hand, the records as a table otherwise."""
    st.subheader("Similar lesions")
    if isinstance(found, str):
        st.caption(f":material/info: {found}")
        return
    pictures = [picture(lesion.image_id) for lesion in found]
    if any(shown is not None for shown in pictures):
        grid = st.grid(max(len(found), 1), min_column_width=140, gap="small")
        for lesion, shown in zip(found, pictures, strict=True):
            with grid.cell():
                if shown is not None:
                    st.image(shown, words(lesion), "stretch", output_format="JPEG", alt=words(lesion))
                else:
                    st.caption(f"{words(lesion)} (its picture is not in this folder)")
    else:
        rows = [
            {"Image": x.image_id, "Diagnosis": BY_CODE[x.dx].name, "Similarity": min(x.similarity, MOST)}
            for x in found
        ]
        share = st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.2f")
        st.dataframe(
            pd.DataFrame(rows), hide_index=True, column_config={"Similarity": share}, key="similar-table", width=640,
            alt="The most similar lesions",
        )  # fmt: skip
        st.caption(
            "Pictures, age, sex and site are HAM10000's and are shown where it is at hand (DERMDISTILL_DATA)."
        )
    if found:
        _say_how(_shared.plain_text(_shared.title(found[0].model)))


def _say_how(model: str) -> None:
    st.caption(
        f":material/info: Of the lesions that {model} learned from, those whose features in its eyes are most like "
        f"this image's, each with its recorded diagnosis. 1 is the same picture, 0 nothing in common. Lesions that "
        f"look alike to {model} may be different diseases."
    )


def words(lesion: SimilarLesion) -> str:
    """A lesion's record in a line."""
    record = [
        f"{lesion.age:.0f} years" if lesion.age is not None else "",
        lesion.sex or "",
        lesion.site or "",
    ]
    known = ", ".join(part for part in record if part)
    said = f"{BY_CODE[lesion.dx].name}, similarity {lesion.similarity_in_words}"
    return f"{said}; {known}" if known else said


def picture(image_id: str) -> object | None:
    """A training image, small; None where it is not at hand."""
    dataset = _data.dataset()
    if not _is_real(dataset):
        return None
    try:
        return _picture(fingerprint_of(dataset), image_id, dataset)
    except UserError:
        return None


@st.cache_data(max_entries=200, show_spinner=False)
def _picture(key: str, image_id: str, _dataset: Dataset) -> object:
    """Nobody's upload, so one cache serves all sessions; of an error none is kept, since the file may be mended."""
    panels = look(None, _dataset.read_bytes(image_id), ())
    if isinstance(panels, str):
        raise UserError(panels)
    return panels[0].image
