"""Who is given a lesson: one at a time, the others queue and are told their place, and whoever leaves is let go.

A page that shows a lesson says so every second (`Desk.beat`); a lesson that nobody has looked at for some seconds is
ended, and a queue's place that nobody holds is given up. That is how closing a tab ends a training.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.classroom.lesson import Order
from core.settings import ROOT, SETTINGS

WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
LEFT_AFTER = 15.0
"""Seconds without a beat after which somebody has left; pages beat every second, on a busy machine less often."""
ENDS_AFTER = 120.0
"""Seconds of learning after which a lesson is ended from outside, should it not have ended itself."""
STARTS_WITHIN = 600.0
"""Seconds that it may take until learning begins: another server's lesson is waited for, images are made."""
COMMAND = (sys.executable, "-m", "core.classroom.worker")
_TICK = 0.2


@dataclass(eq=False)
class Ticket:
    """One asked-for lesson; written by the desk, read by the page.

    Attributes:
        order: what it is to be.
        state: waiting, running, done, stopped or failed.
        points: of the curves, as `core.classroom.lesson.learn` gives them, so far.
        note: what is being done now.
        told: what it is learnt from.
        asked, begun, first, ended: `time.monotonic()` of these moments; None before. It begins when its turn has come,
            and once more when all is there that it learns from.
        beat: when somebody last looked.
        left: whether it was ended because nobody looked any more.
        overdue: whether the desk ended it because it took too long.
    """

    order: Order
    state: str = WAITING
    points: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    told: str = ""
    asked: float = field(default_factory=time.monotonic)
    begun: float | None = None
    first: float | None = None
    ended: float | None = None
    beat: float = field(default_factory=time.monotonic)
    left: bool = False
    overdue: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in (DONE, STOPPED, FAILED)


