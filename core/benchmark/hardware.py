"""The machine that figures were measured on, in words: latencies mean nothing without it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.serving.runtime import cores

_PACKAGES = {"litert": "ai-edge-litert", "tensorflow": "tensorflow", "opencv": "opencv-python-headless"}
BUSY_LOAD = 0.5
"""Programs waiting for a core, on average over a minute, from which on figures are spoilt."""


@dataclass(frozen=True)
class Hardware:
    """One machine; no name, address or serial number of it.

    Attributes:
        cpu: the processor's name.
        cores: how many of them this process may use.
        memory_bytes: all of the machine's; None where the system does not say.
        system: the operating system.
        python, litert, tensorflow, opencv: versions; empty for what is not installed.
    """

    cpu: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    litert: str
    tensorflow: str
    opencv: str

    def text(self) -> str:
        """One line for people."""
        memory = [f"{self.memory_bytes / 1e9:.0f} GB"] if self.memory_bytes else []
        count = f"{self.cores} core{'s' * (self.cores > 1)}"
        return ", ".join(
            [self.cpu, count, *memory, self.system, f"Python {self.python}", f"LiteRT {self.litert}"]
        )


def this_machine() -> Hardware:
    """The machine that runs this."""
    return Hardware(
        cpu=_cpu(),
        cores=cores(),
        memory_bytes=_memory(),
        system=_system(),
        python=platform.python_version(),
        **{name: _version(package) for name, package in _PACKAGES.items()},
    )


def busy() -> str | None:
    """A sentence when other programs keep this machine busy, None when it is quiet or does not say."""
    if not hasattr(os, "getloadavg"):
        return None
    load = os.getloadavg()[0]
    if load < BUSY_LOAD:
        return None
    return f"other programs keep this machine busy (load {load:.1f}): times are too long, only ratios mean something"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join((names[0] if names else platform.processor() or platform.machine()).split())


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
