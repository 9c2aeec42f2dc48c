"""The stored benchmark: pages can read it, each subject keeps the others' figures, a damaged one is replaced."""

from __future__ import annotations

import json

import pytest

from core.artifacts import load_manifest
from core.benchmark import hardware
from core.benchmark.hardware import busy, this_machine
from core.benchmark.store import FILE, save, stamp, stored
from core.evaluation.latency import read_benchmark

MODELS = {
    "hardware": "a machine",
    "rounds": 2,
    "models": {
        "student": {"latency_ms": {"1": {"median": 5.7, "p95": 6.1}, "2": {"median": 3.1, "p95": 3.3}}}
    },
}


def test_pages_read_what_is_stored(make_artifacts) -> None:
    folder = make_artifacts("student")
    path = save(folder, "models", MODELS)
    manifest = load_manifest(folder)
    assert manifest.files[FILE].bytes == path.stat().st_size
    found = read_benchmark(manifest)
    assert found.hardware == "a machine"
    assert found.milliseconds("student") == 5.7
    assert found.milliseconds("student", "2") == 3.1
    assert found.milliseconds("resnet50") is None


def test_each_subject_keeps_the_others(make_artifacts) -> None:
    folder = make_artifacts("student")
    save(folder, "models", MODELS)
    save(folder, "serving", {"hardware": "b", "bars": []})
    save(folder, "batch", {"hardware": "c", "bars": []})
    save(folder, "models", {**MODELS, "rounds": 7})
    found = stored(load_manifest(folder))
    assert found["rounds"] == 7
    assert (found["serving"]["hardware"], found["batch"]["hardware"]) == ("b", "c")
    save(folder, "serving", {"hardware": "d"})
    found = stored(load_manifest(folder))
    assert found["serving"] == {"hardware": "d"}
    assert found["models"] == MODELS["models"]


def test_a_subject_alone_is_no_latency(make_artifacts) -> None:
    folder = make_artifacts("student")
    save(folder, "app", {"hardware": "x"})
    assert stored(load_manifest(folder))["app"] == {"hardware": "x"}
    assert read_benchmark(load_manifest(folder)) is None


def measured_on(instructions: str, rows: dict[str, tuple[str, float]], cpu: str = "a CPU") -> dict:
    """A run of the models' benchmark: model -> sha256 of its file, milliseconds."""
    return {
        "hardware": f"{cpu} ({instructions})",
        "machine": {"cpu": cpu, "cores": 2, "instructions": instructions},
        "models": {
            name: {"sha256": digest, "latency_ms": {"1": {"median": ms, "p95": ms}}}
            for name, (digest, ms) in rows.items()
        },
    }


def test_what_other_machines_measured_of_the_same_files_stays(make_artifacts) -> None:
    folder = make_artifacts("student", "resnet50")
    manifest = load_manifest(folder)
    now = {
        name: manifest.files[manifest.model(name).files["litert"]].sha256 for name in ("student", "resnet50")
    }
    save(
        folder,
        "models",
        measured_on("VNNI", {"student": (now["student"], 3.0), "resnet50": ("before", 20.0)}),
    )
    assert read_benchmark(load_manifest(folder)).elsewhere == ()
    save(folder, "models", measured_on("AVX2", {"student": (now["student"], 9.0)}))
    save(folder, "app", {"hardware": "x"})
    manifest = load_manifest(folder)
    assert read_benchmark(manifest).milliseconds("student") == 9.0
    (elsewhere,) = read_benchmark(manifest).elsewhere
    assert elsewhere.hardware == "a CPU (VNNI)"
    assert elsewhere.milliseconds("student") == 3.0
    assert elsewhere.milliseconds("resnet50") is None, "its file is another one by now"
    save(folder, "models", measured_on("AVX2", {"student": (now["student"], 8.0)}))
    assert [run.hardware for run in read_benchmark(load_manifest(folder)).elsewhere] == ["a CPU (VNNI)"], (
        "one run a machine"
    )
    save(folder, "models", measured_on("VNNI", {"student": (now["student"], 3.5)}))
    (elsewhere,) = read_benchmark(load_manifest(folder)).elsewhere
    assert elsewhere.milliseconds("student") == 8.0


