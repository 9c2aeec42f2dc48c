"""The lab's first chapters: what a teacher says of an image, softened, and what its mistakes have to do with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.errors import UserError
from core.evaluation.confusions import matrix_of, row_shares
from core.evaluation.contestants import on_same_images
from core.evaluation.predictions import Predictions
from core.figures.lab import entropy_lines, knowledge_map, soft_label_bars
from core.lab.soft_labels import (
    LARGEST_ENTROPY,
    dark_knowledge,
    entropy,
    entropy_curve,
    likeness,
    likeness_without_errors,
    ranking,
    softened,
    telling_first,
)
from core.lab.tables import soft_label_table
from core.lesions import BY_CODE, CODES
from core.numbers import percent
from pages import _data, _gallery, _links, _shared
from pages._lab_temperature import temperature_slider

ALIKE = 0.5
"""Rank correlation from which two maps are said to tell the same."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """An image, and what every model answered to it.

    Attributes:
        image_id: of the test part.
        label: its class index.
        teachers: names of the teachers, in order.
        answers: model -> (7,) logits of the image, students among them.
        predictions: model -> its answers to the whole test part, the same images in the same order.
    """

    image_id: str
    label: int
    teachers: tuple[str, ...]
    answers: dict[str, np.ndarray]
    predictions: dict[str, Predictions]

    @property
    def truth(self) -> str:
        """The class's name."""
        return BY_CODE[CODES[self.label]].name


def answered() -> dict[str, Predictions]:
    """Model -> answers to the test part, of all models with logits of their own on the first one's images."""
    found = []
    manifest = _shared.registry().manifest
    for name in _shared.in_order(manifest.models if manifest else ()):
        if manifest.models[name].members:
            continue  # an ensemble's are logarithms of probabilities
        try:
            found.append(_shared.predictions(name, "test"))
        except UserError:
            continue  # what is missing is listed where models are compared
    found = [predictions for predictions in found if len(predictions)]
    # Those whose lesions nobody was trained on come first: the others have to have answered the same images.
    found.sort(key=lambda predictions: manifest.models[predictions.model].figures.get("split") == "report")
    kept, _ = on_same_images(found)
    return {predictions.model: predictions.aligned_to(kept[0]) for predictions in kept}


def teachers_among(predictions: dict[str, Predictions]) -> tuple[str, ...]:
    """The models whose role is to teach; every model where none has it."""
    models = _shared.registry().manifest.models
    found = tuple(name for name in predictions if models[name].role == "teacher")
    return found or tuple(predictions)


