"""The lab's chapters on what distillation gives, over T, alpha, teachers and amounts of data."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.figures.intervals import Mark, Row, interval_rows
from core.figures.runs import Series, cell_map, lines
from core.figures.style import MODEL_COLOURS
from core.lab.findings import (
    FIGURES,
    Cells,
    Estimate,
    TestPart,
    budget,
    mean_of,
    of_cell,
    points,
    verdict,
    weighted_verdict,
)
from core.lab.plan import CHOSEN, TEACHERS, TEMPERATURES, groups_of, plan, taught
from core.lab.variants import Variant
from core.lab.views import (
    Plane,
    best_by_validation,
    chosen_verdict,
    comparisons,
    data_curve,
    described,
    epoch_curve,
    plane,
)
from pages import _links, _shared
from pages._lab_table import NO_RUNS, say_missing, say_trained_since

LINE_COLOURS = (
    MODEL_COLOURS["baseline"],
    MODEL_COLOURS["student"],
    MODEL_COLOURS["resnet50"],
    "#9B6FD0",
    "#0A9271",
)
TAUGHT, ALONE = taught(*CHOSEN), Variant()


def show(cells: Cells, test: TestPart | None, table: str) -> None:
    """Both chapters, of the runs of a table whose version is this: what is remembered is remembered under it.

    A fragment runs again with the arguments that it was given first, though the table may be another by then.
    """
    _show_gain(cells, test, table)
    _show_data(cells)


@st.cache_data(max_entries=64, show_spinner="Resampling lesions ...")
def _plane(
    table: str, teachers: tuple[str, ...], figure: str, against: bool, _cells: Cells, _test: TestPart | None
) -> Plane:
    return plane(_cells, teachers, figure, _test, against_none=against)


@st.cache_data(max_entries=64, show_spinner=False)
def _verdict(
    table: str, teachers: tuple[str, ...], figure: str, balance: str, _cells: Cells, _test: TestPart | None
) -> Estimate:
    return chosen_verdict(_cells, teachers, figure, _test, balance)


@st.cache_data(max_entries=16, show_spinner=False)
def _compared(
    table: str, figure: str, _cells: Cells, _test: TestPart | None
) -> list[tuple[Variant, Estimate]]:
    return comparisons(_cells, figure, _test)


@st.fragment
def _show_gain(cells: Cells, test: TestPart | None, table: str) -> None:
    st.header("6 · What distillation gives", anchor="gain")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = {"+".join(teachers): teachers for teachers in TEACHERS}
        key = _links.selectbox(
            "Taught by",
            list(names),
            0,
            lambda n: " and ".join(_shared.title(t) for t in names[n]),
            key="taught-by",
            width=280,
        )
        figure = _links.selectbox("Figure", list(FIGURES), 0, FIGURES.get, key="lab-figure", width=220)
        against = st.toggle(
            "Difference from no teacher", True, key="difference-from-none", bind="query-params"
        )
    teachers, title = names[key], " and ".join(_shared.title(t) for t in names[key])
    some = of_cell(cells, TAUGHT) or of_cell(cells, ALONE)
    _show_verdict(cells, teachers, title, figure, test, table)
    if not cells:  # figures of nothing would have axes of nothing
        say_missing(cells, "grid", "hints", "weights")
        return
    if some:
        st.caption(
            f":material/science: MobileNetV2, {budget(some[0])}. This T and alpha were fixed before any run was made."
        )
        say_trained_since([run for runs in cells.values() for run in runs])
    _show_plane(cells, teachers, figure, test, against, table)
    best = best_by_validation(cells, teachers, figure)
    if best is not None:
        reached, name = mean_of(of_cell(cells, best), figure).value, FIGURES[figure].lower()
        st.caption(
            f":material/star: Validation would choose T = {best.temperature:g}, alpha = {best.alpha:g}: "
            f"{'an' if name[0] in 'aeiou' else 'a'} {name} of {reached:.1%} on the test part."
        )
    left, right = st.columns(2, gap="medium")
    with left:
        _show_comparisons(cells, figure, test, table)
    with right:
        _show_epochs(cells, figure)
    say_missing(cells, "grid", "hints", "weights")


def _show_verdict(
    cells: Cells, teachers: tuple[str, ...], title: str, figure: str, test: TestPart | None, table: str
) -> None:
    """What the teachers give to a student without class weights, and to one that has them as its teachers had."""
    plain, weighted = (
        _verdict(table, teachers, figure, balance, cells, test) for balance in ("none", "sqrt")
    )
    what = f"distillation from {title} (T = {CHOSEN[0]:g}, alpha = {CHOSEN[1]:g})"
    gains = all(e.seeds > 1 and e.is_clear and e.value > 0 for e in (plain, weighted))
    if weighted.seeds or groups_of(taught(*CHOSEN, teachers, balance="sqrt")):
        beside = weighted_verdict(plain, weighted, figure)
    else:
        beside = "What is left of it when both students get the same weights was tried with ResNet50 alone."
    if have_weights(teachers):
        beside = f"{title} learned with square-root class weights, which soft labels may hand on. {beside}"
    said = f"{verdict(plain, figure, what)}\n\n{beside}"
    (st.success if gains else st.info)(said, icon=":material/gavel:")


def have_weights(teachers: tuple[str, ...]) -> bool:
    """Whether all of these teachers learned with square-root class weights, as the manifest has their recipes."""
    manifest = _shared.registry().manifest
    known = manifest.models if manifest else {}
    return all(name in known and known[name].recipe.get("balance") == "sqrt" for name in teachers)


def _seeds(count: int) -> str:
    """`3 seeds`; empty for none."""
    return f"{count} {'seed' if count == 1 else 'seeds'}" if count else ""


def _show_plane(
    cells: Cells, teachers: tuple[str, ...], figure: str, test: TestPart | None, against: bool, table: str
) -> None:
    found = _plane(table, teachers, figure, against, cells, test)
    if not found.seeds.any():
        st.info(NO_RUNS)
        return
    names = [f"{alpha:g}" for alpha in found.alphas]
    hover = [
        [
            f"T = {t:g}, alpha = {alpha:g}<br>" + (_seeds(found.seeds[r, c]) or "no runs yet")
            for c, t in enumerate(TEMPERATURES)
        ]
        for r, alpha in enumerate(found.alphas)
    ]
    what = f"{FIGURES[figure]}, " + ("points above no teacher" if against else "per cent")
    _shared.chart(
        cell_map(
            [f"{t:g}" for t in TEMPERATURES], names, found.value, found.half, hover,
            axes=("Temperature T", "alpha: weight of the soft term"), difference=against, ink=_shared.ink(),
        ),
        key="plane",
        alt=f"{what}, for each T and alpha: {int((found.seeds > 0).sum())} of {found.seeds.size} cells have runs",
        reading=f"{what}, mean over the seeds, beneath it half of the 95% interval of the seeds"
        + (_and_lesions(test) if against else "") + "; without one: a single seed. Empty: no runs yet.",
    )  # fmt: skip
    column = f"{figure}_minus_no_teacher" if against else figure
    frame = pd.DataFrame(
        [
            {"temperature": t, "alpha": a, column: found.value[r, c], "half_interval": found.half[r, c],
             "seeds": found.seeds[r, c]}
            for r, a in enumerate(found.alphas)
            for c, t in enumerate(TEMPERATURES)
        ]
    )  # fmt: skip
    _shared.download(frame, f"grid-{'+'.join(teachers)}-{column}.csv")


def _and_lesions(test: TestPart | None) -> str:
    """What else than the seeds an interval of a difference holds."""
    return " and the test lesions" if test is not None else ""


def _show_comparisons(cells: Cells, figure: str, test: TestPart | None, table: str) -> None:
    st.markdown("**Teachers, hints, the start, and class weights**")
    compared = _compared(table, figure, cells, test)
    if not any(e.seeds for _, e in compared):
        st.info(NO_RUNS)
        return
    rows, said = [], []
    for variant, e in compared:
        label = described(variant, _shared.title)
        mark = Mark(
            label,
            e.value,
            e.value - e.half,
            e.value + e.half,
            MODEL_COLOURS["student"],
            hollow=e.seeds < 2,
            note=_seeds(e.seeds),
        )
        rows.append(Row(label if e.seeds else f"{label}: no runs yet", (mark,)))
        said.append(f"{label}: {points(e) if e.seeds else 'no runs'}")
    _shared.chart(
        interval_rows(
            rows, axis=f"{FIGURES[figure]}, with minus without, points", points=True,
            reference=(0.0, "no difference"), ink=_shared.ink(),
        ),
        key="comparisons", alt="; ".join(said),
        reading="Each against the same student, start, weights and seeds without a teacher, the last against the same "
        "without weights. A hint asks the student to tell the teacher's embedding from its own. Whiskers are 95% "
        f"intervals over the seeds{_and_lesions(test)}; one that crosses the line shows nothing, nor does a hollow "
        "mark: one seed.",
    )  # fmt: skip


def _show_epochs(cells: Cells, figure: str) -> None:
    st.markdown("**By epoch**")
    there = {cell: runs[0].variant for cell, runs in cells.items()}
    start = [v.cell for v in (ALONE, TAUGHT, *plan("collapse")[:2]) if v.cell in there] or list(there)[:1]
    chosen = _links.multiselect(
        "Kinds of run",
        list(there),
        lambda c: described(there[c], _shared.title),
        key="kinds",
        default=start,
        max_selections=5,
    )
    series = []
    for colour, cell in zip(LINE_COLOURS, chosen, strict=False):
        curve = epoch_curve(cells[cell], f"val_{figure}")
        if curve is not None:
            name = described(there[cell], _shared.title)
            series.append(Series(name, colour, curve.epoch, curve.mean, runs=curve.runs))
    _shared.chart(
        lines(
            series, x="Epoch", y=f"{FIGURES[figure]} on validation", share=True, ink=_shared.ink(), x_axis={"dtick": 1}
        ),
        key="epochs", alt="; ".join(f"{s.name}: {s.y[-1]:.1%} after the last epoch" for s in series),
        reading="Mean over the seeds; thin lines are the single runs. The epoch of the lowest validation loss is kept.",
    )  # fmt: skip


@st.fragment
def _show_data(cells: Cells) -> None:
    st.header("7 · How much data", anchor="data")
    figure = _links.selectbox("Figure", list(FIGURES), 0, FIGURES.get, key="data-figure", width=220)
    series, frames = [], []
    for kind, name, model, symbol in (
        (TAUGHT, "with the teacher", "student", "circle"),
        (ALONE, "without", "baseline", "square"),
    ):
        curve = data_curve(cells, kind, figure)
        if len(curve.share):
            series.append(Series(name, MODEL_COLOURS[model], curve.share, curve.mean, curve.half, symbol))
            frames.append(
                pd.DataFrame({"student": name, "share": curve.share, "images": curve.images, figure: curve.mean,
                              "half_interval": curve.half})
            )  # fmt: skip
    if not series:
        st.info(NO_RUNS)
        say_missing(cells, "data", gap="a point that is not there")
        return
    with_teacher = any(one.name == "with the teacher" for one in series)
    about = (
        f"Teacher: {described(TAUGHT, _shared.title)}, trained on all of the lesions. "
        if with_teacher
        else ""
    )
    if with_teacher and have_weights(TAUGHT.teachers):
        about += "It learned with class weights, which neither student has. "
    _shared.chart(
        lines(
            series, x="Share of the training lesions", y=f"{FIGURES[figure]} on the test part", share=True,
            ink=_shared.ink(),
            x_axis={"type": "log", "tickvals": [0.1, 0.25, 0.5, 1], "ticktext": ["10%", "25%", "50%", "100%"],
                    "range": [-1.08, 0.08]},
        ),
        key="data",
        alt="; ".join(f"{s.name} at {x:.0%}: {y:.1%}" for s in series for x, y in zip(s.x, s.y, strict=True)),
        reading=f"{about}The student sees the share as often as the full set would be seen, so that only the variety "
        "of lesions differs. Whiskers are 95% intervals over the seeds.",
    )  # fmt: skip
    _shared.download(pd.concat(frames), f"data-{figure}.csv")
    say_missing(cells, "data", gap="a point that is not there")
