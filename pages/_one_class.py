"""The confusion page's view of one class against the rest, with a threshold that moves everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from core.evaluation.confusions import ANY_MALIGNANT, TARGETS, OneVsRest
from core.evaluation.contestants import Contestant
from core.evaluation.intervals import Interval, Resamples, resample
from core.evaluation.operating import Curve, Decision, precision_recall, roc
from core.evaluation.predictions import Predictions
from core.evaluation.tables import figure_in_words
from core.figures.confusion import mark_point, two_by_two
from core.figures.curves import Line, precision_recall_curves, roc_curves
from core.figures.intervals import Row, interval_rows
from core.lesions import MALIGNANT
from pages import _links, _shared
from pages._figures import mark

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

LEADING, THRESHOLD = RULES = ("it is the leading class", "its probability reaches a threshold")
FIGURES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value (PPV)",
    "npv": "Negative predictive value (NPV)",
    "f1": "F1",
}


@st.fragment
def show_one_class(found: list[tuple[Contestant, Predictions]]) -> None:
    """The 2x2 table, its figures with intervals, and where the decision lies on the curves; a rerun of its own."""
    target = _links.selectbox(
        "Class against the rest", list(TARGETS), list(TARGETS).index("mel"), TARGETS.get, key="one", width=320
    )
    threshold = _choose_threshold(found, target)
    label = found[0][1].label
    positive = np.isin(label, MALIGNANT) if target == ANY_MALIGNANT else label == list(TARGETS).index(target)
    prevalence = _choose_prevalence(float(positive.mean()))
    if not positive.any() or positive.all():
        st.info("These images hold nothing to tell apart: choose another class, or more images above.")
        return
    asked = [OneVsRest.of(p, model.temperature, target) for model, p in found]
    drawn = _resamples(tuple(found[0][1].lesion_id))
    decisions = [one.decide(threshold, drawn, prevalence) for one in asked]
    models = [model for model, _ in found]
    own = float(positive.mean())
    if len(models) > 1:
        _show_tables(models, decisions, TARGETS[target], st.columns(2, gap="medium"))
        _show_figures(models, decisions, prevalence, own)
    else:
        table, figures = st.columns([2, 3], gap="large")
        _show_tables(models, decisions, TARGETS[target], [table])
        with figures:
            _show_figures(models, decisions, prevalence, own)
    _show_figure_table(models, decisions, target)
    _show_curves(models, asked, decisions, float(positive.mean()), threshold is not None)


def _choose_threshold(found: list[tuple[Contestant, Predictions]], target: str) -> float | None:
    """The threshold, or None for the leading class."""
    rule = _links.segmented_control("Called positive when", RULES, key="rule")
    if rule == LEADING:
        return None
    point, key = None, "threshold"
    if target == ANY_MALIGNANT:
        name = found[0][0].name
        entry = _shared.registry().state(name).entry
        point = entry.malignancy_threshold if entry else None
        # Each model has a key of its own, since what is right for one is another decision on the next one's scale.
        key = f"malignancy-threshold-{name}"
    # Never up: above the operating point fewer are found than it stands for.
    start = math.floor(1000 * (point or 0.5)) / 1000
    threshold = _links.slider(
        "Threshold", 0.0, 1.0, start, 0.005, "%.3f", key=key, width=520,
        help="Lower finds more of the class and raises more false alarms. For the malignancy score it starts at the "
        "operating point of the first model, or at the slider's step just below it.",
    )  # fmt: skip
    if point:
        st.caption(_where_it_starts(found[0][0].title, point, start))
    return threshold


def _where_it_starts(title: str, point: float, start: float) -> str:
    """A model's operating point, and why the slider's start may lie a little below it."""
    said = f":material/info: {_shared.plain_text(title)}: operating point {point:.3f}"
    if f"{point:.3f}" == f"{start:.3f}":
        return f"{said}."
    return (
        f"{said}; the slider starts just below, at {start:.3f}, so that no image above that point is missed."
    )


def _choose_prevalence(own: float) -> float | None:
    """The prevalence for PPV and NPV, or None for that of the images."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = st.toggle(
            "PPV and NPV at another prevalence", key="other-prevalence", bind="query-params",
            help="How often a positive answer is right depends on how common the class is among those examined.",
        )  # fmt: skip
        if not other:
            return None
        percents = _links.number_input(
            f"Prevalence, % (these images: {100 * own:.1f})", 0.01, 99.99, 1.0, 0.5, "%.2f", key="prevalence",
            width=260,
        )  # fmt: skip
    return percents / 100


@st.cache_resource(max_entries=16, show_spinner="Drawing lesions for the intervals ...")
def _resamples(lesion_id: tuple[str, ...]) -> Resamples:
    return resample(np.array(lesion_id))


