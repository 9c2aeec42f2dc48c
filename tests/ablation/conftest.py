"""A dataset of 84 images, a network that trains in a second, and teachers like it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.ablation import answers, starved, student
from core.ablation.protocol import Protocol

TINY = Path(__file__).parents[1] / "training" / "tiny.py"


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny", TINY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(small_set, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """The small set as HAM10000, folders of its own, tiny networks; gives a protocol of seconds."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_set.write_flat(tmp_path / "data")))
    for name in ("ARTIFACTS", "CACHE", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))

    def build(name: str, *, init: str | None = None, size: int | None = None):
        return tiny.make_network(seed=5 if init else 6)

    teachers = {teacher.name: teacher for teacher in tiny.make_teachers()}
    known = {"resnet50": teachers["first"]}
    monkeypatch.setattr(student, "build", build)
    monkeypatch.setattr(starved, "build", build)
    monkeypatch.setattr(answers, "load_teachers", lambda names: [known[name] for name in names])
    monkeypatch.setattr(answers, "_weights_of", lambda: {name: t.sha256 for name, t in known.items()})
    return Protocol(size=32, epochs=2, batch_size=16, teacher_size=32, starved_size=32)
