"""Confusion: which classes a model takes for which, what that means for one class, and the images behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.errors import UserError
from core.evaluation.cohorts import groups
from core.evaluation.confusions import ALARMS, ALL_ERRORS, MISSED, error_rows, image_table
from core.evaluation.contestants import Contestant, on_same_images
from core.evaluation.predictions import Predictions
from core.evaluation.tables import group_in_words
from core.text import counted, listed
from pages import _gallery, _links, _matrix, _one_class, _shared
from pages._answers import DIMENSIONS

MATRIX, ONE_CLASS, ERRORS = ASPECTS = ("Matrix", "One class", "Worst errors")
NOBODY, EVERYONE = "nobody", "all"
KINDS = {
    ALL_ERRORS: "All errors",
    MISSED: "Malignant lesions named benign",
    ALARMS: "Benign lesions named malignant",
}

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

Found = list[tuple[Contestant, Predictions]]


def with_predictions() -> dict[str, tuple[Contestant, Predictions]]:
    """The models whose answers to the test images are here; who has none, or damaged ones, is named."""
    found: dict[str, tuple[Contestant, Predictions]] = {}
    for model in _shared.contestants():
        try:
            predictions = _shared.predictions(model.name, "test")
        except UserError as error:
            st.warning(f"{_shared.plain_text(model.title)} is left out: {_shared.plain_text(str(error))}")
            continue
        if len(predictions):
            found[model.name] = (model, predictions)
    return found


def choose(found: dict[str, tuple[Contestant, Predictions]], row: DeltaGenerator) -> Found:
    """One model, or two on the same images; the choices stand in `row`."""
    names = list(found)
    first = names.index("student") if "student" in names else 0
    with row:
        name = _links.selectbox("Model", names, first, _shared.title, key="of", width=240)
        others = [NOBODY, *(n for n in names if n != name)]
        second = _links.selectbox(
            "Beside it", others, 0, lambda n: "no other model" if n == NOBODY else _shared.title(n), key="beside",
            width=240, disabled=len(others) == 1,
        )  # fmt: skip
    if len(others) == 1:
        st.caption(
            ":material/info: Only one model has predictions; a second one can stand beside it once it is made."
        )
    if second == NOBODY:
        return [found[name]]
    kept, left_out = on_same_images([found[name][1], found[second][1]])
    if left_out:
        st.warning(
            f"{_shared.plain_text(found[second][0].title)} is left out: it was measured on other test images."
        )
        return [found[name]]
    return [found[name], (found[second][0], kept[1].aligned_to(kept[0]))]


def choose_cohort(found: Found, row: DeltaGenerator) -> Found:
    """The same models on the images of one cohort; the choices stand in `row`."""
    records = _gallery.records()
    if records is None:
        st.caption(
            ":material/filter_alt_off: Choosing images by age, sex or site needs HAM10000 at hand (DERMDISTILL_DATA)."
        )
        return found
    known = records.drop_duplicates("image_id").set_index("image_id", drop=False)
    ids = found[0][1].image_id
    if not np.isin(ids, known.index.to_numpy(dtype=str)).all():
        st.caption(
            ":material/filter_alt_off: This HAM10000 folder lacks some of the test images: no choice by cohort."
        )
        return found
    by = groups(known.loc[ids])
    with row:
        dimension = _links.selectbox(
            "Only one group, by", [EVERYONE, *DIMENSIONS], 0, lambda d: DIMENSIONS.get(d, "no choice: all images"),
            key="by", width=240,
        )  # fmt: skip
        if dimension == EVERYONE:
            return found
        values = by[dimension].to_numpy(dtype=str)
        names, counts = np.unique(values, return_counts=True)
        options = names[np.argsort(-counts, kind="stable")].tolist()
        group = _links.selectbox(
            DIMENSIONS[dimension], options, 0, lambda g: group_in_words(dimension, g), key=f"group-{dimension}",
            width=240,
        )  # fmt: skip
    chosen = values == group
    lesions = len(np.unique(found[0][1].lesion_id[chosen]))
    words = _shared.plain_text(group_in_words(dimension, group))
    st.caption(
        f":material/filter_alt: {words}: {counted(int(chosen.sum()), 'image')} of {counted(lesions, 'lesion')}; "
        "everything below is of these."
    )
    return [(model, predictions.take(chosen)) for model, predictions in found]


def show_errors(found: Found) -> None:
    """What a model was surest of and got wrong."""
    kind = _links.selectbox("Which errors", list(KINDS), 0, KINDS.get, key="errors", width=320)
    model, predictions = found[0]
    if len(found) > 1:
        by_name = {m.name: (m, p) for m, p in found}
        name = _links.segmented_control("Whose errors", list(by_name), _shared.title, key="whose-errors")
        model, predictions = by_name[name]
    rows = error_rows(predictions, kind)
    if not len(rows):
        st.success("There is no such error among these images.")
        return
    wrong = "wrong" if kind == ALL_ERRORS else "wrong in this way"
    st.markdown(
        f"{_shared.plain_text(model.title)} is {wrong} on {len(rows):,} of {len(predictions):,} images, the surest "
        "first:"
    )
    _gallery.show(
        model, image_table(predictions, model.temperature, rows, _gallery.records()), f"errors-{kind}"
    )


def say_whose_split(found: Found) -> None:
    """Which of the chosen models are of a split by image, whose test lesions are not all unseen."""
    by_image = [_shared.plain_text(model.title) for model, _ in found if model.split == "report"]
    if by_image:
        st.caption(
            f":material/call_split: {listed(by_image)}: trained and measured on a split by image, so other images of "
            "these lesions may have been trained on."
        )


VIEWS = {MATRIX: _matrix.show_matrices, ONE_CLASS: _one_class.show_one_class, ERRORS: show_errors}


def main() -> None:
    """The page from top to bottom."""
    st.title("Confusion")
    st.markdown(
        "Which classes a model takes for which, on test images that it was not trained on; what that means for one "
        "class against the rest; and the images themselves."
    )
    _shared.say_what_is_missing()
    found = with_predictions()
    if not found:
        st.info(
            "No model has answered the test images yet. The commands above make models; `python -m core evaluate` with "
            "HAM10000 at hand stores their answers."
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    chosen = choose_cohort(choose(found, row), row)
    say_whose_split(chosen)
    aspect = _links.pills("What to look at", ASPECTS, key="aspect")
    VIEWS[aspect](chosen)


_shared.run(main)
