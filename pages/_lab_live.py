"""The lab's last chapter: a small student that learns while one looks, with a teacher and without."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import pandas as pd
import streamlit as st

from core.classroom.desk import FAILED, RUNNING, STOPPED, WAITING, Desk, Ticket
from core.classroom.lesson import MOST_EPOCHS, SIZES, Order
from core.classroom.network import Network
from core.figures.runs import ARM_NAMES, lesson_curves
from pages import _gallery, _links, _shared
from pages._lab_temperature import temperature_slider

TICKET = "lesson"
BEAT_SECONDS = 1.0
SOURCES = {"ham10000": "HAM10000, small", "synthetic": "Drawn lesions"}
RESTS_ON = {
    "ham10000": "These can point different ways: balanced accuracy rests on a handful of images of each rare class, "
    "accuracy mostly on nevi.",
    "synthetic": "As many lesions of each class were drawn, so that accuracy and balanced accuracy are one figure; "
    "cross-entropy can point another way.",
}
"""By the source of a lesson, what its figures are means over."""
OWN_LOSS = "loss"
FIGURES = (
    ("test_loss", "Cross-entropy on the test images", False),
    ("test_accuracy", "Accuracy on the test images", True),
    (OWN_LOSS, "Loss that is minimised", False),
    ("test_balanced_accuracy", "Balanced accuracy on the test images", True),
)


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The one desk of this server."""
    return Desk()


@st.fragment
def show() -> None:
    """The chapter; a fragment, so that its buttons wait for nothing else on the page."""
    st.header("8 · Live", anchor="live")
    st.markdown(
        "Train a small student here and now, twice at once: from labels alone, and with a teacher. It starts in "
        "seconds, ends within two minutes, and stops when you leave this page."
    )
    teachers = _teachers()
    if not teachers:
        st.info("No model is there that could teach.")
        return
    ticket: Ticket | None = st.session_state.get(TICKET)
    busy = ticket is not None and not ticket.is_over
    order = _choose(teachers, busy)
    st.caption(f":material/info: At this size the student has {_parameters(order.size):,} parameters.")
    with st.container(horizontal=True):
        # Of a primary button that is disabled nobody can read the word.
        st.button(
            "Train", type="secondary" if busy else "primary", icon=":material/play_arrow:", disabled=busy,
            key="train", on_click=_begin, args=(order,),
        )  # fmt: skip
        st.button("Stop training", icon=":material/stop:", disabled=not busy, key="stop", on_click=_stop)
    if ticket is None:
        desk().prepare(order)
    elif busy:
        _follow()
    else:
        _show_ticket(ticket)
        _show_end(ticket)


@cache
def _parameters(size: int) -> int:
    return sum(array.size for array in Network.fresh(size, 0).parameters)


def _begin(order: Order) -> None:
    before: Ticket | None = st.session_state.get(TICKET)
    if before is None or before.is_over:  # a second click on its way is no second lesson
        st.session_state[TICKET] = desk().ask(order)


def _stop() -> None:
    ticket: Ticket | None = st.session_state.get(TICKET)
    if ticket is not None:
        desk().stop(ticket)


def _teachers() -> list[str]:
    """Who can teach, the teachers first."""
    manifest = _shared.registry().manifest
    if manifest is None:
        return []
    names = [name for name in _shared.in_order(manifest.models) if not manifest.models[name].members]
    return sorted(names, key=lambda name: manifest.models[name].role != "teacher")


def _choose(teachers: list[str], busy: bool) -> Order:
    manifest = _shared.registry().manifest
    sources = [s for s in SOURCES if s != "ham10000" or _gallery.records() is not None]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = _links.selectbox(
            "Images", sources, 0, SOURCES.get, key="live-source", width=200, disabled=busy
        )
        needed = "predictions" if source == "ham10000" else "litert"
        able = [
            n for n in teachers if manifest is not None and needed in manifest.models[n].files
        ] or teachers
        teacher = _links.selectbox(
            "Teacher", able, 0, _shared.title, key=f"live-teacher-{source}", width=200, disabled=busy
        )
        size = _links.segmented_control("Side in pixels", SIZES, key="size", disabled=busy)
        epochs = _links.number_input(
            f"Epochs, 1 to {MOST_EPOCHS}", 1, MOST_EPOCHS, 15, key="epochs", width=160, disabled=busy,
        )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        temperature = temperature_slider(4.0, key="live-t", disabled=busy)
    with right:
        alpha = _links.slider(
            "Weight alpha of the soft term", 0.0, 1.0, 0.7, 0.05, key="live-alpha", disabled=busy
        )
    return Order(source, teacher, int(size or SIZES[0]), temperature, float(alpha), int(epochs))


