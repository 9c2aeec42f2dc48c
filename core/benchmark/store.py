"""The benchmark that is shipped with the models: `benchmark.json` in the artifacts folder, the shared file `benchmark`.

    {"version": 1,
     "hardware": "AMD EPYC, 2 cores, ...",           for people, as is `core.benchmark.hardware.Hardware` for programs:
     "machine": {"cpu": ..., "cores": 2, ...},
     "measured": "2025-11-22T18:00:00+00:00", "rounds": 30,
     "models": {NAME: {
         "sha256": of the LiteRT file that was measured, "bytes": its size, "compressed_bytes": as zip deflates it,
         "parameters": ..., "multiply_adds": of one image, without the maps,
         "peak_memory_bytes": of a process that classifies one image,
         "latency_ms": {"1": {"median": ..., "p95": ...}, "2": {...}},     threads -> one image
         "batch_ms": {"32": {"2": {"median": ..., "p95": ...}}},           images -> threads -> the whole batch
         "keras": {"peak_memory_bytes": ..., "multiply_adds": by its layers, the same number unless something is wrong,
                   "predict_ms": {"median", "p95"}, "tf_function_ms": {...}}}},
     "ratios": {NAME: of one image on one thread to the student's, in the same rounds},
     "bars": [...],
     "elsewhere": [{...}],                           the same keys from "hardware" to "bars", of other machines
     "serving": {...}, "batch": {...}, "app": {...}}     each with its own "hardware", "measured" and "bars"

What was not measured is left out or null. `core.evaluation.latency` reads `hardware` and `latency_ms` for the pages.
What another machine has measured of files that are still shipped stays, since processors differ in what int8 gains on
them; figures of one run stay together, whatever the machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.artifacts import ArtifactError, Manifest, load_manifest, store_json
from core.benchmark.hardware import Hardware
from core.evaluation.latency import ELSEWHERE, KEY, outdated, runs_elsewhere

VERSION = 1
FILE = "benchmark.json"
MODELS = "models"
SECTIONS = ("serving", "batch", "app")
RATIO, REPRODUCED = "student-int8", 0.15
"""A ratio to the student's time, and how far it may differ where the same machine measures it again."""
RUN = ("hardware", "machine", "measured", "rounds", MODELS, "ratios", "bars")
"""What one run of the models' benchmark stores."""


def save(folder: Path, section: str, found: Mapping[str, Any]) -> Path:
    """Write one subject's figures, keeping the others' and the models' on other machines, and enter the file in the
    manifest.

    Args:
        folder: the artifacts folder.
        section: `models`, whose keys stand at the top, or one of `SECTIONS`.
        found: JSON-ready.

    Raises:
        ArtifactError: it cannot be written.
    """
    manifest = load_manifest(folder)
    before = stored(manifest)
    if section == MODELS:
        kept = {name: before[name] for name in SECTIONS if name in before}
        others = _of_other_machines(manifest, before, found)
        content = {"version": VERSION, **found, **({ELSEWHERE: others} if others else {}), **kept}
    else:
        content = {"version": VERSION, "hardware": "", "models": {}, **before, section: dict(found)}
    return store_json(folder, KEY, FILE, content)


def stored(manifest: Manifest) -> dict[str, Any]:
    """What the file holds; empty where there is none or it is damaged, so that a new one can take its place."""
    path = manifest.shared.get(KEY)
    if path is None:
        return {}
    try:
        raw = json.loads(manifest.read(path))
    except (ArtifactError, ValueError):
        return {}
    return raw if isinstance(raw, dict) and isinstance(raw.get(MODELS), dict) else {}


def _of_other_machines(
    manifest: Manifest, before: Mapping[str, Any], found: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The last run on each machine but the one that has just measured, if it is of any file that is still shipped."""
    last = {key: before[key] for key in RUN if key in before}
    kept: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for run in [last, *runs_elsewhere(before)]:
        models = run.get(MODELS) or {}
        if set(models) - outdated(manifest, models):
            kept.setdefault(_machine(run), run)
    kept.pop(_machine(found), None)
    return [run for run in kept.values() if not _is_older_of(run, found)]


def _machine(run: Mapping[str, Any]) -> tuple[object, ...]:
    """What tells one machine from another where times are concerned; versions of programs do not."""
    machine = run.get("machine")
    if not isinstance(machine, Mapping):
        return (run.get("hardware"),)
    return tuple(machine.get(key) or "" for key in ("cpu", "instructions", "cores"))


def _is_older_of(run: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a run from before instructions were noted is of the machine that has just measured.

    Processors of one name may have others, which nothing but what int8 gains on them then tells apart.
    """
    before, now = _machine(run), _machine(found)
    if len(before) != len(now) or before == now or before[1:2] != ("",) or before[::2] != now[::2]:
        return False
    gains = [(one.get("ratios") or {}).get(RATIO) for one in (run, found)]
    return all(gains) and abs(gains[0] / gains[1] - 1) <= REPRODUCED


def stamp(hardware: Hardware) -> dict[str, Any]:
    """Where and when."""
    return {
        "hardware": hardware.text(),
        "machine": vars(hardware) | {},
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }
