"""The comparison's views that need every model's answers, image by image, or cohort by cohort."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.errors import UserError
from core.evaluation.brought import NAME
from core.evaluation.calibration import reliability
from core.evaluation.cohorts import is_thin
from core.evaluation.compare import BASELINE, COUNTED, DIFFERENCES, Comparison, compare_all
from core.evaluation.contestants import HEADLINE_NAMES, Contestant, on_same_images, to_interval
from core.evaluation.operating import precision_recall, roc
from core.evaluation.predictions import Predictions
from core.evaluation.tables import (
    COHORT_FIGURES,
    NO_SHARES,
    cohort_table,
    difference_table,
    figure_table,
    group_in_words,
)
from core.figures.curves import Line, precision_recall_curves, reliability_diagram, roc_curves
from core.figures.intervals import Mark, Row
from core.figures.style import model_colour, model_symbol
from core.lesions import BY_CODE, CODES, INDEX
from core.numbers import without_minus_zero
from core.serving.tables import to_csv
from core.text import counted
from pages import _downloads, _links, _shared
from pages._bring import Guest
from pages._figures import bars, mark, pick_figure, rows_of_figure
from pages._pays import say_whether_distillation_pays

READ_AHEAD = "read-ahead"
DIMENSIONS = {"age": "Age", "sex": "Sex", "site": "Site", "confirmation": "How it was confirmed"}


Found = list[tuple[Contestant, Predictions]]
"""Models with their answers to the same test images."""


def answers(models: list[Contestant], guest: Guest | None) -> Found:
    """The test answers of the chosen models on the same images; who has none is named."""
    found, refused, others = _read(models, guest)
    for model, why in refused:
        st.warning(f"{_shared.plain_text(model.title)} is left out: {_shared.plain_text(why)}")
    if others:
        names = ", ".join(model.title for model in others)
        st.warning(
            f"{_shared.plain_text(names)}: left out, measured on other test images than the first model."
        )
    return found


def _read(
    models: list[Contestant], guest: Guest | None
) -> tuple[Found, list[tuple[Contestant, str]], list[Contestant]]:
    """The answers, whose cannot be read and why, and whose are of other images."""
    found: dict[str, Predictions] = {}
    refused = []
    for model in models:
        try:
            own = guest is not None and model.name == NAME
            found[model.name] = guest.brought.predictions if own else _shared.predictions(model.name, "test")
        except UserError as error:
            refused.append((model, str(error)))
    kept, others = on_same_images(list(found.values()))
    by_name = {model.name: model for model in models}
    return (
        [(by_name[predictions.model], predictions) for predictions in kept],
        refused,
        [by_name[name] for name in others],
    )


def read_ahead(models: list[Contestant], guest: Guest | None) -> None:
    """Read and compare what other views need, once in a session and below the view that stands already: whoever then
    goes to them need not wait."""
    if st.session_state.setdefault(READ_AHEAD, False):
        return
    st.session_state[READ_AHEAD] = True
    found, *_ = _read(models, guest)
    if len(found) > 1:
        compare(found, guest, COUNTED)


def show_curves(models: list[Contestant], guest: Guest | None) -> None:
    """ROC and precision-recall of one class."""
    code = _links.selectbox(
        "Class against the rest", CODES, INDEX["mel"], lambda c: BY_CODE[c].name, key="diagnosis",
        width=320,
    )  # fmt: skip
    found = answers(models, guest)
    if not found:
        st.info("There are no predictions to draw.")
        return
    positive = found[0][1].label == INDEX[code]
    scored = [
        (
            model,
            predictions.probabilities(model.temperature)[:, INDEX[code]],
            predictions.label == INDEX[code],
        )
        for model, predictions in found
    ]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**ROC curve**")
        lines = [Line(m.name, m.title, roc(score, truth)) for m, score, truth in scored]
        _shared.chart(
            roc_curves(lines, ink=_shared.ink()),
            key="roc",
            alt="; ".join(f"{line.title}: area {line.curve.area:.3f}" for line in lines),
            reading="Each point is a threshold. Better is up and to the left; the dashed diagonal is guessing.",
        )
    with right:
        st.markdown("**Precision and recall**")
        lines = [Line(m.name, m.title, precision_recall(score, truth)) for m, score, truth in scored]
        _shared.chart(
            precision_recall_curves(lines, float(positive.mean()), ink=_shared.ink()),
            key="pr",
            alt="; ".join(f"{line.title}: average precision {line.curve.area:.3f}" for line in lines),
            reading=f"Better is up and to the right; the dashed line is guessing at this class' share, "
            f"{positive.mean():.1%} of {len(positive):,} images.",
        )


def show_calibration(models: list[Contestant], guest: Guest | None) -> None:
    """The reliability diagram of one model, before and after."""
    found = {model.name: (model, predictions) for model, predictions in answers(models, guest)}
    if not found:
        st.info("There are no predictions to draw.")
        return
    name = _links.selectbox(
        "Model",
        list(found),
        format_func=lambda n: found[n][0].title,
        key="calibrated",
        width=320,
    )
    model, predictions = found[name]
    fitted = guest.brought.calibrated if guest is not None and name == NAME else _is_fitted(name)
    divided = (
        f"Its logits are divided by {model.temperature:.2f}, fitted on validation; then it says"
        if fitted
        else "No temperature was fitted, so both curves are one. It says"
    )
    top = predictions.probabilities(model.temperature).max(axis=1)
    says, right = float(top.mean()), float((predictions.predicted == predictions.label).mean())
    before, after = (
        reliability(predictions.probabilities(t), predictions.label, lesion_id=predictions.lesion_id)
        for t in (1.0, model.temperature)
    )
    _shared.chart(
        reliability_diagram(before, after, name, ink=_shared.ink()),
        key="reliability",
        alt=f"{model.title}: calibration error {before.ece:.1%} before, {after.ece:.1%} after",
        reading="On the diagonal a model is right as often as it says; below it, it is too sure of itself. "
        f"{divided} {says:.1%} on average and is right in {right:.1%}. Whiskers are 95% "
        "intervals by lesions; bars: images in each bin.",
    )
    columns = [c for c in figure_table([model]).columns if c == "model" or c.startswith("ece")]
    _shared.download(figure_table([m for m, _ in found.values()])[columns], "calibration.csv")


def _is_fitted(name: str) -> bool:
    """Whether a model of ours was calibrated."""
    manifest = _shared.registry().manifest
    return manifest is not None and "temperature" in manifest.model(name).calibration


def show_differences(models: list[Contestant], guest: Guest | None) -> None:
    """Paired differences and McNemar's test between every two: of shares in points of 100, of an AUC as decimals."""
    found = answers(models, guest)
    if len(found) < 2:
        st.info("Two models with predictions are needed for a difference.")
        return
    titles = {model.name: model.title for model, _ in found}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = pick_figure("difference", DIFFERENCES)
        against = _links.selectbox(
            "Against",
            list(titles),
            # Whether distillation pays is what most come for.
            list(titles).index(BASELINE) if BASELINE in titles else len(titles) - 1,
            titles.get,
            key="against",
            width=260,
        )
    with st.spinner("Resampling lesions ..." if name in COUNTED else "Resampling lesions for the AUC ..."):
        comparisons = compare(found, guest, COUNTED if name in COUNTED else DIFFERENCES)
    rows = [row for pair in comparisons if (row := difference_row(pair, against, name, titles)) is not None]
    in_points, title = name not in NO_SHARES, HEADLINE_NAMES[name]
    axis = f"Difference in {title[0].lower()}{title[1:]}" + (", points of 100" if in_points else "")
    values = {row.label: row.marks[0].value for row in rows}
    _shared.chart(
        rows_of_figure(rows, name, axis=axis, reference=(0.0, "no difference"), differences=True),
        key="differences",
        alt="; ".join(f"{label}: {100 * v:+.1f} points" if in_points else f"{label}: {v:+.3f}"
                      for label, v in values.items()),
        reading="Right of the line the named model is the better one. Whiskers that do not cross the line: a "
        "difference of 95% confidence, since both answered the same lesions.",
    )  # fmt: skip
    say_whether_distillation_pays()
    table = difference_table(comparisons, titles)
    ends = [f"{name}_low", f"{name}_high"]
    digits = 1 if in_points else 3
    signed = f"%+.{digits}f"
    config = {
        name: st.column_config.NumberColumn(f"{title}, points" if in_points else title, format=signed),
        ends[0]: st.column_config.NumberColumn("Low", format=signed),
        ends[1]: st.column_config.NumberColumn("High", format=signed),
        "pair": st.column_config.TextColumn("First minus second", width=280),
        "only_first_right": "Only the first right",
        "only_second_right": "Only the second right",
        "mcnemar_p": st.column_config.NumberColumn("McNemar p", format="%.2g"),
    }
    shown = _shared.in_percent(table, [name, *ends]) if in_points else table
    rounded = {column: without_minus_zero(shown[column], digits) for column in (name, *ends)}
    shown = shown.assign(pair=shown["first"] + " − " + shown["second"], **rounded)
    st.dataframe(
        shown, hide_index=True, column_config=config, key="difference-table", height="content",
        column_order=["pair", name, *ends, "only_first_right", "only_second_right", "mcnemar_p"],
        alt="Differences between every two models with McNemar's test",
    )  # fmt: skip
    st.caption(
        "McNemar's p counts images as independent and so is a little too small: read it beside the "
        "interval. The download has all figures."
    )
    _downloads.offer(
        "Table as CSV", partial(_all_differences, found, guest, titles), "differences.csv", "text/csv",
        key="csv-differences.csv", icon=":material/download:",
    )  # fmt: skip