@st.fragment(run_every=BEAT_SECONDS)
def _follow() -> None:
    """Every second while the browser is there: say so, and draw what has come."""
    ticket: Ticket | None = st.session_state.get(TICKET)
    if ticket is None:
        return
    desk().beat(ticket)
    if ticket.is_over:
        st.rerun()
    _show_ticket(ticket)


def _show_ticket(ticket: Ticket) -> None:
    ahead = desk().ahead(ticket)
    if ticket.state == WAITING:
        st.info(
            f"Only one lesson is given at a time on this machine, and {ahead} {'is' if ahead == 1 else 'are'} before "
            "yours. It begins by itself; keep this page open.",
            icon=":material/hourglass:",
        )
    elif ticket.state == RUNNING:
        st.info(ticket.note or _progress(ticket), icon=":material/model_training:")
    if ticket.told:
        st.caption(f":material/science: {_shared.plain_text(ticket.told)}")
    if not ticket.points:
        return
    for start in range(0, len(FIGURES), 2):
        for column, (key, label, share) in zip(
            st.columns(2, gap="medium"), FIGURES[start : start + 2], strict=True
        ):
            last = {p["arm"]: p[key] for p in ticket.points if p.get(key) is not None}
            digits = ".1%" if share else ".3f"
            said = ", ".join(f"{ARM_NAMES[arm]} {value:{digits}}" for arm, value in last.items())
            with column:
                _shared.chart(
                    lesson_curves(
                        ticket.points, key, label=label, share=share, epochs=ticket.order.epochs, ink=_shared.ink()
                    ),
                    key=f"live-{key}", alt=f"{label} so far: {said}",
                    reading=f"{label}: {said or 'not yet'}."
                    + (" Two different sums: their heights do not compare." if key == OWN_LOSS else ""),
                )  # fmt: skip


def _progress(ticket: Ticket) -> str:
    if not ticket.points:
        return "Starting ..."
    return (
        f"Epoch {ticket.points[-1]['epoch']:g} of {ticket.order.epochs}, "
        f"{time.monotonic() - (ticket.begun or ticket.asked):.0f} s"
    )


def _how_it_ended(ticket: Ticket) -> str:
    """`Done after epoch 15 of 15 and 83 s.`"""
    reached, asked = ticket.points[-1]["epoch"] if ticket.points else 0, ticket.order.epochs
    how = "Stopped"
    if ticket.left:
        how = "Ended, since nobody was seen looking on,"
    elif ticket.overdue or (ticket.state != STOPPED and reached < asked):
        how = "Time is up"
    elif ticket.state != STOPPED:
        how = "Done"
    if ticket.begun is None:  # it was still in the queue
        return f"{how} before its turn came."
    seconds = (ticket.ended or 0.0) - ticket.begun
    where = f"after epoch {reached:g} of {asked} and" if ticket.points else "before the first epoch, after"
    return f"{how} {where} {seconds:.0f} s."


def _together(ticket: Ticket) -> dict[str, dict[str, Any]]:
    """Arm -> its point of the last epoch that both have, since they learn in turn; empty before there is one."""
    by_arm = {arm: {p["epoch"]: p for p in ticket.points if p["arm"] == arm} for arm in ARM_NAMES}
    both = set.intersection(*map(set, by_arm.values()))
    return {arm: points[max(both)] for arm, points in by_arm.items()} if both else {}


def _show_end(ticket: Ticket) -> None:
    if ticket.state == FAILED:
        st.error(_shared.plain_text(ticket.note))
        return
    last = _together(ticket)
    if not last:
        st.info(_how_it_ended(ticket))
        return
    gain = {key: last["taught"][key] - last["alone"][key] for key, *_ in FIGURES if key != OWN_LOSS}
    st.markdown(
        f"{_how_it_ended(ticket)} With the teacher (T = {ticket.order.temperature:g}, alpha = "
        f"{ticket.order.alpha:g}) accuracy at epoch {last['alone']['epoch']:g} differs from that of labels alone "
        f"by {100 * gain['test_accuracy']:+.1f} points, balanced accuracy by "
        f"{100 * gain['test_balanced_accuracy']:+.1f}, cross-entropy by {gain['test_loss']:+.3f} (less is better). "
        f"{RESTS_ON[ticket.order.source]} One run of one seed shows how a student learns, not whether teaching pays: "
        "[chapter 6](#gain) asks that."
    )
    _shared.download(pd.DataFrame(ticket.points), "lesson.csv", "Curves as CSV")
