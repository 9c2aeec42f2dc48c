"""A process that keeps what it freed does not fetch every picture's memory anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