def _all_differences(found: Found, guest: Guest | None, titles: dict[str, str]) -> str:
    """Every figure's differences as CSV, made when somebody asks: by the server, which has no session's cache."""
    if guest is None:
        compared = compare(found, guest, DIFFERENCES)
    else:
        temperatures = {model.name: model.temperature for model, _ in found}
        compared = compare_all([predictions for _, predictions in found], temperatures, figures=DIFFERENCES)
    return to_csv(difference_table(compared, titles))


def difference_row(pair: Comparison, against: str, name: str, titles: dict[str, str]) -> Row | None:
    """The other model minus `against`; None where the pair is of two others."""
    if against not in (pair.first, pair.second):
        return None
    interval = pair.differences[name]
    other, sign = (pair.first, 1) if pair.second == against else (pair.second, -1)
    low, high = sorted((sign * interval.low, sign * interval.high))
    one = Mark(titles[other], sign * interval.value, low, high, model_colour(other), model_symbol(other),
               note=f"McNemar p {pair.mcnemar.p_mid:.2g}")  # fmt: skip
    return Row(f"{titles[other]} minus {titles[against]}", (one,))


def compare(found: Found, guest: Guest | None, figures: tuple[str, ...]) -> list[Comparison]:
    """Every two, by some of `DIFFERENCES`; remembered for all sessions, with a guest for this one only."""
    key = tuple(
        guest.key if guest is not None and model.name == NAME else _shared.predictions_sha256(model.name)
        for model, _ in found
    )  # fmt: skip
    temperatures = tuple((model.name, model.temperature) for model, _ in found)
    run = _compare_ours if all(model.name != NAME for model, _ in found) else _compare_guest
    return run(key, temperatures, figures, [predictions for _, predictions in found])


