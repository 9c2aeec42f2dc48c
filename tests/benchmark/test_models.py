"""`benchmark models`: every figure of every model, with tiny files and a tiny Keras network."""

from __future__ import annotations

import json
import subprocess
import zlib

import pytest

from core.artifacts import ModelEntry, load_manifest, update_model
from core.benchmark import memory, models
from core.benchmark.flat import multiply_adds
from core.benchmark.latency import Key
from core.benchmark.memory import ChildFailed, peak_bytes, peak_of
from core.benchmark.models import bars, keras_networks, measure_models
from core.benchmark.rounds import Timing
from core.reported import BY_COUNTERPART
from core.serving.registry import Registry


@pytest.fixture
def no_children(monkeypatch) -> list[tuple[str, str]]:
    """Memory without processes of their own: what was asked for."""
    asked = []

    def peak(folder, name: str, kind: str = "litert") -> int:
        asked.append((name, kind))
        if name == "resnet50":
            raise ChildFailed("model resnet50: it failed")
        return 123_000_000

    monkeypatch.setattr(models, "peak_bytes", peak)
    return asked


def test_every_figure_of_every_model(make_artifacts, no_children) -> None:
    folder = make_artifacts("resnet50", "student", "student-int8", "ensemble")
    registry = Registry.open(folder)
    found = measure_models(registry, rounds=1, with_keras=False)
    assert list(found.rows) == ["resnet50", "student", "student-int8", "ensemble"]
    for name in ("resnet50", "student", "student-int8"):
        content = (folder / f"models/{name}.tflite").read_bytes()
        row = found.rows[name]
        assert row["bytes"] == len(content)
        assert row["compressed_bytes"] == len(zlib.compress(content, 9))
        assert row["multiply_adds"] == multiply_adds(content)
        assert row["parameters"] == registry.manifest.models[name].parameters
        assert row["sha256"] == registry.manifest.files[f"models/{name}.tflite"].sha256
        assert row["peak_memory_bytes"] == (None if name == "resnet50" else 123_000_000)
        assert set(row["latency_ms"]) == {"1", "2"}
        assert "keras" not in row
    whole, parts = found.rows["ensemble"], [found.rows[name] for name in ("resnet50", "student")]
    for key in ("bytes", "compressed_bytes", "multiply_adds", "parameters"):
        assert whole[key] == sum(part[key] for part in parts)
    assert found.ratios["student"] == 1.0
    assert set(found.ratios) == set(found.rows)
    assert "model resnet50: it failed" in found.notes
    assert any(note.startswith("densenet169 is left out: ") for note in found.notes)
    assert all(kind == "litert" for _, kind in no_children)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rounds"] == 1


def test_keras_rows_of_what_has_weights(make_artifacts, no_children, tiny_network, monkeypatch) -> None:
    folder = make_artifacts("student", "student-int8", "baseline")
    (folder / "weights.npz").write_bytes(b"weights")
    for name, role in (("student", "student"), ("baseline", "baseline")):
        update_model(folder, name, {"role": role, "network": "mobilenetv2"}, {"weights": "weights.npz"})
    monkeypatch.setattr(models, "_load", lambda manifest, name: tiny_network(24, size=224))
    found = measure_models(Registry.open(folder), rounds=1)
    assert {name for name, row in found.rows.items() if "keras" in row} == {"student"}
    keras = found.rows["student"]["keras"]
    assert set(keras) == {"peak_memory_bytes", "multiply_adds", "predict_ms", "tf_function_ms"}
    assert keras["predict_ms"]["median"] > 0
    assert ("student", "keras") in no_children
    assert {"student predict", "student tf_function"} <= set(found.ratios)


def test_one_network_is_rebuilt_once(make_artifacts) -> None:
    folder = make_artifacts("resnet50", "student", "baseline")
    (folder / "w.npz").write_bytes(b"w")
    for name in ("resnet50", "student", "baseline"):
        network = "resnet50" if name == "resnet50" else "mobilenetv2"
        update_model(folder, name, {"role": "teacher", "network": network}, {"weights": "w.npz"})
    manifest = load_manifest(folder)
    assert keras_networks(manifest, ["resnet50", "student", "baseline"], []) == ["resnet50", "student"]
    assert keras_networks(manifest, ["baseline"], []) == ["baseline"]


