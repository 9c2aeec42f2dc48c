"""What is no longer true of other models once one of them has other weights or another file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.artifacts import update_model
from core.manifest import Manifest

UNMEASURED: Mapping[str, Any] = {"figures": {}, "calibration": {}, "operating_point": None}
"""Changes to a model's entry by which nothing that was measured is left."""


def drop_ensembles(manifest: Manifest, name: str) -> Manifest:
    """Take away what was measured of the ensembles that a model is a member of; `evaluate` makes it anew."""
    for other, entry in manifest.models.items():
        if name in entry.members:
            gone = {"predictions": None} if "predictions" in entry.files else {}
            manifest = update_model(manifest.folder, other, UNMEASURED, gone)
    return manifest


def drop_comparisons(manifest: Manifest, name: str) -> Manifest:
    """Take away the comparisons of other models with one, and its variants' agreement with it."""
    for other, entry in manifest.models.items():
        figures = dict(entry.figures)
        if entry.parent == name:
            figures.pop("agreement", None)
        if "comparisons" in figures:
            figures["comparisons"] = [pair for pair in figures["comparisons"] if pair.get("second") != name]
        if figures != entry.figures:
            manifest = update_model(manifest.folder, other, {"figures": figures})
    return manifest
