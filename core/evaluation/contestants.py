"""Whoever takes part in a comparison: our models as the manifest has them, and one that a user brought along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.evaluation.intervals import Interval
from core.evaluation.latency import Benchmark
from core.evaluation.predictions import Predictions, PredictionsError
from core.manifest import Manifest, ModelEntry

COMPRESS = "python -m core compress"
EVALUATE = "python -m core evaluate"
UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))

HEADLINE_NAMES: dict[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "melanoma_sensitivity": "Melanoma sensitivity",
    "ece_after": "Calibration error (ECE)",
}
"""The figures of the table, each with the name that people read."""

NO_SHARES = frozenset({"macro_auc", "malignant_auc", "log_loss"})
"""Figures that are no shares, such as an area under a curve: people read them as decimals, all others in per cent."""

NUMBER_FORMATS: dict[str, str] = {
    "float32": "float32",
    "float16": "float16",
    "dynamic": "dynamic int8",
    "int8": "int8",
}
"""End of a file's format in the manifest -> in what a file stores its numbers, for people."""

SMALLER_IS_BETTER = frozenset({"ece_after", "ece_before", "log_loss"})


@dataclass(frozen=True)
class Contestant:
    """One model in a comparison.

    Attributes:
        name: in the manifest, or `brought.NAME`.
        title: the short name that people read.
        figures: of the test part as `Figures.to_dict` gives them; empty where nothing was measured.
        split: that it was trained and measured on.
        temperature: by which its logits are divided.
        parameters: None where nobody counted.
        bytes: of what is shipped to run it; for an ensemble of all its members; None where unknown.
        numbers: the format of the numbers in it, which its size depends on; of an ensemble all its members'.
        milliseconds: median for one image on one thread; None where no benchmark was run.
        cohorts: as the manifest stores them.
    """

    name: str
    title: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    temperature: float = 1.0
    parameters: int | None = None
    bytes: int | None = None
    numbers: str = ""
    milliseconds: float | None = None
    cohorts: Sequence[Mapping[str, Any]] = ()

    def interval(self, name: str) -> Interval:
        """One figure of `HEADLINE_NAMES`; undefined where it was not measured."""
        if name == "melanoma_sensitivity":
            return self.of_class("mel", "sensitivity")
        return to_interval(self.figures.get(name))

    def of_class(self, code: str, name: str) -> Interval:
        """One figure of a class, such as its sensitivity."""
        return to_interval(self.figures.get("classes", {}).get(code, {}).get(name))

    @property
    def collapsed(self) -> bool:
        """Whether it has learnt no more than the commonest class."""
        return bool(self.figures.get("collapsed", False))

    @property
    def megabytes(self) -> float | None:
        """Millions of bytes."""
        return None if self.bytes is None else self.bytes / 1e6

    @property
    def size(self) -> str:
        """`7.1 MB, float16`; empty where it is unknown."""
        if self.bytes is None:
            return ""
        return ", ".join(filter(None, (f"{self.bytes / 1e6:.1f} MB", self.numbers)))


def to_interval(stored: object) -> Interval:
    """What the manifest stores of a figure; undefined where it is missing or makes no sense."""
    if not isinstance(stored, Mapping):
        return UNDEFINED
    try:
        found = Interval.from_dict({key: stored.get(key) for key in ("value", "low", "high")})
        return Interval(*(float(v) for v in (found.value, found.low, found.high)))
    except (TypeError, ValueError):
        return UNDEFINED


def contestant(
    manifest: Manifest, name: str, title: str | None = None, benchmark: Benchmark | None = None
) -> Contestant:
    """A model of the manifest.

    Raises:
        ArtifactError: there is none of that name, or its entry is refused.
    """
    entry = manifest.model(name)
    figures = entry.figures
    test = figures.get("test")
    return Contestant(
        name=name,
        title=title or entry.title,
        figures=test if isinstance(test, Mapping) else {},
        split=str(figures.get("split", "")),
        temperature=entry.temperature,
        parameters=entry.parameters or None,
        bytes=shipped_bytes(manifest, entry),
        numbers=" + ".join(number_formats(manifest, entry)),
        milliseconds=benchmark.milliseconds(name) if benchmark else None,
        cohorts=stored_cohorts(figures),
    )