def test_weights_that_are_not_there_keep_nothing_else_from_being_measured(make_artifacts) -> None:
    """Serving needs none."""
    folder = make_artifacts("student", "baseline")
    for name in ("student", "baseline"):
        (folder / f"{name}.npz").write_bytes(b"weights")
        update_model(folder, name, {"role": "teacher", "network": "mobilenetv2"}, {"weights": f"{name}.npz"})
    (folder / "student.npz").unlink()
    notes: list[str] = []
    assert keras_networks(load_manifest(folder), ["student", "baseline"], notes) == ["baseline"]
    assert notes[0].startswith("student is not rebuilt in Keras: ")


def timings(**milliseconds: float) -> dict[Key, Timing]:
    import numpy as np

    return {
        Key(name.replace("_", "-")): Timing(np.full((3, 2), value)) for name, value in milliseconds.items()
    } | {Key("resnet50", "predict", 0): Timing(np.full((3, 2), 90.0))}


def test_bars_are_ratios_of_this_run_and_figures_of_the_manifest(make_artifacts) -> None:
    folder = make_artifacts("student", "student-int8")
    for name, accuracy in (("student", 0.78), ("student-int8", 0.765)):
        update_model(folder, name, {"figures": {"test": {"accuracy": {"value": accuracy}}}})
    rows = {"student": {"bytes": 14_000_000}, "student-int8": {"bytes": 4_000_000}}
    found = {
        bar.what: bar for bar in bars(load_manifest(folder), rows, timings(student=8.0, student_int8=4.0))
    }
    assert found["student-int8: size"].measured == 4.0
    assert found["student-int8: accuracy lost on test beside student"].measured == pytest.approx(1.5)
    assert found["student-int8: accuracy lost on test beside student"].met is False
    assert found["student-int8: balanced accuracy lost on test beside student"].measured is None
    assert found["student-int8: time of student, one thread"].measured == 0.5
    assert found["student: times faster than resnet50 in Keras predict"].measured == 11.25
    smaller = found["student-int8: times smaller than the report's student"]
    assert smaller.measured == pytest.approx(BY_COUNTERPART["student"].megabytes / 4)
    assert all(bar.measured is None for what, bar in found.items() if what.startswith("student-pruned"))


def test_the_pruned_student_is_taken_up_as_soon_as_it_is_there(make_artifacts) -> None:
    folder = make_artifacts("student", "student-int8", "student-pruned")
    rows = {"student-int8": {"bytes": 4_000_000}, "student-pruned": {"bytes": 2_000_000}}
    times = timings(student=8.0, student_int8=4.0, student_pruned=3.0)
    found = {bar.what: bar.measured for bar in bars(load_manifest(folder), rows, times)}
    assert found["student-pruned: size of student-int8"] == 0.5
    assert found["student-pruned: time of student-int8, one thread"] == 0.75


def test_memory_is_that_of_a_process_of_its_own(make_artifacts) -> None:
    folder = make_artifacts("student")
    ballast = bytearray(b"x") * 400_000_000
    found = peak_bytes(folder, "student")
    assert 20e6 < found < 380e6, "the parent's memory is not the child's"
    assert peak_of() > len(ballast)


def test_a_failing_process_is_named(make_artifacts) -> None:
    folder = make_artifacts("student")
    with pytest.raises(ChildFailed, match="model nobody: expected its memory to be measured, found: "):
        peak_bytes(folder, "nobody")


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert peak_of(2**22 + 1) is None
    assert memory.peak_of("self") > 1e6


def test_a_process_that_says_nothing_was_not_measured(tmp_path, monkeypatch) -> None:
    def late(*_, **__):
        raise subprocess.TimeoutExpired("python", memory.TIMEOUT_S)

    monkeypatch.setattr(subprocess, "run", late)
    with pytest.raises(ChildFailed, match="expected its memory within 600 s, found none"):
        peak_bytes(tmp_path, "student")
    silent = subprocess.CompletedProcess("python", 0, stdout="null\n", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: silent)
    with pytest.raises(ChildFailed, match="expected its memory to be measured, found: exit status 0"):
        peak_bytes(tmp_path, "student")


def test_an_ensemble_without_a_member_is_left_out(make_artifacts, no_children) -> None:
    folder = make_artifacts("student")
    update_model(folder, "ensemble", ModelEntry("ensemble", "E", "ensemble", members=("student", "resnet50")))
    found = measure_models(Registry.open(folder), rounds=1, with_keras=False)
    assert list(found.rows) == ["student"]
    assert any(note.startswith("ensemble is left out: model resnet50 is not in") for note in found.notes)
