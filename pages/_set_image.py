"""One image of the dataset, large: its record, its lesion's other images, what the models say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.data.browse import in_words
from core.errors import UserError
from core.evaluation.origin import SYNTHETIC_NOTE
from core.evaluation.stored import answer_table, stored_probabilities
from core.figures.probabilities import agreement_dots
from core.lesions import BY_CODE
from core.serving.answer import OK
from core.serving.panel import choose_models
from pages import _data, _set, _shared
from pages._images import SAMPLE, TEST
from pages._set import IMAGE, Shown
from pages._set_views import CLASS, NUMBER

ASKED = "asked-of"
"""The name in the session's state of the image that the models were asked about."""

ANSWERS = {
    "model": "Model",
    "diagnosis": "Names it",
    "confidence": st.column_config.ProgressColumn("Confidence", **_shared.PROBABILITY),
    "malignancy": st.column_config.ProgressColumn("Malignancy score", **_shared.SCORE),
    "right": "Right",
}


def asked_for() -> str | None:
    """The image that the address names, if any."""
    return st.query_params.get(IMAGE) or None


def close() -> None:
    """Forget the opened image; a callback of the dialog."""
    if IMAGE in st.query_params:
        del st.query_params[IMAGE]


@st.dialog("Image", width="large", icon=":material/image:", on_dismiss=close)
def show_image(images: Shown) -> None:
    """The image that the address names; buttons inside change the address and run this alone again."""
    image_id = asked_for()
    if image_id is None:  # a button inside has led elsewhere: the whole page has to run
        st.rerun()
    record = images.record(image_id)
    picture, facts = st.columns([5, 6], gap="medium")
    with picture:
        show_picture(images, image_id, record)
        if record is not None:
            show_siblings(images, record)
    with facts:
        st.subheader(_shared.plain_text(image_id[:40]))
        if record is None:
            say_nothing_is_known(images)
        else:
            show_record(record)
            show_ways_on(images, image_id, record)
        show_answers(images, image_id, record)


def show_picture(images: Shown, image_id: str, record: pd.Series | None) -> None:
    """The picture at its full size."""
    found = _set.file_of(images, image_id)
    if isinstance(found, bytes):
        what = BY_CODE[record["dx"]].name if record is not None else "image"
        st.image(found, width="stretch", alt=f"{what}, {image_id}")
        if images.synthetic:
            st.caption(":material/science: Synthetic: drawn by a program, not a photograph.")
    elif record is not None:
        st.error(_shared.plain_text(found))


def say_nothing_is_known(images: Shown) -> None:
    """An image that the set does not have: of a shipped prediction, or a mistyped address."""
    st.info(
        "This set has no such image." if images.live else f"Its picture and record are HAM10000's. "
        f"{_set.HOW_TO_GET_IT}", icon=":material/image_not_supported:",
    )  # fmt: skip


def show_record(record: pd.Series) -> None:
    """What the metadata says of it."""
    lesion = BY_CODE[record["dx"]]
    age = "unknown" if np.isnan(record["age"]) else f"{record['age']:.0f}"
    st.markdown(f"{_set.swatch(lesion.code)} **{lesion.name}**{', malignant' if lesion.malignant else ''}")
    st.caption(lesion.note)
    lines = {
        "Confirmed by": in_words("dx_type", record["dx_type"]),
        "Age": age,
        "Sex": record["sex"],
        "Site": record["localization"],
        "Lesion": record["lesion_id"],
        "Part": f"{record['part_lesion']} (ours), {record['part_report']} (the report's)",
    }
    st.markdown("\n".join(f"- {name}: {_shared.plain_text(str(value))}" for name, value in lines.items()))
    if record["leaks"]:
        st.caption(
            ":material/warning: The report's split has images of this lesion in more than one part: it leaks."
        )


def show_ways_on(images: Shown, image_id: str, record: pd.Series) -> None:
    """Links to this image elsewhere."""
    lesion = BY_CODE[record["dx"]]
    same = images.table["image_id"][images.table["dx"] == lesion.code]
    number = int(same.searchsorted(image_id)) + 1
    # A link to the page that one is on would leave the address as it is.
    st.button(
        "Its augmentations", on_click=_to_augmentations, args=(lesion.code, number), key="its-augmentations",
        icon=":material/auto_awesome_motion:", type="tertiary",
    )  # fmt: skip
    test = _data.test_image_ids().get(lesion.code, ())
    if images.live and image_id in test:
        place = str(test.index(image_id) + 1)
        st.page_link(
            "pages/prediction.py", label="Prediction, with maps", icon=":material/search:",
            query_params={"source": SAMPLE, "kind": TEST, "class": lesion.name, "number": place},
        )  # fmt: skip


