"""Model cards: what a model is for, what it was made of, what was measured, where it falls short.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. Everything that differs from model to model comes
from the manifest; nothing measured is typed in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.agreement import agreement_sections
from core.evaluation.card_text import Row, plain, provenance_rows, recipe_rows
from core.evaluation.cohorts import THIN, is_thin
from core.evaluation.contestants import (
    EVALUATE,
    HEADLINE_NAMES,
    averaged_runs,
    contestant,
    run_shown,
    stored_cohorts,
    to_interval,
)
from core.evaluation.held_out import on_test
from core.evaluation.refusals import refusal_section
from core.evaluation.tables import group_in_words, written
from core.lesions import BY_CODE, LESIONS
from core.manifest import Manifest, ModelEntry
from core.numbers import percent_interval
from core.text import escape, listed

FILES = "Files"
"""The title of a card's last section."""

GAP_FIGURES: dict[str, str] = {
    "accuracy": "Accuracy",
    "malignant_sensitivity": "Sensitivity for malignancy",
    "melanoma_sensitivity": "Melanoma sensitivity",
}

USE: dict[str, str] = {
    "teacher": "A large network that taught students, and learned from them, in rounds; its recipe says from which.",
    "student": "The small network that this project is about, distilled for phones and browsers; its recipe says "
    "from which teachers.",
    "variant": "A smaller or faster form of its parent, for devices.",
    "baseline": "The student's network and budget, taught by labels alone: what the student has to beat.",
    "ensemble": "The mean of its members' calibrated probabilities, as a yardstick.",
}
FOR_ALL = (
    "For teaching and research on dermatoscopic images of single pigmented skin lesions. "
    "It is no medical device: it must not be used to diagnose, to treat, or to decide who is seen by a doctor."
)
SPLITS: dict[str, str] = {
    "lesion": "by lesion: all images of a lesion lie in one part, 64/16/20% of the lesions of each class",
    "report": "by image, as the report did: images of one lesion can lie on both sides, which flatters the figures",
}
LIMITS: tuple[str, ...] = (
    "HAM10000 was collected in Vienna and in Queensland: nearly all of its skin is light. Nothing is known of how "
    "the model does on darker skin, and it should be expected to do worse.",
    "It has seen dermatoscopic images only. Photographs by a phone's bare camera, clinical pictures and other "
    "devices are outside of what it knows.",
    f"It knows {len(LESIONS)} diagnoses and names one of them whatever it is shown; squamous cell carcinoma, Merkel "
    "cell carcinoma, inflammation, infection and healthy skin are not among them.",
    "Its temperature and its operating point were fitted on validation images, by which its epochs were chosen too: on "
    "new images it should be expected to be a little too sure of itself, and to miss more than it missed there.",
    "It sees one image: no history, no touch, no change over time, no comparison with the patient's other moles.",
    "About half of the diagnoses were not confirmed by histopathology but by follow-up, consensus or confocal "
    "microscopy: see the cohorts by confirmation.",
)


@dataclass(frozen=True)
class Section:
    """One section of a card: paragraphs, then a table where there is one.

    Attributes:
        title: its heading.
        paragraphs: plain text without markup.
        table: columns of plain values, or None.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    table: pd.DataFrame | None = None


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        name, title: of the model.
        sections: in reading order.
    """

    name: str
    title: str
    sections: tuple[Section, ...]

    def section(self, title: str) -> Section:
        """One section; KeyError where there is none."""
        found = [section for section in self.sections if section.title == title]
        if not found:
            raise KeyError(title)
        return found[0]


def make_card(manifest: Manifest, name: str) -> Card:
    """The card of a model.

    Raises:
        ArtifactError: the manifest has no such model, or refuses its entry.
    """
    entry = manifest.model(name)
    return Card(
        name=name,
        title=entry.title,
        sections=(
            Section("Intended use", (USE.get(entry.role, ""), *_averaged(manifest, entry), FOR_ALL)),
            _identity(manifest, entry),
            _data(entry),
            _recipe(entry),
            _figures(manifest, entry),
            _classes(manifest, entry),
            *(Section(*found) for found in agreement_sections(manifest, entry)),
            _gaps(entry),
            Section(*refusal_section(manifest, name)),
            Section("Limits", LIMITS),
            Section("Licence", (str(entry.provenance.get("licence") or "not stored"),)),
            _files(manifest, entry),
        ),
    )


