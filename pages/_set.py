"""The dataset page's set of images: HAM10000 where it is at hand, otherwise synthetic lesions drawn when looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.data.browse import SHUFFLED, browsable, fingerprint, in_order
from core.data.findings import DatasetError
from core.data.ham10000 import Dataset
from core.data.summary import COMMAND, KEY, Summary, parse_summary, summarise
from core.data.synthetic import SYNTHETIC_NOTICE
from core.data.synthetic.on_demand import drawn_set
from core.data.thumbnails import Thumbnails, of_pixels, thumbnail
from core.errors import UserError
from core.lesions import BY_CODE
from core.manifest import Manifest
from pages import _data, _shared

IMAGE = "image"
"""The name in the address of the image that is opened."""

DRAWN = "drawn"
FIRST = 8
"""Drawn pictures that are made before anybody asks: the gallery's first page."""

HOW_TO_GET_IT = (
    "`python -m core data download` fetches HAM10000 (2.8 GB, Harvard Dataverse, CC BY-NC 4.0); a copy that you have "
    "is used with `DERMDISTILL_DATA=/path/to/it`."
)


@dataclass(frozen=True, eq=False)
class Shown:
    """The images that the page shows.

    Attributes:
        key: of caches; changes with the images.
        table: as `core.data.browse.browsable` makes it, sorted by image id.
        read_bytes: image id -> its file.
        thumbnails: of these images.
        synthetic: whether a program drew them.
        live: whether they lie in the data folder.
        knows_lesions: whether it is known which images are of one lesion.
    """

    key: str
    table: pd.DataFrame
    read_bytes: Callable[[str], bytes]
    thumbnails: Thumbnails
    synthetic: bool
    live: bool
    knows_lesions: bool = True

    def record(self, image_id: str) -> pd.Series | None:
        """An image's row; None where the set has no such image."""
        place = int(self.table["image_id"].searchsorted(image_id))
        if place < len(self.table) and self.table["image_id"].iloc[place] == image_id:
            return self.table.iloc[place]
        return None


def shown() -> Shown:
    """The set, read once for each state of the data folder."""
    found = _data.dataset()
    return _of_folder(fingerprint(found), found) if isinstance(found, Dataset) else _of_nothing()


@st.cache_resource(max_entries=2, show_spinner="Reading and splitting the dataset's records ...")
def _of_folder(key: str, _dataset: Dataset) -> Shown:
    return Shown(
        key,
        browsable(_dataset.records.sort_values("image_id")),
        _dataset.read_bytes,
        Thumbnails(lambda image_id: thumbnail(_dataset.read_bytes(image_id), image_id)),
        synthetic=_dataset.is_synthetic,
        live=True,
        knows_lesions=_dataset.metadata is not None,
    )


@st.cache_resource(show_spinner="Planning a synthetic set ...")
def _of_nothing() -> Shown:
    drawn = drawn_set()
    table = browsable(drawn.records.sort_values("image_id"))
    thumbnails = Thumbnails(lambda image_id: of_pixels(drawn.preview(image_id), image_id))
    thumbnails.prepare(list(in_order(table, SHUFFLED)["image_id"][:FIRST]))
    return Shown(DRAWN, table, drawn.read_bytes, thumbnails, synthetic=True, live=False)


def counts(images: Shown) -> tuple[Summary, str]:
    """The counts to show, and in a sentence whose they are: of the set at hand, else HAM10000's as shipped."""
    if images.live:
        whose = "the synthetic images in the data folder" if images.synthetic else "HAM10000, at hand"
        return _counts(images.key, images.synthetic, images.table), f"Counts of {whose}."
    try:
        if (found := _shipped_counts()) is not None:
            return found, "Counts of HAM10000, as shipped."
    except UserError as error:
        st.warning(f"The shipped counts are left out: {_shared.plain_text(str(error))}")
    return (
        _counts(images.key, images.synthetic, images.table),
        f"Counts of the synthetic set alone: HAM10000's are not among the artifacts; with it at hand `{COMMAND}` "
        "makes them.",
    )


