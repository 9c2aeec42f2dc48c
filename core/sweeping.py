"""Garbage is collected while nobody waits for it.

Streamlit can collect after every run, which holds up all threads: a tenth of a second in which the browser is not told
that the run has ended. Here it is done in the first second without work.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from functools import cache

TICK_S = 1.0
LONGEST = 10
"""So many ticks in a row with work in them: then it is collected although somebody may wait."""


def work_done() -> int:
    """A number that grows with what the process does: how often Python has swept its youngest objects by itself."""
    return gc.get_stats()[0]["collections"]


class Sweeper:
    """Sweeps after work, in the first tick in which there is none."""

    def __init__(self, sweep: Callable[[], object] = gc.collect, work: Callable[[], int] = work_done) -> None:
        """
        Args:
            sweep: what is done.
            work: a number that differs when there was work in between.
        """
        self._sweep = sweep
        self._work = work
        self._seen = work()
        self._busy = 0

    def tick(self) -> None:
        """Sweep if it is time to; called at even intervals."""
        now = self._work()
        idle, self._seen = now == self._seen, now
        if not idle:
            self._busy += 1
        if self._busy and (idle or self._busy >= LONGEST):
            self._sweep()
            self._busy = 0
            self._seen = self._work()


@cache
def sweep_in_background() -> threading.Thread:
    """Have this process swept from now on; however often it is called, by one thread."""
    thread = threading.Thread(target=_run, args=(Sweeper(),), name="sweeper", daemon=True)
    thread.start()
    return thread


def _run(sweeper: Sweeper) -> None:
    while True:
        time.sleep(TICK_S)
        sweeper.tick()
