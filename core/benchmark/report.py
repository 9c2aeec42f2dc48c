"""The benchmark's tables as text for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from core.benchmark.batch import BatchCosts
from core.benchmark.latency import BATCH, BATCH_THREADS, FUNCTION, PREDICT
from core.benchmark.models import REFERENCE, ModelCosts
from core.benchmark.serving import EXPLAINING, PLAIN, ServingCosts

NONE, OTHER = "-", "other file"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as aligned text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def models_table(found: ModelCosts, shipped: Mapping[str, Any], others: Collection[str] = ()) -> str:
    """Costs of every model, then its times here beside those that were shipped.

    Args:
        found: on this machine.
        shipped: what is stored.
        others: models whose stored figures are of another file than this one (`core.evaluation.latency.outdated`).
    """
    costs = [("model", "parameters", "multiply-adds", "size", "zipped", "peak memory")]
    for name, row in found.rows.items():
        costs.append((name, *(_big(row[key], unit) for key, unit in _COSTS)))
    times = [("one image, ms: median (p95)", "1 thread", "shipped", "2 threads", "shipped",
              f"{BATCH} at once, {BATCH_THREADS} threads, each", f"times {REFERENCE}", "shipped")]  # fmt: skip
    before, ratios = shipped.get("models", {}), shipped.get("ratios", {})
    for name, row in found.rows.items():
        then = OTHER if {name, REFERENCE} & set(others) else _number(ratios.get(name))
        times.append(
            _times(name, row, _inside(before, name), (_number(found.ratios.get(name)), then), others)
        )
        known = {} if REFERENCE in others else ratios
        times += _keras_times(name, row, _inside(before, name), found.ratios, known)
    return f"{columns(costs)}\n\n{columns(times)}"


def serving_table(found: ServingCosts) -> str:
    """Every timing, explaining and plain beside each other."""
    rows = [("one image, ms: median (p95)", "explaining", "plain")]
    for key, timing in found.timings.items():
        if key.how == EXPLAINING:
            plain = found.timings[key._replace(how=PLAIN)]
            rows.append((key.model, _timing(timing.to_dict()), _timing(plain.to_dict())))
        elif key.how != PLAIN:
            rows.append((f"{key.model}, {_HOW.get(key.how, key.how)}", _timing(timing.to_dict()), NONE))
    return columns(rows)


def batch_table(found: BatchCosts) -> str:
    """Every run, from start to end."""
    rows = [("predict", "seconds", "images/s", "processor ms per image", "peak memory")]
    for count, runs in found.runs.items():
        for run in runs:
            spent = 1e3 * run.processor_seconds / count
            rows.append((f"{count:,} images", f"{run.seconds:.1f}", f"{count / run.seconds:.0f}", f"{spent:.1f}",
                         _big(run.peak_bytes, "MB")))  # fmt: skip
    first = min(found.runs)
    for loop in found.loops:
        rows.append(("loop of Keras predict", f"{loop.seconds:.1f}", f"{first / loop.seconds:.0f}",
                     f"{1e3 * loop.processor_seconds / first:.1f}", _big(loop.peak_bytes, "MB")))  # fmt: skip
    said = ", ".join(f"{count} {status}" for status, count in found.statuses.items())
    return f"{found.source}; {said}\n{columns(rows)}"


_COSTS = (
    ("parameters", "M"),
    ("multiply_adds", "M"),
    ("bytes", "MB"),
    ("compressed_bytes", "MB"),
    ("peak_memory_bytes", "MB"),
)
_HOW = {PREDICT: "Keras predict", FUNCTION: "tf.function", "gradcam": "tf-keras-vis' Gradcam of one class"}


def _times(
    name: str,
    row: Mapping[str, Any],
    before: Mapping[str, Any],
    times: tuple[str, str],
    others: Collection[str],
) -> tuple[str, ...]:
    batch = _inside(row, "batch_ms", str(BATCH), str(BATCH_THREADS))
    cells = [
        _timing(_inside(source, "latency_ms", threads)) for threads in ("1", "2") for source in (row, before)
    ]
    if name in others:  # what was shipped of another file says nothing about this one
        cells[1] = cells[3] = OTHER
    each = f"{batch['median'] / BATCH:.2f}" if batch else NONE
    return (name, *cells, each, *times)


def _keras_times(
    name: str,
    row: Mapping[str, Any],
    before: Mapping[str, Any],
    times: Mapping[str, float],
    then: Mapping[str, float],
) -> list[tuple[str, ...]]:
    """The two rows of a network in Keras, which takes as many threads as it likes."""
    if "keras" not in row:
        return []
    found = []
    for how in (PREDICT, FUNCTION):
        here, there = (_timing(_inside(source, "keras", f"{how}_ms")) for source in (row, before))
        key = f"{name} {how}"
        found.append((f"  {_HOW[how]}, all cores", NONE, NONE, here, there, NONE, _number(times.get(key)),
                      _number(then.get(key))))  # fmt: skip
    return found


def _inside(value: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _timing(timing: Mapping[str, Any]) -> str:
    return f"{timing['median']:.2f} ({timing['p95']:.2f})" if {"median", "p95"} <= set(timing) else NONE


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _big(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{value / 1e6:,.2f} {unit}"