def _averaged(manifest: Manifest, entry: ModelEntry) -> tuple[str, ...]:
    """That a model is a mean of several runs, so that its figures are not put down to distillation alone."""
    runs, teachers = averaged_runs(entry), entry.provenance.get("teachers") or []
    if not runs:
        return ()
    said = [f"Its weights are the mean of those of {listed([str(run) for run in runs])}."]
    if run := run_shown(entry):
        said.append(
            f"The recipe below is that of {run}"
            + (f", taught by {listed([str(one) for one in teachers])}." if teachers else ".")
        )
    baseline = manifest.models.get("baseline")
    if baseline and not averaged_runs(baseline):
        said.append(
            "The baseline is a single run: it differs from this model by the mean as well as by the teachers."
        )
    return (" ".join(said),)


def _rows(rows: Iterable[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["what", "value"])


def _identity(manifest: Manifest, entry: ModelEntry) -> Section:
    point = entry.operating_point or {}
    values = {
        "name": entry.name,
        "role": entry.role,
        "network": entry.network or "none of its own",
        **({"made from": entry.parent} if entry.parent else {}),
        **({"members": list(entry.members)} if entry.members else {}),
        "parameters": f"{entry.parameters:,}" if entry.parameters else "not counted",
        "size": contestant(manifest, entry.name).size or "not stored",
        "input": f"{entry.input['size']} x {entry.input['size']} pixels, {entry.input['channels']}, 0 to 255",
        "calibration temperature": _three_digits(entry.calibration.get("temperature", "not fitted")),
        "calibrated on": entry.calibration.get("fitted_on"),
        "operating point of the malignancy score": _three_digits(
            point.get("malignancy_threshold", "none chosen")
        ),
        "at the operating point": on_test(point) or _on_validation(point),
        "made by commit": entry.commit or "not stored",
    }
    return Section("Model", table=_rows((what, plain(value)) for what, value in values.items()))


def _three_digits(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else plain(value)


def _on_validation(point: Mapping[str, Any]) -> str:
    """What the operating point was chosen by, where nothing is stored of test."""
    sensitivity = point.get("validation_sensitivity")
    if sensitivity is None:
        return "not measured"
    return f"{sensitivity:.1%} of the malignant validation images reach it, by which it was chosen"


def _data(entry: ModelEntry) -> Section:
    split = str(entry.figures.get("split") or entry.recipe.get("split") or "")
    counts = [
        f"{part}: {figures['n_images']:,} images of {figures['n_lesions']:,} lesions"
        for part in ("validation", "test")
        if {"n_images", "n_lesions"} <= set(figures := _part(entry, part))
    ]
    provenance = provenance_rows({k: v for k, v in entry.provenance.items() if k != "licence"})
    paragraphs = [f"Split {SPLITS.get(split, split or 'not stored')}.", *counts]
    return Section("Data and provenance", tuple(paragraphs), _rows(provenance))


def _recipe(entry: ModelEntry) -> Section:
    if not entry.recipe:
        return Section("Recipe", ("Not stored.",))
    return Section("Recipe", table=_rows(recipe_rows(entry.recipe)))


def _part(entry: ModelEntry, part: str) -> Mapping[str, Any]:
    figures = entry.figures.get(part)
    return figures if isinstance(figures, Mapping) else {}


def _missing(what: str) -> tuple[str, ...]:
    return (f"Not measured: {what} come from {EVALUATE}.",)


def _figures(manifest: Manifest, entry: ModelEntry) -> Section:
    title = "Measured figures on test"
    found = contestant(manifest, entry.name)
    if not found.figures:
        return Section(title, _missing("figures"))
    rows = []
    for name, label in HEADLINE_NAMES.items():
        value, ends = written(name, found.interval(name))
        rows.append((label, value or "not measured", ends))
    loss, ends = written("log_loss", to_interval(found.figures.get("log_loss")))
    if loss:
        rows.append(("Log loss", loss, ends))
    majority = found.figures.get("majority")
    text = ["Intervals are 95% and come from resampling lesions, not images."]
    if isinstance(majority, Mapping) and "share" in majority:
        code = str(majority.get("class", ""))
        named = BY_CODE[code].name if code in BY_CODE else code
        text.append(f"Always answering “{named}” would reach an accuracy of {majority['share']:.1%}.")
    if found.collapsed:
        text.append("Collapsed: hardly any answer is another, and its accuracy is within one point of that.")
    return Section(title, tuple(text), pd.DataFrame(rows, columns=["figure", "value", "95% interval"]))


def _classes(manifest: Manifest, entry: ModelEntry) -> Section:
    title = "Class by class on test"
    found = contestant(manifest, entry.name)
    stored = found.figures.get("classes")
    if not isinstance(stored, Mapping):
        return Section(title, _missing("these figures"))
    rows = []
    for lesion in LESIONS:
        found_of = [found.of_class(lesion.code, name) for name in ("sensitivity", "specificity", "precision")]
        images = stored.get(lesion.code, {}).get("n_images")
        rows.append((lesion.name, images, *(percent_interval(f.value, f.low, f.high) for f in found_of)))
    columns = ["class", "images", "sensitivity", "specificity", "precision"]
    return Section(title, table=pd.DataFrame(rows, columns=columns))


def cohort_gaps(cohorts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """For each dimension and figure the worst and the best group not too thin for it, and how far they are apart.

    Args:
        cohorts: as the manifest stores them.

    Returns:
        columns dimension, figure, worst (in words), its value in per cent, best, its value in per cent, the gap in
        points; the largest gap first.
    """
    rows = []
    for dimension in dict.fromkeys(cohort["dimension"] for cohort in cohorts):
        for name, label in GAP_FIGURES.items():
            groups = [c for c in cohorts if c["dimension"] == dimension and not is_thin(c, name)]
            values = [
                (to_interval(c.get(name)).value, group_in_words(dimension, str(c["group"]))) for c in groups
            ]
            known = sorted(value for value in values if not np.isnan(value[0]))
            if len(known) > 1:
                (low, worst), (high, best) = known[0], known[-1]
                ends = (worst, round(100 * low, 1), best, round(100 * high, 1))
                rows.append((dimension, label, *ends, round(100 * (high - low), 1)))
    columns = ["dimension", "figure", "worst", "worst, %", "best", "best, %", "gap, points"]
    return pd.DataFrame(rows, columns=columns).sort_values("gap, points", ascending=False, ignore_index=True)


def _gaps(entry: ModelEntry) -> Section:
    title, stored = "Gaps between cohorts on test", stored_cohorts(entry.figures)
    if not stored:
        return Section(
            title, (f"Not measured: {EVALUATE} with HAM10000 at hand (DERMDISTILL_DATA) adds them.",)
        )
    text = (
        f"The best and the worst group of each kind. Left out are groups of fewer than {THIN} lesions, for melanoma "
        f"sensitivity those of fewer than {THIN} images of melanomas, and for sensitivity for malignancy those of "
        f"fewer than {THIN} malignant images. Groups differ in what they have, too: a gap need not be the model's "
        "doing.",
    )
    return Section(title, text, cohort_gaps(stored))


def _files(manifest: Manifest, entry: ModelEntry) -> Section:
    rows = [
        (key, path, manifest.files[path].format, manifest.files[path].bytes, manifest.files[path].sha256)
        for key, path in entry.files.items()
    ]
    return Section(FILES, table=pd.DataFrame(rows, columns=["key", "file", "format", "bytes", "sha256"]))


def to_markdown(card: Card) -> str:
    """The card as a Markdown file, to travel with the model."""
    lines = [f"# {escape(card.title)}", ""]
    for section in card.sections:
        lines += [f"## {section.title}", ""]
        for paragraph in section.paragraphs:
            lines += [escape(paragraph), ""]
        if section.table is not None and len(section.table):
            lines += [to_markdown_table(section.table), ""]
    return "\n".join(lines)


def to_markdown_table(table: pd.DataFrame) -> str:
    """A table of plain values as one of Markdown, which shows them as they are."""
    cells = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    cells += [[escape(plain(value)) for value in row] for row in table.to_numpy(dtype=object)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
