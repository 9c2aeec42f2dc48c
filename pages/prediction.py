"""Prediction: images in; what the models say of each, how far they agree, and where they looked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st

from core.data.samples import SYNTHETIC_SEEDS
from core.errors import UserError
from core.figures.probabilities import agreement_dots, malignancy_bar, probability_bars
from core.lesions import BY_CODE, CODES, INDEX, LESIONS
from core.numbers import percent
from core.serving.answer import OK, OUT_OF_DISTRIBUTION
from core.serving.classifier import Diagnosis
from core.serving.overlay import COLOUR_MAPS, draw_overlay
from core.serving.overview import overview, overview_csv, thumbnail
from core.serving.panel import Reading, choose_models
from core.serving.tables import neutralise
from core.serving.wording import agreement, headline, malignancy_sentence, malignant_sentence
from core.settings import MAX_FILES, MAX_UPLOAD_BYTES
from pages import _shared

TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "dcm"]
UPLOAD, CAMERA, SAMPLE = SOURCES = ("Upload", "Camera", "Sample")
SYNTHETIC, TEST = "Synthetic lesion", "HAM10000 test image"
LEADING = "leading"
PLAIN = {"displayModeBar": False}
NOT_PROOF = (
    "Where the model looked, not proof: a map shows what spoke for a class, not that the class is right."
)


@dataclass(frozen=True)
class Item:
    """One image to read: its name, its bytes, and for a sample what it is."""

    name: str
    data: bytes
    notice: str | None = None

    @property
    def sha256(self) -> str:
        """Of the bytes, which caches key on."""
        return hashlib.sha256(self.data).hexdigest()


def gather(source: str) -> list[Item]:
    """The images that the chosen source gives."""
    if source == CAMERA:
        photo = st.camera_input("A photograph through a dermatoscope", key="camera")
        return [Item("photograph.jpg", photo.getvalue())] if photo else []
    if source == SAMPLE:
        return gather_sample()
    files = st.file_uploader(
        "Dermatoscopic images: drop one or many, or choose them",
        TYPES,
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_BYTES >> 20,
        key="upload",
    )
    if len(files) > MAX_FILES:
        st.warning(
            f"Expected at most {MAX_FILES} images at once, found {len(files)}: the first {MAX_FILES} are read."
        )
    return [Item(file.name, file.getvalue()) for file in files[:MAX_FILES]]


def gather_sample() -> list[Item]:
    """A synthetic lesion, or a test image where HAM10000 is at hand."""
    ids = _shared.test_image_ids()
    kinds = [SYNTHETIC, *([TEST] if ids else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Kind", kinds, key="kind", bind="query-params", width=230)
        codes = list(ids) if kind == TEST else list(CODES)
        first = codes.index("mel") if "mel" in codes else 0
        code = st.selectbox(
            "Class", codes, first, lambda c: BY_CODE[c].name, key="class", bind="query-params", width=290
        )
        last = len(ids[code]) if kind == TEST else SYNTHETIC_SEEDS
        number = st.number_input(
            f"Number, 1 to {last}", 1, last, 1, key="number", bind="query-params", width=180
        )
    sample = (
        _shared.synthetic(code, number) if kind == SYNTHETIC else _shared.from_dataset(ids[code][number - 1])
    )
    return [Item(sample.name, sample.data, sample.notice)]


def choose() -> tuple[str, ...]:
    """The models to ask, the leading one first; the page stops here when there is none."""
    states = {state.name: state for state in _shared.registry().states()}
    usable = [name for name, state in states.items() if state.usable]
    if not usable:
        st.error("**There is no model that can be used.** These commands make them:")
        st.table([{"model": s.title, "made by": s.command, "state": s.reason} for s in states.values()])
        st.stop()
    with st.popover("Models", icon=":material/model_training:"):
        chosen = st.multiselect(
            "Models to ask, the leading one first",
            usable,
            choose_models(usable),
            _shared.title,
            key="models",
            bind="query-params",
        )
        for state in states.values():
            if not state.usable:
                what = "not here" if state.absent else "refused"
                st.caption(f"{_shared.title(state.name)} is {what}: `{state.command}` makes it.")
                if not state.absent:
                    st.text(state.reason)
    return tuple(chosen) or choose_models(usable)


def read_all(items: list[Item], models: tuple[str, ...]) -> list[Reading]:
    """Ask about every image, with a progress bar where that takes a while."""
    label = f"Asking {len(models)} model{'s' * (len(models) > 1)} ..."
    if len(items) == 1:
        with st.spinner(label):
            return [_shared.read(items[0].data, items[0].sha256, items[0].name, models)]
    bar = st.progress(0.0, label)
    readings = []
    for done, item in enumerate(items, start=1):
        readings.append(_shared.read(item.data, item.sha256, item.name, models))
        bar.progress(done / len(items), f"{done} of {len(items)} images read")
    bar.empty()
    return readings


def pick(items: list[Item], readings: list[Reading]) -> int:
    """The table of many readings; the chosen row, at first the one with the largest malignancy score."""
    if len(readings) == 1:
        return 0
    table = overview(readings)
    table["image"] = table["image"].map(neutralise)  # the table has a CSV button of its own
    table.insert(0, "picture", [thumbnail(reading.display) for reading in readings])
    worst = int(table["malignancy"].astype(float).fillna(-1).to_numpy().argmax())
    share = {"min_value": 0.0, "max_value": 1.0, "format": "percent"}
    event = st.dataframe(
        table,
        hide_index=True,
        column_order=[
            "picture",
            "image",
            "verdict",
            "diagnosis",
            "confidence",
            "malignancy",
            "suspicious",
            "reason",
        ],
        column_config={
            "picture": st.column_config.ImageColumn(""),
            "confidence": st.column_config.ProgressColumn(**share),
            "malignancy": st.column_config.ProgressColumn("malignancy score", **share),
        },
        row_height=56,
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [worst]}},
        key="table-" + "-".join(item.sha256[:8] for item in items),
        alt="One row for each image: verdict, leading diagnosis, confidence and malignancy score",
    )
    st.caption("Click a column's name to sort by it, a row to open it below.")
    st.download_button(
        "Table as CSV", overview_csv(readings), "predictions.csv", "text/csv", icon=":material/download:",
        on_click="ignore",
    )  # fmt: skip
    rows = event.selection.rows
    return rows[0] if rows else worst


def show(item: Item, reading: Reading, models: tuple[str, ...]) -> None:
    """One image: whether it can be judged at all, then the verdict, then the maps."""
    st.text(reading.name)
    if item.notice:
        st.info(item.notice, icon=":material/science:")
    for model, why in reading.failures.items():
        st.warning(f"{_shared.title(model)} gave no answer: {why}")
    for note in reading.notes:
        st.caption(f":material/info: {note[:1].upper()}{note[1:]}")
    if reading.status == OUT_OF_DISTRIBUTION:
        st.warning(f"**Not judged.** {reading.reason}", icon=":material/block:")
        st.image(reading.display, width=300, alt="The image that is not judged")
    elif reading.status != OK:
        st.error(reading.reason, icon=":material/block:")
    else:
        show_verdict(reading)
        show_maps(reading)


def show_verdict(reading: Reading) -> None:
    """The leading class, the malignancy score against its operating point, the agreement."""
    lead = reading.diagnoses[0]
    lesion = BY_CODE[lead.label]
    entry = _shared.registry().state(lead.model).entry
    threshold = entry.malignancy_threshold if entry else None
    sensitivity = (entry.operating_point or {}).get("validation_sensitivity") if entry else None
    with st.container(border=True):
        words, score = st.columns([3, 2], gap="large")
        with words:
            st.subheader(f"{headline(lead)}, {percent(lead.confidence)}")
            if lead.suspicious:
                st.badge("Suspicious: have it looked at", icon=":material/priority_high:", color="red")
            st.markdown(f"**{malignant_sentence(lead)}**" if lead.suspicious else malignant_sentence(lead))
            if len(reading.diagnoses) > 1:
                verdict = agreement(reading.diagnoses)
                icon = ":material/check_circle:" if verdict.unanimous else ":material/call_split:"
                st.markdown(
                    f"{icon} {verdict.sentence({d.model: _shared.title(d.model) for d in reading.diagnoses})}"
                )
            st.caption(f"{lesion.name} in short: {lesion.note}")
        with score:
            st.markdown(f"**Malignancy score** of {_shared.title(lead.model)}")
            st.plotly_chart(
                malignancy_bar(lead.malignancy, threshold, ink=_shared.ink()), config=PLAIN, key="malignancy",
                alt=f"Malignancy score {lead.malignancy:.2f} on a scale from 0 to 1",
            )  # fmt: skip
            st.caption(malignancy_sentence(lead, threshold, sensitivity))


@st.fragment
def show_maps(reading: Reading) -> None:
    """Probabilities of a model beside the original and the map of a class; a rerun of its own."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Model", [d.model for d in reading.diagnoses], format_func=_shared.title, key="model", width=200
        )
        code = st.selectbox(
            "Map of", [LEADING, *CODES], format_func=lambda c: "the leading class" if c == LEADING else BY_CODE[c].name,
            key="map", bind="query-params", width=290,
        )  # fmt: skip
        opacity = st.slider("Opacity", 0, 100, 60, 5, "%d %%", key="opacity", bind="query-params", width=220)
        colours = st.selectbox("Colours", list(COLOUR_MAPS), key="colours", bind="query-params", width=140)
    diagnosis = reading.of(model) or reading.diagnoses[0]
    chosen = diagnosis.label if code == LEADING else code
    bars, original, overlay = st.columns(3, gap="medium")
    with bars:
        st.markdown(f"**Calibrated probabilities** of {_shared.title(diagnosis.model)}")
        st.plotly_chart(
            probability_bars(diagnosis.probabilities, chosen=chosen, ink=_shared.ink()), config=PLAIN, key="bars",
            alt="; ".join(f"{x.name} {percent(p)}" for x, p in zip(LESIONS, diagnosis.probabilities, strict=True)),
        )  # fmt: skip
    original.image(reading.display, "Original", "stretch", alt="The original image")
    with overlay:
        draw(reading, diagnosis, chosen, opacity / 100, colours, f"Map of {BY_CODE[chosen].name}")
    st.caption(f":material/visibility: {NOT_PROOF} Each map is scaled to its own maximum.")
    if len(reading.diagnoses) > 1:
        show_side_by_side(reading, chosen, opacity / 100, colours)


