"""The comparison's views: each takes the chosen models (and the guest among them) and shows one aspect of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.benchmark.hardware import this_machine
from core.benchmark.latency import beside, measure_here
from core.errors import UserError
from core.evaluation.brought import NAME
from core.evaluation.contestants import (
    HEADLINE_NAMES,
    SMALLER_IS_BETTER,
    Contestant,
    averaged_runs,
    majority_line,
    run_shown,
)
from core.evaluation.histories import read_history
from core.evaluation.intervals import Interval
from core.evaluation.latency import COMMAND
from core.evaluation.tables import (
    NO_SHARES,
    class_table,
    figure_in_words,
    figure_table,
    headline_table,
    written,
)
from core.figures.curves import (
    training_curves,
)
from core.figures.heatmap import sensitivity_heatmap
from core.figures.intervals import Mark, Row, interval_rows
from core.figures.style import NEUTRAL, model_colour, model_symbol
from core.figures.tradeoff import REPORTED_NOTE, Bubble, bubbles_of, tradeoff
from core.lesions import BY_CODE, CODES
from core.manifest import ModelEntry
from core.numbers import percent
from core.reported import MARK, RESULTS
from pages import _links, _shared
from pages._bring import Guest

COSTS = {
    "Size": ("megabytes", "Size, MB (logarithmic)", "a smaller file"),
    "Latency": ("milliseconds", "One image, one thread, ms (logarithmic)", "a shorter time"),
}
"""What is paid: attribute of a contestant, axis, and what less of it is."""
TRAINING_HEADINGS = {"loss": "Training loss", "accuracy": "Training accuracy"}
AS_PRINTED = {"format": "%.2f%%"}
"""Of the report's own accuracies, which it prints with two decimals."""


def mark(model: Contestant, interval: Interval, *, note: str = "", hollow: bool = False) -> Mark:
    """A model's mark, in its colour and with its symbol."""
    return Mark(
        model.title, interval.value, interval.low, interval.high, model_colour(model.name), model_symbol(model.name),
        hollow, note,
    )  # fmt: skip


def rows_of_figure(
    rows: Sequence[Row],
    name: str,
    *,
    axis: str,
    reference: tuple[float, str] | None = None,
    differences: bool = False,
) -> go.Figure:
    """`interval_rows` of one figure: of shares in per cent, or in points of 100 for `differences`; an AUC as decimals.

    Args:
        rows: from top to bottom.
        name: of the figure, which says whether it is a share.
        axis: what the axis shows.
        reference: (value, what it is) of a line.
        differences: whether the marks are differences of the figure.
    """
    share = name not in NO_SHARES
    return interval_rows(
        rows, axis=axis, share=share, points=share and differences, reference=reference, ink=_shared.ink()
    )


def bars(name: str, label: str) -> Any:
    """A figure's column with bars: shares, which `_shared.in_percent` has to have made, or decimals of an AUC."""
    return st.column_config.ProgressColumn(label, **(_shared.SCORE if name in NO_SHARES else _shared.PERCENT))


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


def pick_figure(key: str, names: Sequence[str], labels: dict[str, str] = HEADLINE_NAMES) -> str:
    """One figure of merit."""
    return _links.selectbox("Figure", names, 0, lambda name: labels[name], key=key, width=320)


def show_tradeoff(models: list[Contestant], guest: Guest | None) -> None:
    """A figure of merit against size or latency, with the Pareto front."""
    timed = any(model.milliseconds for model in models)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = pick_figure("gain", [n for n in HEADLINE_NAMES if n not in SMALLER_IS_BETTER])
        kind = next(iter(COSTS))
        if timed:
            kind = st.segmented_control(
                "Against", list(COSTS), default=kind, required=True, key="price", bind="query-params"
            )
    cost, axis, cheaper = COSTS[kind]
    found = bubbles_of(models, cost, name)
    line = majority_line(models) if name == "accuracy" else None
    if not found:
        st.info("None of the chosen models has both this figure and a size.")
        return
    title = HEADLINE_NAMES[name]
    _shared.chart(
        tradeoff(
            found, cost=axis, gain=title, share=name not in NO_SHARES, ink=_shared.ink(),
            reference=(line[0], f"majority line {percent(line[0])}") if line else None,
        ),
        key="tradeoff",
        alt="; ".join(f"{b.title}: {written(name, _gain(b))[0]} at {b.cost:.3g}" for b in found),
        reading="Better is up and to the left; the area of a bubble is its file's size. No other model measured here "
        f"has both a higher {title[0].lower()}{title[1:]} and {cheaper} than one on the dotted Pareto front. "
        f"Hollow: {REPORTED_NOTE}.",
    )  # fmt: skip
    sizes = "; ".join(f"{_shared.plain_text(m.title)} {m.size}" for m in models if m.bytes)
    st.caption(f"Files are compared as they are shipped, whatever the format of their numbers: {sizes}.")
    if not timed:
        st.caption(
            f":material/timer_off: No benchmark was run, so there is no latency here; `{COMMAND} --save` makes it."
        )
    measured = _shared.benchmark()
    if timed and measured and measured.hardware:
        st.caption(f"Latency on {_shared.plain_text(measured.hardware)}.")
    if guest is not None and not guest.contestant.bytes:
        st.caption("Your model has no size yet: enter one beside its file to see it here.")
    _shared.download(headline_table(models), "tradeoff.csv")
    show_this_machine([model.name for model in models])


def _gain(bubble: Bubble) -> Interval:
    return Interval(bubble.gain, bubble.low, bubble.high)


