"""The comparison page's "Measure on this machine"."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.artifacts import update_model, update_shared
from core.benchmark.latency import alone
from core.settings import ROOT

FIGURE = {"value": 0.7, "low": 0.6, "high": 0.8}


@pytest.fixture
def page(make_artifacts) -> AppTest:
    """The trade-off of two tiny models, one of which has shipped latencies."""
    folder = make_artifacts("student", "student-int8")
    for name in ("student", "student-int8"):
        update_model(folder, name, {"figures": {"split": "lesion", "test": {"accuracy": FIGURE}}})
    stored = {"hardware": "another machine", "models": {"student": {"latency_ms": {"1": {"median": 5.7}}}}}
    (folder / "benchmark.json").write_text(json.dumps(stored))
    update_shared(folder, {"benchmark": "benchmark.json"})
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page("pages/comparison.py")
    app.query_params["view"] = "Trade-off"
    app.run()
    assert not app.exception
    return app


def tables(app: AppTest) -> list:
    return [frame.value for frame in app.dataframe if "here_1" in frame.value]


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_nothing_is_measured_unasked(page: AppTest) -> None:
    assert not tables(page)


def test_one_click_puts_this_machine_beside_the_shipped_figures(page: AppTest) -> None:
    page.button(key="measure").click().run()
    assert not page.exception
    (table,) = tables(page)
    assert table["model"].tolist() == ["Student", "Student, int8"]
    assert (table[["here_1", "here_1_p95", "here_2"]] > 0).all(axis=None)
    assert table["shipped_1"].tolist()[0] == 5.7
    assert table["times_here"].tolist()[0] == 1.0
    assert "Shipped: another machine" in captions(page)
    assert "LiteRT" in captions(page)
    page.multiselect(key="compare").set_value(["student"]).run()
    assert len(tables(page)) == 1, "the result stays until it is measured again"


def test_only_what_was_chosen_is_measured(page: AppTest) -> None:
    page.multiselect(key="compare").set_value(["student-int8"]).run()
    page.button(key="measure").click().run()
    (table,) = tables(page)
    assert table["model"].tolist() == ["Student, int8"]


def test_somebody_else_measures_already(page: AppTest) -> None:
    with alone():
        page.button(key="measure").click().run()
    assert not page.exception
    assert "somebody else is measuring" in page.warning[0].value
    assert not tables(page)


def test_a_model_that_was_damaged_meanwhile_is_named(page: AppTest, tmp_path: Path) -> None:
    (tmp_path / "artifacts/models/student.tflite").write_bytes(b"damaged")
    page.button(key="measure").click().run()
    assert not page.exception
    said = captions(page).replace("\\", "")
    assert re.search(r"Student is not measured: .*models/student\.tflite: expected", said)
    assert all("Student" not in table["model"].tolist() for table in tables(page))


def test_no_tensorflow_is_loaded_for_it(page: AppTest, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # whoever imports it now fails
    page.button(key="measure").click().run()
    assert not page.exception
    assert len(tables(page)) == 1
