"""A server under load for minutes: `make soak`. Not a part of `make test`, which looks for files named test_*.

| variable | default | meaning |
|---|---|---|
| `SOAK_SECONDS` | 300 | how long the crowd uploads |
| `SOAK_SESSIONS` | 20 | how many visitors it has, each with its own images and models |
| `SOAK_COLD` | 50 | visitors who open a cold server at once |
| `SOAK_VISITS` | 200 | visits that come and go |
| `SOAK_PREDICTIONS` | 1000 | predictions with maps in one process |

Visitors are protocol-level clients: what they send and read is what a browser sends and reads. What they read is
compared with what a lone visitor reads of the same image, down to the pictures' hashes.
"""

from __future__ import annotations

import collections
import gc
import io
import os
import random
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.foreign import drawn
from core.data.samples import synthetic_sample
from core.lesions import CODES
from core.serving.registry import Registry
from core.settings import ROOT

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
SESSIONS, COLD, VISITS, PREDICTIONS = (
    int(os.environ.get(f"SOAK_{name}", default))
    for name, default in (("SESSIONS", 20), ("COLD", 50), ("VISITS", 200), ("PREDICTIONS", 1000))
)
EACH = 3
"""Images of each visitor of the crowd."""
FIRST_MINUTE = 60.0
FLAT = 50_000
"""Kilobytes by which memory may differ."""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped, so that nobody changes it meanwhile."""
    folder = tmp_path_factory.mktemp("shipped") / "artifacts"
    shutil.copytree(ROOT / "artifacts", folder, ignore=shutil.ignore_patterns("weights", "screenshots"))
    if "student" not in Registry.open(folder).usable():
        pytest.skip("artifacts/ has no student: python -m core distill makes it")
    return folder


@pytest.fixture
def server(start_dashboard, artifacts: Path, tmp_path: Path) -> Iterator:
    """A cold server."""
    running = start_dashboard(tmp_path, DERMDISTILL_ARTIFACTS=str(artifacts))
    yield running
    running.stop()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def models(artifacts: Path) -> list[tuple[str, ...]]:
    """Titles of one or two small models to ask, in so many ways as there are."""
    registry = Registry.open(artifacts)
    small = [s.title for s in registry.states() if s.usable and s.role in ("student", "variant", "baseline")]
    return [*((title,) for title in small), *combinations(small, 2)]


def files(visitor: int) -> list[tuple[str, bytes]]:
    """A visitor's own images: lesions, something foreign, something broken."""
    lesions = [synthetic_sample(CODES[(visitor + k) % 7], 20 + visitor).data for k in range(EACH - 1)]
    odd = next(drawn(1, seed=visitor)).data if visitor % 2 else lesions[0][: 1000 + visitor]
    return [(f"{k}.jpg", data) for k, data in enumerate([*lesions, odd])]


class Memory(threading.Thread):
    """Writes down a process' resident memory, (seconds since the start, kilobytes), every second."""

    def __init__(self, read, pid: int) -> None:
        super().__init__(daemon=True)
        self.points: list[tuple[float, int]] = []
        self._read, self._pid, self._end = read, pid, threading.Event()

    def run(self) -> None:
        start = time.monotonic()
        while not self._end.wait(1):
            self.points.append((time.monotonic() - start, self._read(self._pid, "VmRSS")))

    def stop(self) -> None:
        self._end.set()
        self.join()


def test_50_visits_at_once_of_a_cold_server_load_each_model_once(server, protocol, events) -> None:
    """A model's file is read twice: when its hash is checked for the list of models, and when it is loaded."""
    barrier = threading.Barrier(COLD)
    data = synthetic_sample("nv", 2).data
    asked = ("Student",)

    def visit(_: int):
        with protocol.Visitor(server.url, "prediction", {"models": asked}, run=False) as visitor:
            barrier.wait(protocol.PATIENCE)
            visitor.rerun()
            return visitor.upload("a.jpg", data).answer()

    with ThreadPoolExecutor(COLD) as pool:
        answers = list(pool.map(visit, range(COLD)))
    reads = collections.Counter(Path(path).stem for path in events(server.doings, "read"))
    print(f"\n{COLD} at once: files of models read {dict(reads)}")
    assert len(set(answers)) == 1
    assert answers[0].images
    assert reads.pop("student") == 2
    assert set(reads.values()) == {1}


