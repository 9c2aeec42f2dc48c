"""What the report's split is worth: one recipe, trained and tested once by lesion and once by image.

Split by image, some of what is tested is remembered: its lesion was trained on from another photograph. The same
recipe on both splits tells how much of a figure that is. Two things are measured:

- the gain: each figure of merit on the report's test images minus the same on ours. The test images differ, so both are
  resampled apart;
- where it comes from: accuracy on lesions of which the dataset has several images, which can leak, and on those with a
  single one, which cannot. What is easier or harder about them shows on our split as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.data.splits import SPLITS, assign
from core.errors import UserError
from core.evaluation.intervals import (
    RESAMPLES,
    SEED,
    Estimates,
    Interval,
    bootstrap,
    resample,
    unpaired_difference,
)
from core.evaluation.metrics import classification, divide, majority_share, ranking, together
from core.evaluation.predictions import Predictions

COMMAND = "python -m core leak"
OURS, REPORT = SPLITS
FIGURES: dict[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
}
GROUPS: dict[str, str] = {
    "several": "lesions with several images",
    "single": "lesions with one image",
}
"""Which lesions can leak, and which cannot."""


class LeakError(UserError):
    """Runs that are no pair, or a file that holds no pairs (`core.evaluation.leak_file`)."""


@dataclass(frozen=True)
class Group:
    """Some of the test images.

    Attributes:
        images, lesions: how many.
        trained: of these images, how many are of a lesion that was trained on.
        accuracy: on them.
    """

    images: int
    lesions: int
    trained: int
    accuracy: Interval


@dataclass(frozen=True)
class Side:
    """One run and what it gives on its own split's test images.

    Attributes:
        run: its name.
        images, lesions: tested.
        majority: share of the commonest class among them.
        trained_lesions: that the training part has images of.
        figures: of `FIGURES`.
        groups: of `GROUPS`.
        facts: what makes the run: `recipe`, `commit`, `initial_weights`, `machine`, `backend`, `seconds`, `epochs`,
            `best_epoch`.
    """

    run: str
    images: int
    lesions: int
    majority: float
    trained_lesions: int
    figures: Mapping[str, Interval]
    groups: Mapping[str, Group]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """One recipe on both splits.

    Attributes:
        name: of the shipped model of the same role: `student`, `resnet50`, ...
        sides: by split.
        gain: figures on the report's split minus those on ours, those of `FIGURES` and the accuracy of `GROUPS`.
    """

    name: str
    sides: Mapping[str, Side]
    gain: Mapping[str, Interval]


def measure_pair(
    name: str,
    answers: Mapping[str, Predictions],
    facts: Mapping[str, Mapping[str, Any]],
    records: pd.DataFrame,
    *,
    resamples: int = RESAMPLES,
) -> Pair:
    """Both runs' figures on their own test images, and the difference.

    Args:
        name: see `Pair`.
        answers: by split, to its test images.
        facts: by split, see `Side`.
        records: of the whole dataset: `image_id`, `lesion_id`, `dx`.
        resamples: number of bootstrap resamples.

    Raises:
        LeakError: the runs differ in more than the split, or the test images of one have no lesion with several
            images or none with one.
    """
    check_pair(name, facts)
    sides: dict[str, Side] = {}
    estimates: dict[str, Estimates] = {}
    # Another seed for each: with one seed, two samples of equal size would be drawn in step.
    for offset, split in enumerate(SPLITS):
        sides[split], estimates[split] = _measure(
            answers[split], facts[split], records, split, resamples, SEED + offset
        )
    difference = unpaired_difference(estimates[REPORT], estimates[OURS])
    gain = {figure: difference.interval(figure) for figure in (*FIGURES, *GROUPS)}
    return Pair(name, sides, gain)


def check_pair(name: str, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse two runs that differ in more than the split and their teachers' names.

    Args:
        name: see `Pair`.
        facts: by split, see `Side`.

    Raises:
        LeakError: they do, or one is not of its split; what differs is named.
    """
    recipes = {split: facts[split]["recipe"] for split in SPLITS}
    for split, recipe in recipes.items():
        if recipe.get("split") != split:
            raise LeakError(
                f"{name}: expected a run on the {split} split, found one on {recipe.get('split')!r}"
            )
    ours, theirs = (_without_split(recipes[split]) for split in SPLITS)
    differing = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    if differing:
        raise LeakError(
            f"{name}: expected one recipe on both splits, found two that differ in {', '.join(differing)}"
        )
    begun = {facts[split]["initial_weights"] for split in SPLITS}
    if len(begun) > 1:
        raise LeakError(f"{name}: expected both runs to begin alike, found {' and '.join(sorted(begun))}")


