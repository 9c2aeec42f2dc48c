"""What is timed of which model, and what the page's button gets."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from core.benchmark import latency
from core.benchmark.latency import Busy, Key, alone, beside, by_machine, choose, litert_subjects, measure_here
from core.benchmark.runner import BatchRefused, Runner, images, open_runner
from core.errors import UserError
from core.evaluation.latency import Benchmark
from core.serving.registry import Registry


def test_a_runner_gives_what_serving_gives(make_artifacts, pixels) -> None:
    registry = Registry.open(make_artifacts("student", "student-int8"))
    for name in ("student", "student-int8"):
        diagnosis = registry.get(name).classify(pixels[0])
        for threads in (1, 2):
            outputs = open_runner(registry.manifest, name, threads=threads).run(pixels)
            shapes = sorted(output.shape for output in outputs)
            assert shapes == [(1, 7), (1, 7, 7, 7), (1, 16)]
            (logits,) = [output for output in outputs if output.shape == (1, 7)]
            if name == "student":
                assert logits[0] == pytest.approx(diagnosis.logits, abs=1e-4)
            else:
                assert logits[0] * 0.02 == pytest.approx(diagnosis.logits, abs=1e-6)


def test_an_ensemble_runs_its_members(make_artifacts, pixels) -> None:
    registry = Registry.open(make_artifacts("resnet50", "student", "ensemble"))
    manifest = registry.manifest
    both = open_runner(manifest, "ensemble").run(pixels)
    each = [open_runner(manifest, name).run(pixels) for name in ("resnet50", "student")]
    assert len(both) == 6
    assert all(np.array_equal(a, b) for a, b in zip(both, each[0] + each[1], strict=True))


def test_what_is_timed(make_artifacts) -> None:
    registry = Registry.open(make_artifacts("resnet50", "student", "ensemble"))
    names, refused = choose(registry)
    assert names == ["resnet50", "student", "ensemble"]
    assert "densenet169" in refused
    subjects = litert_subjects(registry.manifest, names, batch=False)
    assert list(subjects) == [Key(name, "litert", threads) for name in names for threads in (1, 2)]
    for subject in subjects.values():
        subject.call()


def test_a_batch_is_one_run_of_many_images(make_artifacts, monkeypatch) -> None:
    registry = Registry.open(make_artifacts("student"))
    asked = []

    class Spy(Runner):
        def __init__(self, content: bytes, name: str, **options: int) -> None:
            asked.append(options)
            if options["batch"] > 1:
                raise BatchRefused("a fixed batch")
            super().__init__(content, name, **options)

    monkeypatch.setattr("core.benchmark.runner.Runner", Spy)
    subjects = litert_subjects(registry.manifest, ["student"], batch=True)
    assert asked == [{"threads": 1, "batch": 1}, {"threads": 2, "batch": 1}, {"threads": 2, "batch": 32}]
    assert [key.batch for key in subjects] == [1, 1]


def test_batches_give_what_single_images_give(tiny_network, tmp_path) -> None:
    from core.compression.litert import convert
    from core.networks.explaining import explaining_graph

    network = tiny_network(24, size=224)
    content = convert(explaining_graph(network), tmp_path / "tiny.tflite").read_bytes()
    many = images(3)
    together = Runner(content, "tiny", batch=3).run(many)
    one = Runner(content, "tiny")
    for k in range(3):
        for whole, single in zip(together, one.run(many[k : k + 1]), strict=True):
            np.testing.assert_allclose(whole[k], single[0], rtol=1e-4, atol=1e-4)


def test_a_file_that_is_no_model() -> None:
    with pytest.raises(UserError, match="model x: expected to run with batches of 1, found"):
        Runner(b"no model at all", "x")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["teacher"], "expected one of the models .*student.*, found 'teacher'"),
        (["student", "baseline"], "baseline is not in .*; make it with: python -m core train"),
    ],
)
def test_models_that_cannot_be_measured(make_artifacts, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(Registry.open(make_artifacts("student")), names)


def test_without_any_model(tmp_path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json"):
        measure_here(Registry.open(tmp_path))


def test_measuring_here(make_artifacts) -> None:
    registry = Registry.open(make_artifacts("student", "student-int8"))
    told = []
    found = measure_here(registry, ["student"], rounds=2, progress=lambda *step: told.append(step))
    assert list(found) == ["student"]
    assert set(found["student"]) == {"1", "2"}
    for timing in found["student"].values():
        assert set(timing) == {"median", "p95"}
        assert 0 < timing["median"] <= timing["p95"]
    assert told[0] == (0, 4, "student")
    assert told[-1] == (4, 4, "")
    assert set(measure_here(registry, rounds=1)) == {"student", "student-int8"}


def test_two_do_not_measure_each_other(make_artifacts) -> None:
    registry = Registry.open(make_artifacts("student"))
    with alone(), pytest.raises(Busy, match="somebody else is measuring"):
        measure_here(registry, rounds=1)
    assert measure_here(registry, rounds=1)


def test_a_failure_leaves_the_place_free(make_artifacts, monkeypatch) -> None:
    registry = Registry.open(make_artifacts("student"))
    monkeypatch.setattr(latency, "litert_subjects", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure_here(registry)
    monkeypatch.undo()
    with alone():
        pass


def test_the_button_s_work_loads_no_tensorflow(make_artifacts) -> None:
    make_artifacts("student")
    code = (
        "import sys; from core.benchmark.latency import measure_here; from core.serving.registry import Registry; "
        "measure_here(Registry.open(), rounds=1); print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_here_beside_the_shipped_figures() -> None:
    here = {
        "resnet50": {"1": {"median": 40.0, "p95": 44.0}, "2": {"median": 22.0, "p95": 25.0}},
        "student": {"1": {"median": 8.0, "p95": 9.0}, "2": {"median": 4.0, "p95": 5.0}},
    }
    shipped = Benchmark("a machine", {"student": {"1": {"median": 5.0}}, "resnet50": {"1": {"median": 30.0}}})
    table = beside(here, shipped).set_index("model")
    assert table.loc["resnet50", ["here_1", "here_1_p95", "shipped_1", "times_here", "times_shipped"]].tolist() == [
        40.0, 44.0, 30.0, 5.0, 6.0,
    ]  # fmt: skip
    assert math.isnan(table.loc["student", "shipped_2"])
    alone_ = beside({"resnet50": here["resnet50"]}, None)
    assert alone_[["shipped_1", "times_here", "times_shipped"]].isna().all(axis=None)


def test_machines_beside_each_other() -> None:
    def run(name: str, **ms: float) -> Benchmark:
        return Benchmark(
            name, {model.replace("_", "-"): {"1": {"median": value}} for model, value in ms.items()}
        )

    runs = [
        run("old", student=10.0, student_int8=11.0, resnet50=50.0),
        run("new", student=6.0, student_int8=3.0),
    ]
    table = by_machine(runs, ["student-int8", "resnet50", "student"]).set_index("model")
    assert list(table.index) == ["student-int8", "student"], "of the others one machine alone has figures"
    assert table.loc["student-int8"].to_dict() == {"ms_1": 11.0, "times_1": 1.1, "ms_2": 3.0, "times_2": 0.5}
    other = by_machine([run("a", resnet50=1.0), run("b", resnet50=2.0)], ["resnet50"])
    assert other[["times_1", "times_2"]].isna().all(axis=None), "no student to compare with"
    assert by_machine([], ["student"]).empty
    assert by_machine(runs[:1], ["student"]).empty