def _shipped_counts() -> Summary | None:
    """HAM10000's counts as they are shipped; None where none are listed.

    Raises:
        UserError: they are listed and cannot be read.
    """
    manifest = _shared.registry().manifest
    relative = manifest.shared.get(KEY) if manifest else None
    if manifest is None or relative is None:
        return None
    return _shipped(manifest.files[relative].sha256, manifest)


@st.cache_data(max_entries=2, show_spinner="Counting ...")
def _counts(key: str, synthetic: bool, _table: pd.DataFrame) -> Summary:
    plain = {column: _table[column].astype(object) for column in ("dx", "dx_type", "sex", "localization")}
    return summarise(_table.assign(**plain), synthetic)


@st.cache_data(max_entries=2, show_spinner=False)
def _shipped(sha256: str, _manifest: Manifest) -> Summary:
    relative = _manifest.shared[KEY]
    return parse_summary(_manifest.read(relative), relative)


def say_which(images: Shown) -> None:
    """What the page shows, and how to get what it lacks."""
    if not images.knows_lesions:
        st.warning(
            "**No metadata file beside the class folders.** Nobody knows which images are of one lesion, so every "
            "image counts as a lesion of its own here, and the parts below are not those of the models' training. "
            "Put HAM10000_metadata.csv beside the folders.",
            icon=":material/rule_folder:",
        )
    if images.live and not images.synthetic:
        return
    if images.live:
        st.info(SYNTHETIC_NOTICE, icon=":material/science:")
        return
    try:
        has_counts = _shipped_counts() is not None
    except UserError:
        has_counts = False  # the views that count say why
    shown_here = (
        "Counts of classes and splits are those shipped with the models; every picture, and all that is under Images, "
        "is"
        if has_counts
        else "Every picture and every count of classes and splits is"
    )
    st.info(
        f"**HAM10000 is not at hand.** {shown_here} of a synthetic set in its place. {HOW_TO_GET_IT}",
        icon=":material/cloud_download:",
    )
    with st.expander("Why it was not found"):
        st.text(str(_data.dataset()))


def file_of(images: Shown, image_id: str) -> bytes | str:
    """An image's file, or why there is none."""
    try:
        return _file(images.key, image_id, images)
    except UserError as error:
        return str(error)


@st.cache_data(max_entries=32, show_spinner="Fetching the image ...")
def _file(key: str, image_id: str, _images: Shown) -> bytes:
    if _images.record(image_id) is None:
        raise DatasetError(f"expected an image of this set, found {image_id!r}")
    return _images.read_bytes(image_id)


def swatch(code: str) -> str:
    """A square of a class's colour, for Markdown."""
    return f':color[■]{{foreground="{BY_CODE[code].colour}"}}'


def open_image(image_id: str) -> None:
    """Have the page open an image; a widget's callback."""
    st.query_params[IMAGE] = image_id


def cards(images: Shown, rows: pd.DataFrame, captions: Callable[[Any], str], prefix: str) -> None:
    """Thumbnails that can be opened.

    Args:
        images: the set.
        rows: of its table.
        captions: row -> the line under its picture, Markdown.
        prefix: of the buttons' keys, different for every list on the page.
    """
    with st.spinner("Drawing the pictures ..." if not images.live else "Fetching the pictures ..."):
        pictures = images.thumbnails.get(list(rows["image_id"]))
    grid = st.grid("auto", min_column_width=150, gap="xsmall")
    for row, picture in zip(rows.itertuples(), pictures, strict=True):
        with grid.cell():
            if isinstance(picture, str):
                st.text(picture)
            else:
                st.image(picture, width="stretch", alt=f"{BY_CODE[row.dx].name}, {row.image_id}")
            st.markdown(f":small[{captions(row)}]")
            st.button(
                row.image_id, key=f"{prefix}-{row.image_id}", on_click=open_image, args=(row.image_id,),
                icon=":material/open_in_full:", type="tertiary",
            )  # fmt: skip
