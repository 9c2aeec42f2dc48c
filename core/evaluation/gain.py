"""What distillation gave as it is shipped: the student minus the baseline, on both parts that neither learned from."""

from __future__ import annotations

from collections.abc import Mapping

from core.evaluation.compare import BASELINE, COUNTED, STUDENT, Comparison, compare_all
from core.evaluation.contestants import read_predictions
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
    names = (STUDENT, BASELINE)
    if any(n not in manifest.models or "predictions" not in manifest.models[n].files for n in names):
        return {}
    answers = [read_predictions(manifest, name) for name in names]
    temperatures = {name: manifest.model(name).temperature for name in names}
    return {
        part: compare_all(
            [one.part_only(part) for one in answers], temperatures, figures=COUNTED, resamples=resamples
        )[0]
        for part in PARTS
        if all((one.part == part).any() for one in answers)
    }


def gain_sentence(found: Mapping[str, Comparison]) -> str:
    """What the figures say of distillation, on each part and together; empty without any."""
    if not found:
        return ""
    said = [
        f"on the {pair.n_images:,} {PARTS[part]}: "
        + ", ".join(f"{name} {pair.differences[key].points()}" for key, name in FIGURES.items())
        for part, pair in found.items()
    ]
    paid = [
        pair.differences["balanced_accuracy"].low > 0 for pair in found.values()
    ]  # not where it is unknown
    if all(paid):
        verdict = "Distillation paid on both." if len(paid) > 1 else "Distillation paid there."
    elif not any(paid):
        verdict = "That it paid is not shown."
    else:
        verdict = "That it paid is not beyond doubt: one part shows it, the other does not."
    return f"Student minus baseline, in points of 100, {'; '.join(said)}. {verdict} {ONE_RUN}"
