"""`benchmark batch`: its images, its runs of the real command, its bars."""

from __future__ import annotations

import json
import os
import sys
import time

import cv2
import numpy as np
import pytest

from core.artifacts import load_manifest, update_model
from core.benchmark import batch, process
from core.benchmark.batch import BatchCosts, counts, make_images, measure_batch
from core.benchmark.hardware import this_machine
from core.benchmark.memory import ChildFailed, peak_of
from core.benchmark.process import Watched, family, two_cores, watch
from core.errors import UserError


def test_images_are_jpegs_of_the_dataset_s_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(batch, "DRAWN", 2)
    source = make_images(tmp_path / "images", 5)
    files = sorted((tmp_path / "images").iterdir())
    assert source == "synthetic lesions' JPEGs of 600x450, 2 different ones"
    assert len(files) == 5
    assert all(cv2.imread(str(file)).shape == (450, 600, 3) for file in files)
    assert len({file.stat().st_ino for file in files}) == 2


def test_with_the_dataset_its_images_are_used(tmp_path, small_folder, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    source = make_images(tmp_path / "images", 4)
    files = sorted((tmp_path / "images").iterdir())
    assert source == "HAM10000's JPEGs of 600x450, 4 different ones"
    assert all(cv2.imread(str(file)).shape == (450, 600, 3) for file in files)
    assert len({file.read_bytes() for file in files}) == 4


@pytest.mark.parametrize(
    ("more", "expected"), [(None, (1000,)), (1000, (1000,)), (50, (50,)), (20_000, (1000, 20_000))]
)
def test_how_many_images(more: int | None, expected: tuple[int, ...]) -> None:
    assert counts(more) == expected


def test_no_images_at_all() -> None:
    with pytest.raises(UserError, match="at least 1 image, found 0"):
        counts(0)


def test_the_real_command_is_run_and_the_folder_goes(make_artifacts, monkeypatch) -> None:
    monkeypatch.setattr(batch, "DRAWN", 3)
    made = []
    original = batch.make_images
    monkeypatch.setattr(
        batch, "make_images", lambda folder, count: made.append(folder) or original(folder, count)
    )
    told = []
    found = measure_batch(
        load_manifest(make_artifacts("student-int8")), images=(150, 200), rounds=2,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert {count: len(runs) for count, runs in found.runs.items()} == {150: 2, 200: 1}
    assert dict(found.statuses) == {"ok": 200}
    assert [step[0] for step in told] == [0, 1, 2, 3]
    assert "no loop of Keras: student-int8 and its parent have no weights" in found.notes
    assert found.bars()[1].measured is None
    assert not any(folder.exists() for folder in made)
    if sys.platform == "linux":
        assert any((run.peak_bytes or 0) > 20e6 for runs in found.runs.values() for run in runs)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["statuses"] == {"ok": 200}


def test_the_loop_runs_by_turns_on_the_parent_s_weights(make_artifacts, monkeypatch) -> None:
    folder = make_artifacts("student", "student-int8")
    (folder / "w.npz").write_bytes(b"w")
    update_model(folder, "student", {}, {"weights": "w.npz"})
    update_model(folder, "student-int8", {"parent": "student"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    order = []
    run = Watched(2.0, 3.0, 100, "", 0)
    monkeypatch.setattr(batch, "make_images", lambda folder, count: "images")
    monkeypatch.setattr(batch, "_predict", lambda *_: order.append("predict") or (run, {"ok": 1}))
    monkeypatch.setattr(
        batch, "_loop", lambda _, name, __: order.append(name) or (Watched(7.0, 9.0, 1, "", 0), 4.5)
    )
    found = measure_batch(load_manifest(folder), rounds=2)
    assert order == ["predict"] * 3 + ["predict", "student", "predict", "student"]
    assert found.bars()[1].measured == 3.5
    assert ", 2 cores, " in found.to_dict()["hardware"], "sixteen are there, the commands got two"
    order.clear()
    assert measure_batch(load_manifest(folder), rounds=1, with_keras=False).notes == []
    assert order == ["predict"] * 4


def test_bars() -> None:
    runs = {
        1000: [
            Watched(seconds, 9.0, peak, "", 0)
            for seconds, peak in ((5.0, 300_000_000), (6.0, 310_000_000), (20.0, None))
        ],
        20_000: [Watched(100.0, 180.0, 700_000_000, "", 0)],
    }  # fmt: skip
    loops = [Watched(seconds, 30.0, 10, "", 0) for seconds in (20.0, 24.0, 30.0)]
    found = BatchCosts(
        this_machine(), "student-int8", "images", runs, loops, [12.0, 15.0, 19.0], 1.0, {"ok": 20_000}, []
    )
    assert found.times_faster() == (4.0, 3.0)
    rate, times, inner, small, large = found.bars()
    assert rate.measured == pytest.approx(1000 / 6)
    assert times.measured == 4.0
    assert inner.measured == 3.0
    assert (small.measured, small.met) == (310.0, True)
    assert (large.measured, large.met) == (700.0, False)


@pytest.mark.parametrize(("model", "count"), [("student-int8", 4), ("densenet169", 1000)])
def test_bars_are_of_a_thousand_images_and_the_default_model(model: str, count: int) -> None:
    """Of few images the time without the start is next to nothing, and a ratio to it says nothing."""
    runs = {count: [Watched(1.3, 2.0, 100_000_000, "", 0)]}
    loops = [Watched(9.0, 9.0, 10, "", 0)]
    found = BatchCosts(this_machine(), model, "images", runs, loops, [0.15], 1.31, {"ok": count}, [])
    for bar in found.bars()[:3]:
        assert bar.met is None, bar
        assert bar.note == "asked of 1,000 images and student-int8"


def test_the_loop_is_the_plain_one(tiny_network, tmp_path, monkeypatch) -> None:
    from core.benchmark import keras_loop

    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(batch, "DRAWN", 2)
    make_images(tmp_path / "images", 35)
    network = tiny_network(24, size=224)
    monkeypatch.setattr("core.networks.trained.load_trained", lambda manifest, name: network)
    monkeypatch.setattr("core.artifacts.load_manifest", lambda: None)
    batches = []
    original = network.predict
    monkeypatch.setattr(network, "predict", lambda x, **kw: batches.append(x.shape) or original(x, **kw))
    assert keras_loop.main("student", str(tmp_path / "images")) > 0
    assert batches == [(32, 224, 224, 3), (32, 224, 224, 3), (3, 224, 224, 3)]


# A watched process


def test_a_command_is_watched_with_what_it_starts(tmp_path, monkeypatch) -> None:
    """The child stays until both were seen at once."""
    seen, real, looks = tmp_path / "seen", process.family, []

    def look(one: int) -> list[int]:
        found = real(one)
        if sum((peak_of(each) or 0) > 60e6 for each in found) > 1:
            looks.append(found)
            if len(looks) > 1:  # the first look has been summed by now
                seen.touch()
        return found

    monkeypatch.setattr(process, "family", look)
    wait = f"while not Path({str(seen)!r}).exists() and time.monotonic() < ends: time.sleep(0.05)"
    child = (
        "import time; from pathlib import Path; b = bytearray(b'x') * 60_000_000; ends = time.monotonic() + 60\n"
        + (wait if sys.platform == "linux" else "time.sleep(0.5)")
    )
    start = f"subprocess.run([sys.executable, '-c', {child!r}])"
    code = f"import subprocess, sys; b = bytearray(b'x') * 60_000_000; {start}; print('done')"
    found = watch(["-c", code])
    assert found.output == "done\n"
    assert found.processor_seconds > 0
    if sys.platform == "linux":
        assert found.peak_bytes > 120e6


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(ChildFailed, match="exit status 7: sorry"):
        watch(["-c", "import sys; print('sorry', file=sys.stderr); sys.exit(7)"])
    assert watch(["-c", "import sys; sys.exit(7)"], fine=(7,)).status == 7


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_family_is_a_process_and_its_children() -> None:
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert {os.getpid(), child.pid} <= set(family(os.getpid()))
        assert family(child.pid) == [child.pid]
    finally:
        child.communicate(b"\n")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_a_command_gets_two_cores(monkeypatch) -> None:
    cores = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {901, 902})
    assert two_cores(["x"]) == ["x"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*cores, 901, 902, 903})
    command = two_cores([sys.executable, "-c", "print(1)"])
    assert command[-3:] == [sys.executable, "-c", "print(1)"]
    assert str([*cores, 901][:2]) in command[2]


def test_time_is_wall_time() -> None:
    start = time.perf_counter()
    found = watch(["-c", "import time; time.sleep(0.2)"])
    assert 0.2 <= found.seconds <= time.perf_counter() - start
    assert np.isfinite(found.processor_seconds)