def test_20_visits_at_once_for_minutes_each_get_their_own_answers(server, protocol, models) -> None:
    """No failed request, no wrong answer, flat memory after the first minute."""

    def open_page(visitor: int):
        return protocol.Visitor(server.url, "prediction", {"models": models[visitor % len(models)]})

    alone = []
    for visitor in range(SESSIONS):
        with open_page(visitor) as page:
            alone.append([page.upload(*file).answer() for file in files(visitor)])
    assert len({answers[0] for answers in alone}) == SESSIONS, "the images differ"

    def visit(visitor: int) -> tuple[list[float], int]:
        mine, taken, wrong = files(visitor), [], 0
        with open_page(visitor) as page:
            for turn in count():
                if time.monotonic() > ends:
                    return taken, wrong
                start = time.monotonic()
                answer = page.upload(*mine[turn % EACH]).answer()
                taken.append(time.monotonic() - start)
                wrong += answer != alone[visitor][turn % EACH]
        raise AssertionError("unreachable")

    memory = Memory(protocol.status_of, server.pid)
    memory.start()
    ends = time.monotonic() + SECONDS
    with ThreadPoolExecutor(SESSIONS) as pool:
        results = list(pool.map(visit, range(SESSIONS)))
    memory.stop()
    seconds = sorted(second for taken, _ in results for second in taken)
    begun = min(FIRST_MINUTE, SECONDS / 3)
    later = [kilobytes for at, kilobytes in memory.points if at > begun]
    third = max(1, len(later) // 3)
    grown = statistics.median(later[-third:]) - statistics.median(later[:third])
    print(
        f"\n{SESSIONS} visitors, {SECONDS:.0f} s: {len(seconds)} uploads, median {statistics.median(seconds):.2f} s, "
        f"p95 {np.percentile(seconds, 95):.2f} s from upload to verdict, {sum(w for _, w in results)} wrong answers; "
        f"memory {later[0] / 1e3:.0f} MB after {begun:.0f} s, {later[-1] / 1e3:.0f} MB at the end ({grown / 1e3:+.1f})"
    )
    assert sum(wrong for _, wrong in results) == 0
    assert all(len(taken) >= 1 for taken, _ in results)
    assert grown < FLAT


def test_200_visits_that_come_and_go_leave_memory_as_it_was(server, protocol, models) -> None:
    """Each opens the page, reads a verdict on an image of its own, and leaves; some in the middle, some after a
    photograph of 7 megapixels."""
    chance = random.Random(5)

    def visit(number: int) -> None:
        data = synthetic_sample(CODES[number % 7], 1 + number % 30).data
        if number % 4 == 1:
            target = io.BytesIO()
            Image.open(io.BytesIO(data)).resize((3000, 2250)).save(target, "JPEG", quality=90)
            data = target.getvalue()
        data += number.to_bytes(4, "little")
        with protocol.Visitor(server.url, "prediction", {"models": models[number % len(models)]}) as visitor:
            if number % 10:
                assert visitor.upload("a.jpg", data).of("text")
            else:
                visitor.put("a.jpg", data)
                visitor.ask()
                time.sleep(chance.random() / 5)

    def settle() -> int:
        ends = time.monotonic() + 60
        while protocol.held_uploads(server.url) and time.monotonic() < ends:
            time.sleep(0.5)
        assert protocol.held_uploads(server.url) == 0
        return protocol.status_of(server.pid, "VmRSS")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(visit, range(2 * len(models))))
        before = settle()
        list(pool.map(visit, range(VISITS)))
        after = settle()
    print(f"\n{VISITS} visits: {before / 1e3:.0f} MB before, {after / 1e3:.0f} MB after")
    assert after - before < FLAT


def test_1000_predictions_with_maps_return_memory(artifacts, protocol) -> None:
    """Bytes in, verdict and an overlay of each class out, by the shipped student in this process."""
    from core.serving.overlay import draw_overlay
    from core.serving.panel import ask

    registry = Registry.open(artifacts)
    samples = [synthetic_sample(code, number).data for code in CODES for number in (1, 2)]

    def predict(times: int) -> int:
        for number in range(times):
            reading = ask(registry, ("student",), samples[number % len(samples)], "a.jpg")
            for diagnosis in reading.diagnoses:
                for one in diagnosis.maps:
                    draw_overlay(reading.display, one, opacity=0.5)
        gc.collect()
        return protocol.status_of(os.getpid(), "VmRSS")

    before = predict(50)
    after = predict(PREDICTIONS)
    print(f"\n{PREDICTIONS} predictions: {before / 1e3:.0f} MB before, {after / 1e3:.0f} MB after")
    assert after - before < FLAT
