"""Where the leak's pairs are kept: the shared file `leak` of an artifacts folder.

It is JSON: `{"version": 1, "pairs": [{"name": "student", "lesion": {...}, "report": {...}, "gain": {"accuracy":
{"value", "low", "high"}, ...}}]}`, a side as `core.evaluation.leak.Side` has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.artifacts import store_json
from core.data.splits import SPLITS
from core.evaluation.intervals import Interval
from core.evaluation.leak import COMMAND, FIGURES, GROUPS, Group, LeakError, Pair, Side
from core.manifest import Manifest

KEY, FILE = "leak", "leak.json"
VERSION = 1


def read_pairs(manifest: Manifest) -> list[Pair]:
    """The pairs that the manifest knows of; none where nobody measured any.

    Raises:
        FileRefused: the file is not the one that was listed.
        LeakError: it holds no pairs.
    """
    path = manifest.shared.get(KEY)
    if path is None:
        return []
    try:
        raw = json.loads(manifest.read(path))
        if raw["version"] != VERSION:
            raise ValueError(f"version {raw['version']!r}")
        return [_pair(stored) for stored in raw["pairs"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LeakError(
            f"{path}: expected runs on both splits, found none ({error!r}); run {COMMAND}"
        ) from error


def save_pairs(folder: Path, pairs: list[Pair]) -> Path:
    """Replace the pairs of an artifacts folder.

    Raises:
        ArtifactError: the file cannot be written.
    """
    content = {"version": VERSION, "pairs": [_plain(pair) for pair in pairs]}
    return store_json(folder, KEY, FILE, content)


def _plain(pair: Pair) -> dict[str, Any]:
    def side(one: Side) -> dict[str, Any]:
        groups = {
            key: {**asdict(group), "accuracy": group.accuracy.to_dict()} for key, group in one.groups.items()
        }
        figures = {key: interval.to_dict() for key, interval in one.figures.items()}
        return {**vars(one), "figures": figures, "groups": groups}

    gain = {key: interval.to_dict() for key, interval in pair.gain.items()}
    return {"name": pair.name, **{split: side(one) for split, one in pair.sides.items()}, "gain": gain}


def _pair(stored: Mapping[str, Any]) -> Pair:
    def side(raw: Mapping[str, Any]) -> Side:
        groups = {key: _group(raw["groups"][key]) for key in GROUPS}
        figures = {key: _interval(raw["figures"][key]) for key in FIGURES}
        return Side(**{**raw, "figures": figures, "groups": groups})

    gain = {key: _interval(stored["gain"][key]) for key in (*FIGURES, *GROUPS)}
    return Pair(str(stored["name"]), {split: side(stored[split]) for split in SPLITS}, gain)


def _group(raw: Mapping[str, Any]) -> Group:
    return Group(**{**raw, "accuracy": _interval(raw["accuracy"])})


def _interval(raw: Mapping[str, Any]) -> Interval:
    interval = Interval.from_dict(raw)
    if not math.isfinite(interval.value):
        raise ValueError(f"a figure {raw!r}")
    return interval
