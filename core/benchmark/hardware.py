"""The machine that figures were measured on, in words: latencies mean nothing without it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.serving.runtime import cores

_PACKAGES = {"litert": "ai-edge-litert", "tensorflow": "tensorflow", "opencv": "opencv-python-headless"}
CPU_INFO = Path("/proc/cpuinfo")
INSTRUCTIONS: dict[str, str] = {
    "amx_int8": "AMX int8", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX VNNI", "avx512f": "AVX-512", "avx2": "AVX2",
    "i8mm": "Arm i8mm", "asimddp": "Arm dot product", "asimd": "Arm Neon",
}  # fmt: skip
"""As Linux names them, and people; those that do more 8-bit products at once come first."""
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
        instructions: the best that the processor has for 8-bit numbers, on which it depends what int8 files gain;
            processors of one name may differ in it, where a virtual machine hides some. Empty where nothing says.
    """

    cpu: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    litert: str
    tensorflow: str
    opencv: str
    instructions: str = ""

    def text(self) -> str:
        """One line for people."""
        memory = [f"{self.memory_bytes / 1e9:.0f} GB"] if self.memory_bytes else []
        cpu = f"{self.cpu} ({self.instructions})" if self.instructions else self.cpu
        count = f"{self.cores} core{'s' * (self.cores > 1)}"
        return ", ".join([cpu, count, *memory, self.system, f"Python {self.python}", f"LiteRT {self.litert}"])


def this_machine() -> Hardware:
    """The machine that runs this."""
    return Hardware(
        cpu=_cpu(),
        cores=cores(),
        memory_bytes=_memory(),
        system=_system(),
        instructions=_instructions(),
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
    name = _cpu_info("model name") or platform.processor() or platform.machine()
    return " ".join(name.split())


def _instructions() -> str:
    flags = set((_cpu_info("flags") or _cpu_info("Features")).split())
    return next((said for flag, said in INSTRUCTIONS.items() if flag in flags), "")


def _cpu_info(key: str) -> str:
    """What Linux says of the first processor; empty where it says nothing, as other systems."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in found if name.strip() == key), "")


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
