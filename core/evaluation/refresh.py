"""The manifest's figures, computed again from the predictions that it lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import load_manifest, update_model
from core.errors import UserError
from core.evaluation import ensemble
from core.evaluation.agreement import with_parent
from core.evaluation.assess import Assessment, assess
from core.evaluation.cohorts import cohorts
from core.evaluation.compare import BASELINE, STUDENT, Comparison, compare
from core.evaluation.contestants import read_predictions
from core.evaluation.intervals import RESAMPLES
from core.evaluation.predictions import Predictions, PredictionsError
from core.manifest import Manifest, ModelEntry
from core.text import listed

DEFAULT_SPLIT = "lesion"


@dataclass(frozen=True)
class Refreshed:
    """What was computed and written.

    Attributes:
        assessments: by model, in the manifest's order, the ensemble last.
        cohorts: by model, the test set's cohorts as stored; missing where they could not be computed.
        comparisons: student - baseline and each variant - its parent, on test.
        refused: model -> why it was left as it was.
    """

    assessments: Mapping[str, Assessment]
    cohorts: Mapping[str, list[dict[str, Any]]]
    comparisons: list[Comparison]
    refused: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "models": {
                name: assessment.to_dict() | {"cohorts": self.cohorts.get(name)}
                for name, assessment in self.assessments.items()
            },
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "refused": dict(self.refused),
        }


@dataclass
class _Run:
    """What is known so far while the models are gone through."""

    folder: Path
    manifest: Manifest
    records: pd.DataFrame | None
    resamples: int
    predictions: dict[str, Predictions] = field(default_factory=dict)
    assessments: dict[str, Assessment] = field(default_factory=dict)
    cohorts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def refresh(
    folder: Path,
    names: list[str] | None = None,
    *,
    records: pd.DataFrame | None = None,
    resamples: int = RESAMPLES,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Refreshed:
    """Recompute temperature, operating point and figures of models and write them into the manifest.

    The ensemble follows its members: its predictions are made again whenever one of them was evaluated. A
    model whose predictions are missing or damaged is refused and left as it was; the others go on.

    Args:
        folder: of the manifest.
        names: of the models; None for all that have predictions.
        records: of the dataset, for the cohorts; without them stored cohorts stay if the answers are the same.
        resamples: number of bootstrap resamples.
        progress: called before each model with its name, how many are done and how many there are.

    Raises:
        ArtifactError: the manifest cannot be read, or has no model of a name asked for.
    """
    manifest = load_manifest(folder)
    run = _Run(folder, manifest, records, resamples)
    chosen = _chosen(manifest, names, run.refused)
    for done, name in enumerate(chosen):
        progress(name, done, len(chosen) + 1)
        try:
            predictions = _read(manifest, name)
            assessment = assess(predictions, resamples=resamples)
            _record(run, predictions, assessment, split_of(manifest, name))
        except UserError as error:
            run.refused[name] = str(error)
    if _ensemble_is_due(run, names):
        progress(ensemble.NAME, len(chosen), len(chosen) + 1)
        try:
            _refresh_ensemble(run)
        except UserError as error:
            run.refused[ensemble.NAME] = str(error)
    return Refreshed(run.assessments, run.cohorts, _compare(run), run.refused)


def split_of(manifest: Manifest, name: str) -> str:
    """The split that a model was trained on: its recipe's, or that of its parent or first member."""
    seen: set[str] = set()
    while name in manifest.models and name not in seen:
        seen.add(name)
        entry = manifest.models[name]
        if "split" in entry.recipe:
            return str(entry.recipe["split"])
        name = entry.parent or next(iter(entry.members), "")
    return DEFAULT_SPLIT


def _chosen(manifest: Manifest, names: list[str] | None, refused: dict[str, str]) -> list[str]:
    """The models to evaluate by themselves; what the manifest refuses goes to `refused`."""
    if names is None:
        refused |= manifest.problems
        return [
            name
            for name, entry in manifest.models.items()
            if entry.role != "ensemble" and "predictions" in entry.files
        ]
    asked = [name for name in dict.fromkeys(names) if name != ensemble.NAME]
    return [name for name in asked if manifest.model(name).role != "ensemble"]


def _read(manifest: Manifest, name: str) -> Predictions:
    if "predictions" not in manifest.model(name).files:
        raise PredictionsError(
            "expected predictions in the manifest, found none; with the dataset at hand this command asks its LiteRT "
            f"file, which python -m core compress --model {name} makes"
        )
    return read_predictions(manifest, name)


def _record(
    run: _Run,
    predictions: Predictions,
    assessment: Assessment,
    split: str,
    entry: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
) -> None:
    """Write one model's figures, with its cohorts, into the manifest."""
    name, changes = assessment.model, assessment.to_dict()
    # Comparisons stored before are dropped: `_compare` makes them anew from these answers.
    changes["figures"] = {"split": split} | changes["figures"]
    found = _cohorts(run, predictions, assessment)
    if found is not None:
        changes["figures"]["cohorts"] = run.cohorts[name] = found
    update_model(run.folder, name, (entry or {}) | changes, files)
    run.predictions[name], run.assessments[name] = predictions, assessment


