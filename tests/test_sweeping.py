"""When garbage is collected."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from core.sweeping import LONGEST, Sweeper, sweep_in_background, work_done


@pytest.mark.parametrize(
    ("work", "swept"),
    [
        pytest.param([0, 0, 0], [0, 0, 0], id="never any work"),
        pytest.param([1, 1, 1], [0, 1, 1], id="in the first tick after work, once"),
        pytest.param([1, 2, 3, 3], [0, 0, 0, 1], id="not while there is work"),
        pytest.param([1, 1, 2, 2], [0, 1, 1, 2], id="again after more work"),
        pytest.param(list(range(1, LONGEST + 2)), [0] * (LONGEST - 1) + [1, 1], id="without a pause, now and then"),
    ],
)  # fmt: skip
def test_sweeps_after_work(work: list[int], swept: list[int]) -> None:
    done, found = [0], []
    count: list[int] = []
    sweeper = Sweeper(lambda: count.append(1), lambda: done[0])
    for done[0] in work:
        sweeper.tick()
        found.append(len(count))
    assert found == swept


def test_what_sweeping_itself_does_is_no_work() -> None:
    done, count = [0], []

    def sweep() -> None:
        count.append(1)
        done[0] += 1

    sweeper = Sweeper(sweep, lambda: done[0])
    done[0] = 1
    for _ in range(4):
        sweeper.tick()
    assert len(count) == 1


def test_collects_what_only_a_collection_frees() -> None:
    class Loop:
        pass

    sweeper = Sweeper()
    loop = Loop()
    loop.itself = loop
    gone = weakref.ref(loop)
    del loop
    before = work_done()
    gc.collect(0)
    assert work_done() > before
    sweeper.tick()
    sweeper.tick()
    assert gone() is None


def test_one_thread_of_a_process_sweeps() -> None:
    thread = sweep_in_background()
    assert sweep_in_background() is thread
    assert thread.daemon
    assert [t.name for t in threading.enumerate()].count("sweeper") == 1
