"""What is installed: exact pins, and a lock file that has each of them with its hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"pillow": (12, 3), "keras": (3, 15, 1), "streamlit": (1, 60)}
"""Older ones have known holes."""


def pins(name: str) -> dict[str, str]:
    """Package -> version of every requirement in a file; markers and comments left out."""
    lines = re.sub(r"\s*\\\n\s*", " ", (ROOT / name).read_text()).splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    return {m[1].lower(): m[2] for line in found if (m := re.match(r"([\w.-]+)==([\w.+-]+)", line))}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_direct_requirements_are_pinned_exactly(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("-r ")]
    assert wanted
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", line) for line in wanted)


@pytest.mark.parametrize(("package", "floor"), FLOORS.items())
def test_security_floors(package, floor):
    assert tuple(map(int, pins("requirements.txt")[package].split("."))) >= floor


def test_the_lock_file_holds_the_pins():
    """`make lock` writes it anew."""
    locked = pins("requirements.lock")
    direct = pins("requirements.txt")
    assert {package: locked.get(package) for package in direct} == direct
    assert len(locked) > len(direct)


def test_everything_locked_has_hashes():
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text().split("\n", 1)[1])
    entries = [entry for entry in entries if "==" in entry]
    assert len(entries) >= len(pins("requirements.lock"))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_dashboard_installs_from_the_lock_file():
    assert "install --require-hashes -r requirements.lock" in (ROOT / "Makefile").read_text()
