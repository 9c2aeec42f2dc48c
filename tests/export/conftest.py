"""Artifacts with an evaluated model that takes pixels as they are, as the converter writes it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from core.artifacts import ModelEntry, update_model
from core.compression.litert import convert
from core.networks.explaining import explaining_graph


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory) -> Path:
    """An int8 explaining graph of the tiny network."""
    source = Path(__file__).parents[1] / "networks" / "tiny_network.py"
    spec = importlib.util.spec_from_file_location("tiny_for_export", source)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    images = tiny.images(8, np.random.default_rng(0), 224)
    path = tmp_path_factory.mktemp("int8") / "model.tflite"
    return convert(explaining_graph(tiny.tiny_network(size=224)), path, "int8", images)


@pytest.fixture
def artifacts(tiny_file, tmp_path, monkeypatch) -> Path:
    """`student-int8`, calibrated, with an operating point; `raw`, not evaluated; `bare`, no file; an ensemble."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(tiny_file.read_bytes())
    entry = ModelEntry(
        "student-int8",
        "A *small* student, int8",
        "variant",
        calibration={"temperature": 0.64, "fitted_on": "validation"},
        operating_point={
            "malignancy_threshold": 0.0772,
            "sensitivity_target": 0.95,
            "test": {"sensitivity": {"value": 0.917, "low": 0.885, "high": 0.947}},
        },
        provenance={"licence": "CC BY-NC 4.0 (non-commercial), as the data"},
        commit="abc123",
    )
    update_model(folder, "student-int8", entry, {"litert": "model.tflite"})
    update_model(folder, "raw", ModelEntry("raw", "Raw", "variant"), {"litert": "model.tflite"})
    update_model(folder, "bare", ModelEntry("bare", "Bare", "student"))
    update_model(
        folder, "ensemble", ModelEntry("ensemble", "All", "ensemble", members=("student-int8", "raw"))
    )
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    return folder
