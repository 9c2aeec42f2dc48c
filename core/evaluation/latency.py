"""How long one image takes, as a benchmark left it in the artifacts.

The shared file `benchmark` is JSON: `{"hardware": "...", "models": {NAME: {"latency_ms": {"1": {"median": 5.7,
"p95": 6.1}, "2": {...}}}}}`, the inner keys being threads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import UserError
from core.manifest import Manifest

COMMAND = "python -m core benchmark"
KEY = "benchmark"
ELSEWHERE = "elsewhere"
"""Key of the runs on other machines in the benchmark's file."""
ONE_THREAD = "1"


class BenchmarkError(UserError):
    """A benchmark's file that is no benchmark."""


@dataclass(frozen=True)
class Benchmark:
    """Measured latencies.

    Attributes:
        hardware: the machine, in words; empty where it was not stored.
        latency_ms: model -> threads -> `median`, `p95`.
        elsewhere: what other machines measured of the files that are shipped now.
    """

    hardware: str
    latency_ms: Mapping[str, Mapping[str, Mapping[str, float]]]
    elsewhere: tuple[Benchmark, ...] = ()

    def milliseconds(self, model: str, threads: str = ONE_THREAD) -> float | None:
        """Median for one image; None where it was not measured."""
        return _positive(_inside(self.latency_ms, model, threads, "median"))


def read_benchmark(manifest: Manifest) -> Benchmark | None:
    """The benchmark that the manifest knows of; None where none was run.

    Raises:
        ArtifactError: its file is missing or damaged.
        BenchmarkError: it is no benchmark.
    """
    if KEY not in manifest.shared:
        return None
    raw = _read(manifest)
    stored = _current(manifest, raw["models"])
    elsewhere = [
        Benchmark(str(run.get("hardware") or ""), _current(manifest, run["models"]))
        for run in runs_elsewhere(raw)
    ]
    others = tuple(run for run in elsewhere if run.latency_ms)
    return Benchmark(str(raw.get("hardware") or ""), stored, others) if stored or others else None


def runs_elsewhere(stored: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runs on other machines in what a benchmark's file holds; what is none of them is left out."""
    runs = stored.get(ELSEWHERE)
    return (
        [run for run in runs if isinstance(_inside(run, "models"), Mapping)] if isinstance(runs, list) else []
    )


def _read(manifest: Manifest) -> Mapping[str, Any]:
    path = manifest.shared[KEY]
    try:
        raw = json.loads(manifest.read(path))
    except ValueError as error:
        raise BenchmarkError(
            f"{path}: expected a benchmark's JSON, found a damaged file; run {COMMAND}"
        ) from error
    if not isinstance(_inside(raw, "models"), Mapping):
        raise BenchmarkError(f"{path}: expected an object 'models', found none; run {COMMAND}")
    return raw


def _current(manifest: Manifest, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Model -> its latencies, of the files that are shipped."""
    old = outdated(manifest, rows)
    return {name: _inside(row, "latency_ms") for name, row in rows.items() if name not in old}


def outdated(manifest: Manifest, rows: Mapping[str, object]) -> frozenset[str]:
    """Models whose stored row is of another file than is shipped now, and ensembles of which a member is such a one.

    Args:
        manifest: what is shipped.
        rows: model -> its row in the benchmark; one without a `sha256` does not say which file it is of.
    """

    def is_another(name: str) -> bool:
        measured, entry = _inside(rows[name], "sha256"), manifest.models.get(name)
        file = manifest.files.get(entry.files.get("litert", "")) if entry else None
        return bool(measured) and (file is None or file.sha256 != measured)

    def has_other_members(name: str, members: Sequence[str]) -> bool:
        files = [manifest.models[one].files.get("litert", "") for one in members if one in manifest.models]
        bytes_now = sum(manifest.files[file].bytes for file in files if file in manifest.files)
        return bool(others & set(members)) or _inside(rows[name], "bytes") not in (None, bytes_now)

    others = {name for name in rows if is_another(name)}
    of_several = {name: manifest.models[name].members for name in rows if name in manifest.models}
    return frozenset(
        others
        | {name for name, members in of_several.items() if members and has_other_members(name, members)}
    )


def _inside(value: object, *keys: str) -> Any:
    """`value[key]...`, None where something on the way is no object or lacks the key."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _positive(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value > 0 else None
