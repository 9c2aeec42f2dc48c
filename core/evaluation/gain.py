"""What distillation gave as it is shipped: the student minus the baseline, on both parts that neither learned from.

Of the student's files the one whose numbers are stored as the baseline's are: rounding alone moves half a point.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.evaluation.compare import BASELINE, COUNTED, STUDENT, Comparison, compare_all
from core.evaluation.contestants import number_formats, read_predictions
from core.evaluation.intervals import RESAMPLES
from core.manifest import Manifest

PARTS: dict[str, str] = {
    "test": "test images",
    "validation": "validation images, by which epochs and means of runs were chosen",
}
"""Part -> what it is, for people. Test alone tells half of it: chance favours one of two equals on any one part."""

ONE_RUN = (
    "One network of each: the intervals are of the lesions, and do not hold what another seed would change."
)

FIGURES: dict[str, str] = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}


def read_gain(manifest: Manifest, *, resamples: int = RESAMPLES) -> dict[str, Comparison]:
    """The student minus the baseline by part; empty where one of them is not there or has no predictions.

    Raises:
        ArtifactError: a file of predictions is missing or damaged.
        PredictionsError: the two answered different images.
    """
    if not all(_has_answers(manifest, name) for name in (STUDENT, BASELINE)):
        return {}
    names = (_form_like(manifest, BASELINE), BASELINE)
    answers = [read_predictions(manifest, name) for name in names]
    temperatures = {name: manifest.model(name).temperature for name in names}
    return {
        part: compare_all(
            [one.part_only(part) for one in answers], temperatures, figures=COUNTED, resamples=resamples
        )[0]
        for part in PARTS
        if all((one.part == part).any() for one in answers)
    }


def _has_answers(manifest: Manifest, name: str) -> bool:
    return name in manifest.models and "predictions" in manifest.models[name].files


def _form_like(manifest: Manifest, name: str) -> str:
    """The student's file, or that of its whole variants, which stores numbers as another model's does."""
    stored = number_formats(manifest, manifest.model(name))
    whole = [n for n, entry in manifest.models.items() if entry.parent == STUDENT and not entry.widths]
    for form in (STUDENT, *whole):
        if _has_answers(manifest, form) and number_formats(manifest, manifest.model(form)) == stored:
            return form
    return STUDENT


def gain_sentence(found: Mapping[str, Comparison]) -> str:
    """What the figures say of distillation, on each part and together; empty without any."""
    if not found:
        return ""
    said = [
        f"on the {pair.n_images:,} {PARTS[part]}: "
        + ", ".join(f"{name} {pair.differences[key].points()}" for key, name in FIGURES.items())
        for part, pair in found.items()
    ]
    alike = any(pair.first != STUDENT for pair in found.values())
    who = f"Student minus baseline{', their numbers stored alike' if alike else ''}"
    return f"{who}, in points of 100, {'; '.join(said)}. {_verdict(found)} {ONE_RUN}"


def _verdict(found: Mapping[str, Comparison]) -> str:
    """Whether it paid by balanced accuracy, and whether accuracy was lost for it; an unknown end shows neither."""
    where = "on both" if len(found) > 1 else "there"
    gained = [pair.differences["balanced_accuracy"] for pair in found.values()]
    if all(gain.low > 0 for gain in gained):
        verdict = f"By balanced accuracy distillation paid {where}."
    elif all(gain.high < 0 for gain in gained):
        verdict = f"By balanced accuracy the baseline is the better one {where}."
    elif not any(gain.low > 0 for gain in gained):
        verdict = "That it paid is not shown."
    else:
        verdict = "That it paid is not beyond doubt: one part shows it, the other does not."
    cost = [
        PARTS[part].partition(",")[0] for part, pair in found.items() if pair.differences["accuracy"].high < 0
    ]
    return f"{verdict} It cost accuracy on {' and '.join(cost)}." if cost else verdict
