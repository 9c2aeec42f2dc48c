"""Prediction: images in; what the models say of each, how far they agree, and where they looked."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.figures.verdict import malignancy_gauge
from core.lesions import BY_CODE, LESIONS
from core.serving.answer import OK, OUT_OF_DISTRIBUTION
from core.serving.panel import Reading, choose_models
from core.serving.quality import WORSE
from core.serving.registry import ModelState
from core.serving.report import CASE_FILE, case_report
from core.serving.wording import UNRELIABLE, accepted_sentence, as_sentence, say
from pages import _data, _downloads, _links, _memory, _research, _shared, _similar, _turned
from pages._images import SAMPLE, SOURCES, Item, gather
from pages._many import pick
from pages._maps import show_maps


def choose() -> tuple[tuple[str, ...], int]:
    """The models to ask, the leading one first, and about how many orientations; without models the page stops here."""
    states = {state.name: state for state in _shared.registry().states()}
    usable = [name for name, state in states.items() if state.usable]
    if not usable:
        show_no_models(list(states.values()))
        st.stop()
    with st.popover("Models", icon=":material/model_training:"):
        chosen = _links.multiselect(
            "Models to ask, the leading one first",
            usable,
            _shared.title,
            key="models",
            default=choose_models(usable),
        )
        if not chosen:
            asked = ", ".join(_shared.title(name) for name in choose_models(usable))
            st.caption(f":material/info: None is chosen, so the usual ones are asked: {asked}.")
        for state in states.values():
            if not state.usable:
                what = "not here" if state.absent else "refused"
                remedy = f": `{state.command}` makes one." if state.command else "."
                st.caption(f"{_shared.plain_text(_shared.title(state.name))} is {what}{remedy}")
                if not state.absent:
                    st.text(state.reason)
        models = tuple(chosen) or choose_models(usable)
        return models, _turned.choose(models)


def show_no_models(states: list[ModelState]) -> None:
    """What there is in place of models: the commands that make them, or what is damaged and has to be restored."""
    if any(state.command for state in states):
        st.error("**There is no model that can be used.** These commands make them:")
        st.table([{"model": s.title, "made by": s.command, "state": s.reason} for s in states])
    else:
        reason = _shared.plain_text(states[0].reason or "")
        st.error(as_sentence(f"**There is no model that can be used**: {reason}"))


def read_all(items: list[Item], models: tuple[str, ...], orientations: int) -> list[Reading]:
    """Ask about every image, with a progress bar where that takes a while."""
    label = f"Asking {len(models)} model{'s' * (len(models) > 1)} ..."
    if len(items) == 1:
        with st.spinner(label):
            return [_data.read(items[0].data, items[0].sha256, items[0].name, models, orientations)]
    bar = st.progress(0.0, label)
    readings = []
    for done, item in enumerate(items, start=1):
        readings.append(_data.read(item.data, item.sha256, item.name, models, orientations))
        bar.progress(done / len(items), f"{done} of {len(items)} images read")
    bar.empty()
    return readings


def show(item: Item, reading: Reading, models: tuple[str, ...]) -> None:
    """One image: whether it can be judged at all, then the verdict, then the maps."""
    st.text(reading.name)
    if item.notice:
        st.info(item.notice, icon=":material/science:")
    for model, why in reading.failures.items():
        st.warning(f"{_shared.title(model)} gave no answer: {why}")
    for note in reading.notes:
        st.caption(f":material/info: {as_sentence(note)}")
    if reading.status == OUT_OF_DISTRIBUTION:
        st.warning(f"**Not judged.** {reading.reason}", icon=":material/block:")
        st.image(reading.display, width=300, alt="The image that is not judged")
        offer_report(item, reading, ())
    elif reading.status != OK:
        st.error(reading.reason, icon=":material/block:")
    else:
        show_checks(reading)
        show_verdict(reading)
        show_maps(reading)
        similar = _similar.find(item, reading)
        _similar.show(similar)
        offer_report(item, reading, () if isinstance(similar, str) else similar)
        _research.show_research(item, reading)


def show_checks(reading: Reading) -> None:
    """What comes before any diagnosis: is it a dermatoscopic image, and is it a good one."""
    if reading.verdict is not None:
        st.caption(f":material/check: {accepted_sentence(reading.verdict)}")
    if reading.memory:
        st.warning(reading.memory, icon=":material/history_edu:")
    said = "  \n".join(f"**Photograph:** {sentence}" for sentence in reading.quality.advice)
    if reading.quality.poor:
        st.warning(f"**{UNRELIABLE}**  \n{said} {WORSE}", icon=":material/photo_camera:")
    elif said:
        st.info(said, icon=":material/photo_camera:")


def offer_report(item: Item, reading: Reading, similar: tuple[_similar.SimilarLesion, ...]) -> None:
    """The case as one file to print; made when it is asked for."""
    registry = _shared.registry()
    _downloads.offer(
        "Case report", lambda: case_report(registry, reading, similar, item.notice), CASE_FILE, "text/html",
        key="case-report", icon=":material/print:",
        help="One HTML file to keep or print: image, probabilities, maps, checks, similar lesions, versions and hashes "
        "of the models. It holds no file name and fetches nothing.",
    )  # fmt: skip


def show_verdict(reading: Reading) -> None:
    """The leading class, the malignancy score against its operating point, the agreement."""
    lead = reading.diagnoses[0]
    lesion = BY_CODE[lead.label]
    entry = _shared.registry().state(lead.model).entry
    threshold = entry.malignancy_threshold if entry else None
    titles = {d.model: _shared.title(d.model) for d in reading.diagnoses}
    said = say(reading.diagnoses, titles, entry.operating_point if entry else None, poor=reading.quality.poor)
    with st.container(border=True):
        words, score = st.columns([3, 2], gap="large")
        with words:
            st.subheader(said.headline)
            if said.warning:
                colour = "red" if lead.suspicious else "orange"
                st.badge(said.warning, icon=":material/priority_high:", color=colour)
            st.markdown(f"**{said.malignant}**" if lead.suspicious else said.malignant)
            if together := said.agreement:
                at_one = together.unanimous and not together.divided and not reading.quality.poor
                icon = ":material/check_circle:" if at_one else ":material/call_split:"
                st.markdown(f"{icon} {said.together}")
            st.caption(f"{lesion.name} in short: {lesion.note}")
        with score:
            st.markdown(f"**Malignancy score** of {_shared.title(lead.model)}")
            st.html(malignancy_gauge(lead.malignancy, threshold))
            st.caption(said.score)


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
        source = _links.segmented_control("Where the image comes from", SOURCES, key="source")
        models, orientations = choose()
    try:
        items = gather(source)
    except UserError as error:  # a sample's: none of a visitor's own images is on the page any more
        _memory.forget_removed(set())
        st.error(_shared.plain_text(str(error)))
        return
    st.caption(
        ":material/lock: Nothing is kept: images stay in this server's memory and go when your session ends. "
        "What a file says about patient, place or camera is never read out."
    )
    own = {(item.name, item.sha256) for item in items if item.notice is None}
    _memory.forget_removed(own, source if source != SAMPLE else "")
    if not items:
        show_classes()
        _data.get_ready(models)
        return
    readings = read_all(items, models, orientations)
    index = pick(items, readings)
    show(items[index], readings[index], models)


_shared.run(main, has_images=True)
