"""The comparison's tables, as data frames of plain values: what pages show and what people download."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from core.evaluation.cohorts import is_thin
from core.evaluation.compare import Comparison
from core.evaluation.contestants import HEADLINE_NAMES, NO_SHARES, Contestant, majority_line, to_interval
from core.evaluation.intervals import Interval
from core.evaluation.metrics import is_collapsed
from core.lesions import BY_CODE, CODES, Lesion
from core.numbers import percent_range
from core.reported import BY_COUNTERPART, MAJORITY_SHARE, MARK, RESULTS, Reported

COLLAPSED = "collapsed"
COHORT_FIGURES: dict[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "melanoma_sensitivity": "Melanoma sensitivity",
    "malignant_auc": "AUC for malignancy",
    "malignant_sensitivity": "Sensitivity for malignancy at the operating point",
    "malignant_specificity": "Specificity for malignancy at the operating point",
}


def written(name: str, found: Interval) -> tuple[str, str]:
    """A figure and the ends of its 95% interval as people read them; empty where they are undefined.

    Args:
        name: of the figure, which says whether it is a share.
        found: the figure.

    >>> written("accuracy", Interval(0.755, 0.732, 0.777)), written("macro_auc", Interval(0.958, 0.949, 0.967))
    (('75.5%', '73.2 to 77.7'), ('0.958', '0.949 to 0.967'))
    """
    if found.value != found.value:
        return "", ""
    if name not in NO_SHARES:
        return f"{found.value:.1%}", percent_range(found.low, found.high)
    known = found.low == found.low and found.high == found.high
    return f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}" if known else ""


def figure_in_words(name: str, found: Interval) -> str:
    """`75.5% (73.2 to 77.7)`, of an area `0.958 (0.949 to 0.967)`; empty where it is undefined."""
    value, ends = written(name, found)
    return f"{value} ({ends})" if ends else value


def group_in_words(dimension: str, group: str) -> str:
    """A cohort's group as people read it.

    Args:
        dimension: `age`, `sex`, `site` or `confirmation`.
        group: as the manifest stores it; groups by confirmation are HAM10000's codes, such as `histo`.
    """
    if dimension != "confirmation":
        return group
    from core.data.browse import in_words  # with OpenCV, which no other table needs

    return in_words("dx_type", group)


def reported_collapsed(row: Reported) -> bool:
    """Whether the report's own model is no better than always answering the commonest class; its answers are not
    known."""
    return is_collapsed(row.accuracy, MAJORITY_SHARE)


def headline_table(
    models: Sequence[Contestant], *, whole: bool = True, elsewhere: Collection[str] = ()
) -> pd.DataFrame:
    """Ours beside the report's, one row for each model, the majority line last.

    Args:
        models: in the order of the table.
        whole: whether these are all models there are: the report's rows without one of ours then stand there alone.
        elsewhere: names of models that are there but not in this table.

    Returns:
        columns model, accuracy, accuracy_low, accuracy_high, reported_accuracy, balanced_accuracy,
        melanoma_sensitivity, megabytes, numbers, reported_megabytes, milliseconds, note; shares in [0, 1], None for
        what is not known.
    """
    rows = [_headline(model, BY_COUNTERPART.get(model.name)) for model in models]
    ours = {model.name for model in models}
    rows += [
        {"model": row.title, "reported_accuracy": row.accuracy, "reported_megabytes": row.megabytes,
         "note": _note(False, row, "ours is not in this table" if row.counterpart in elsewhere
                       else "not trained here yet")}
        for row in RESULTS
        if whole and row.counterpart not in ours
    ]  # fmt: skip
    line = majority_line(models)
    named = commonest(line).code
    rows.append(
        {"model": _always(line), "accuracy": line[0] if line else None,
         # The report's majority are HAM10000's nevi; of drawn lesions another class may be the commonest.
         "reported_accuracy": MAJORITY_SHARE if named == "nv" else None,
         "balanced_accuracy": 1 / len(CODES), "melanoma_sensitivity": float(named == "mel"),
         "note": "majority line"}
    )  # fmt: skip
    columns = [
        "model", "accuracy", "accuracy_low", "accuracy_high", "reported_accuracy", "balanced_accuracy",
        "melanoma_sensitivity", "megabytes", "numbers", "reported_megabytes", "milliseconds", "note",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def commonest(line: tuple[float, str] | None) -> Lesion:
    """The class that a majority line (see `majority_line`) always names; nevi where nothing was measured."""
    return BY_CODE[line[1] if line and line[1] in BY_CODE else "nv"]


def _always(line: tuple[float, str] | None) -> str:
    """The name of the majority line's row."""
    return f"Always “{commonest(line).name}”"


