"""The dataset page's measurement of the leak: one recipe on both splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.data.splits import SPLITS
from core.errors import UserError
from core.evaluation.intervals import Interval
from core.evaluation.leak import (
    COMMAND,
    FIGURES,
    GROUPS,
    OURS,
    REPORT,
    Pair,
    leak_table,
    sentence,
)
from core.evaluation.leak_file import read_pairs
from core.evaluation.tables import figure_in_words
from core.figures.intervals import Mark, Row
from core.figures.style import NEUTRAL, model_colour
from core.reported import BY_COUNTERPART, MARK
from pages import _links, _shared
from pages._figures import rows_of_figure
from pages._set_images import SPLIT_TITLES

COLOURS = {OURS: model_colour("student"), REPORT: NEUTRAL}
HOW_IT_LEAKS = (
    " A lesion with a single image cannot leak, one with several can: memory would lift the report's mark above ours "
    "on the lesions with several images, and not on the others. What else lies between two marks is chance, another "
    "training run, and that the report's split trains on more lesions."
)
SYMBOLS = {OURS: "circle", REPORT: "diamond"}


def show_worth() -> None:
    """What the report's split adds to the figures of a recipe, by its own training runs."""
    st.subheader("What the leak is worth")
    manifest = _shared.registry().manifest
    try:
        pairs = read_pairs(manifest) if manifest else []
    except UserError as error:
        st.warning(f"The runs on both splits cannot be read: {_shared.plain_text(str(error))}")
        return
    if not pairs:
        st.info(f"No recipe was trained on both splits yet. `{COMMAND} --save` compares two such runs.")
        return
    st.markdown(sentence(pairs, title=_shared.title))
    figure = _links.selectbox("Figure", list(FIGURES), 0, FIGURES.get, key="leak-figure", width=320)
    rows = rows_of(pairs, figure)
    _shared.chart(
        rows_of_figure(rows, figure, axis=FIGURES[figure]),
        key="leak-worth",
        alt="; ".join(f"{row.label}, {_in_words(figure, mark)}" for row in rows for mark in row.marks),
        reading="Each pair of marks is one recipe, trained and tested twice; whiskers are 95% intervals over lesions."
        + (HOW_IT_LEAKS if figure == "accuracy" else ""),
    )
    show_table(pairs)
    show_runs(pairs)


def rows_of(pairs: list[Pair], figure: str) -> list[Row]:
    """A row for each recipe, with accuracy two more: by how many images a lesion has."""
    rows = []
    for pair in pairs:
        title = _shared.title(pair.name)
        sides = {split: side.figures[figure] for split, side in pair.sides.items()}
        rows.append(Row(title, _marks(sides, dict.fromkeys(SPLITS, ""))))
        for key, group in GROUPS.items() if figure == "accuracy" else ():
            found = {split: side.groups[key] for split, side in pair.sides.items()}
            notes = {
                split: f"{g.trained:,} of {g.images:,} images are of a trained lesion"
                for split, g in found.items()
            }
            accuracy = {split: g.accuracy for split, g in found.items()}
            rows.append(Row(f"{title}, {group}", _marks(accuracy, notes)))
    return rows


def _marks(found: Mapping[str, Interval], notes: Mapping[str, str]) -> tuple[Mark, ...]:
    return tuple(
        Mark(SPLIT_TITLES[split], i.value, i.low, i.high, COLOURS[split], SYMBOLS[split], note=notes[split])
        for split, i in found.items()
    )


def _in_words(figure: str, mark: Mark) -> str:
    return f"{mark.name}: {figure_in_words(figure, Interval(mark.value, mark.low, mark.high))}"


def show_table(pairs: list[Pair]) -> None:
    """Every run's figures, beside what the report says of the same network."""
    table = leak_table(pairs)
    reported = [BY_COUNTERPART[n].accuracy if n in BY_COUNTERPART else None for n in table["model"]]
    # The report's own figure stands beside the run on its split alone: on ours it means nothing.
    table["reported_accuracy"] = [
        value if split == REPORT else None for value, split in zip(reported, table["split"], strict=True)
    ]
    shown = table.assign(
        model=table["model"].map(_shared.title),
        split=table["split"].map(SPLIT_TITLES),
        interval=_shared.ranges(table, "accuracy"),
    )
    columns: dict[str, Any] = {
        "model": "Model",
        "split": "Trained and tested on",
        "accuracy": st.column_config.ProgressColumn("Accuracy", **_shared.PERCENT),
        "interval": "95% interval, %",
        "reported_accuracy": st.column_config.NumberColumn(f"Accuracy {MARK}", format="%.2f%%"),
        "balanced_accuracy": st.column_config.ProgressColumn("Balanced accuracy", **_shared.PERCENT),
        "macro_f1": st.column_config.ProgressColumn("Macro F1", **_shared.PERCENT),
        "images": st.column_config.NumberColumn("Test images", format="localized"),
        "several_trained": st.column_config.NumberColumn("Of trained lesions", format="localized"),
    }
    shares = ["accuracy", "reported_accuracy", "balanced_accuracy", "macro_f1"]
    st.dataframe(
        _shared.in_percent(shown, shares), hide_index=True, column_order=list(columns), column_config=columns,
        key="leak-table", placeholder="", height="content", alt="Each run's figures on its split",
    )  # fmt: skip
    _shared.download(table, "leak.csv")


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    """`4 epochs at 96 px, then 1 at 128 px`."""
    said = []
    for index, stage in enumerate(stages):
        unit = "" if index else " epoch" if stage["epochs"] == 1 else " epochs"
        said.append(f"{stage['epochs']}{unit} at {stage['size']} px")
    return ", then ".join(said)


def show_runs(pairs: list[Pair]) -> None:
    """What the runs were."""
    lines = []
    for pair in pairs:
        every = [side.facts for side in pair.sides.values()]
        stages = _stages(every[0]["recipe"]["stages"])
        minutes = " and ".join(f"{facts['seconds'] / 60:.0f}" for facts in every)
        machines, commits = (
            " and ".join(dict.fromkeys(str(facts[key]) for facts in every)) for key in ("machine", "commit")
        )
        lines.append(
            f"{_shared.title(pair.name)}: {stages}, {minutes} minutes on {_shared.plain_text(machines)}, "
            f"commit {commits}"
        )
    sides = pairs[0].sides
    lines.append(
        f"training lesions: {sides[OURS].trained_lesions:,} by lesion, {sides[REPORT].trained_lesions:,} by image"
    )
    st.caption(
        ":material/info: A shorter recipe than that of the shipped models, which cannot be tested on the report's "
        "split: they were trained on images of its test part. " + "; ".join(lines) + "."
    )
