"""A process that keeps what it freed does not fetch every picture's memory anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from core.serving import heap

_SCRIPT = """
import resource, sys
import numpy as np
from core.serving.heap import keep_freed
if sys.argv[1] == "keep":
    assert keep_freed()
def pictures():
    for _ in range(200):
        [np.ones((450, 600, 4), np.uint8) for _ in range(4)]
pictures()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
pictures()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    kept, returned = _page_faults("keep"), _page_faults("return")
    assert kept < 200  # less than one page a picture
    assert returned > 20 * max(kept, 1)


_RESIDENT = """
import sys, threading
from pathlib import Path
import numpy as np
from core.serving.heap import give_back, keep_little

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1000

"""

_THREADS = """
if sys.argv[1] == "kept":
    assert keep_little()
for megabytes in (4, 16, 30):
    np.ones(megabytes << 20, np.uint8)  # from now on glibc has blocks of this size in its heaps
before = resident()
together = threading.Barrier(10)

def visit():
    picture = np.ones(20 << 20, np.uint8)
    together.wait()

threads = [threading.Thread(target=visit) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident() - before)
"""

_BETWEEN = """
pictures, kept = [], []
for _ in range(1000):
    pictures.append(np.ones(100_000, np.uint8))
    kept.append(np.ones(2000, np.uint8))  # what a cache is to a heap
before = resident()
del pictures
if sys.argv[1] == "back":
    assert give_back()
print(before - resident())
"""


def _kilobytes(script: str, how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", _RESIDENT + script, how],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_server_keeps_little_of_what_its_threads_freed() -> None:
    usual, little = _kilobytes(_THREADS, "usual"), _kilobytes(_THREADS, "kept")
    assert little < 10_000
    assert usual > 50_000 + little, "otherwise nothing is gained"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_what_was_freed_between_things_that_stay_goes_back() -> None:
    assert _kilobytes(_BETWEEN, "back") > 80_000
    assert _kilobytes(_BETWEEN, "usual") < 20_000, "otherwise nothing is gained"


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert not heap.keep_little()
    assert not heap.keep_freed()
    assert not heap.give_back()
