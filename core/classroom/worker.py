"""The process of a lesson: an order on standard input, points as lines of JSON on standard output.

    (echo '{"source": "synthetic", "teacher": "student"}'; cat) | python -m core.classroom.worker

It ends when the lesson does, when its time is over, or when standard input is closed: whoever started it is gone.
With `--prepare` it only makes what the lesson will need, so that a later one begins at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from filelock import FileLock, Timeout

from core.classroom.lesson import Order, learn
from core.classroom.material import gather
from core.errors import UserError
from core.files import explain
from core.serving.registry import Registry
from core.settings import cache_dir

PREPARE = "--prepare"
NICE = 5
"""Below the server, so that the pages stay quick for everybody else."""


def main() -> int:
    """Give one lesson."""
    first = sys.stdin.readline()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    prepare = PREPARE in sys.argv[1:]
    with suppress(OSError):
        os.nice(2 * NICE if prepare else NICE)
    try:
        order = Order(**json.loads(first))
        if prepare:
            gather(order, Registry.open(), lambda text: None)
            return 0
        with _turn():
            material = gather(order, Registry.open(), lambda text: _say("note", text=text))
            _say("material", text=material.told)
            for point in learn(order, material):
                _say("point", **point)
    except UserError as error:
        _say("error", text=str(error))
        return error.exit_status
    except OSError as error:  # as where the folder of what is kept may not be written to
        said = explain(error)
        if said is None:
            raise
        _say("error", text=said)
        return UserError.exit_status
    except (ValueError, TypeError) as error:
        _say("error", text=f"expected an order in JSON, found {error}")
        return 2
    _say("end")
    return 0


class _turn:  # noqa: N801 - used as a function
    """One lesson at a time on this machine, whoever serves it; waiting is told."""

    def __init__(self) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(cache_dir() / ".classroom.lock")

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            _say("note", text="Another lesson is being given on this machine; this one begins when it ends.")
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _say(kind: str, **values: Any) -> None:
    print(json.dumps({"kind": kind, **values}), flush=True)


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