def choose() -> Chosen | None:
    """Chapter 1's controls: a test image, those first whose soft label says most."""
    st.header("1 · What the teacher really says", anchor="soft-labels")
    predictions = answered()
    if not predictions:
        st.info(
            "No model has answered the test images yet, so there are no logits to soften. `python -m core train "
            "--network resnet50 --init imagenet` trains a teacher, `python -m core evaluate` stores its answers."
        )
        return None
    teachers = teachers_among(predictions)
    first = predictions[teachers[0]]
    codes = [code for i, code in enumerate(CODES) if (first.label == i).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        start = codes.index("mel") if "mel" in codes else 0
        code = _links.selectbox(
            "True class",
            codes,
            start,
            lambda c: BY_CODE[c].name,
            key="lab-class",
            width=290,
            on_change=_start_anew,
        )
        rows = np.flatnonzero(first.label == CODES.index(code))
        rows = rows[telling_first(first.logits[rows], CODES.index(code))]
        number = _links.number_input(
            f"Image, 1 to {len(rows)}", 1, len(rows), 1, key="image", width=180,
            help="The images come first whose soft label holds most besides the teacher's first choice. They are "
            "numbered for this page alone: a sample under Prediction is another image than the one of its number here.",
        )  # fmt: skip
    row = int(rows[number - 1])
    answers = {name: found.logits[row].astype(np.float64) for name, found in predictions.items()}
    return Chosen(str(first.image_id[row]), int(first.label[row]), teachers, answers, predictions)


def _start_anew() -> None:
    """Another class has other images; a widget's callback."""
    st.session_state.image = 1


def show(chosen: Chosen) -> None:
    """Chapters 1 to 3."""
    _show_softening(chosen)
    _show_knowledge(chosen)


@st.fragment
def _show_softening(chosen: Chosen) -> None:
    temperature = temperature_slider(2.0, key="t")
    columns = st.columns([1, *[1.6] * len(chosen.teachers)], gap="medium")
    with columns[0]:
        _show_image(chosen)
    for column, name in zip(columns[1:], chosen.teachers, strict=True):
        with column:
            _show_teacher(chosen, name, temperature)
    st.header("2 · Temperature: from a verdict to nothing at all", anchor="temperature")
    first = chosen.teachers[0]
    titles = {name: _shared.title(name) for name in chosen.teachers}
    soft = {name: float(entropy(softened(chosen.answers[name], temperature))) for name in chosen.teachers}
    twice = float(entropy(softened(chosen.answers[first], temperature, twice=True)))
    said = "; ".join(f"{titles[name]} {value:.3f}" for name, value in soft.items())
    _shared.chart(
        entropy_lines(
            {name: entropy_curve(chosen.answers[name]) for name in chosen.teachers},
            entropy_curve(chosen.answers[first], twice=True),
            temperature,
            titles,
            ink=_shared.ink(),
        ),
        key="entropy",
        alt=f"Entropy of the soft label at T = {temperature:g}: {said}; of softmax twice {twice:.5f}",
        reading="How much a soft label leaves open: 0 is a verdict, ln 7 is no answer. The vertical line is your T. "
        f"Softening {titles[first]}'s probabilities again (dotted) is nearly no answer from the start, whatever the "
        "image.",
    )  # fmt: skip
    orders = "; ".join(
        f"{titles[name]} {' > '.join(ranking(chosen.answers[name]))}" for name in chosen.teachers
    )
    st.markdown(
        f"At T = {temperature:g} the entropy is {said} of at most ln 7 = {LARGEST_ENTROPY:.3f} nats. What survives "
        f"every temperature is a teacher's **order**: {orders}. Softmax of softmax keeps it too, for {titles[first]} "
        f"{LARGEST_ENTROPY - twice:.5f} nats from no answer; but T² makes up for a high temperature, and nothing for "
        "that: [chapter 4](#loss) has what is left of the gradient."
    )
    table = soft_label_table({titles[name]: chosen.answers[name] for name in chosen.teachers}, temperature)
    with st.expander("The numbers", icon=":material/table:"):
        st.dataframe(table, hide_index=True, key="soft-table", alt="Logits and soft labels of each teacher")
        _shared.download(table, f"soft-labels-{chosen.image_id}.csv")


def _show_image(chosen: Chosen) -> None:
    if _gallery.records() is None:
        st.markdown(f"**{chosen.image_id}**  \n{chosen.truth}")
        st.caption(
            ":material/image_not_supported: The picture is HAM10000's and is not shipped; its logits are."
        )
        return
    try:
        sample = _data.from_dataset(chosen.image_id)
    except (UserError, KeyError) as error:
        st.warning(_shared.plain_text(f"{chosen.image_id} cannot be shown: {error}"))
        return
    st.image(sample.data, width="stretch", alt=f"{chosen.image_id}, {chosen.truth}")
    models = _shared.registry().manifest.models
    by_image = any(models[name].figures.get("split") == "report" for name in chosen.predictions)
    seen = (
        "other images of its lesion may have been trained on"
        if by_image
        else "nobody here was trained on its lesion"
    )
    st.caption(f"{chosen.image_id}: {chosen.truth}. A test image; {seen}.")


def _show_teacher(chosen: Chosen, name: str, temperature: float) -> None:
    logits = chosen.answers[name]
    once, soft = softened(logits, 1.0), softened(logits, temperature)
    top = CODES[int(np.argmax(logits))]
    said = ", ".join(f"{code} {z:+.1f}" for code, z in zip(CODES, logits, strict=True))
    st.markdown(f"**{_shared.plain_text(_shared.title(name))}** says {top} ({percent(once.max())} at T = 1)")
    _shared.chart(
        soft_label_bars(once, soft, temperature, ink=_shared.ink()),
        key=f"soft-{name}",
        alt=f"{_shared.title(name)}'s soft label: "
        + ", ".join(f"{code} {p:.1%}" for code, p in zip(CODES, soft, strict=True)),
        reading=f"Outlined: T = 1, {_as_trained(name, logits)}. Filled: T = {temperature:g}. Dashed: 1/7, which says "
        f"nothing. Logits: {said}.",
    )


def _as_trained(name: str, logits: np.ndarray) -> str:
    """That the logits are not calibrated, and what calibration makes of the first choice, where the model has one."""
    manifest = _shared.registry().manifest
    entry = manifest.models[name] if manifest else None
    if entry is None or "temperature" not in entry.calibration:
        return "as trained"
    calibrated = float(softened(logits, entry.temperature).max())
    return f"as trained; calibrated, as under Prediction, {CODES[int(np.argmax(logits))]} has {percent(calibrated)}"


@st.fragment
def _show_knowledge(chosen: Chosen) -> None:
    st.header("3 · Dark knowledge", anchor="dark-knowledge")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = _links.selectbox("Teacher", list(chosen.teachers), 0, _shared.title, key="knower", width=240)
        temperature = temperature_slider(2.0, key="knowledge-t", width=320)
    predictions = chosen.predictions[name]
    knowledge = dark_knowledge(predictions.logits, predictions.label, temperature)
    matrix = matrix_of(predictions)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Mean soft label of each true class**")
        _shared.chart(
            knowledge_map(knowledge, of="mean soft label", ink=_shared.ink()), key="knowledge",
            alt=f"Mean soft label of {_shared.title(name)} for each true class at T = {temperature:g}, in per cent",
            reading="Per cent; a row is what a student would be told about a class on average, judged by test images. "
            "Colours end at the largest cell off the diagonal.",
        )  # fmt: skip
    with right:
        st.markdown("**What the teacher takes for what**")
        _shared.chart(
            knowledge_map(row_shares(matrix), of="share named so", ink=_shared.ink()), key="mistaken",
            alt=f"Confusion matrix of {_shared.title(name)}, shares of the true class in per cent",
            reading="Per cent of a true class (row) that the teacher names as the column, on the same test images.",
        )  # fmt: skip
    alike, without_errors = (
        likeness(knowledge, matrix),
        likeness_without_errors(predictions.logits, predictions.label, matrix, temperature),
    )
    if np.isfinite(alike):
        told = (
            "the soft labels tell which classes resemble each other also where the teacher does not err"
            if without_errors >= ALIKE
            else "where the teacher does not err, its soft labels tell little of which classes resemble each other"
        )
        number = f"it is **{without_errors:.2f}**" if np.isfinite(without_errors) else "there is none"
        st.markdown(
            f"Off the diagonal the two maps agree with a rank correlation of **{alike:.2f}**. Its errors are in both; "
            f"with the soft labels of rightly named images alone {number}: {told}."
        )
    _shared.download(_map_table(knowledge, row_shares(matrix)), f"dark-knowledge-{name}.csv")


def _map_table(knowledge: np.ndarray, shares: np.ndarray):  # noqa: ANN202 - a data frame
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "true": CODES[t],
                "class": CODES[n],
                "mean_soft_label": knowledge[t, n],
                "share_named": shares[t, n],
            }
            for t, n in np.ndindex(knowledge.shape)
        ]
    )