def _show_tables(
    models: Sequence[Contestant], decisions: Sequence[Decision], name: str, places: Sequence[DeltaGenerator]
) -> None:
    for column, model, decision in zip(places, models, decisions, strict=True):
        with column:
            st.markdown(f"**{_shared.plain_text(model.title)}: {name}, or not**")
            _shared.chart(
                two_by_two(decision, name, ink=_shared.ink()),
                key=f"two-by-two-{model.name}",
                alt=f"{model.title}: {decision.tp} found, {decision.fn} missed, {decision.fp} false alarms, "
                f"{decision.tn} rightly spared",
                reading="Rows: what the lesion is; columns: what the model said. Green is right; the fuller, the more "
                "images.",
            )


def _show_figures(
    models: Sequence[Contestant], decisions: Sequence[Decision], prevalence: float | None, own: float
) -> None:
    rows = [
        Row(
            label,
            tuple(mark(model, getattr(d, name)) for model, d in zip(models, decisions, strict=True)),
        )
        for name, label in FIGURES.items()
    ]
    among = f"{prevalence:.2%}, as chosen" if prevalence is not None else f"{own:.1%}, as among these images"
    _shared.chart(
        interval_rows(rows, axis="Share", ink=_shared.ink()),
        key="one-class-figures",
        alt="; ".join(
            f"{model.title}, {label}: {figure_in_words(n, getattr(d, n)) or 'undefined'}"
            for model, d in zip(models, decisions, strict=True)
            for n, label in FIGURES.items()
        ),
        reading="Dots are the figures, whiskers are 95% intervals over lesions. PPV and NPV are for a prevalence of "
        f"{among}; F1 is always that of these images.",
    )


def _show_figure_table(models: Sequence[Contestant], decisions: Sequence[Decision], target: str) -> None:
    table = figure_table(models, decisions, target)
    shown = {name: st.column_config.NumberColumn(label, format="%.1f%%") for name, label in FIGURES.items()}
    st.dataframe(
        _shared.in_percent(table, FIGURES), hide_index=True, placeholder="", key="one-class-table", height="content",
        column_order=["model", "tp", "fn", "fp", "tn", *FIGURES],
        column_config=shown | {"model": "Model", "tp": "Found", "fn": "Missed", "fp": "False alarms", "tn": "Spared"},
        alt="Counts and figures of each model",
    )  # fmt: skip
    _shared.download(table, "one-class.csv")


def figure_table(models: Sequence[Contestant], decisions: Sequence[Decision], target: str) -> pd.DataFrame:
    """A row for each model: what was asked, the rule, its threshold if it has one, counts, prevalence, each figure
    with its ends."""
    rows = []
    for model, decision in zip(models, decisions, strict=True):
        rule = LEADING if decision.threshold is None else THRESHOLD
        row: dict[str, object] = {"model": model.title, "target": target, "positive_when": rule}
        for name, value in vars(decision).items():
            if isinstance(value, Interval):
                row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                row[name] = value
        rows.append(row)
    return pd.DataFrame(rows)


def _show_curves(
    models: Sequence[Contestant],
    asked: Sequence[OneVsRest],
    decisions: Sequence[Decision],
    share: float,
    on_curve: bool,
) -> None:
    left, right = st.columns(2, gap="medium")
    beside = (
        "" if on_curve else " Hollow marks: the leading class is no threshold and may lie beside the curve."
    )
    with left:
        st.markdown("**ROC curve**")
        figure = roc_curves(_lines(models, asked, roc), ink=_shared.ink())
        for model, d in zip(models, decisions, strict=True):
            mark_point(
                figure, 1 - d.specificity.value, d.sensitivity.value, model.name, model.title, on_curve=on_curve
            )  # fmt: skip
        _shared.chart(
            figure, key="one-roc", alt="ROC curve with this decision marked",
            reading=f"Every threshold is a point; the mark is this decision. Up and to the left is better.{beside}",
        )  # fmt: skip
    with right:
        st.markdown("**Precision and recall**")
        figure = precision_recall_curves(_lines(models, asked, precision_recall), share, ink=_shared.ink())
        for model, d in zip(models, decisions, strict=True):
            precision = d.tp / (d.tp + d.fp) if d.tp + d.fp else float("nan")
            mark_point(
                figure, d.sensitivity.value, precision, model.name, model.title, on_curve=on_curve
            )  # fmt: skip
        _shared.chart(
            figure, key="one-pr", alt="Precision-recall curve with this decision marked",
            reading="At the prevalence of these images, whatever is chosen above; the dashed line is guessing. Up and "
            f"to the right is better.{beside}",
        )  # fmt: skip


def _lines(models: Sequence[Contestant], asked: Sequence[OneVsRest], draw: object) -> list[Line]:
    curves: list[Curve] = [draw(one.score, one.positive) for one in asked]  # type: ignore[operator]
    return [Line(model.name, model.title, curve) for model, curve in zip(models, curves, strict=True)]
