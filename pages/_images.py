"""The prediction page's images: uploaded, pasted, photographed, or a sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import streamlit as st

from core.data.samples import SYNTHETIC_SEEDS
from core.lesions import BY_CODE, CODES
from core.serving.offered import first_kept
from core.settings import MAX_FILES, MAX_UPLOAD_BYTES
from pages import _data, _links, _shared

TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "dcm"]
UPLOAD, PASTE, CAMERA, SAMPLE = SOURCES = ("Upload", "Paste", "Camera", "Sample")
SYNTHETIC, TEST = "Synthetic lesion", "HAM10000 test image"
PASTED = "pasted-images"


@dataclass(frozen=True)
class Item:
    """One image to read: its name, its bytes, and for a sample what it is."""

    name: str
    data: bytes
    notice: str | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, which caches key on."""
        return hashlib.sha256(self.data).hexdigest()


def gather(source: str) -> list[Item]:
    """The images that the chosen source gives."""
    if source == CAMERA:
        st.caption(":material/info: Without a camera, or without leave to use it, take Upload.")
        photo = st.camera_input("A photograph through a dermatoscope", key="camera", width=560)
        return [Item("photograph.jpg", photo.getvalue())] if photo else []
    if source == SAMPLE:
        return gather_sample()
    if source == PASTE:
        return gather_pasted()
    files = st.file_uploader(
        "Dermatoscopic images: drop one or many, or choose them",
        TYPES,
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_BYTES >> 20,
        key="upload",
    )
    st.caption(
        f":material/info: A file marked red was not taken: at most {MAX_UPLOAD_BYTES >> 20} MB each; "
        f"{', '.join(TYPES)}. Leaving this page or choosing another source removes the files. A DICOM file without an "
        "ending needs `.dcm` after its name."
    )
    return _limited([Item(file.name, file.getvalue()) for file in files[: MAX_FILES + 1]], len(files))


def _limited(items: list[Item], found: int) -> list[Item]:
    """At most as many as a page reads, and word of it where that leaves some out."""
    if found > MAX_FILES:
        st.warning(
            f"Expected at most {MAX_FILES} images at once, found {found}: the first {MAX_FILES} are read."
        )
    return items[:MAX_FILES]


def gather_pasted() -> list[Item]:
    """Images from the clipboard; the field is the one of Streamlit's that takes them."""
    with st.container():  # within a container it stays here, instead of at the page's foot
        sent = st.chat_input(
            "Click here, paste an image (Ctrl+V or ⌘V), press Enter",
            accept_file="multiple",
            file_type=TYPES,
            max_upload_size=MAX_UPLOAD_BYTES >> 20,
            key="paste",
        )
    if sent and sent.files:
        _take_pasted([file.getvalue() for file in sent.files], [file.name for file in sent.files])
    elif sent:
        st.info("Only text came: copy the image itself, not its address.")
    items = st.session_state.get(PASTED, [])
    if items and st.button("Forget the pasted images", icon=":material/delete:"):
        del st.session_state[PASTED]
        st.rerun()
    return _limited(items, len(items))


def _take_pasted(pasted: list[bytes], names: list[str]) -> None:
    """Put pictures beside those that were pasted before. Clipboards call each of them image.png."""
    items = st.session_state.setdefault(PASTED, [])
    for data, name in zip(pasted, names, strict=True):
        # One more than is read, by which it is seen that there are too many.
        if len(items) <= MAX_FILES and data not in [item.data for item in items]:
            items.append(Item(f"pasted-{len(items) + 1}{Path(name).suffix}", data))


def _start_anew() -> None:
    """Another kind or class has other numbers, and another one that is worth beginning with."""
    state = st.session_state
    state.number = 1 if state.kind == TEST else first_kept(_shared.registry(), state["class"])


def gather_sample() -> list[Item]:
    """A synthetic lesion, or a test image where HAM10000 is at hand."""
    ids = _data.test_image_ids()
    kinds = [SYNTHETIC, *([TEST] if ids else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = _links.selectbox("Kind", kinds, 0, key="kind", width=230, on_change=_start_anew)
        codes = list(ids) if kind == TEST else list(CODES)
        first = codes.index("mel") if "mel" in codes else 0
        code = _links.selectbox(
            "Class", codes, first, lambda c: BY_CODE[c].name, key="class", width=290, on_change=_start_anew
        )
        last = len(ids[code]) if kind == TEST else SYNTHETIC_SEEDS
        start = min(last, 1 if kind == TEST else first_kept(_shared.registry(), code))
        number = _links.number_input(f"Number, 1 to {last}", 1, last, start, key="number", width=180)
    sample = _data.synthetic(code, number) if kind == SYNTHETIC else _data.from_dataset(ids[code][number - 1])
    return [Item(sample.name, sample.data, sample.notice)]