def _headline(model: Contestant, reported: Reported | None) -> dict[str, object]:
    accuracy = model.interval("accuracy")
    return {
        "model": model.title,
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "reported_accuracy": reported.accuracy if reported else None,
        "balanced_accuracy": model.interval("balanced_accuracy").value,
        "melanoma_sensitivity": model.interval("melanoma_sensitivity").value,
        "megabytes": model.megabytes,
        "numbers": model.numbers or None,
        "reported_megabytes": reported.megabytes if reported else None,
        "milliseconds": model.milliseconds,
        "note": _note(model.collapsed, reported, "" if model.figures else "not evaluated yet"),
    }


def _note(collapsed: bool, reported: Reported | None, other: str) -> str:
    notes = [other] if other else []
    notes += [COLLAPSED] if collapsed else []
    notes += [f"report: {COLLAPSED}"] if reported and reported_collapsed(reported) else []
    return "; ".join(notes)


def markdown_table(models: Sequence[Contestant]) -> str:
    """The headline figures for a text, such as the README: a Markdown table, the majority line last."""
    shares = ("accuracy", "balanced_accuracy", "melanoma_sensitivity")
    head = ["Model", *(HEADLINE_NAMES[name] for name in shares), "Size", "One image"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for model in models:
        time = "" if model.milliseconds is None else f"{model.milliseconds:.1f} ms"
        rows.append([model.title, *(figure_in_words(n, model.interval(n)) for n in shares), model.size, time])
    line = majority_line(models)
    if line:
        found = f"{float(commonest(line).code == 'mel'):.1%}"
        rows.append([_always(line), f"{line[0]:.1%}", f"{1 / len(CODES):.1%}", found, "", ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figure_table(models: Sequence[Contestant], *, reported: bool = False) -> pd.DataFrame:
    """Every headline figure with its ends: columns model, NAME, NAME_low, NAME_high ..., what it costs, note.

    Args:
        models: in the order of the table.
        reported: whether the report's own rows come last, marked as such.
    """
    rows: list[dict[str, object]] = []
    for model in models:
        row: dict[str, object] = {"model": model.title}
        for name in HEADLINE_NAMES:
            interval = model.interval(name)
            row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        row |= {
            "parameters": model.parameters,
            "megabytes": model.megabytes,
            "numbers": model.numbers or None,
            "milliseconds": model.milliseconds,
            "split": model.split,
            "note": _note(model.collapsed, None, "" if model.figures else "not evaluated yet"),
        }
        rows.append(row)
    if reported:
        rows += [
            {"model": f"{row.title}, {MARK}", "accuracy": row.accuracy, "megabytes": row.megabytes,
             "split": "report", "note": COLLAPSED if reported_collapsed(row) else ""}
            for row in RESULTS
        ]  # fmt: skip
    columns = ["model", *(f"{n}{end}" for n in HEADLINE_NAMES for end in ("", "_low", "_high"))]
    costs = ["parameters", "megabytes", "numbers", "milliseconds"]
    return pd.DataFrame(rows, columns=[*columns, *costs, "split", "note"])


def class_table(models: Sequence[Contestant], figure: str = "sensitivity") -> pd.DataFrame:
    """One figure of every class: columns model, CODE, CODE_low, CODE_high for the seven codes."""
    rows = []
    for model in models:
        row: dict[str, object] = {"model": model.title}
        for code in CODES:
            interval = model.of_class(code, figure)
            row |= {code: interval.value, f"{code}_low": interval.low, f"{code}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(
        rows, columns=["model", *(f"{c}{end}" for c in CODES for end in ("", "_low", "_high"))]
    )


def difference_table(comparisons: Sequence[Comparison], titles: Mapping[str, str]) -> pd.DataFrame:
    """Every two models: differences with their ends, and McNemar's test."""
    rows = []
    for pair in comparisons:
        row: dict[str, object] = {
            "first": titles.get(pair.first, pair.first),
            "second": titles.get(pair.second, pair.second),
        }
        for name, interval in pair.differences.items():
            row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(
            row
            | {
                "only_first_right": pair.mcnemar.only_first,
                "only_second_right": pair.mcnemar.only_second,
                "mcnemar_p": pair.mcnemar.p_mid,
            }
        )
    return pd.DataFrame(rows)


def cohort_table(models: Sequence[Contestant], dimension: str) -> pd.DataFrame:
    """The groups of one dimension, in words, for every model that has them: a row for each model and group."""
    rows = []
    for model in models:
        for cohort in model.cohorts:
            if cohort.get("dimension") != dimension:
                continue
            group = group_in_words(dimension, str(cohort["group"]))
            row: dict[str, object] = {"model": model.title, "group": group}
            row |= {k: cohort.get(k) for k in ("n_images", "n_lesions", "n_melanomas", "n_malignant", "thin")}
            few = [title for name, title in COHORT_FIGURES.items() if is_thin(cohort, name)]
            row["too_few_for"] = "any figure" if row["thin"] else ", ".join(few)
            for name in COHORT_FIGURES:
                interval = to_interval(cohort.get(name))
                row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            rows.append(row)
    return pd.DataFrame(rows)
