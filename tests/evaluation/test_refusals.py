"""What a card says of foreign pictures: the gate's stored rates, or why there are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.artifacts import ModelEntry, load_manifest, update_model, update_shared
from core.evaluation.cards import make_card
from core.evaluation.refusals import COMMAND, SHARES, TITLE, refusals_key


def rates(sha256: str, **changes: object) -> dict[str, object]:
    share = {"count": 9, "images": 10, "value": 0.9, "low": 0.6, "high": 0.98}
    return {"model_sha256": sha256, **dict.fromkeys(SHARES, share)} | changes


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., str]:
    """A function that stores a text as a model's rates and gives the card's section as text."""
    (tmp_path / "s.tflite").write_bytes(b"model")
    for name in ("student", "resnet50"):
        update_model(tmp_path, name, ModelEntry(name, name, "student"), {"litert": "s.tflite"})

    def made(name: str, text: str | None = None, **shared: str) -> str:
        if text is not None:
            (tmp_path / "rates.json").write_text(text)
            shared |= {refusals_key(name): "rates.json"}
        update_shared(tmp_path, shared)
        section = make_card(load_manifest(tmp_path), name).section(TITLE)
        table = "" if section.table is None else section.table.to_csv(index=False)
        return " ".join(section.paragraphs) + table

    return made


def sha256(folder: Path) -> str:
    return load_manifest(folder).files["s.tflite"].sha256


def test_the_stored_rates_are_a_table(say, tmp_path: Path) -> None:
    said = say("student", json.dumps(rates(sha256(tmp_path))))
    for kind in SHARES.values():
        assert f"{kind},10,90.0%,60.0 to 98.0" in said


def test_without_rates_the_command_is_named(say) -> None:
    assert COMMAND in say("student")


def test_a_model_without_a_gate_points_to_the_one_before_it(say, tmp_path: Path) -> None:
    (tmp_path / "gate.npz").write_bytes(b"gate")
    update_shared(tmp_path, {"gate-student": "gate.npz"})
    assert "another model's check runs before it" in say("resnet50")
    assert COMMAND in say("student")


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps(rates("", drawn={"images": 1}))])
def test_damaged_rates_are_said_to_be_so(say, text: str) -> None:
    said = say("student", text)
    assert "rates.json" in said
    assert COMMAND in said


def test_rates_of_another_file_are_not_shown(say) -> None:
    assert "another file" in say("student", json.dumps(rates("0" * 64)))