@pytest.mark.parametrize(
    ("gain", "elsewhere"), [(0.50, ["a CPU (AVX2)"]), (1.20, ["a CPU ()", "a CPU (AVX2)"])]
)
def test_a_run_from_before_instructions_were_noted_gives_way_to_its_own_machine(
    make_artifacts, gain: float, elsewhere: list[str]
) -> None:
    """What int8 gains tells whether it is the same: processors of one name may have other instructions."""
    folder = make_artifacts("student")
    manifest = load_manifest(folder)
    rows = {"student": (manifest.files[manifest.model("student").files["litert"]].sha256, 3.0)}
    for instructions, ratio in (("AVX2", 1.2), ("", 0.48), ("VNNI", gain)):
        save(folder, "models", measured_on(instructions, rows) | {"ratios": {"student-int8": ratio}})
    assert [run.hardware for run in read_benchmark(load_manifest(folder)).elsewhere] == elsewhere


def test_what_other_machines_measured_of_replaced_files_alone_goes(make_artifacts) -> None:
    folder = make_artifacts("student")
    save(folder, "models", measured_on("VNNI", {"student": ("before", 3.0)}))
    save(folder, "models", measured_on("AVX2", {"student": ("now", 9.0)}))
    assert "elsewhere" not in stored(load_manifest(folder))


@pytest.mark.parametrize("damage", [3, [3], [{"models": 3}], {}])
def test_damaged_runs_elsewhere_are_none(make_artifacts, damage: object) -> None:
    folder = make_artifacts("student")
    save(folder, "models", {**MODELS, "elsewhere": damage})
    assert read_benchmark(load_manifest(folder)).elsewhere == ()
    save(folder, "models", {**MODELS, "hardware": "another"})
    assert [run["hardware"] for run in stored(load_manifest(folder))["elsewhere"]] == ["a machine"]


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"models": 3}'])
def test_a_damaged_one_is_replaced(make_artifacts, damage: bytes) -> None:
    folder = make_artifacts("student")
    path = save(folder, "models", MODELS)
    path.write_bytes(damage)
    assert stored(load_manifest(folder)) == {}
    save(folder, "models", MODELS)
    assert stored(load_manifest(folder))["models"] == MODELS["models"]


def test_nan_is_never_stored(make_artifacts) -> None:
    folder = make_artifacts("student")
    with pytest.raises(ValueError):
        save(folder, "app", {"cold": float("nan")})
    assert not (folder / FILE).exists()


def test_the_machine_is_named_without_its_owner() -> None:
    import platform

    machine = this_machine()
    assert machine.cores >= 1
    assert machine.litert[0].isdigit()
    text = machine.text()
    for part in (machine.cpu, "core", f"Python {platform.python_version()}", f"LiteRT {machine.litert}"):
        assert part in text
    assert set(json.loads(json.dumps(stamp(machine)))["machine"]) == {
        "cpu", "cores", "memory_bytes", "system", "python", "litert", "tensorflow", "opencv",
        "instructions",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", "a CPU (AVX-512 VNNI), "),
        ("flags\t\t: fpu avx avx2 fma", "a CPU (AVX2), "),
        ("flags\t\t: fpu sse2", "a CPU, "),
        ("Features\t: fp asimd asimddp", "a CPU (Arm dot product), "),
        ("bogomips\t: 1", "a CPU, "),
    ],
)
def test_what_int8_gains_by_is_said_with_the_processor(monkeypatch, tmp_path, line, said) -> None:
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: a  CPU\n{line}\n\nprocessor\t: 1\n")
    assert this_machine().text().startswith(said)


def test_other_systems_do_not_say_which_instructions_there_are(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "none")
    machine = this_machine()
    assert machine.cpu
    assert machine.instructions == ""


def test_a_busy_machine_is_said_to_be_so(monkeypatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (2.4, 0.0, 0.0))
    assert "load 2.4" in busy()
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 3.0, 3.0))
    assert busy() is None
