"""A dataset of 84 images, a network that learns it in a second, and teachers like it."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from core.ablation import answers, starved, student
from core.ablation.protocol import Protocol
from core.lesions import INDEX

TINY = Path(__file__).parents[1] / "training" / "tiny.py"


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny", TINY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny"] = module
    spec.loader.exec_module(module)
    return module


def coloured(small_set):
    """The small set with images whose colour tells their class, mostly: what the tiny network can learn."""
    rng = np.random.default_rng(7)
    colours, images = rng.integers(40, 216, (len(INDEX), 3)), {}
    for image_id in small_set.images:
        pixels = colours[INDEX[small_set.label(image_id)]] + rng.normal(0, 30, (9, 12, 3))
        pixels = np.clip(pixels, 0, 255).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        images[image_id] = cv2.imencode(".jpg", pixels)[1].tobytes()
    return dataclasses.replace(small_set, images=images)


@pytest.fixture
def bench(small_set, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """The small set as HAM10000, folders of its own, tiny networks; gives a protocol of seconds."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(coloured(small_set).write_flat(tmp_path / "data")))
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
    return Protocol(size=32, epochs=3, batch_size=16, learning_rate=2e-2, teacher_size=32, starved_size=32)
