"""`python -m core models`: the manifest's table, and whether every model answers."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.serving.registry import ModelState, Registry

BROKEN_STATUS = 1


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "models",
        help="list the models, their figures and their state",
        description="List the models of the artifacts folder. With --check exit status 1 says that a model is broken "
        "or that none can be used, so that a container can probe it.",
    )
    parser.add_argument("--check", action="store_true", help="load every model and let it classify an image")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON instead of a table")
    shape.add_argument(
        "--markdown", action="store_true", help="print the README's table: figures on test, size, time"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table; with `--check` try every model."""
    from core.serving.registry import Registry

    registry = Registry.open()
    listed = [_facts(state, registry) for state in registry.states()]
    broken = False
    if options.check:
        for row, state in zip(listed, registry.states(), strict=True):
            row["check"] = None if state.absent else _try(registry, state.name)
        checks = [row["check"] for row in listed if row["check"] is not None]
        broken = not checks or any(not check["works"] for check in checks)
    if options.json:
        print(json.dumps(listed, indent=1))
    elif options.markdown:
        print(_headline(registry))
    else:
        print(_table(listed))
    if options.check or not (options.json or options.markdown):
        for line in _remarks(listed, registry):
            print(line, file=sys.stderr)
    return BROKEN_STATUS if broken else 0


def _headline(registry: Registry) -> str:
    """The models of `KNOWN` that are there, as the README shows them; below the machine, the ensemble's members, what
    distillation gave, and which demands were missed."""
    from core.benchmark.bars import read_bars
    from core.errors import UserError
    from core.evaluation.contestants import contestant
    from core.evaluation.gain import gain_sentence, read_gain
    from core.evaluation.latency import read_benchmark
    from core.evaluation.origin import drawn_sentence
    from core.evaluation.tables import markdown_table
    from core.serving.registry import KNOWN

    manifest = registry.manifest
    if manifest is None:
        raise UserError(registry.state("student").reason or "expected models, found none")
    times = read_benchmark(manifest)
    shipped = [(name, known.title) for name, known in KNOWN.items() if name in manifest.models]
    table = markdown_table([contestant(manifest, name, title, times) for name, title in shipped])
    notes = [f"Times on {times.hardware}."] if times and times.hardware else []
    ensemble = manifest.models.get("ensemble")
    if ensemble:
        members = ", ".join(KNOWN[name].title if name in KNOWN else name for name in ensemble.members)
        notes.append(f"The ensemble is the mean of {members}.")
    missed = [
        f"{bar.what} {bar.sides()}" + (f" ({bar.note})" if bar.note else "")
        for bar in read_bars(manifest)
        if bar.met is False
    ]
    paragraphs = [drawn_sentence(manifest), " ".join(notes), gain_sentence(read_gain(manifest))]
    paragraphs.append(f"Of what was asked of the small files, missed: {'; '.join(missed)}." if missed else "")
    return "\n\n".join([table, *filter(None, paragraphs)])


def _facts(state: ModelState, registry: Registry) -> dict[str, Any]:
    """One model as JSON; null for what the manifest does not say."""
    entry, manifest = state.entry, registry.manifest
    path = entry.files.get("litert") if entry else None
    test = entry.figures.get("test") if entry else None
    return {
        "name": state.name,
        "title": state.title,
        "role": state.role,
        "parameters": entry.parameters or None if entry else None,
        "bytes": manifest.files[path].bytes if manifest and path else None,
        "sha256": manifest.files[path].sha256 if manifest and path else None,
        "split": entry.figures.get("split") if entry else None,
        "data": entry.provenance.get("data") if entry else None,
        "accuracy": _figure(test, "accuracy"),
        "balanced_accuracy": _figure(test, "balanced_accuracy"),
        "usable": state.usable,
        "absent": state.absent,
        "reason": state.reason,
        "command": state.command,
    }


def _figure(test: Any, key: str) -> dict[str, float] | None:
    from core.evaluation.contestants import to_interval

    figure = test.get(key) if isinstance(test, dict) else None
    return None if math.isnan(to_interval(figure).value) else figure


def _try(registry: Registry, name: str) -> dict[str, Any]:
    """Load a model and let it classify two made-up images, one flat and one shaded."""
    import numpy as np

    from core.errors import UserError
    from core.settings import INPUT_SIZE

    flat = np.full((INPUT_SIZE, INPUT_SIZE, 3), (200, 160, 140), np.uint8)
    shaded = flat - np.linspace(0, 120, INPUT_SIZE).astype(np.uint8)[:, np.newaxis, np.newaxis]
    start = time.perf_counter()
    try:
        model = registry.get(name)
        for image in (flat, shaded):
            model.classify(image)
    except UserError as error:
        return {"works": False, "reason": str(error), "seconds": None}
    return {"works": True, "reason": None, "seconds": round(time.perf_counter() - start, 3)}


def _table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    head = ("model", "role", "parameters", "size", "accuracy (95%)", "balanced accuracy (95%)", "state")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["role"],
        f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else "-",
        f"{row['bytes'] / 1e6:.1f} MB" if row["bytes"] else "-",
        _interval(row["accuracy"]),
        _interval(row["balanced_accuracy"]),
        _state(row),
    )


def _interval(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "-"
    low, high = figure.get("low"), figure.get("high")
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"{figure['value']:.3f}{interval}"


def _state(row: dict[str, Any]) -> str:
    check = row.get("check")
    if check is not None:
        return f"works ({check['seconds']:.2f} s)" if check["works"] else "BROKEN"
    if row["usable"]:
        return "ready"
    return "absent" if row["absent"] else "REFUSED"


def _remarks(rows: list[dict[str, Any]], registry: Registry) -> list[str]:
    """Lines under the table: which models are of drawn lesions, why some cannot be used, and what makes them."""
    from core.evaluation.origin import drawn_sentence
    from core.manifest import MANIFEST
    from core.settings import artifacts_dir

    if registry.manifest is not None:
        drawn = drawn_sentence(registry.manifest)
        return [*filter(None, [drawn]), *(line for row in rows for line in _remark(row))]
    reasons = list(dict.fromkeys(row["reason"] for row in rows))  # one file's, whatever the model
    if (artifacts_dir() / MANIFEST).exists():
        return reasons  # what is damaged need not be trained again
    return reasons + [f"make {row['name']} with: {row['command']}" for row in rows if row["command"]]


def _remark(row: dict[str, Any]) -> list[str]:
    """Why a model cannot be used and what makes it; nothing of one that can."""
    check = row.get("check")
    if check is not None and not check["works"]:
        return [f"{row['name']}: {check['reason']}"]
    if row["usable"]:
        return []
    made = f"; make it with: {row['command']}" if row["command"] else ""
    return [f"{row['name']}: {row['reason']}{made}"]