@st.cache_data(max_entries=32, show_spinner=False)
def _compare_ours(
    key: tuple, temperatures: tuple, figures: tuple[str, ...], _found: list[Predictions]
) -> list[Comparison]:
    return compare_all(_found, dict(temperatures), figures=figures)


@st.cache_data(scope="session", max_entries=8, show_spinner=False)
def _compare_guest(
    key: tuple, temperatures: tuple, figures: tuple[str, ...], _found: list[Predictions]
) -> list[Comparison]:
    return compare_all(_found, dict(temperatures), figures=figures)


def forget() -> None:
    """Let go of this visit's comparisons with a guest."""
    _compare_guest.clear()


def show_cohorts(models: list[Contestant], guest: Guest | None) -> None:
    """Figures by who the patient is and where the lesion lies."""
    counted = [model for model in models if model.cohorts]
    stored = {cohort.get("dimension") for model in counted for cohort in model.cohorts}
    dimensions = [dimension for dimension in DIMENSIONS if dimension in stored]
    if guest is not None and not guest.contestant.cohorts:
        st.caption(":material/info: Your model's cohorts need HAM10000 at hand (DERMDISTILL_DATA).")
    if not dimensions:
        st.info(
            "No cohorts were measured. `python -m core evaluate` with HAM10000 at hand (DERMDISTILL_DATA) adds them."
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dimension = _links.selectbox(
            "Cohorts by",
            dimensions,
            format_func=DIMENSIONS.get,
            key="cohort",
            width=220,
        )
        name = pick_figure("cohort-figure", tuple(COHORT_FIGURES), COHORT_FIGURES)
    table = cohort_table(counted, dimension)
    _shared.chart(
        rows_of_figure(cohort_rows(counted, dimension, name), name, axis=COHORT_FIGURES[name]),
        key="cohorts",
        alt=f"{COHORT_FIGURES[name]} by {DIMENSIONS[dimension].lower()}",
        reading="Hollow marks and the word “thin” stand for fewer than 30 lesions, or for fewer than 30 images of the "
        "kind that a sensitivity or specificity is a share of, or that an AUC tells apart: read nothing into them. "
        "Groups differ in what they have as well as in how the model does.",
    )
    config = {n: bars(n, label) for n, label in COHORT_FIGURES.items()}
    config |= {
        "n_images": "Images",
        "n_lesions": "Lesions",
        "n_melanomas": "Melanomas",
        "too_few_for": st.column_config.TextColumn("Too few for", width=330),
    }
    config |= {"model": "Model", "group": DIMENSIONS[dimension]}
    order = ["model", "group", "n_images", "n_lesions", "n_melanomas", "too_few_for", *COHORT_FIGURES]
    st.dataframe(
        _shared.in_percent(table, [n for n in COHORT_FIGURES if n not in NO_SHARES]), hide_index=True,
        column_order=order, column_config=config, placeholder="", key="cohort-table",
        alt="Figures of each model in each cohort",
    )  # fmt: skip
    _shared.download(table, f"cohorts-{dimension}.csv")


def cohort_rows(models: list[Contestant], dimension: str, name: str) -> list[Row]:
    """A row for each group, a mark in it for each model."""
    groups: dict[str, list[Mark]] = {}
    labels: dict[str, str] = {}
    for model in models:
        for cohort in model.cohorts:
            if cohort.get("dimension") == dimension:
                group, thin = str(cohort["group"]), is_thin(cohort, name)
                words = group_in_words(dimension, group)
                labels[group] = f"{words}: {counted(cohort.get('n_lesions') or 0, 'lesion')}{', thin' * thin}"
                groups.setdefault(group, []).append(mark(model, to_interval(cohort.get(name)), hollow=thin))
    return [Row(labels[group], tuple(marks)) for group, marks in groups.items()]