def _to_augmentations(code: str, number: int) -> None:
    """Close the image and go to the view of its augmentations; a button's callback."""
    st.session_state["section"] = "Augmentation"
    for key, value in {CLASS: BY_CODE[code].name, NUMBER: str(number)}.items():
        st.session_state.pop(key, None)  # what is not on the page yet reads the address
        st.query_params[key] = value
    st.query_params.pop(_set.IMAGE, None)


def show_answers(images: Shown, image_id: str, record: pd.Series | None) -> None:
    """The stored answers; where there are none, the models can be asked."""
    st.markdown("#### What the models say")
    true = None if record is None else str(record["dx"])
    stored = _stored(image_id)
    if stored:
        show_table(stored, true, image_id)
        st.caption(
            ":material/info: Stored when the models were evaluated, on images that they were not trained on."
        )
        return
    if record is None:
        st.caption("No model has answered it: it is in nobody's validation or test part.")
        return
    manifest = _shared.registry().manifest
    learned = manifest is not None and any(
        entry.provenance.get("data") == SYNTHETIC_NOTE for entry in manifest.models.values()
    )
    if images.synthetic and not (images.live and learned):
        st.caption("Drawn, so in no model's training, validation or test part.")
    else:
        st.caption(
            f"No stored answer: it lies in the {record['part_lesion']} part. On images that a model was trained on it "
            "is better than on others, so these answers are no measure of it."
        )  # fmt: skip
    usable = _shared.registry().usable()
    if not usable:
        st.info("No model can be asked: none is here. `python -m core distill` makes the student.")
        return
    asked = st.button("Ask the models now", icon=":material/search:", key=f"ask-{image_id}")
    if asked or st.session_state.get(ASKED) == image_id:
        st.session_state[ASKED] = image_id
        show_live(images, image_id, true, choose_models(usable))


def _stored(image_id: str) -> list[tuple[str, str, np.ndarray]]:
    """(name, title, probabilities) of every model that was evaluated on the image."""
    manifest = _shared.registry().manifest
    found = []
    for name in _shared.in_order(manifest.models) if manifest else []:
        try:
            predictions = _shared.predictions(name)
        except UserError:
            continue  # the comparison says of each model why it has none
        shares = stored_probabilities(predictions, image_id, manifest.models[name].temperature)
        if shares is not None:
            found.append((name, _shared.title(name), shares))
    return found


def show_table(answers: Sequence[tuple[str, str, np.ndarray]], true: str | None, image_id: str) -> None:
    """One row for each model, and its probabilities on one line for each class."""
    table = answer_table([(title, shares) for _, title, shares in answers], true)
    order = [name for name in ANSWERS if name != "right" or true is not None]
    st.dataframe(
        _shared.probabilities(table, ["confidence"]), hide_index=True, column_config=ANSWERS, column_order=order,
        key=f"answers-{image_id}", placeholder="", height="content", alt=f"What {len(table)} models say of {image_id}",
    )  # fmt: skip
    _shared.download(table, f"answers-{image_id[:40]}.csv")
    with st.expander("All seven probabilities", icon=":material/bar_chart:"):
        st.html(
            agreement_dots(
                {name: shares for name, _, shares in answers}, {name: title for name, title, _ in answers}
            )
        )
        st.caption("Marks that lie together agree. All probabilities are calibrated.")


def show_live(images: Shown, image_id: str, true: str | None, models: tuple[str, ...]) -> None:
    """Ask the models about the file, behind the same gate as an upload."""
    data = _set.file_of(images, image_id)
    if isinstance(data, str):
        st.error(_shared.plain_text(data))
        return
    with st.spinner(f"Asking {len(models)} model{'s' * (len(models) > 1)} ..."):
        reading = _data.read(data, hashlib.sha256(data).hexdigest(), f"{image_id}.jpg", models)
    for model, why in reading.failures.items():
        st.warning(f"{_shared.title(model)} gave no answer: {_shared.plain_text(why)}")
    if reading.status != OK:
        st.warning(f"**Not judged.** {_shared.plain_text(reading.reason)}", icon=":material/block:")
        return
    answers = [(d.model, _shared.title(d.model), np.asarray(d.probabilities)) for d in reading.diagnoses]
    show_table(answers, true, image_id)


def show_siblings(images: Shown, record: pd.Series) -> None:
    """The same lesion's other images."""
    same = images.table[images.table["lesion_id"] == record["lesion_id"]]
    others = same[same["image_id"] != record["image_id"]]
    if others.empty:
        st.caption(":material/photo: The only image of its lesion.")
        return
    st.markdown(f"#### The lesion's other image{'s' * (len(others) > 1)}")
    _set.cards(
        images, others, lambda row: f"{row.part_lesion} (ours), {row.part_report} (the report's)", "sibling"
    )
