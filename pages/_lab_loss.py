"""The lab's fourth chapter: the loss of one image, taken apart as T and alpha move."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.evaluation.metrics import divide
from core.figures.lab import PART_COLOURS, REPORTED_COLOUR, gradient_bars, pull_by_temperature
from core.lab.loss import LEVEL_FROM, Loss, soft_term, take_apart, twice_softened_term
from core.lab.soft_labels import TEMPERATURES
from core.lab.tables import loss_table
from core.lab.variants import REPORT_ALPHA, REPORT_TEMPERATURE
from core.lesions import CODES, N_CLASSES
from pages import _links, _shared
from pages._lab_soft import Chosen
from pages._lab_temperature import temperature_slider

UNTRAINED, COLLAPSED = "untrained", "collapsed"
STATES = {UNTRAINED: "untrained: all classes alike", COLLAPSED: "collapsed: says how common each class is"}


def states_of(chosen: Chosen) -> dict[str, np.ndarray]:
    """What a student may say of the image: two that are made up, and what the models that are no teachers said."""
    labels = chosen.predictions[chosen.teachers[0]].label
    prior = np.bincount(labels, minlength=N_CLASSES) + 1.0
    found = {UNTRAINED: np.zeros(N_CLASSES), COLLAPSED: np.log(divide(prior, prior.sum()))}
    return found | {name: z for name, z in chosen.answers.items() if name not in chosen.teachers}


@st.fragment
def show(chosen: Chosen) -> None:
    """The chapter."""
    st.header("4 · The loss, taken apart", anchor="loss")
    st.latex(
        r"\begin{aligned} L ={} & \alpha\,T^2\,KL\left(\sigma(v/T)\,\|\,\sigma(z/T)\right) \\"
        r" & + (1-\alpha)\,\left(-\log\sigma(z)_y\right) \end{aligned}"
    )
    states = states_of(chosen)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        teacher = _links.selectbox(
            "Teacher v", list(chosen.teachers), 0, _shared.title, key="teacher", width=200
        )
        state = _links.selectbox(
            "Student z", list(states), 1, lambda s: STATES.get(s) or f"{_shared.title(s)}, as trained", key="state",
            width=330,
        )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        temperature = temperature_slider(4.0, key="loss-t")
    with right:
        alpha = _links.slider("Weight alpha of the soft term", 0.0, 1.0, REPORT_ALPHA, 0.05, key="alpha")
    logits, student = chosen.answers[teacher], states[state]
    loss = take_apart(logits, student, chosen.label, temperature, alpha)
    _show_terms(loss, temperature)
    left, right = st.columns(2, gap="medium")
    with left:
        _show_gradients(loss, chosen)
    with right:
        _show_pull(logits, student, temperature)
    _say_readings(loss)
    table = loss_table(loss)
    with st.expander("The numbers", icon=":material/table:"):
        st.dataframe(table, hide_index=True, key="loss-table", alt="Parts of the loss with their gradients")
        _shared.download(table, f"loss-{chosen.image_id}.csv")


def _show_terms(loss: Loss, temperature: float) -> None:
    cells = (
        ("Hard term", loss.hard.value, f"x (1 - alpha) = {(1 - loss.alpha) * loss.hard.value:.3f}"),
        ("Soft term, with T²", loss.soft.value, f"x alpha = {loss.alpha * loss.soft.value:.3f}"),
        ("Soft term, without T²", loss.bare.value, f"{temperature**2:g} times smaller"),
        ("As the report's code has it", loss.reported.value, "softmax twice, no T²"),
    )
    for column, (label, value, note) in zip(st.columns(4), cells, strict=True):
        column.metric(label, f"{float(value):.2g}" if value < 0.001 else f"{float(value):.3f}", border=True)
        column.caption(note)


def _show_gradients(loss: Loss, chosen: Chosen) -> None:
    alpha = loss.alpha
    parts = {
        "(1 - alpha) x hard": (PART_COLOURS["hard"], (1 - alpha) * loss.hard.gradient),
        "alpha x soft": (PART_COLOURS["soft"], alpha * loss.soft.gradient),
        "total": (PART_COLOURS["total"], loss.total.gradient),
        "the report's total": (REPORTED_COLOUR, loss.report.gradient),
    }
    total = ", ".join(f"{code} {g:+.3f}" for code, g in zip(CODES, loss.total.gradient, strict=True))
    _shared.chart(
        gradient_bars(parts, ink=_shared.ink()), key="gradients", alt=f"Gradient of the loss on each logit: {total}",
        reading=f"A bar below 0 pushes the student's logit up, one above pushes it down. True class: {chosen.truth}. "
        "The hard term raises that one alone, the soft term also what the teacher finds alike.",
    )  # fmt: skip


def _show_pull(logits: np.ndarray, student: np.ndarray, temperature: float) -> None:
    lines = {
        "with T²": (PART_COLOURS["soft"], [soft_term(logits, student, t).norm for t in TEMPERATURES]),
        "without T²": (
            PART_COLOURS["hard"],
            [soft_term(logits, student, t, t2=False).norm for t in TEMPERATURES],
        ),
        "the report's": (
            REPORTED_COLOUR,
            [twice_softened_term(logits, student, t).norm for t in TEMPERATURES],
        ),
    }
    found = {name: (colour, np.array(lengths)) for name, (colour, lengths) in lines.items()}
    ratio = float(divide(found["with T²"][1][-1:], found["the report's"][1][-1:])[0])
    _shared.chart(
        pull_by_temperature(TEMPERATURES, found, temperature, ink=_shared.ink()), key="pull",
        alt=f"Length of the soft term's gradient along T; at T = 50 the report's is {ratio:.0f} times shorter",
        reading=f"How hard the soft term pulls. From about T = {LEVEL_FROM:g} on T² keeps it level; below, it hardly "
        "pulls a student that is sure of the same class as its teacher. At T = "
        f"{REPORT_TEMPERATURE:g} the report's pulls {ratio:,.0f} times less.",
    )  # fmt: skip


def _say_readings(loss: Loss) -> None:
    ours, other = float(loss.total.value), float(loss.other_reading.value)
    st.markdown(
        "**Two readings of alpha.** The report's section 4.2 and its code weigh the soft term by alpha, as we do: that "
        f"gives {ours:.3f} here. Its sections 3.1 and 4.1 weigh the hard term by alpha: {other:.3f}. With its alpha of "
        f"{REPORT_ALPHA:g}, {1 - REPORT_ALPHA:.0%} of the weight is left to the labels by the one reading and "
        f"{REPORT_ALPHA:.0%} by the other."
    )
