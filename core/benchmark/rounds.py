"""Timing in interleaved rounds: whatever slows a machine down for a while slows all subjects down alike.

In every round each subject is called a few times, in turn; every second round goes backwards, so that nobody always
comes after the same neighbour. Ratios are taken within a round and then their median over the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)
Progress = Callable[[int, int, str], None]
"""Called with the steps done, all steps, and the name of the subject that comes next."""


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        name: for the progress.
        call: does the work once.
        calls: timed calls in each round.
        warmups: calls before these, untimed: the neighbour before has emptied the caches.
    """

    name: str
    call: Callable[[], object]
    calls: int = 5
    warmups: int = 1


@dataclass(frozen=True, eq=False)
class Timing:
    """What was measured of one subject: (rounds, calls) milliseconds."""

    milliseconds: np.ndarray

    @property
    def median(self) -> float:
        """Of all calls."""
        return float(np.median(self.milliseconds))

    @property
    def p95(self) -> float:
        """95th percentile of all calls, interpolated."""
        return float(np.percentile(self.milliseconds, 95))

    def to_dict(self) -> dict[str, float]:
        """As it is stored; microseconds are as fine as it gets."""
        return {"median": round(self.median, 3), "p95": round(self.p95, 3)}


def measure(
    subjects: Mapping[Key, Subject],
    rounds: int,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, Timing]:
    """Time all subjects.

    Args:
        subjects: by any key.
        rounds: at least 1.
        progress: called before every step, and once at the end.
        clock: seconds.
    """
    if rounds < 1:
        raise ValueError(f"expected at least 1 round, found {rounds}")
    found: dict[Key, list[list[float]]] = {key: [] for key in subjects}
    order, total = list(subjects), rounds * len(subjects)
    for number in range(rounds):
        for position, key in enumerate(order if number % 2 == 0 else order[::-1]):
            subject = subjects[key]
            if progress is not None:
                progress(number * len(order) + position, total, subject.name)
            found[key].append(_time(subject, clock))
    if progress is not None:
        progress(total, total, "")
    return {key: Timing(np.array(times)) for key, times in found.items()}


def ratio(one: Timing, other: Timing) -> float:
    """How many times as long as `other` `one` takes: the median over the rounds of the ratio of their medians."""
    rows = (np.median(timing.milliseconds, axis=1) for timing in (one, other))
    return float(np.median(np.divide(*rows)))


def _time(subject: Subject, clock: Callable[[], float]) -> list[float]:
    for _ in range(subject.warmups):
        subject.call()
    times = []
    for _ in range(subject.calls):
        start = clock()
        subject.call()
        times.append(1e3 * (clock() - start))
    return times