def stored_cohorts(figures: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cohorts among a model's stored figures; what is none is left out."""
    stored = figures.get("cohorts")
    return [
        cohort
        for cohort in (stored if isinstance(stored, list) else [])
        if isinstance(cohort, Mapping) and {"dimension", "group"} <= set(cohort)
    ]


def shipped_bytes(manifest: Manifest, entry: ModelEntry) -> int | None:
    """Size of the LiteRT file, of the weights where there is none; an ensemble needs all its members'."""
    if entry.members:
        sizes = [
            shipped_bytes(manifest, manifest.models[member])
            for member in entry.members
            if member in manifest.models and not manifest.models[member].members
        ]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(entry.members) else None
    path = _shipped(entry)
    return manifest.files[path].bytes if path else None


def _shipped(entry: ModelEntry) -> str | None:
    """The path of the file that is shipped to run a model."""
    return entry.files.get("litert") or entry.files.get("weights")


def number_formats(manifest: Manifest, entry: ModelEntry) -> list[str]:
    """In what the shipped file stores its numbers, in words; of an ensemble every one of its members'."""
    entries = (
        [manifest.models[m] for m in entry.members if m in manifest.models] if entry.members else [entry]
    )
    paths = [path for one in entries if (path := _shipped(one))]
    found = [NUMBER_FORMATS.get(manifest.files[path].format.rpartition("-")[2]) for path in paths]
    return [words for words in dict.fromkeys(found) if words]


def averaged_runs(entry: ModelEntry) -> list[str]:
    """Names of the runs whose weights a model is the mean of; none where its weights are of one run."""
    return [str(part["name"]) for part in _parts(entry)]


def run_shown(entry: ModelEntry) -> str:
    """Which of the averaged runs a model's recipe and history are of; empty where that is not known."""
    # A run names what it began with by its hash, and none began with itself.
    begun = str(entry.provenance.get("initial_weights", ""))
    found = [str(part["name"]) for part in _parts(entry) if str(part.get("sha256")) not in begun]
    return found[0] if len(found) == 1 else ""


def _parts(entry: ModelEntry) -> list[Mapping[str, Any]]:
    stored = entry.provenance.get("mean_of")
    # Of a mean that was no better than its best part, that part alone is stored.
    return stored if isinstance(stored, list) and len(stored) > 1 else []


def read_predictions(manifest: Manifest, name: str) -> Predictions:
    """A model's stored answers to the validation and test images.

    Raises:
        UserError: there are none, or they are damaged; the sentence names the command that makes them.
    """
    entry = manifest.model(name)
    path = entry.files.get("predictions")
    if path is None:
        # What is asked is the converted file; an ensemble has its members'.
        ready = bool(entry.members) or "litert" in entry.files
        first = "" if ready else f"{COMPRESS} --model {name}, then "
        raise PredictionsError(
            f"expected predictions of {name}, found none; make them with: {first}{EVALUATE}"
        )
    found = Predictions.from_bytes(manifest.read(path), str(manifest.folder / path))
    if found.model != name:  # an entry that was renamed or copied by hand
        raise PredictionsError(f"{path}: expected predictions of {name}, found those of {found.model}")
    return found


def on_same_images(models: Sequence[Predictions]) -> tuple[list[Predictions], list[str]]:
    """Those that answer the same images as the first, and the names of the others (another split)."""
    if not models:
        return [], []
    reference = models[0].image_id
    # Ours all lie in one order, and sorting names takes long.
    same = [
        np.array_equal(model.image_id, reference)
        or np.array_equal(np.sort(model.image_id), np.sort(reference))
        for model in models
    ]
    kept = [model for model, fits in zip(models, same, strict=True) if fits]
    return kept, [model.model for model, fits in zip(models, same, strict=True) if not fits]


def pareto_front(cost: Sequence[float], gain: Sequence[float]) -> np.ndarray:
    """(N,) bool: whom no other beats in one without losing in the other (cost small, gain large is good).

    Two that are equal in both are on the front together; a NaN never is.

    Args:
        cost: (N,) such as megabytes.
        gain: (N,) such as accuracy.
    """
    costs, gains = np.asarray(cost, dtype=float), np.asarray(gain, dtype=float)
    known = ~(np.isnan(costs) | np.isnan(gains))
    no_worse = (costs[:, None] <= costs) & (gains[:, None] >= gains)
    better = (costs[:, None] < costs) | (gains[:, None] > gains)
    beaten = (no_worse & better & known[:, None]).any(axis=0)
    return known & ~beaten


def majority_line(models: Sequence[Contestant]) -> tuple[float, str] | None:
    """(share, class code) of the commonest class on our test images; None where no model was measured."""
    for model in models:
        majority = model.figures.get("majority")
        if isinstance(majority, Mapping) and isinstance(majority.get("share"), (int, float)):
            return float(majority["share"]), str(majority.get("class", ""))
    return None
