"""Overview: what this is, what was measured beside what was reported, and a door for everybody."""

from __future__ import annotations

import math

import streamlit as st

from core.errors import UserError
from core.evaluation.contestants import HEADLINE_NAMES, Contestant, majority_line
from core.evaluation.latency import COMMAND
from core.figures.tradeoff import REPORTED_NOTE, bubbles_of, tradeoff
from core.numbers import percent
from core.reported import CHOICES, MAJORITY_SHARE, MARK
from core.text import listed
from pages import _links, _plain_tables, _shared

SIZE, LATENCY = "Size", "Latency"


def say_what_this_is() -> None:
    """Three sentences."""
    st.title("DermDistill")
    st.markdown(
        "Large and small networks teach each other, in rounds, to tell seven kinds of pigmented skin lesions apart, "
        "until one is left that fits a phone. This dashboard carries out, corrects and goes beyond a student's project "
        "report on distillation (“the report” on all pages), whose small network learned to answer “nevus” to "
        "everything; its own models' figures below were measured by its own code on lesions that they never saw. "
        "Try the models on an image, compare them with intervals and tests, or follow how the small one was made."
    )


def show_doors() -> None:
    """Three people, three ways in."""
    doors = (
        ("Clinician", ":material/stethoscope:", "Drop a dermatoscopic image: calibrated probabilities, what could be "
         "malignant, how far the models agree, where they looked.", "pages/prediction.py", "Try an image"),
        ("Instructor", ":material/school:", "What a soft label is, what temperature and alpha do, why the report's "
         "student learnt nothing, and a small one that learns while the class looks on.", "pages/lab.py",
         "Open the lab"),
        ("Researcher", ":material/query_stats:", "Intervals over lesions, paired tests, cohorts, calibration, and your "
         "own model's probabilities beside ours.", "pages/comparison.py", "Compare models"),
    )  # fmt: skip
    for column, (who, icon, text, page, label) in zip(st.columns(3), doors, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"#### {icon} {who}")
            st.markdown(text)
            st.page_link(page, label=label, icon=":material/arrow_forward:")


def show_table(models: list[Contestant], others: list[Contestant]) -> None:
    """Ours beside "as reported"; `others` are ours, too, but not for this table."""
    # With pandas, while the browser draws the figure.
    from core.evaluation.tables import commonest, headline_table

    st.subheader("What was measured, beside what was reported")
    manifest = _shared.registry().manifest
    refused = manifest.problems if manifest else {}
    table = headline_table(models, elsewhere={*refused, *(model.name for model in others)})
    _plain_tables.headline(table)
    line = majority_line(models)
    ours = f"{line[0]:.1%} here" if line else "unknown here without a model"
    st.caption(
        f":material/info: Naming everything “{commonest(line).name}” has the accuracy of the last row ({ours}); "
        "“report: collapsed” means that the report's network is within one point of naming everything nevus on the "
        f"report's split ({MAJORITY_SHARE:.2%}). Columns marked “{MARK}” are the report's own, on a split by image "
        "that lets lesions leak; ours are on lesions that were never trained on, so the two differ in more than the "
        "model."
    )
    st.caption(
        ":material/list: The baseline is the student's network taught by labels alone; the ensemble is the mean of "
        "several models. Below the student stand smaller forms of it: its numbers in 16 or 8 bits (dynamic: only the "
        "weights), or pruned of channels as well. 95% interval: what other test lesions would be expected to give."
    )
    say_who_leads(models)
    say_what_leaks()
    _shared.download(table, "headline.csv")


def say_who_leads(models: list[Contestant]) -> None:
    """Where the student is more accurate than its teachers, what that means and where the reasons stand."""
    manifest = _shared.registry().manifest
    of_role = {
        role: [
            value
            for m in models
            if manifest and manifest.model(m.name).role == role
            if not math.isnan(value := m.interval("accuracy").value)  # trained, and not evaluated yet
        ]
        for role in ("student", "teacher")
    }
    students, teachers = of_role["student"], of_role["teacher"]
    if students and teachers and max(students) > max(teachers):
        st.caption(
            f":material/trending_up: The student ({max(students):.1%}) leads its large teachers "
            f"({listed([f'{value:.1%}' for value in teachers])}), which says more of their training than of their "
            "size: the model cards tell what each began with, for how many epochs it learned, and on which machine. "
            "For whether distillation helped, see Comparison, Differences, and the lab."
        )


def say_what_leaks() -> None:
    """What the report's split alone adds, where it was measured."""
    from core.evaluation.leak import sentence
    from core.evaluation.leak_file import read_pairs

    manifest = _shared.registry().manifest
    try:
        pairs = read_pairs(manifest) if manifest else []
    except UserError:
        return  # the dataset page, which shows them, says what is wrong
    if pairs:
        st.caption(
            f":material/call_split: {sentence(pairs, title=_shared.title)} More under Dataset, Splits."
        )


def show_tradeoff(models: list[Contestant]) -> None:
    """Accuracy against what it costs."""
    st.subheader("Accuracy, and what it costs")
    timed = any(model.milliseconds for model in models)
    axis = SIZE
    if timed:
        axis = _links.segmented_control("Against", [SIZE, LATENCY], key="cost")
    found = bubbles_of(models, "megabytes" if axis == SIZE else "milliseconds")
    line = majority_line(models)
    _shared.chart(
        tradeoff(
            found, cost="Size, MB (logarithmic)" if axis == SIZE else "One image on one thread, ms (logarithmic)",
            gain=HEADLINE_NAMES["accuracy"], reference=(line[0], f"majority line {percent(line[0])}") if line else None,
            ink=_shared.ink(),
        ),
        key="overview-tradeoff",
        alt="; ".join(f"{b.title}: accuracy {b.gain:.1%} at {b.cost_text}" for b in found),
        reading="Better is up and to the left; the area of a bubble is the size of its file as it is shipped, in the "
        "format that the table names. Whiskers are 95% intervals. No other model measured here is both more accurate "
        f"and {'smaller' if axis == SIZE else 'faster'} than one on the dotted front."
        + (f" Hollow: {REPORTED_NOTE}." if any(bubble.reported for bubble in found) else ""),
    )  # fmt: skip
    if not timed:
        st.caption(
            f":material/timer_off: No benchmark was run, so there is no latency here; `{COMMAND} --save` makes it."
        )


def show_corrections() -> None:
    """What the report did and what is done here instead."""
    with st.expander("What the report did, and what is done here instead", icon=":material/build:"):
        _plain_tables.corrections(CHOICES)


def of_our_split(models: list[Contestant]) -> tuple[list[Contestant], list[Contestant]]:
    """The models that can stand in one table, and those of a split by image: their test lesions are not unseen."""
    ours = [model for model in models if model.split in ("", "lesion")]
    return ours, [model for model in models if model not in ours]


def say_whose_split(others: list[Contestant]) -> None:
    """Which models are left out, since they were measured on other images, some of lesions that they have seen."""
    if others:
        names = listed([_shared.plain_text(model.title) for model in others])
        st.caption(
            f":material/call_split: Not shown here: {names}, trained and measured on a split by image, where lesions "
            "leak. Comparison has them."
        )


def main() -> None:
    """The page from top to bottom."""
    say_what_this_is()
    show_doors()
    models, others = of_our_split(_shared.contestants())
    above = st.container()
    # The figure first: what draws it is the largest thing that the browser has to fetch and to start.
    show_tradeoff(models)
    with above:
        show_table(models, others)
        say_whose_split(others)
        _shared.say_what_is_missing()
    show_corrections()


_shared.run(main)
