"""Artifacts folders of tiny LiteRT explaining graphs, as the tests of serving make them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.artifacts import ModelEntry, update_model

TESTS = Path(__file__).parents[1]


def load(path: str) -> ModuleType:
    """A module of another folder of tests, which are no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, TESTS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def graphs() -> ModuleType:
    """`build`, `expected` and `random_weights` of tests/serving/tiny_litert.py."""
    return load("serving/tiny_litert.py")


@pytest.fixture(scope="session")
def tiny_network() -> Callable:
    """`tiny_network` of tests/networks/tiny_network.py: a small Keras network."""
    return load("networks/tiny_network.py").tiny_network


@pytest.fixture
def make_artifacts(
    graphs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """A function that makes an artifacts folder of tiny models and sets it as the folder to use."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))

    def make(*names: str, **changes: object) -> Path:
        folder = tmp_path / "artifacts"
        (folder / "models").mkdir(parents=True, exist_ok=True)
        for seed, name in enumerate(names):
            if name == "ensemble":
                members = tuple(n for n in names if n in ("resnet50", "student"))
                update_model(folder, name, ModelEntry(name, "Ensemble", "ensemble", members=members))
                continue
            content = graphs.build(graphs.random_weights(seed), int8=name.endswith("int8"))
            (folder / f"models/{name}.tflite").write_bytes(content)
            entry = ModelEntry(name, name.title(), "variant", parameters=1000 + seed)
            update_model(folder, name, entry, {"litert": f"models/{name}.tflite"})
        monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
        return folder

    return make


@pytest.fixture
def pixels() -> np.ndarray:
    """(1, 224, 224, 3) uint8."""
    return np.random.default_rng(3).integers(0, 256, (1, 7, 7, 3), np.uint8).repeat(32, 1).repeat(32, 2)
