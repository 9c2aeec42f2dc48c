"""Dataset: what the models were trained and tested on, image by image, and how it was split, balanced and varied."""

from __future__ import annotations

import streamlit as st

from pages import _links, _set, _set_counts, _set_image, _set_images, _set_map, _set_views, _shared

VIEWS = {
    "Classes": _set_counts.show_classes,
    "Images": _set_images.show_images,
    "Splits": _set_counts.show_splits,
    "Augmentation": _set_views.show_augmentation,
    "Balancing": _set_counts.show_balancing,
    "Map": _set_map.show_map,
}


def main() -> None:
    """The page from top to bottom."""
    st.title("Dataset")
    st.markdown(
        "HAM10000 (Tschandl, Rosendahl, Kittler 2018, CC BY-NC 4.0): dermatoscopic images of pigmented lesions, seven "
        "diagnoses, two thirds of the images of one. What it consists of decides what a model can learn, and how it is "
        "split decides what a figure is worth."
    )
    images = _set.shown()
    _set.say_which(images)
    view = _links.pills("What to look at", list(VIEWS), key="section")
    VIEWS[view](images)
    if _set_image.asked_for() is not None:
        _set_image.show_image(images)


_shared.run(main)
