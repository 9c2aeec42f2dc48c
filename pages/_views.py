"""The comparison's views: each takes the chosen models (and the guest among them) and shows one aspect of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.evaluation.contestants import (
    HEADLINE_NAMES,
    SMALLER_IS_BETTER,
    Contestant,
    majority_line,
)
from core.evaluation.intervals import Interval
from core.evaluation.tables import (
    NO_SHARES,
    class_table,
    figure_in_words,
    figure_table,
    written,
)
from core.figures.heatmap import sensitivity_heatmap
from core.figures.intervals import Mark, Row
from core.figures.style import NEUTRAL
from core.lesions import BY_CODE, CODES
from core.numbers import percent
from core.reported import MARK, RESULTS
from pages import _shared
from pages._bring import Guest
from pages._figures import bars, mark, pick_figure, rows_of_figure

AS_PRINTED = {"format": "%.2f%%"}
"""Of the report's own accuracies, which it prints with two decimals."""


def show_reported() -> None:
    """The report's figures alone."""
    table = figure_table([], reported=True)[["model", "accuracy", "megabytes", "split", "note"]]
    accuracy = st.column_config.ProgressColumn("Accuracy", **_shared.PERCENT | AS_PRINTED)
    st.dataframe(_shared.in_percent(table, ["accuracy"]), hide_index=True, placeholder="", key="reported-only",
                 column_config=_shared.headings(table.columns) | {"accuracy": accuracy})  # fmt: skip
    _shared.download(table, "reported.csv")


def show_figures(models: list[Contestant], guest: Guest | None) -> None:
    """The table with bars, and one figure of merit with its intervals."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = pick_figure("figure", tuple(HEADLINE_NAMES))
        reported = st.toggle(f"The report's, {MARK}", True, key="reported", bind="query-params")
    rows = [Row(model.title, (mark(model, model.interval(name), note=model.size),)) for model in models]
    if reported and name == "accuracy":
        nan = float("nan")
        rows += [
            Row(
                f"{row.title}, {MARK}", (Mark(MARK, row.accuracy, nan, nan, NEUTRAL, "diamond", hollow=True),)
            )
            for row in RESULTS
        ]
    line = majority_line(models) if name == "accuracy" else None
    better = "smaller is better" if name in SMALLER_IS_BETTER else "larger is better"
    _shared.chart(
        rows_of_figure(
            rows,
            name,
            axis=f"{HEADLINE_NAMES[name]}, {better}",
            reference=(line[0], f"majority line {percent(line[0])}") if line else None,
        ),
        key="figures",
        alt="; ".join(
            f"{m.title}: {figure_in_words(name, m.interval(name)) or 'not measured'}" for m in models
        ),
        reading="A dot is the figure on all test images, its whiskers are a 95% interval. Overlapping whiskers do not "
        "mean that two models are equal: see Differences.",
    )
    show_figure_table(models, reported)


def show_figure_table(models: list[Contestant], reported: bool) -> None:
    """All headline figures: bars for people, ends of the intervals in the columns beside them."""
    table = figure_table(models, reported=reported)
    # Streamlit sizes a column by its first rows; the reported models' names are longer.
    shown, config = (
        ["model"],
        {"model": st.column_config.TextColumn("Model", width=230 if reported else None)},
    )
    display = _shared.in_percent(table, [name for name in HEADLINE_NAMES if name not in NO_SHARES])
    for name, label in HEADLINE_NAMES.items():
        found = table[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        display[f"{name}_interval"] = [written(name, Interval(*row))[1] or None for row in found]
        if name in SMALLER_IS_BETTER:
            config[name] = st.column_config.NumberColumn(label, format="%.1f%%")
        else:
            config[name] = bars(name, label)
        config[f"{name}_interval"] = st.column_config.TextColumn(
            "95% interval" if name in NO_SHARES else "95% interval, %"
        )
        shown += [name, f"{name}_interval"]
    if reported:
        theirs = np.arange(len(table)) >= len(models)
        display = display.assign(
            accuracy=display["accuracy"].mask(theirs), reported=display["accuracy"].where(theirs)
        )
        config["reported"] = st.column_config.NumberColumn(f"Accuracy {MARK}", **AS_PRINTED)
        shown.insert(1 + shown.index("accuracy_interval"), "reported")
    config |= {
        "parameters": st.column_config.NumberColumn("Parameters", format="compact"),
        "megabytes": st.column_config.NumberColumn("MB", format="%.1f"),
        "numbers": st.column_config.TextColumn("Numbers in the file"),
        "milliseconds": st.column_config.NumberColumn("ms per image", format="%.1f"),
        "note": st.column_config.TextColumn("Note", width="large"),
    }
    shown += [
        name for name in ("parameters", "megabytes", "numbers", "milliseconds") if table[name].notna().any()
    ]
    st.dataframe(
        display, hide_index=True, column_order=[*shown, "split", "note"], column_config=config, placeholder="",
        key="figure-table", height="content", alt="All figures of the chosen models with their intervals",
    )  # fmt: skip
    _shared.download(table, "figures.csv")


def show_classes(models: list[Contestant], guest: Guest | None) -> None:
    """Sensitivity of every model for every class."""
    measured = [model for model in models if model.figures]
    if not measured:
        st.info("None of the chosen models was evaluated.")
        return
    ends = [[model.of_class(code, "sensitivity") for code in CODES] for model in measured]
    value, low, high = (
        np.array([[getattr(i, end) for i in row] for row in ends]) for end in ("value", "low", "high")
    )
    _shared.chart(
        sensitivity_heatmap([m.title for m in measured], value, low, high, ink=_shared.ink()),
        key="sensitivity",
        alt="Sensitivity in per cent of each model for each class",
        reading="Per cent of a class' images that a model names rightly; bright is good. A row that is bright under "
        "nv alone belongs to a model that says “nevus” to everything.",
    )
    st.caption(" · ".join(f"**{code}** {BY_CODE[code].name}" for code in CODES))
    table = class_table(measured)
    config = {code: st.column_config.ProgressColumn(code, **_shared.PERCENT) for code in CODES} | {
        "model": "Model"
    }
    st.dataframe(
        _shared.in_percent(table, CODES), hide_index=True, column_order=["model", *CODES], column_config=config,
        placeholder="", key="class-table", height="content", alt="Sensitivity of each model for each class",
    )  # fmt: skip
    st.caption("The download has the intervals, too.")
    _shared.download(table, "sensitivity.csv")