def _cohorts(run: _Run, predictions: Predictions, assessment: Assessment) -> list[dict[str, Any]] | None:
    if run.records is not None:
        point = assessment.operating_point
        threshold = point.threshold if point else None
        test = predictions.part_only("test")
        temperature = assessment.temperature
        found = cohorts(test, run.records, temperature, threshold, resamples=run.resamples)
        return [cohort.to_dict() for cohort in found]
    entry = run.manifest.models.get(assessment.model)
    stored = entry.figures if entry else {}
    before, now = stored.get("test", {}), assessment.test.to_dict()
    same = (
        entry is not None
        and before.get("confusion") == now["confusion"]
        # Cohorts have areas under curves too, which answers change that lead with the same classes.
        and before.get("log_loss", {}).get("value") == now["log_loss"]["value"]
        and np.isclose(entry.temperature, assessment.temperature, rtol=1e-6)
    )
    return stored.get("cohorts") if same else None


def _ensemble_is_due(run: _Run, names: list[str] | None) -> bool:
    if names is not None and ensemble.NAME in names:
        return True
    if not any(member in run.assessments for member in _members(run)):
        return False
    # Not yet in the manifest it is made as soon as all members are there, and not missed before.
    return ensemble.NAME in run.manifest.models or _all_there(run)


def _members(run: _Run) -> tuple[str, ...]:
    """The ensemble's members; while one of them has no predictions, those of which a stored ensemble was made."""
    entry = run.manifest.models.get(ensemble.NAME)
    return ensemble.MEMBERS if entry is None or _all_there(run) else entry.members


def _all_there(run: _Run) -> bool:
    return all("predictions" in _files(run.manifest, member) for member in ensemble.MEMBERS)


def _files(manifest: Manifest, name: str) -> Mapping[str, str]:
    return manifest.models[name].files if name in manifest.models else {}


def _answers(run: _Run, name: str) -> tuple[Predictions, float]:
    """A model's predictions and temperature: of this run, or as the manifest has them."""
    if name in run.assessments:
        return run.predictions[name], run.assessments[name].temperature
    if name in run.refused:
        raise PredictionsError(f"expected the predictions of {name}, found them refused")
    entry = run.manifest.model(name)
    if "temperature" not in entry.calibration:
        raise PredictionsError(f"expected {name} to be calibrated, found no temperature; evaluate it too")
    return _read(run.manifest, name), entry.temperature


def _refresh_ensemble(run: _Run) -> None:
    names = _members(run)
    answers = {name: _answers(run, name) for name in names}
    splits = {split_of(run.manifest, name) for name in names}
    if len(splits) > 1:
        raise PredictionsError(f"expected members of one split, found {' and '.join(sorted(splits))}")
    members = [predictions for predictions, _ in answers.values()]
    combined = ensemble.combine(members, {name: temperature for name, (_, temperature) in answers.items()})
    assessment = assess(combined, resamples=run.resamples)
    path = f"predictions/{ensemble.NAME}.parquet"
    combined.save(run.folder / path)
    described = _ensemble_entry([run.manifest.model(name) for name in names])
    _record(run, combined, assessment, splits.pop(), described, {"predictions": path})


def _ensemble_entry(members: list[ModelEntry]) -> dict[str, Any]:
    commits, shared = {member.commit for member in members}, members[0].provenance
    return {
        "title": f"Ensemble of {listed([member.title for member in members])}",
        "role": "ensemble",
        "members": [member.name for member in members],
        "recipe": {"combination": "mean of the members' calibrated probabilities"},
        "commit": commits.pop() if len(commits) == 1 else "",
        "provenance": {key: shared[key] for key in ("data", "licence") if key in shared}
        | {"initial_weights": "those of its members"},
        "parameters": sum(member.parameters for member in members),
    }


def _compare(run: _Run) -> list[Comparison]:
    """student - baseline, each variant - its parent, where one of them was evaluated; into the first's figures."""
    models = run.manifest.models
    pairs = [(STUDENT, BASELINE), *((name, entry.parent) for name, entry in models.items() if entry.parent)]
    found = []
    for first, second in pairs:
        pair = {first, second}
        if not pair & set(run.assessments) or not pair <= set(models) or pair & set(run.refused):
            continue
        if split_of(run.manifest, first) != split_of(run.manifest, second):
            continue
        # A model that was never evaluated is compared when it is.
        if any(name not in run.assessments and not models[name].calibration for name in pair):
            continue
        try:
            found.append(_comparison(run, first, second))
        except UserError as error:
            run.refused[f"{first} - {second}"] = str(error)
    return found


def _comparison(run: _Run, first: str, second: str) -> Comparison:
    (mine, temperature), (theirs, other) = _answers(run, first), _answers(run, second)
    comparison = compare(
        mine.part_only("test"),
        theirs.part_only("test"),
        {first: temperature, second: other},
        resamples=run.resamples,
    )
    figures = dict(load_manifest(run.folder).model(first).figures)
    others = [stored for stored in figures.get("comparisons", []) if stored["second"] != second]
    changed = figures | {"comparisons": [*others, comparison.to_dict()]}
    if run.manifest.model(first).parent == second:
        changed["agreement"] = with_parent(
            mine.part_only("test"), theirs.part_only("test"), (temperature, other)
        )
    update_model(run.folder, first, {"figures": changed})
    return comparison