class Desk:
    """The queue and the one process. Every method may be called from many threads at once.

    Args:
        command: starts the process.
        left_after, ends_after, starts_within: see `LEFT_AFTER`, `ENDS_AFTER` and `STARTS_WITHIN`.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        left_after: float = LEFT_AFTER,
        ends_after: float = ENDS_AFTER,
        starts_within: float = STARTS_WITHIN,
    ) -> None:
        self._command, self._left_after = tuple(command), left_after
        self._ends_after, self._starts_within = ends_after, starts_within
        self._queue: list[Ticket] = []
        self._process: subprocess.Popen[str] | None = None
        self._preparing: subprocess.Popen[str] | None = None
        self._prepared: set[tuple] = set()
        self._in_hand: tuple = ()
        self._lock = threading.RLock()
        self._watch: threading.Thread | None = None

    def ask(self, order: Order) -> Ticket:
        """Queue for a lesson; it begins at once where nobody else has one."""
        ticket = Ticket(order)
        with self._lock:
            self._queue.append(ticket)
            self._tick()
            if self._watch is None or not self._watch.is_alive():
                self._watch = threading.Thread(target=self._keep_watch, daemon=True)
                self._watch.start()
        return ticket

    def beat(self, ticket: Ticket) -> None:
        """Somebody is looking."""
        ticket.beat = time.monotonic()

    def ahead(self, ticket: Ticket) -> int:
        """How many have their lesson before this one; 0 for the one that is being given."""
        with self._lock:
            return self._queue.index(ticket) if ticket in self._queue else 0

    def stop(self, ticket: Ticket) -> None:
        """End a lesson, or leave the queue, now."""
        with self._lock:
            if ticket.is_over:
                return
            if ticket.state == RUNNING:
                self._end_process()
            self._close(ticket, STOPPED)
            self._tick()

    def prepare(self, order: Order) -> None:
        """Have what a lesson will need made in the background, once, unless there is something better to do."""
        material = _material(order)
        with self._lock:
            busy = self._preparing is not None and self._preparing.poll() is None
            if self._queue or busy or material in self._prepared:
                return
            try:
                self._preparing = self._start(order, "--prepare", stdout=subprocess.DEVNULL)
            except OSError:  # as below; the lesson will make it
                return
            self._prepared.add(material)
            self._in_hand = material
            # Nobody else may ever ask it for its end.
            threading.Thread(target=self._preparing.wait, daemon=True).start()

    def _keep_watch(self) -> None:
        """Until nobody is left."""
        while True:
            time.sleep(_TICK)
            with self._lock:
                self._tick()
                if not self._queue:
                    self._watch = None
                    return

    def _tick(self) -> None:
        """Let go who has left or has had their time, then begin the next lesson."""
        now = time.monotonic()
        for ticket in list(self._queue):
            limit = self._ends_after if ticket.told or ticket.points else self._starts_within
            ticket.overdue = ticket.begun is not None and now - ticket.begun > limit
            ticket.left = now - ticket.beat > self._left_after
            if ticket.overdue or ticket.left:
                self.stop(ticket)
        if self._queue and self._queue[0].state == WAITING:
            self._begin(self._queue[0])

    def _begin(self, ticket: Ticket) -> None:
        ticket.state, ticket.begun = RUNNING, time.monotonic()
        if self._preparing is not None:
            if self._preparing.poll() is None:
                self._preparing.kill()  # what it has finished is in the cache
                self._prepared.discard(self._in_hand)  # and the rest may be made later
                self._preparing.wait()
            self._preparing = None
        try:
            self._process = self._start(ticket.order, stdout=subprocess.PIPE)
        except OSError as error:  # no memory, or too many open files: the next one may have more luck
            ticket.note = f"The lesson's process could not be started ({error.strerror})."
            self._close(ticket, FAILED)
            return
        self._prepared.add(_material(ticket.order))  # as the lesson makes it itself
        threading.Thread(target=self._listen, args=(ticket, self._process), daemon=True).start()

    def _start(self, order: Order, *more: str, stdout: int) -> subprocess.Popen[str]:
        """A process that was given its order, and ends when this one does: its standard input stays open till then."""
        # One thread for its small matrices: more of them only wait for each other, and the server needs a core.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        # A relative path counts from where this process was started, and the other one starts elsewhere.
        environment |= {setting.variable: str(setting.path().absolute()) for setting in SETTINGS}
        process = subprocess.Popen(
            (*self._command, *more),
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=stdout,
        )
        with suppress(BrokenPipeError):  # it has ended already, and whoever listens finds out
            process.stdin.write(json.dumps(order.to_dict()) + "\n")
            process.stdin.flush()
        return process

    def _listen(self, ticket: Ticket, process: subprocess.Popen[str]) -> None:
        """Take what the process says until it has ended."""
        try:
            for line in process.stdout:
                self._take(ticket, json.loads(line))
        except (OSError, ValueError) as error:
            ticket.note = f"The lesson's process could not be understood ({error})."
            process.kill()
        process.wait()
        with self._lock:
            if self._process is process:
                self._process = None
            if not ticket.is_over:
                ticket.note = ticket.note or "The lesson's process ended before the lesson did."
                self._close(ticket, FAILED)
            self._tick()

    def _take(self, ticket: Ticket, said: dict[str, Any]) -> None:
        kind = said.pop("kind", "")
        with self._lock:
            if ticket.is_over:
                return
            if kind == "point":
                ticket.first = ticket.first or time.monotonic()
                ticket.points.append(said)
                ticket.note = ""
            elif kind == "material":
                ticket.told, ticket.begun = str(said.get("text", "")), time.monotonic()
            elif kind in ("note", "error"):
                ticket.note = str(said.get("text", ""))
            if kind == "error":
                self._close(ticket, FAILED)
            elif kind == "end":
                self._close(ticket, DONE)

    def _close(self, ticket: Ticket, state: str) -> None:
        ticket.state, ticket.ended = state, time.monotonic()
        if ticket in self._queue:
            self._queue.remove(ticket)

    def _end_process(self) -> None:
        """Kill it: it holds nothing but its own memory, and its lock goes with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _material(order: Order) -> tuple[str, str, int]:
    """What has to be made before a lesson: images of one size, and a teacher's answers to them."""
    return order.source, order.teacher, order.size
