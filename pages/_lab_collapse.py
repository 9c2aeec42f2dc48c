"""The lab's fifth chapter: each of the report's mistakes made again, beside the repaired recipe."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.evaluation.confusions import row_shares
from core.figures.confusion import confusion_matrix
from core.figures.intervals import Mark, Row, interval_rows
from core.figures.style import BROUGHT, MODEL_COLOURS
from core.lab.findings import FIGURES, Cells, budget, collapse_says, mean_of, mistakes_say, of_cell
from core.lab.plan import plan
from core.lab.table import Outcome
from core.lab.tables import runs_table
from core.lab.variants import ALL_MISTAKES, BY_KEY, FIRST_BATCH, IMAGE_SPLIT, STARVED_TEACHER, Variant
from core.lab.views import mistakes_of
from pages import _links, _shared
from pages._lab_table import NO_RUNS, say_missing

REPAIRED_COLOUR, BROKEN_COLOUR = MODEL_COLOURS["ensemble"], BROUGHT


@st.fragment
def show(cells: Cells) -> None:
    """The chapter."""
    st.header("5 · Why the report's student collapsed", anchor="collapse")
    st.markdown(
        "Each of the report's mistakes was made again, alone and all together, with the report's T = "
        f"{plan('collapse')[0].temperature:g} and alpha = {plan('collapse')[0].alpha:g}, and trained beside the "
        "repaired recipe at the same budget."
    )
    variants = plan("collapse", [1])
    runs = {variant: of_cell(cells, variant) for variant in variants}
    if not any(runs.values()):
        st.info(NO_RUNS)
        say_missing(cells, "collapse", gap="a row without a mark")
        return
    said = collapse_says(runs[variants[0]], runs[variants[1]])
    if said:
        st.success(said, icon=":material/build:")
    for column, (figure, name) in zip(st.columns(2, gap="medium"), reversed(FIGURES.items()), strict=True):
        with column:
            _show_figure(runs, figure, name)
    said = mistakes_say(
        runs[variants[0]], {mistakes_of(v): found for v, found in runs.items() if len(v.mistakes) == 1}
    )
    if said:
        st.markdown(said)
    st.caption(f":material/call_split: {_other_part(runs)}")
    _show_mistake(runs)
    say_missing(cells, "collapse", gap="a row without a mark")


def _other_part(runs: dict[Variant, tuple[Outcome, ...]]) -> str:
    """Which runs are measured on another test part than the rest, and what its share of nevi is."""
    names = " and ".join(f"“{mistakes_of(variant)}”" for variant in runs if IMAGE_SPLIT in variant.mistakes)
    by_image, by_lesion = (
        f" ({share:.1%} nevi)" if np.isfinite(share := _share_of_nevi(runs, split)) else ""
        for split in ("report", "lesion")
    )
    return (
        f"{names} are measured on the test part of the split by image{by_image}, the others on that of the split by "
        f"lesion{by_lesion}, whose lesions nobody was trained on."
    )


def _share_of_nevi(runs: dict[Variant, tuple[Outcome, ...]], split: str) -> float:
    """Of the test part of a split, as its runs have it; NaN without runs."""
    there = [run for variant, found in runs.items() if variant.split == split for run in found]
    return mean_of(there, "majority_share").value


def _show_figure(runs: dict[Variant, tuple[Outcome, ...]], figure: str, name: str) -> None:
    rows, said = [], []
    for variant, found in runs.items():
        estimate, label = mean_of(found, figure), mistakes_of(variant)
        says, nevi = (mean_of(found, key).value for key in ("says_majority", "majority_share"))
        note = (
            ""
            if np.isnan(says)
            else f"seeds: {estimate.seeds}; of its test part {nevi:.1%} are nevi, it names {says:.1%} so"
        )
        colour = BROKEN_COLOUR if variant.mistakes else REPAIRED_COLOUR
        mark = Mark(
            label, estimate.value, estimate.value - estimate.half, estimate.value + estimate.half, colour,
            "diamond" if variant.mistakes else "circle", hollow=estimate.seeds == 1, note=note,
        )  # fmt: skip
        rows.append(Row(label if found else f"{label}: no runs yet", (mark,)))
        said.append(f"{label} {'no runs' if not found else f'{estimate.value:.1%}'}")
    share = _share_of_nevi(runs, "lesion")
    line = (share, f"majority line {share:.1%}") if figure == "accuracy" and np.isfinite(share) else None
    _shared.chart(
        interval_rows(rows, axis=f"{name} on the test part", reference=line, ink=_shared.ink()),
        key=f"collapse-{figure}", alt=f"{name}: " + "; ".join(said),
        reading=f"{name}, mean over the seeds. Whiskers are 95% intervals over the seeds; hollow: one seed, so none."
        + (
            " The line is the share of nevi in the split by lesion: on it a student has learnt only which class is "
            "the commonest."
            if line
            else ""
        ),
    )  # fmt: skip


def _show_mistake(runs: dict[Variant, tuple[Outcome, ...]]) -> None:
    there = [variant for variant, found in runs.items() if found]
    if not there:
        return
    by_key = {variant.cell: variant for variant in there}
    first = next((i for i, v in enumerate(there) if set(v.mistakes) == set(ALL_MISTAKES)), 0)
    cell = _links.selectbox(
        "Look closer at", list(by_key), first, lambda c: mistakes_of(by_key[c]), key="mistake", width=330
    )
    variant, repaired = by_key[cell], next(iter(runs))
    side = "starved_size" if STARVED_TEACHER in variant.mistakes else "teacher_size"
    st.caption(
        f":material/science: MobileNetV2, {budget(runs[variant][0])}; its teacher answered the same views at "
        f"{runs[variant][0].recipe['protocol'][side]} px."
    )
    for key in variant.mistakes:
        mistake = BY_KEY[key]
        st.markdown(f"- **{mistake.title}**: the report {mistake.did}; repaired, it {mistake.instead}.")
    entropies = [run.soft_entropy for run in runs[variant]]
    # Runs with the first batch's soft labels may have stored the figures of each image's own.
    if np.isfinite(entropies).all() and FIRST_BATCH not in variant.mistakes:
        st.markdown(
            f"The soft targets of this run hold {np.mean(entropies):.4f} nats of entropy on average, of at most ln 7 = "
            f"{np.log(7):.4f}; the largest logit behind them is right for {runs[variant][0].teacher_accuracy:.1%} of "
            "the training views."
        )
    ends = [run.history[-1] for run in runs[variant] if {"accuracy", "val_accuracy"} <= set(run.history[-1])]
    if ends:
        learnt, judged = (np.mean([row[key] for row in ends]) for key in ("accuracy", "val_accuracy"))
        st.markdown(
            f"In its last epoch it named {learnt:.1%} of the training views rightly while it learnt; judged "
            f"afterwards, {judged:.1%} of validation."
        )
    shown = [variant] if variant == repaired or not runs[repaired] else [variant, repaired]
    for column, one in zip(st.columns(2, gap="medium"), shown, strict=False):
        matrix = np.sum([run.test for run in runs[one]], axis=0)
        with column:
            st.markdown(f"**{mistakes_of(one)}**")
            _shared.chart(
                confusion_matrix(
                    matrix, row_shares(matrix), as_counts=False, share_of="the true class", ink=_shared.ink()
                ),
                key=f"matrix-{one.cell}", alt=f"Confusion matrix of {mistakes_of(one)}, all seeds together",
                reading="Per cent of a true class (row) that the student names as the column, all seeds together. A "
                "bright nv column alone is a student that says “nevus” to everything.",
            )  # fmt: skip
    _shared.download(
        runs_table([run for found in runs.values() for run in found]), "collapse.csv", "These runs as CSV"
    )