def draw(
    reading: Reading, diagnosis: Diagnosis, code: str, opacity: float, colours: str, caption: str
) -> None:
    """One overlay, or the note on why there is none."""
    overlay = draw_overlay(
        reading.display,
        diagnosis.maps[INDEX[code]],
        opacity=opacity,
        colours=colours,
        label=BY_CODE[code].name,
    )
    if overlay.image is None:
        st.info(overlay.note)
        st.caption(caption)
    else:
        st.image(overlay.image, caption, "stretch", alt=f"{caption} over the original image")


def show_side_by_side(reading: Reading, code: str, opacity: float, colours: str) -> None:
    """All models' probabilities on one line per class, and their maps of one class."""
    with st.expander("Models side by side", icon=":material/compare:"):
        titles = {d.model: _shared.title(d.model) for d in reading.diagnoses}
        st.plotly_chart(
            agreement_dots(
                {d.model: d.probabilities for d in reading.diagnoses}, titles, ink=_shared.ink()
            ), config=PLAIN, key="dots",
            alt="Every model's probability of every class",
        )  # fmt: skip
        st.caption("Dots that lie together agree. All probabilities are calibrated.")
        for column, diagnosis in zip(st.columns(len(reading.diagnoses)), reading.diagnoses, strict=True):
            with column:
                said = percent(float(diagnosis.probabilities[INDEX[code]]))
                draw(reading, diagnosis, code, opacity, colours, f"{titles[diagnosis.model]}: {said}")
        st.caption(f"Maps of {BY_CODE[code].name}. {NOT_PROOF}")


def show_classes() -> None:
    """What fills the page before there is an image: what the models can name at all."""
    st.subheader("What the models can name")
    st.markdown("Seven diagnoses, and no other: whatever the image shows, the answer is one of these.")
    st.table(
        [
            {"Diagnosis": x.name, "Malignant": "yes" if x.malignant else "no", "In short": x.note}
            for x in LESIONS
        ]
    )


def main() -> None:
    """The page from top to bottom."""
    st.title("Prediction")
    st.markdown(
        "Drop a dermatoscopic image: read what the models make of it, how far they agree, and where they looked."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        source = st.segmented_control(
            "Where the image comes from",
            SOURCES,
            default=UPLOAD,
            required=True,
            key="source",
            bind="query-params",
        )
        models = choose()
    try:
        items = gather(source)
    except UserError as error:
        st.error(str(error))
        return
    st.caption(
        ":material/lock: Nothing is kept: images stay in this server's memory and go when your session ends. "
        "What a file says about patient, place or camera is never read out."
    )
    if not items:
        show_classes()
        return
    readings = read_all(items, models)
    index = pick(items, readings)
    show(items[index], readings[index], models)


_shared.run(main)
