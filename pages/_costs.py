"""The comparison's trade-off: figures of merit against size and latency, and latency on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.benchmark.hardware import this_machine
from core.benchmark.latency import beside, by_machine, measure_here
from core.errors import UserError
from core.evaluation.contestants import (
    HEADLINE_NAMES,
    SMALLER_IS_BETTER,
    Contestant,
    majority_line,
)
from core.evaluation.intervals import Interval
from core.evaluation.latency import COMMAND, Benchmark
from core.evaluation.tables import (
    NO_SHARES,
    figure_table,
    written,
)
from core.figures.tradeoff import REPORTED_NOTE, Bubble, bubbles_of, tradeoff
from core.numbers import percent
from pages import _links, _shared
from pages._bring import Guest
from pages._figures import pick_figure

COSTS = {
    "Size": ("megabytes", "Size, MB (logarithmic)", "a smaller file"),
    "Latency": ("milliseconds", "One image, one thread, ms (logarithmic)", "a shorter time"),
}
"""What is paid: attribute of a contestant, axis, and what less of it is."""


def show_tradeoff(models: list[Contestant], guest: Guest | None) -> None:
    """A figure of merit against size or latency, with the Pareto front."""
    timed = any(model.milliseconds for model in models)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = pick_figure("gain", [n for n in HEADLINE_NAMES if n not in SMALLER_IS_BETTER])
        kind = next(iter(COSTS))
        if timed:
            kind = _links.segmented_control("Against", list(COSTS), key="price")
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
        alt="; ".join(f"{b.title}: {written(name, _gain(b))[0]} at {b.cost_text}" for b in found),
        reading="Better is up and to the left; the area of a bubble is its file's size. No other model chosen "
        f"above has both a higher {title[0].lower()}{title[1:]} and {cheaper} than one on the dotted Pareto front."
        + (f" Hollow: {REPORTED_NOTE}." if any(bubble.reported for bubble in found) else ""),
    )  # fmt: skip
    sizes = "; ".join(f"{_shared.plain_text(m.title)} {m.size}" for m in models if m.bytes)
    st.caption(f"Files are compared as they are shipped, whatever the format of their numbers: {sizes}.")
    if not timed:
        why = "None of the chosen models was timed" if _shared.benchmark() else "No benchmark was run"
        st.caption(f":material/timer_off: {why}, so there is no latency here; `{COMMAND} --save` makes it.")
    measured = _shared.benchmark()
    if timed and measured and measured.hardware:
        st.caption(f"Latency on {_shared.plain_text(measured.hardware)}.")
    if guest is not None and not guest.contestant.bytes:
        st.caption("Your model has no size yet: enter one beside its file to see it here.")
    _shared.download(figure_table(models, reported=any(b.reported for b in found)), "tradeoff.csv")
    names = [model.name for model in models]
    if measured:
        show_machines(measured, names)
    show_this_machine(names)


def _gain(bubble: Bubble) -> Interval:
    return Interval(bubble.gain, bubble.low, bubble.high)


def show_machines(measured: Benchmark, names: Sequence[str]) -> None:
    """The chosen models' times on every machine that was benchmarked, where that is more than one."""
    runs = [measured, *measured.elsewhere]
    table = by_machine(runs, names)
    if table.empty:
        return
    table["model"] = table["model"].map(_shared.title)
    columns: dict[str, object] = {"model": st.column_config.TextColumn("Model")}
    machines = range(1, len(runs) + 1)
    # What differs from machine to machine side by side, and in narrow windows in sight.
    columns |= {f"times_{k}": st.column_config.NumberColumn(f"Times, {k}", format="%.2f") for k in machines}
    columns |= {f"ms_{k}": st.column_config.NumberColumn(f"ms, {k}", format="%.1f") for k in machines}
    with st.expander(f"The same on {len(runs)} machines", icon=":material/devices:"):
        st.markdown(
            "What int8 gains in time depends on the processor: much where it has instructions for 8-bit products, as "
            "many phones and servers of recent years have, little or nothing where it has none."
        )
        st.dataframe(table, hide_index=True, column_order=list(columns), column_config=columns, placeholder="",
                     key="machines", height="content", alt="Latency of each model on several machines")  # fmt: skip
        lines = "; ".join(f"{k}: {_shared.plain_text(run.hardware)}" for k, run in enumerate(runs, 1))
        st.caption(
            "One image, one thread, in milliseconds and as multiples of the student's time on the same machine. "
            f"{lines}. A processor's instructions for 8-bit numbers stand behind its name where they were noted. "
            "Of a model whose file is newer than a machine's figures there are none."
        )
        _shared.download(table, "machines.csv")


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
        for state in _shared.registry().states():
            if state.name in names and state.reason:
                title = _shared.title(state.name)
                st.caption(f":material/block: {title} is not measured: {_shared.plain_text(state.reason)}")
        if "measured-here" in st.session_state:
            found = st.session_state["measured-here"]
            if found.keys() & names:
                show_measured(found, names)
            if lacking := [_shared.title(name) for name in usable if name not in found]:
                st.caption(f":material/info: Not measured yet: {_shared.plain_text(', '.join(lacking))}.")


def show_measured(found: dict[str, dict[str, dict[str, float]]], names: Sequence[str]) -> None:
    """This machine's latencies of these models beside the shipped ones; multiples are of the student, chosen or not."""
    shipped = _shared.benchmark()
    table = beside(found, shipped)
    table = table[table["model"].isin(names)]
    table = table.assign(model=table["model"].map(_shared.title))
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
