"""The comparison's view of pruning: what is lost on the way to a smaller and faster student."""

from __future__ import annotations

import re
from math import isclose

import streamlit as st

from core.benchmark.bars import read_bars
from core.errors import UserError
from core.evaluation.compressed import COMMAND, MAGNITUDE, METHODS, Curves, read_curves
from core.evaluation.contestants import Contestant, to_interval
from core.evaluation.intervals import Interval
from core.evaluation.latency import COMMAND as BENCHMARK
from core.figures.compression import COSTS, GAINS, compression_curves, described
from core.serving.registry import KNOWN
from pages import _links, _shared
from pages._bring import Guest


def show_compression(models: list[Contestant], guest: Guest | None) -> None:
    """Both curves of pruning; the models chosen above play no part."""
    manifest = _shared.registry().manifest
    try:
        curves = read_curves(manifest) if manifest else None
    except UserError as error:
        st.warning(f"The compression curves cannot be read: {_shared.plain_text(str(error))}")
        return
    if curves is None or curves.whole is None or len(curves.points) < 2:
        st.info(
            f"Nothing was pruned yet. `{COMMAND} --multiply-adds 0.5 --sparsity 0.8` makes the first points."
        )
        return
    if not _are_of_these_weights(curves):
        st.info(
            f"{_shared.plain_text(_shared.title(curves.parent))} has learned further since its pruning was measured: "
            f"those points are of other weights. `{COMMAND} --multiply-adds 0.5 --sparsity 0.8` makes new ones."
        )
        return
    _show(curves)


def _are_of_these_weights(curves: Curves) -> bool:
    """Whether the points are of the weights that are shipped; of a parent without any nothing else is known."""
    manifest = _shared.registry().manifest
    parent = manifest.models.get(curves.parent) if manifest else None
    weights = manifest.files.get(parent.files.get("weights", "")) if parent else None
    return weights is None or weights.sha256 == curves.parent_sha256


def _whole(curves: Curves, gain: str) -> Interval | None:
    """The interval of the whole network's figure on the points' images; None where another one is shipped by now."""
    manifest = _shared.registry().manifest
    shipped = manifest.models.get(f"{curves.parent}-int8") if manifest else None
    found = to_interval(shipped.figures.get("validation", {}).get(gain)) if shipped else None
    return found if found and isclose(found.value, getattr(curves.whole, gain)) else None


def _show(curves: Curves) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        gain = _links.selectbox("Figure", list(GAINS), 0, GAINS.get, key="pruned-gain", width=320)
        cost = _links.segmented_control("Against", list(COSTS), key="pruned-cost")
    band = _whole(curves, gain)
    _shared.chart(
        compression_curves(curves, cost=cost, gain=gain, band=band, ink=_shared.ink()),
        key="compression",
        alt="; ".join(
            f"{METHODS[p.method]}, {described(p.method, p)}: {getattr(p, gain):.1%}" for p in curves.points
        ),
        reading="The dashed line is the whole network"
        + (
            ", the band its own 95% interval; a point within it is not thereby equal, since all answer the same images"
            if band
            else ""
        )
        + ". Every pruned network was fine-tuned, and every point is measured as an int8 file. Taking whole channels "
        "out makes a network smaller and faster; setting single weights to zero shrinks its zipped file alone, since a "
        "zero is multiplied like any other number."
        + ("" if curves.of(MAGNITUDE) else " No point of the latter was made yet.")
        + _say_epochs(curves),
    )
    st.caption(
        f"Of {_shared.plain_text(_shared.title(curves.parent))}, whatever models are chosen above, on "
        f"{curves.images:,} validation images: points are "
        f"chosen by these, test images are not touched. {_times_on(curves)}"
    )
    table = curves.table()
    order = [name for name in table.columns if name != "hardware" or curves.elsewhere]
    shown = _shared.in_percent(table, ["accuracy", "balanced_accuracy"])
    # A share is of what is kept with one method, of what is set to zero with the other.
    shown["share"] = [described(point.method, point) if point.share < 1 else "" for point in curves.points]
    st.dataframe(
        shown, hide_index=True, key="compression-table", column_order=order,
        height="content", alt="Every point of the curves",
        column_config={
            "method": "Method",
            "epochs": "Epochs",
            "share": "Asked for",
            "accuracy": st.column_config.ProgressColumn("Accuracy", **_shared.PERCENT),
            "balanced_accuracy": st.column_config.ProgressColumn("Balanced accuracy", **_shared.PERCENT),
            "multiply_adds": st.column_config.NumberColumn("Multiply-adds", format="compact"),
            "weights": st.column_config.NumberColumn("Weights", format="compact"),
            "bytes": st.column_config.NumberColumn("Bytes", format="compact"),
            "compressed_bytes": st.column_config.NumberColumn("Zipped", format="compact"),
            "milliseconds": st.column_config.NumberColumn("ms per image", format="%.2f"),
            "times": st.column_config.NumberColumn("Times the whole", format="%.2f"),
            "hardware": st.column_config.TextColumn("Timed on", width=200),
        },
    )  # fmt: skip
    _shared.download(table, "compression.csv")
    _show_demands()


def _times_on(curves: Curves) -> str:
    """Which machine times are of; which of them are another's."""
    said = f"Times on {_shared.plain_text(curves.hardware)}, each beside the whole network"
    others = [described(point.method, point) for point in curves.elsewhere]
    if not others:
        return f"{said}."
    return (
        f"{said}; of {', '.join(others)} on another machine, where they mean something else: see the table."
    )


def _say_epochs(curves: Curves) -> str:
    """That points differ in their fine-tuning, where they do: it is not the pruning alone that tells them apart."""
    epochs = {point.epochs for point in curves.points if point.epochs}
    if len(epochs) < 2:
        return ""
    return (
        f" Points were fine-tuned for {min(epochs)} to {max(epochs)} epochs, as the table says, and fewer cost "
        "accuracy too."
    )


def _in_words(what: str) -> str:
    """A demand with the models' names for people."""
    return re.sub(r"[\w-]+", lambda m: _shared.title(m[0]) if m[0] in KNOWN else m[0], what)


def _show_demands() -> None:
    """What was asked of the small files beside what they reach, the missed ones first."""
    manifest = _shared.registry().manifest
    try:
        bars = read_bars(manifest) if manifest else []
    except UserError as error:
        st.warning(f"The benchmark cannot be read: {_shared.plain_text(str(error))}")
        return
    if not bars:
        return
    st.markdown("**What was asked of the small files**")
    words = {True: "met", False: "missed", None: "not measured"}
    rows = [
        {
            "asked": _in_words(bar.what),
            "bar": bar.bound,
            "measured": bar.found,
            "": words[bar.met],
            "note": bar.note,
        }
        for bar in sorted(bars, key=lambda bar: bar.met is not False)
    ]
    # The verdict first: in narrow windows what was asked fills the width.
    order = ["", "asked", "bar", "measured", *(["note"] if any(bar.note for bar in bars) else [])]
    st.dataframe(rows, hide_index=True, key="demands", height="content", alt="Demands, bars, what was measured",
                 column_order=order, column_config={"asked": "Asked", "bar": "Bar", "measured": "Measured",
                 "note": "Besides"})  # fmt: skip
    st.caption(
        ":material/info: On test images, and by the stored benchmark's times: the median of the ratios within each of "
        "its rounds, which the quotient of two times of a table misses by some per cent. Ratios differ from one kind "
        f"of processor to another. `{BENCHMARK} models` measures them on this one."
    )
