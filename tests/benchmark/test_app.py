"""`benchmark app`: its bars, the visit without a browser, and what is asked of a server."""

from __future__ import annotations

import json
import os
import sys

import pytest

from core.artifacts import update_model
from core.benchmark import by_apptest, by_browser
from core.benchmark.app import AppCosts, AppTimes, measure_app, write_uploads
from core.benchmark.hardware import this_machine


def times(**changes: object) -> AppTimes:
    usual = {"cold_s": 3.0, "first_s": 1.0, "next_s": (0.3, 0.3), "reruns_s": (0.1,) * 19 + (0.5,),
             "tensorflow": False}  # fmt: skip
    return AppTimes(**{**usual, **changes})


def test_bars_are_medians_of_visits_and_the_percentile_of_all_reruns() -> None:
    found = AppCosts(this_machine(), "x", 3, [times(), times(cold_s=5.0, next_s=(0.6,)), times(first_s=2.0)])
    cold, heavy, first, later, reruns = found.bars()
    assert (cold.measured, cold.met) == (3.0, True)
    assert (heavy.measured, heavy.met) == (0.0, True)
    assert (first.measured, first.note) == (1.0, "")
    assert later.measured == 0.3
    assert reruns.measured == pytest.approx(0.12)
    assert "95th percentile of 60" in reruns.what
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["visits"][1]["cold_s"] == 5.0


def test_bars_say_what_was_not_so() -> None:
    found = AppCosts(this_machine(), "x", 2, [times(), times(tensorflow=True, next_s=(), reruns_s=())])
    _, heavy, first, _, reruns = found.bars()
    assert heavy.met is False
    assert first.note == "with 2 of 3 models"
    assert len(found.visits[0].reruns_s) == 20
    assert "of 20" in reruns.what
    unknown = AppCosts(this_machine(), "x", 3, [times(tensorflow=None)]).bars()[1]
    assert unknown.met is None


def test_without_server_and_browser_a_wait_can_be_missed_but_not_met() -> None:
    found = AppCosts(this_machine(), by_apptest.HOW, 2, [times(cold_s=4.5)])
    cold, heavy, first, later, reruns = found.bars()
    assert (cold.measured, cold.met) == (4.5, False)
    assert heavy.met is True
    assert [bar.met for bar in (first, later, reruns)] == [None] * 3
    assert first.note == "1 s without server and browser, with 2 of 3 models"


@pytest.mark.parametrize("browser", [None, by_browser.Browser("chromium", "/usr/bin/chromium")])
def test_a_browser_where_there_is_one_otherwise_apptest(make_artifacts, monkeypatch, browser) -> None:
    make_artifacts("resnet50", "student", "student-int8")
    visited = []
    monkeypatch.setattr(by_browser, "find", lambda: browser)
    monkeypatch.setattr(by_browser, "visit", lambda found, files: visited.append(found.name) or times())
    monkeypatch.setattr(by_apptest, "visit", lambda files: visited.append(len(files)) or times())
    found = measure_app(rounds=2)
    assert visited == ([4, 4] if browser is None else ["chromium", "chromium"])
    assert ("AppTest" in found.how) == (browser is None)
    assert len(found.visits) == 2
    assert found.models == 2


def test_uploads_are_different_pictures(tmp_path) -> None:
    files = write_uploads(tmp_path, 2)
    assert len({file.read_bytes() for file in files}) == 2


def test_without_playwright_there_is_no_browser(monkeypatch) -> None:
    monkeypatch.setattr(by_browser, "find_spec", lambda name: None)
    assert by_browser.find() is None


def test_a_browser_of_the_system_comes_first(monkeypatch) -> None:
    monkeypatch.setattr(by_browser, "find_spec", lambda name: object())
    monkeypatch.setattr("shutil.which", lambda name: f"/opt/{name}" if name == "google-chrome" else None)
    assert by_browser.find() == by_browser.Browser("google-chrome", "/opt/google-chrome")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_library_in_memory_is_seen() -> None:
    import numpy as np

    assert np.__name__
    assert by_browser.has_loaded(os.getpid(), "numpy") is True
    assert by_browser.has_loaded(os.getpid(), "no-such-library") is False
    assert by_browser.has_loaded(2**22 + 1) is None


@pytest.mark.slow
def test_a_visit_by_apptest(make_artifacts, tmp_path) -> None:
    folder = make_artifacts("resnet50", "student")
    figure = {"value": 0.7, "low": 0.6, "high": 0.8}
    for name in ("resnet50", "student"):
        update_model(folder, name, {"figures": {"split": "lesion", "test": {"accuracy": figure}}})
    found = by_apptest.visit(write_uploads(tmp_path, 2))
    assert found.tensorflow is False
    assert found.cold_s > 0
    assert found.first_s > 0
    assert len(found.next_s) == 1
    assert len(found.reruns_s) >= 10
