"""Pages run by Streamlit's AppTest on stand-in models: their answers follow from an image's mean colour."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, update_model
from core.lesions import CODES
from core.serving import classifier
from core.serving.classifier import ModelOutputError
from core.settings import ROOT
from pages import _data

TITLES = {"resnet50": "ResNet50", "densenet169": "DenseNet169", "student": "Student", "baseline": "Baseline",
          "student-int8": "Student, int8"}  # fmt: skip
LEVEL = 32
"""Grey levels for each class: an image of mean 32 * i to 32 * i + 31 is the class of index i."""


class StandIn:
    """A model whose leading class is that of the image's brightness, and whose maps are drawn, not computed."""

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry
        self.name = entry.name

    @classmethod
    def load(cls, manifest, name: str) -> StandIn:
        entry = manifest.model(name)
        manifest.read(entry.files["litert"])
        return cls(entry)

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> classifier.Diagnosis:
        behaviour = self.entry.recipe.get("behaviour")
        if behaviour == "nan":
            raise ModelOutputError(f"model {self.name}: expected finite logits, found nan")
        index = min(int(rgb.mean() // LEVEL), 6)
        if behaviour == "other":
            index = (index + 1) % 7
        logits = np.zeros(7)
        # The fine part tells images of one class apart, down to a single pixel.
        logits[index] = 3 + float(rgb.astype(np.float64).mean() % 1)
        maps = np.zeros((7, 7, 7), np.float32)
        if behaviour != "nomaps":
            maps[np.arange(7), np.arange(7), 3] = 1
        return classifier._diagnosis(self.entry, logits, maps, np.zeros(4, np.float32))


@pytest.fixture
def make_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that makes an artifacts folder of stand-ins, `name=behaviour`, and sets it as the folder to use."""

    def make(**behaviours: str | None) -> Path:
        folder = tmp_path / "artifacts"
        folder.mkdir(exist_ok=True)
        for name, behaviour in behaviours.items():
            (folder / f"{name}.tflite").write_bytes(name.encode())
            entry = ModelEntry(
                name,
                TITLES[name],
                "student",
                recipe={"behaviour": behaviour},
                operating_point={"malignancy_threshold": 0.4, "validation_sensitivity": 0.951},
            )
            update_model(folder, name, entry, {"litert": f"{name}.tflite"})
        monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
        monkeypatch.setattr("core.serving.classifier.Classifier", StandIn)
        return folder

    return make


@pytest.fixture
def open_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """A function that opens one of the dashboard's pages, without HAM10000 unless the test has set it."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))
    # AppTest looks like a server: what it loads in the background would outlive the test, with the folders of this one.
    monkeypatch.setattr(_data, "is_served", lambda: False)
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_app(page: str = "prediction", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.switch_page(f"pages/{page}.py")
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_app


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """A function that makes a PNG of one grey that the stand-ins read as the class `code`."""

    def make(code: str, size: tuple[int, int] = (150, 100), changed: int = 0) -> bytes:
        level = CODES.index(code) * LEVEL + 16
        pixels = np.full((size[1], size[0], 3), level, np.uint8)
        pixels.reshape(-1)[:changed] += 1
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return make
