"""Tiny LiteRT explaining graphs, and artifacts folders made of them."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.artifacts import ModelEntry, update_model


def _load(name: str) -> ModuleType:
    """A module beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclasses.dataclass(frozen=True)
class Tiny:
    """LiteRT files by name, and what `student` must give for (224, 224, 3) uint8."""

    files: Mapping[str, bytes]
    expected: Callable[[np.ndarray], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Three explaining graphs, two more forms of the student, and three that something is wrong with."""
    graphs = _load("tiny_litert")
    student = graphs.random_weights(2)
    files = {
        "student": graphs.build(student),
        "student-int8": graphs.build(student, int8=True),
        "unnamed": graphs.build(student, named=False, outputs=("maps", "embedding", "logits")),
        "plain": graphs.build(student, outputs=("logits",)),
        "resnet50": graphs.build(graphs.random_weights(0)),
        "densenet169": graphs.build(graphs.random_weights(1)),
        "nan": graphs.build(graphs.random_weights(2, logits_bias=float("nan"))),
        "nomaps": graphs.build(graphs.random_weights(2, maps_bias=-1e6)),
    }
    return Tiny(files, lambda pixels: graphs.expected(student, pixels))


@pytest.fixture
def make_artifacts(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that makes an artifacts folder of some tiny models and sets it as the folder to use."""

    def make(*names: str, **changes: object) -> Path:
        folder = tmp_path / "artifacts"
        (folder / "models").mkdir(parents=True, exist_ok=True)
        for name in names:
            if name == "ensemble":
                members = ("resnet50", "densenet169", "student")
                update_model(folder, name, ModelEntry(name, "Ensemble", "ensemble", members=members))
                continue
            (folder / f"models/{name}.tflite").write_bytes(tiny.files[name])
            entry = ModelEntry(name, name.title(), "variant", calibration={"temperature": 1.5})
            update_model(
                folder, name, dataclasses.replace(entry, **changes), {"litert": f"models/{name}.tflite"}
            )
        monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
        return folder

    return make


@pytest.fixture
def images() -> np.ndarray:
    """(25, 300, 400, 3) uint8, all different, with light and dark places."""
    coarse = np.random.default_rng(1).integers(0, 256, (25, 6, 8, 3)).astype(np.uint8)
    return coarse.repeat(50, axis=1).repeat(50, axis=2)
