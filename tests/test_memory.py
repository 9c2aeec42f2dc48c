"""Freed memory that stays with the program: what it asks for again costs no new pages."""

from __future__ import annotations

import platform
import runpy
import subprocess
import sys

import pytest

from core import memory
from core.settings import ROOT

ON_GLIBC = platform.libc_ver()[0] == "glibc"

FAULTS = """
import resource, sys
import numpy as np
from core.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
np.ones(50_000_000, np.uint8)  # Freed at once.
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(50_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not ON_GLIBC, reason="needs glibc")
def test_a_large_block_that_was_freed_is_used_again():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    kept, given_back = faults("keep"), faults("default")
    # Pages are 4 KiB, or 2 MiB where the system joins them: 24 of those at least.
    assert given_back >= 20
    assert kept < given_back / 5


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_on_other_systems_nothing_happens(monkeypatch, error):
    def unknown(_):
        raise error

    monkeypatch.setattr(memory.ctypes, "CDLL", unknown)
    assert memory.keep_freed_memory() is False


@pytest.mark.parametrize(("command", "keeps"), [("train", True), ("evaluate", True), ("benchmark", False)])
def test_commands_keep_it_but_where_time_and_memory_are_measured(monkeypatch, capsys, command, keeps):
    called = []
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: called.append(1))
    monkeypatch.setattr(sys, "argv", ["core", command, "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module("core", run_name="__main__")
    assert bool(called) is keeps
    assert "usage" in capsys.readouterr().out
