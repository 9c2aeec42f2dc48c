"""How near one table of answers is to another: a converted network's to those of the network that it was made from."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.errors import UserError
from core.evaluation.calibration import softmax
from core.evaluation.contestants import EVALUATE, to_interval
from core.evaluation.predictions import Predictions
from core.lesions import CODES, LESIONS
from core.manifest import Manifest, ModelEntry

LAYERS = "layers"
"""Key, among an int8 model's files, of the table that `read_layers` reads."""


@dataclass(frozen=True)
class Agreement:
    """Two tables of logits, compared.

    Attributes:
        images: how many rows.
        same_class: share of rows with the same top class, 0 to 1.
        mean_change: mean over the rows of the largest change of a probability.
        largest_change: the largest of them.
        signal_to_noise_db: energy of the logits over energy of their differences; infinite for equal tables.
    """

    images: int
    same_class: float
    mean_change: float
    largest_change: float
    signal_to_noise_db: float

    def text(self) -> str:
        """One line for people."""
        return (
            f"same class for {self.same_class:.1%} of {self.images:,} images, probabilities change by "
            f"{self.mean_change * 100:.1f} points on average and {self.largest_change * 100:.1f} at most"
        )


def agreement(
    reference: np.ndarray, found: np.ndarray, temperatures: tuple[float, float] = (1.0, 1.0)
) -> Agreement:
    """Compare logits (N, 7) with those that they should be.

    Args:
        reference, found: (N, 7).
        temperatures: by which each is divided before probabilities are compared.

    Raises:
        ValueError: the shapes differ, or there are no rows.
    """
    change = _changes(reference, found, temperatures).max(axis=1)
    return Agreement(
        images=len(reference),
        same_class=float((reference.argmax(axis=1) == found.argmax(axis=1)).mean()),
        mean_change=float(change.mean()),
        largest_change=float(change.max()),
        signal_to_noise_db=signal_to_noise_db(reference, found),
    )


def signal_to_noise_db(reference: np.ndarray, found: np.ndarray) -> float:
    """10 log10 of the reference's energy over that of the difference, for arrays of one shape."""
    noise = float(np.square(reference.astype(np.float64) - found).sum())
    signal = float(np.square(reference, dtype=np.float64).sum())
    if not noise:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal else float("-inf")


def with_parent(
    variant: Predictions, parent: Predictions, temperatures: tuple[float, float] = (1.0, 1.0)
) -> dict[str, Any]:
    """A variant beside its parent, as the manifest stores it.

    Args:
        variant, parent: predictions of the same images, in any order.
        temperatures: the variant's and the parent's.

    Returns:
        `parent`, `agreement`'s figures, and `classes`: code -> `images` that the parent gives to the class,
        `same_class` the share of them that the variant gives to it, too (None where there are none), `mean_change`
        and `largest_change` of the class' probability over all images.

    Raises:
        PredictionsError: they hold different images.
    """
    parent = parent.aligned_to(variant)
    change = _changes(parent.logits, variant.logits, temperatures[::-1])
    mine, theirs = variant.logits.argmax(axis=1), parent.logits.argmax(axis=1)
    classes = {}
    for k, code in enumerate(CODES):
        of_class = theirs == k
        classes[code] = {
            "images": int(of_class.sum()),
            "same_class": float((mine[of_class] == k).mean()) if of_class.any() else None,
            "mean_change": float(change[:, k].mean()),
            "largest_change": float(change[:, k].max()),
        }
    whole = asdict(agreement(parent.logits, variant.logits, temperatures[::-1]))
    return {"parent": parent.model, **whole, "classes": classes}


def read_layers(manifest: Manifest, name: str) -> pd.DataFrame | None:
    """What eight bits do to each layer of a model: columns layer, kind, signal_to_noise_db; None where unknown.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = manifest.model(name).files.get(LAYERS)
    if path is None:
        return None
    data = manifest.read(path)
    columns = ["layer", "kind", "signal_to_noise_db"]
    try:
        return pd.read_csv(io.BytesIO(data))[columns]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: expected a CSV with {', '.join(columns)}, found another file") from error


def agreement_sections(
    manifest: Manifest, entry: ModelEntry
) -> list[tuple[str, tuple[str, ...], pd.DataFrame | None]]:
    """What a variant changes of its parent's answers, and eight bits of each layer: (title, paragraphs, table) of
    sections of its card; none for a model without parent.

    A damaged table of layers is named in its section.
    """
    if entry.parent is None:
        return []
    title = f"Agreement with {entry.parent} on test"
    found = entry.figures.get("agreement")
    if not isinstance(found, Mapping):
        sections = [(title, (f"Not measured: these figures come from {EVALUATE}.",), None)]
    else:
        sections = [(title, _agreement_text(entry, found), _agreement_table(entry, found))]
    rounding = "Rounding to eight bits, layer by layer"
    try:
        layers = read_layers(manifest, entry.name)
    except UserError as error:
        return [*sections, (rounding, (f"Cannot be shown: {error}",), None)]
    if layers is not None:
        text = (
            "Signal to noise of each layer's output in eight bits against float32, in decibels: 20 dB is an error of a "
            "tenth, 40 dB one of a hundredth."
        )
        sections.append((rounding, (text,), layers))
    return sections


def _agreement_text(entry: ModelEntry, found: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("images", "same_class", "mean_change", "largest_change", "signal_to_noise_db")
    text = [Agreement(**{name: found.get(name) or 0.0 for name in names}).text().capitalize() + "."]
    test = _against_parent(entry).get("mcnemar")
    if isinstance(test, Mapping):
        text.append(
            f"McNemar's test: {test['only_first']} images are right only here, {test['only_second']} only in "
            f"{entry.parent}, mid-p {test['p_mid']:.3g}."
        )
    return tuple(text)


def _agreement_table(entry: ModelEntry, found: Mapping[str, Any]) -> pd.DataFrame:
    sensitivity = _against_parent(entry).get("sensitivity", {})
    rows = []
    for lesion in LESIONS:
        row = found["classes"][lesion.code]
        same = "" if row["same_class"] is None else f"{row['same_class']:.1%}"
        mean, largest = (round(100 * row[name], 2) for name in ("mean_change", "largest_change"))
        rows.append((lesion.name, same, mean, largest, to_interval(sensitivity.get(lesion.code)).points()))
    columns = ["class", "same top class", "mean change, points", "largest change, points"]
    columns.append("change of sensitivity, points")
    return pd.DataFrame(rows, columns=columns)


def _against_parent(entry: ModelEntry) -> Mapping[str, Any]:
    """The stored comparison with the parent; empty where there is none."""
    stored = entry.figures.get("comparisons") or []
    return next((c for c in stored if isinstance(c, Mapping) and c.get("second") == entry.parent), {})


def _changes(reference: np.ndarray, found: np.ndarray, temperatures: tuple[float, float]) -> np.ndarray:
    """(N, 7) by how much each probability differs."""
    if reference.shape != found.shape or len(reference) == 0:
        raise ValueError(f"expected two equal shapes (N, 7), found {reference.shape} and {found.shape}")
    return np.abs(softmax(reference, temperatures[0]) - softmax(found, temperatures[1]))