def show_this_machine(names: Sequence[str]) -> None:
    """A button that times the chosen models on the machine that serves this page, and what it found before."""
    usable = [name for name in _shared.registry().usable() if name in names]
    with st.expander("Measure on this machine", icon=":material/timer:"):
        st.markdown(
            "Times one image with every model chosen above, on one and on two threads, on the computer that runs this "
            "dashboard. It takes some seconds. Times depend on the machine and on what else it does; how many times as "
            "long as the student a model takes depends less on them, but not little: processors differ in what they "
            "have for int8."
        )
        if st.button("Measure", icon=":material/play_arrow:", key="measure", disabled=not usable):
            bar = st.progress(0.0, "Loading the models ...")

            def progress(done: int, total: int, name: str) -> None:
                bar.progress(done / total, f"Measuring {_shared.title(name)} ..." if name else "Done")

            try:
                found = measure_here(_shared.registry(), usable, progress=progress)
                st.session_state["measured-here"] = found
            except UserError as error:
                st.warning(_shared.plain_text(str(error)))
            bar.empty()
        if "measured-here" in st.session_state:
            show_measured(st.session_state["measured-here"])


def show_measured(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """This machine's latencies beside the shipped ones."""
    shipped = _shared.benchmark()
    table = beside(found, shipped)
    table["model"] = table["model"].map(_shared.title)
    time = st.column_config.NumberColumn
    columns = {
        "model": st.column_config.TextColumn("Model"),
        "times_here": time("Times the student, here", format="%.2f"),
        "times_shipped": time("Times the student, shipped", format="%.2f"),
    }
    for threads, label in (("1", "one thread"), ("2", "two threads")):
        columns |= {
            f"here_{threads}": time(f"Here, {label}, ms", format="%.2f"),
            f"here_{threads}_p95": time("95th percentile", format="%.2f"),
            f"shipped_{threads}": time(f"Shipped, {label}, ms", format="%.2f"),
        }
    shown = [name for name in columns if table[name].notna().any()]
    st.dataframe(table, hide_index=True, column_order=shown, column_config=columns, placeholder="", key="here",
                 height="content", alt="Latency of each model on this machine beside the shipped figures")  # fmt: skip
    stored = f"Shipped: {_shared.plain_text(shipped.hardware)}." if shipped and shipped.hardware else ""
    stored = stored or f"`{COMMAND} --save` stores such figures beside the models."
    st.caption(f"Here: {_shared.plain_text(this_machine().text())}. {stored}")
    _shared.download(table, "this-machine.csv")


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


def show_training(models: list[Contestant], guest: Guest | None) -> None:
    """Training curves of one model, as the report draws them."""
    ours = [model for model in models if model.name != NAME]
    if not ours:
        st.info("Choose one of our models above: a CSV of probabilities has no training to show.")
        return
    titles = {model.name: model.title for model in ours}
    name = _links.selectbox("Model", list(titles), format_func=titles.get, key="curve", width=320)
    manifest = _shared.registry().manifest
    try:
        if manifest is None:
            return
        history = read_history(manifest, name)
    except UserError as error:
        st.info(_shared.plain_text(str(error)))
        return
    entry = manifest.model(name)
    differs = {"loss": two_losses(entry.recipe)}
    epoch = history["epoch"].tolist()
    for column, (kind, label, share) in zip(
        st.columns(2, gap="medium"), (("accuracy", "Accuracy", True), ("loss", "Loss", False)), strict=True
    ):
        with column:
            training = history[kind].tolist() if kind in history else None
            _shared.chart(
                training_curves(epoch, training, history[f"val_{kind}"].tolist(), label=label, share=share,
                                ink=_shared.ink()),
                key=f"training-{kind}", alt=f"{label} of {titles[name]} by epoch",
                reading=f"{label} by epoch, training blue and validation red, as the report draws it."
                + differs.get(kind, ""),
            )  # fmt: skip
    st.caption(whose_curves(entry))
    shares = [column for column in history.columns if column.endswith(("accuracy", "f1"))]
    headings = _shared.headings(history.columns) | TRAINING_HEADINGS
    st.dataframe(
        _shared.in_percent(history, shares), hide_index=True, key="history",
        column_config=headings | {c: st.column_config.NumberColumn(headings[c], format="%.1f%%") for c in shares},
        alt="The training history epoch by epoch",
    )  # fmt: skip
    _shared.download(history, f"history-{name}.csv")


def two_losses(recipe: Mapping[str, Any]) -> str:
    """How the loss in blue is another than the one in red; empty where both are plain cross-entropy."""
    weighted, taught = recipe.get("balance") == "sqrt", recipe.get("distillation")
    blue = "cross-entropy weighted by class" if weighted else "cross-entropy"
    if taught:
        alpha, temperature = taught.get("alpha"), taught.get("temperature")
        blue = f"alpha · T² · KL to the teachers + (1 - alpha) · {blue}, with alpha = {alpha} and T = {temperature}"
    elif not weighted:
        return ""
    return f" These are two different losses: blue is {blue}; red is plain cross-entropy. Their heights do not compare."


def whose_curves(entry: ModelEntry) -> str:
    """What the curves are measured on, and of which run they are where the model is the mean of several."""
    repeated = ", those of small classes repeated" if entry.recipe.get("balance") == "oversample" else ""
    said = (
        f"The curve in blue is measured on augmented training images{repeated}, while the network learns, the red one "
        "on plain validation images, so red may lie above blue."
    )
    runs = averaged_runs(entry)
    if runs:
        one = run_shown(entry) or "one of them"
        said += f" The model is the mean of the weights of {' and '.join(runs)}; the curves are those of {one} alone."
    return _shared.plain_text(said)
