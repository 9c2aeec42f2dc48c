"""The prediction page's switch for all orientations: off, on, by the address, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, load_manifest, update_model, update_shared
from core.serving.turned import COMMAND, FIGURES, turned_key
from tests.pages.conftest import StandIn


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many orientations the models are asked about, call by call."""
    found: list[int] = []
    classify = StandIn.classify

    def noting(self: StandIn, rgb: object, *, orientations: int = 1) -> object:
        found.append(orientations)
        return classify(self, rgb, orientations=orientations)

    monkeypatch.setattr(StandIn, "classify", noting)
    return found


def captions(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(caption.value for caption in app.caption)


def test_it_is_off_and_can_be_switched_on(
    make_models: Callable, open_page: Callable, asked: list[int]
) -> None:
    make_models(student=None, resnet50=None)
    app = open_page(source="Sample")
    assert set(asked) == {1}
    assert "16 passes through a network for each image instead of 2" in captions(app)
    asked.clear()
    app.toggle(key="orientations").set_value(True).run()
    assert asked == [8, 8]
    assert "Every model looked at the image in 8 orientations" in captions(app)


@pytest.mark.parametrize(
    ("models", "once"), [(["ensemble", "resnet50", "baseline"], 3), (["resnet50", "ensemble"], 3)]
)
def test_the_members_of_a_leading_ensemble_are_counted_as_often_as_they_look(
    make_models: Callable, open_page: Callable, asked: list[int], models: list[str], once: int
) -> None:
    folder = make_models(student=None, resnet50=None, baseline=None)
    entry = ModelEntry("ensemble", "Ensemble", "ensemble", members=("student", "resnet50"))
    update_model(folder, "ensemble", entry)
    app = open_page(source="Sample", models=models)
    assert asked == [1] * once
    assert f"{8 * once} passes through a network for each image instead of {once}" in captions(app)


def test_the_address_switches_it_on(make_models: Callable, open_page: Callable, asked: list[int]) -> None:
    make_models(student=None)
    app = open_page(source="Sample", orientations="true")
    assert app.toggle(key="orientations").value
    assert set(asked) == {8}


def test_what_was_not_measured_is_said_so_with_its_command(
    make_models: Callable, open_page: Callable
) -> None:
    make_models(student=None)
    assert f"not measured; `{COMMAND} --model student`" in captions(open_page())


@pytest.mark.parametrize(
    ("text", "said"), [(None, "changes accuracy +1.0 points"), ("{", "expected a measured gain")]
)
def test_a_stored_gain_is_said_and_a_damaged_one_is_named(
    make_models: Callable, open_page: Callable, text: str | None, said: str
) -> None:
    folder: Path = make_models(student=None)
    share = {"value": 0.01, "low": -0.01, "high": 0.03}
    gain = {
        "model": "student", "model_sha256": load_manifest(folder).files["student.tflite"].sha256, "part": "validation",
        "images": 90, "lesions": 80, "differences": dict.fromkeys(FIGURES, share), "times": 7.9,
    }  # fmt: skip
    (folder / "turned.json").write_text(json.dumps(gain) if text is None else text)
    update_shared(folder, {turned_key("student"): "turned.json"})
    assert said in captions(open_page()).replace("\\", "")