def _without_split(recipe: Mapping[str, Any]) -> dict[str, Any]:
    plain = json.loads(json.dumps({key: value for key, value in recipe.items() if key != "split"}))
    if plain.get("distillation"):
        teachers = plain["distillation"]["teachers"]
        plain["distillation"]["teachers"] = [t.removesuffix(f"-{recipe['split']}") for t in teachers]
    return plain


def _measure(
    answers: Predictions,
    facts: Mapping[str, Any],
    records: pd.DataFrame,
    split: str,
    resamples: int,
    seed: int,
) -> tuple[Side, Estimates]:
    several = records["lesion_id"].value_counts().reindex(answers.lesion_id).to_numpy() > 1
    trained_lesions = set(records["lesion_id"][assign(records, split) == "train"])
    trained = np.array([lesion in trained_lesions for lesion in answers.lesion_id])
    masks = {"several": several, "single": ~several}
    for key, mask in masks.items():
        if not mask.any():
            raise LeakError(f"{answers.model}: expected test images of {GROUPS[key]}, found none")
    right = answers.predicted == answers.label

    def by_group(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {key: divide(weights @ (mask & right), weights @ mask) for key, mask in masks.items()}

    statistic = together(
        classification(answers.label, answers.predicted),
        ranking(answers.probabilities(), answers.label),
        by_group,
    )
    drawn = resample(answers.lesion_id, resamples, seed)
    found = bootstrap(statistic, drawn)
    groups = {
        key: Group(
            images=int(mask.sum()),
            lesions=(lesions := len(np.unique(answers.lesion_id[mask]))),
            trained=int((mask & trained).sum()),
            accuracy=found.interval(key, proportion_of=lesions),
        )
        for key, mask in masks.items()
    }
    shares = {"accuracy": drawn.n_lesions}
    figures = {figure: found.interval(figure, proportion_of=shares.get(figure)) for figure in FIGURES}
    majority = majority_share(answers.label)
    side = Side(
        run=answers.model,
        images=len(answers),
        lesions=drawn.n_lesions,
        majority=majority,
        trained_lesions=len(trained_lesions),
        figures=figures,
        groups=groups,
        facts=dict(facts),
    )
    return side, found


def sentence(pairs: list[Pair], figure: str = "accuracy", title: Callable[[str], str] = str) -> str:
    """What the split alone adds to a figure, in one sentence; empty without pairs.

    Args:
        pairs: to speak of.
        figure: of `FIGURES`.
        title: a model's name for people.
    """
    said = []
    for pair in pairs:
        gain = pair.gain[figure]
        known = gain.low == gain.low
        ends = f" (95% interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})" if known else ""
        said.append(f"{100 * gain.value:+.1f} points for {title(pair.name)}{ends}")
    if not said:
        return ""
    what = FIGURES[figure].lower()
    beyond = [title(pair.name) for pair in pairs if pair.gain[figure].low > 0 or pair.gain[figure].high < 0]
    verdict = f"Beyond chance: {' and '.join(beyond)}" if beyond else "None of it is beyond chance"
    return (
        f"The same recipe trained and tested on the report's split instead of ours: {what} {' and '.join(said)}. "
        f"{verdict}. One run each: the intervals are of the test lesions, and do not hold what another seed would "
        "change."
    )


def leak_table(pairs: list[Pair]) -> pd.DataFrame:
    """One row for each run: name, split, images, lesions, figures with their ends, and the groups."""
    rows = []
    for pair in pairs:
        for split, side in pair.sides.items():
            row: dict[str, Any] = {
                "model": pair.name,
                "split": split,
                "images": side.images,
                "lesions": side.lesions,
            }
            for figure, interval in side.figures.items():
                row |= _ends(figure, interval)
            for key, group in side.groups.items():
                row |= {f"{key}_images": group.images, f"{key}_trained": group.trained}
                row |= _ends(f"{key}_accuracy", group.accuracy)
            row |= {key: side.facts.get(key) for key in ("commit", "seconds", "best_epoch", "machine")}
            rows.append(row)
    return pd.DataFrame(rows)


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
