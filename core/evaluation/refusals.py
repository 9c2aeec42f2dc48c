"""How often foreign pictures are refused: what `python -m core gate report` stored of a model's gate, for its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.errors import UserError
from core.manifest import Manifest
from core.numbers import percent_range

COMMAND = "python -m core gate report"
TITLE = "What it was not made for"
SHARES: dict[str, str] = {
    "test": "dermatoscopic test images kept",
    "drawn": "drawn pictures refused",
    "photographs": "photographs and radiographs refused",
    "turned": "test images with the same outcome in all eight orientations",
    "synthetic": "synthetic lesions kept",
}
"""Stored share -> what it is."""


ANOTHER = (
    "It does not refuse foreign pictures itself: another model's check runs before it, mostly the student's, whose "
    "card says how often foreign pictures are refused."
)


def refusals_key(name: str) -> str:
    """The shared file's key in the manifest."""
    return f"refusals-{name}"


def refusal_section(manifest: Manifest, name: str) -> tuple[str, tuple[str, ...], pd.DataFrame | None]:
    """Title, paragraphs and table of a card's section on images that a model was not made for.

    The table has the columns kind, images, share and its 95% interval, in words.
    """
    path = manifest.shared.get(refusals_key(name))
    if path is None and f"gate-{name}" not in manifest.shared and "gate-student" in manifest.shared:
        return TITLE, (ANOTHER,), None
    if path is None:
        return TITLE, (f"How often foreign pictures are refused was not measured: {COMMAND} does it.",), None
    try:
        stored = json.loads(manifest.read(path))
        table = _table(stored)
    except UserError as error:
        return TITLE, (f"What was measured cannot be read: {error}",), None
    except (ValueError, KeyError, TypeError):
        return TITLE, (f"{path}: expected shares with intervals, found something else; run {COMMAND}.",), None
    model = manifest.models.get(name)
    file = manifest.files.get(model.files.get("litert", "")) if model else None
    if file is None or stored.get("model_sha256") != file.sha256:
        return TITLE, (f"What was measured is of another file of this model; run {COMMAND} again.",), None
    text = (
        "Pictures unlike dermatoscopic images are to be refused and get no diagnosis. Shares with 95% intervals, from "
        "a file's bytes to its outcome; an interval says nothing of kinds of pictures that were not tried, such as "
        "close-ups of skin by a bare camera."
    )
    return TITLE, (text,), table


def _table(stored: Mapping[str, Any]) -> pd.DataFrame:
    rows = []
    for key, kind in SHARES.items():
        share = stored[key]
        value, low, high = (float(share[end]) for end in ("value", "low", "high"))
        rows.append((kind, int(share["images"]), f"{value:.1%}", percent_range(low, high)))
    return pd.DataFrame(rows, columns=["kind", "images", "share", "95% interval, %"])
