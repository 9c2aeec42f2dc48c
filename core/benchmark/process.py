"""Commands run and watched from outside: how long, how much memory with all their workers, how much processor time."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from core.benchmark.hardware import Hardware, this_machine
from core.benchmark.memory import ChildFailed, peak_of
from core.settings import ROOT

CORES = 2
"""On so many cores, since the bars are for two."""
_EVERY_S = 0.05


@dataclass(frozen=True)
class Watched:
    """One finished command.

    Attributes:
        seconds: from its start to its end.
        processor_seconds: of all its processes; on a busy machine the only time that means something.
        peak_bytes: the largest sum over its processes of the most that each held so far; None where the system does
            not say. Pages that processes share count for each of them.
        output: what it printed to its standard output.
        status: its exit status.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int | None
    output: str
    status: int


def watch(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, fine: Sequence[int] = (0,)
) -> Watched:
    """Run `python COMMAND...` on two cores from the project's root, and wait for it.

    Raises:
        ChildFailed: it ended with another exit status than a `fine` one.
    """
    before, start = os.times(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            two_cores([sys.executable, *command]), cwd=ROOT, stdout=output, stderr=errors,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            peak = _peak_until_end(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds, after = time.perf_counter() - start, os.times()
        texts = [_text(stream) for stream in (output, errors)]
    if process.returncode not in fine:
        said = texts[1].strip().splitlines()[-1:] or ["nothing"]
        raise ChildFailed(
            f"{' '.join(command[:4])}: expected it to end well, found exit status {process.returncode}: {said[0]}"
        )
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Watched(seconds, spent, peak, texts[0], process.returncode)


def two_cores(command: Sequence[str]) -> list[str]:
    """The command, confined to two of this process's cores where there are more and the system lets one."""
    if not (chosen := _two_of_more()):
        return list(command)
    # In the child, before it becomes the command: what it starts itself inherits it.
    code = f"import os, sys; os.sched_setaffinity(0, {chosen}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *command]


def machine_of_commands() -> Hardware:
    """This machine with the cores that `watch` leaves a command: figures of two are not those of sixteen."""
    chosen = _two_of_more()
    return replace(this_machine(), cores=len(chosen)) if chosen else this_machine()


def _two_of_more() -> list[int]:
    """The cores to confine a command to; empty where there are no more, or the system does not let one."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return allowed[:CORES] if len(allowed) > CORES else []


def family(process: int) -> list[int]:
    """A process and all that it started, as far as they are there."""
    found, waiting = [], [process]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for tasks in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += map(int, tasks.read_text(encoding="ascii").split())
            except OSError:  # it ended meanwhile
                continue
    return found


def _peak_until_end(process: subprocess.Popen) -> int | None:
    peak = 0
    with _no_collection():
        while process.poll() is None:
            peak = max(peak, sum(peak_of(one) or 0 for one in family(process.pid)))
            time.sleep(_EVERY_S)
    return peak or None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which stops a large process for longer than a short command lasts."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _text(stream: object) -> str:
    stream.seek(0)
    return stream.read()
