"""Rounds are interleaved, statistics are what they say, and drift does not change ratios."""

from collections.abc import Callable

import numpy as np
import pytest

from core.benchmark.rounds import Subject, Timing, measure, ratio


class Clock:
    """Time that passes only when somebody works; `slowness` multiplies everything."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slowness = 1.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
        def call() -> None:
            self.calls.append(name)
            self.now += seconds * self.slowness
            then()

        return call


def test_rounds_go_to_and_fro_and_each_subject_is_warmed_up() -> None:
    clock = Clock()
    subjects = {name: Subject(name, clock.work(name, 0.001), calls=2, warmups=1) for name in "abc"}
    found = measure(subjects, 3, clock=clock)
    assert "".join(clock.calls) == "aaabbbccc" + "cccbbbaaa" + "aaabbbccc"
    assert {key: timing.milliseconds.shape for key, timing in found.items()} == dict.fromkeys("abc", (3, 2))


def test_milliseconds_median_and_percentile() -> None:
    clock = Clock()
    found = measure({"a": Subject("a", clock.work("a", 0.0125), calls=4, warmups=0)}, 2, clock=clock)["a"]
    assert found.milliseconds == pytest.approx(np.full((2, 4), 12.5))
    timing = Timing(np.arange(1.0, 101.0).reshape(10, 10))
    assert timing.median == 50.5
    assert timing.p95 == pytest.approx(95.05)
    assert timing.to_dict() == {"median": 50.5, "p95": 95.05}


def test_what_came_before_is_not_in_the_time() -> None:
    clock = Clock()
    first = [True]

    def cold() -> None:
        clock.now += 1.0 if first[0] else 0.001
        first[0] = False

    found = measure({"a": Subject("a", cold, calls=3, warmups=1)}, 1, clock=clock)["a"]
    assert found.milliseconds.max() == pytest.approx(1.0)


def test_a_machine_that_gets_slower_changes_times_and_no_ratio() -> None:
    clock = Clock()

    def slower() -> None:
        clock.slowness *= 1.001

    subjects = {
        "slow": Subject("slow", clock.work("slow", 0.03, slower), calls=1),
        "fast": Subject("fast", clock.work("fast", 0.01, slower), calls=1),
    }
    found = measure(subjects, 41, clock=clock)
    assert found["fast"].milliseconds[-1, 0] > 1.1 * found["fast"].milliseconds[0, 0]
    assert ratio(found["slow"], found["fast"]) == pytest.approx(3.0, rel=0.003)


def test_one_disturbed_round_does_not_change_a_ratio() -> None:
    fast = Timing(np.full((9, 5), 2.0))
    times = np.full((9, 5), 6.0)
    times[4] = 600.0
    assert ratio(Timing(times), fast) == 3.0


def test_progress_names_what_comes_and_ends_at_the_end() -> None:
    told: list[tuple[int, int, str]] = []
    subjects = {name: Subject(name, lambda: None, calls=1) for name in ("one", "two")}
    measure(subjects, 2, progress=lambda *step: told.append(step))
    assert told == [(0, 4, "one"), (1, 4, "two"), (2, 4, "two"), (3, 4, "one"), (4, 4, "")]


def test_no_rounds_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 round, found 0"):
        measure({}, 0)
