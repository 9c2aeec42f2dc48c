"""Augmentation live: eight views of one image, as the networks see it in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.data.augmentation import AUGMENTATIONS, Augmentation, random_view
from core.data.pixels import decode, to_input
from core.errors import UserError
from core.lesions import BY_CODE, CODES
from core.settings import INPUT_SIZE
from pages import _links, _set, _shared
from pages._set import Shown

PRESETS = {"report": "The report's", "strong": "Ours", "none": "None"}
VIEWS = 8
CLASS, NUMBER, DRAW, PRESET = "view-of", "view-number", "draw", "augmentation"
TOGGLES = {
    "orientations": "All eight quarter turns and flips",
    "horizontal_flip": "Mirror every second image",
}

SLIDERS: dict[str, tuple[str, float, float, float, str]] = {
    "rotation": ("Rotation, degrees either way", 0.0, 180.0, 1.0, "%.0f"),
    "shear": ("Shear, degrees either way", 0.0, 45.0, 1.0, "%.0f"),
    "zoom": ("Magnification", 0.5, 2.0, 0.05, "%.2f"),
    "stretch": ("Stretch of one axis", 0.0, 0.5, 0.01, "%.2f"),
    "shift": ("Shift, share of the side", 0.0, 0.3, 0.01, "%.2f"),
    "brightness": ("Brightness", 0.4, 1.6, 0.05, "%.2f"),
    "contrast": ("Contrast, change either way", 0.0, 0.8, 0.05, "%.2f"),
    "saturation": ("Saturation, change either way", 0.0, 1.0, 0.05, "%.2f"),
    "white_balance": ("White balance, each channel", 0.0, 0.4, 0.01, "%.2f"),
}
"""Field of `Augmentation` -> label, smallest, largest, step, format; a field with two ends gets two handles."""


@st.fragment
def show_augmentation(images: Shown) -> None:
    """Choose an image and ranges; a rerun of its own."""
    st.markdown(
        "What an epoch shows is never the image itself but a random view of it, so that a network cannot learn pixels "
        "by heart. These are drawn by the very function that training calls, of the same square pixels."
    )
    image_id = pick_image(images)
    if image_id is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        preset = _links.segmented_control("Augmentation", list(PRESETS), PRESETS.get, key=PRESET)
        draw = _links.number_input("Draw, another number draws anew", 0, 9999, 0, key=DRAW, width=240)
    place = st.container()  # above the sliders, so that a phone shows both
    augmentation = pick_ranges(preset)
    data = _set.file_of(images, image_id)
    if isinstance(data, str):
        st.error(_shared.plain_text(data))
        return
    try:
        rgb = decode(data, image_id)
    except UserError as error:
        st.error(_shared.plain_text(str(error)))
        return
    with place:
        show_views(images, image_id, rgb, augmentation, draw)
    show_presets(augmentation)


def pick_image(images: Shown) -> str | None:
    """A class and a number in it."""
    by_class = {code: images.table["image_id"][images.table["dx"] == code] for code in CODES}
    codes = [code for code in CODES if len(by_class[code])]
    if not codes:
        st.info("This set has no image.")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = codes.index("mel") if "mel" in codes else 0
        code = _links.selectbox("Class", codes, first, lambda c: BY_CODE[c].name, key=CLASS, width=290)
        last = len(by_class[code])
        number = _links.number_input(f"Image, 1 to {last:,}", 1, last, 1, key=NUMBER, width=180)
    return str(by_class[code].iloc[number - 1])


def pick_ranges(name: str) -> Augmentation:
    """The sliders; each preset has its own, which begin where it has them."""
    preset = AUGMENTATIONS[name]
    chosen: dict[str, Any] = {}
    with st.expander("Ranges", expanded=True, icon=":material/tune:"):
        grid = st.grid("auto", min_column_width=220, gap="small")
        for field, (label, low, high, step, form) in SLIDERS.items():
            value = getattr(preset, field)
            default = tuple(map(float, value)) if isinstance(value, tuple) else float(value)
            with grid.cell():
                chosen[field] = st.slider(
                    label, low, high, default, step, form, key=f"{name}-{field}", bind="query-params"
                )
        for field, label in TOGGLES.items():
            with grid.cell():
                chosen[field] = st.toggle(
                    label, getattr(preset, field), key=f"{name}-{field}", bind="query-params"
                )
    return Augmentation(**chosen)


def views_of(rgb: np.ndarray, augmentation: Augmentation, draw: int) -> list[np.ndarray]:
    """Eight views as training draws them: of the square pixels that its store holds, not of the photograph."""
    plain = to_input(rgb)
    return [
        random_view(plain, augmentation, seed=draw, index=0, view=k, size=INPUT_SIZE) for k in range(VIEWS)
    ]


def show_views(images: Shown, image_id: str, rgb: np.ndarray, augmentation: Augmentation, draw: int) -> None:
    """The image as a network gets it, then eight views."""
    views = views_of(rgb, augmentation, draw)
    grid = st.grid(VIEWS + 1, min_column_width=110, gap="xsmall")
    pictures = [to_input(rgb), *views]
    captions = ["As it is", *(f"View {k}" for k in range(1, VIEWS + 1))]
    for picture, caption in zip(pictures, captions, strict=True):
        with grid.cell():
            st.image(picture, caption, "stretch", output_format="JPEG", alt=f"{image_id}: {caption}")
    drawn = ", synthetic" if images.synthetic else ""
    st.caption(
        f":material/info: {image_id}{drawn}, squeezed to {INPUT_SIZE} x {INPUT_SIZE} pixels as every network gets it. "
        "Every range is drawn evenly, magnification and stretch by their logarithms, so that half as large is as "
        "likely as twice as large; what moves in from outside the frame is its mirror image."
    )


def show_presets(augmentation: Augmentation) -> None:
    """The presets and the present ranges side by side."""
    table = pd.DataFrame(
        [
            {"transform": name, **{title: str(getattr(AUGMENTATIONS[key], name)) for key, title in PRESETS.items()},
             "here": str(getattr(augmentation, name))}
            for name in (*TOGGLES, *SLIDERS)
        ]
    )  # fmt: skip
    with st.expander("The presets as a table", icon=":material/table:"):
        st.dataframe(
            table, hide_index=True, key="presets", height="content", alt="Ranges of each augmentation"
        )
        _shared.download(table, "augmentation.csv")
