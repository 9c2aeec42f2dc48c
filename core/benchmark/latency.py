"""How long one image takes each model: what the command and the comparison page's button measure."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from core.artifacts import ArtifactError
from core.benchmark.rounds import Progress, Subject, Timing, measure
from core.benchmark.runner import BatchRefused, Runs, images, open_runner
from core.errors import UserError
from core.evaluation.latency import Benchmark
from core.manifest import Manifest
from core.serving.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

THREADS = (1, 2)
BATCH = 32
BATCH_THREADS = 2
ROUNDS = 30
QUICK_ROUNDS = 5
"""Enough for people to see their own machine beside the shipped figures."""

LITERT, PREDICT, FUNCTION = "litert", "predict", "tf_function"


class Key(NamedTuple):
    """What was timed: a model, the way it was run, threads (0: as many as the library takes), images at once."""

    model: str
    how: str = LITERT
    threads: int = 1
    batch: int = 1


class Busy(UserError):
    """Somebody else measures on this machine: two at once would measure each other."""


_measuring = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Keeps others of this process from measuring meanwhile.

    Raises:
        Busy: somebody does already.
    """
    if not _measuring.acquire(blocking=False):
        raise Busy("somebody else is measuring on this machine; try again in a minute")
    try:
        yield
    finally:
        _measuring.release()


def choose(registry: Registry, names: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """The models to measure, in the order of every table, and why others are left out.

    Args:
        registry: the models.
        names: none means all that can be used.

    Raises:
        UserError: a name that is not known, a named model that cannot be used, or none that can.
    """
    states = {state.name: state for state in registry.states()}
    if unknown := [name for name in names if name not in states]:
        raise UserError(f"expected one of the models {', '.join(states)}, found {unknown[0]!r}")
    refused = {name: state.reason for name, state in states.items() if state.reason is not None}
    if named := [name for name in names if name in refused]:
        made = states[named[0]].command
        raise UserError(f"{refused[named[0]]}" + (f"; make it with: {made}" if made else ""))
    chosen = [name for name in states if name not in refused and (not names or name in names)]
    if not chosen:
        raise UserError(next(iter(refused.values()), "expected a model, found none"))
    return chosen, {} if names else refused


def litert_subjects(manifest: Manifest, names: Sequence[str], *, batch: bool) -> dict[Key, Subject]:
    """One image on 1 and on 2 threads, and with `batch` 32 at once on 2; a model that cannot take 32 goes without."""
    found: dict[Key, Subject] = {}
    one, many = images(1), images(BATCH) if batch else None
    for name in names:
        for threads in THREADS:
            runner = open_runner(manifest, name, threads=threads)
            found[Key(name, LITERT, threads)] = _subject(name, runner, one)
        if many is not None:
            try:
                runner = open_runner(manifest, name, threads=BATCH_THREADS, batch=BATCH)
            except BatchRefused:
                continue
            found[Key(name, LITERT, BATCH_THREADS, BATCH)] = _subject(name, runner, many, calls=1)
    return found


def measure_here(
    registry: Registry,
    names: Sequence[str] = (),
    *,
    rounds: int = QUICK_ROUNDS,
    progress: Progress | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """This machine's latencies of one image, without tensorflow: for a page, some seconds long.

    Args:
        registry: the models.
        names: none means all that can be used.
        rounds: see `core.benchmark.rounds.measure`.
        progress: likewise.

    Returns:
        model -> threads -> `median`, `p95` in milliseconds, as `core.evaluation.latency` stores them.

    Raises:
        UserError: see `choose`.
        Busy: somebody measures already.
    """
    chosen, _ = choose(registry, names)
    if registry.manifest is None:
        raise ArtifactError("expected trained models, found none")
    with alone():
        timings = measure(litert_subjects(registry.manifest, chosen, batch=False), rounds, progress=progress)
    return {name: by_threads(timings, name) for name in chosen}


def beside(
    here: Mapping[str, Mapping[str, Mapping[str, float]]],
    shipped: Benchmark | None,
    reference: str = "student",
) -> pd.DataFrame:
    """This machine's latencies beside the shipped ones.

    Args:
        here: what `measure_here` gave.
        shipped: None where no benchmark was stored.
        reference: the model that `times` are of, on one thread each.

    Returns:
        One row for each model: `model` (its name), for 1 and 2 threads `here_1`, `here_1_p95`, `shipped_1`, ... in
        milliseconds, then `times_here` and `times_shipped`; NaN for what is not known.
    """
    import pandas as pd

    def shipped_ms(name: str, threads: str) -> float | None:
        return shipped.milliseconds(name, threads) if shipped else None

    base_here = here[reference]["1"]["median"] if reference in here else None
    base_shipped = shipped_ms(reference, "1")
    rows = []
    for name, found in here.items():
        row: dict[str, object] = {"model": name}
        for threads in map(str, THREADS):
            row[f"here_{threads}"] = found[threads]["median"]
            row[f"here_{threads}_p95"] = found[threads]["p95"]
            row[f"shipped_{threads}"] = shipped_ms(name, threads)
        then = shipped_ms(name, "1")
        row["times_here"] = found["1"]["median"] / base_here if base_here else None
        row["times_shipped"] = then / base_shipped if then and base_shipped else None
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype({column: float for column in table.columns if column != "model"})


def by_machine(runs: Sequence[Benchmark], names: Sequence[str], reference: str = "student") -> pd.DataFrame:
    """Latencies of one image on one thread on several machines, beside each other.

    Args:
        runs: one of each machine.
        names: of the models.
        reference: the model that `times` are of, on the same machine.

    Returns:
        One row for each model that two machines measured or more: `model` (its name), then `ms_1`, `times_1`, `ms_2`,
        ... by the order of `runs`, in milliseconds and as multiples of the reference's; NaN for what is not known.
    """
    import pandas as pd

    rows = []
    for name in names:
        found = [run.milliseconds(name) for run in runs]
        if sum(one is not None for one in found) < 2:
            continue
        row: dict[str, object] = {"model": name}
        for k, (run, one) in enumerate(zip(runs, found, strict=True), 1):
            base = run.milliseconds(reference)
            row |= {f"ms_{k}": one, f"times_{k}": one / base if one and base else None}
        rows.append(row)
    measured = [f"{key}_{k}" for k in range(1, len(runs) + 1) for key in ("ms", "times")]
    table = pd.DataFrame(rows, columns=["model", *measured])
    return table.astype({column: float for column in table.columns if column != "model"})


def by_threads(timings: Mapping[Key, Timing], name: str, batch: int = 1) -> dict[str, dict[str, float]]:
    """threads -> `median`, `p95` of a model's LiteRT file."""
    return {
        str(key.threads): timing.to_dict()
        for key, timing in timings.items()
        if (key.model, key.how, key.batch) == (name, LITERT, batch)
    }


def _subject(name: str, runner: Runs, pixels: object, calls: int = 5) -> Subject:
    return Subject(name, lambda: runner.run(pixels), calls, warmups=1)
