"""No figure of a page is one that a browser draws twice: see `core.figures.settled`."""

import ast
import json
import re
from pathlib import Path

import pytest

from core.settings import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))


@pytest.mark.parametrize("page", ["overview", "comparison", "confusion", "dataset", "lab"])
def test_the_shipped_figures_of_a_page(open_page, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(ROOT / "artifacts"))
    app = open_page(page)
    assert not app.exception
    drawn = [chart.proto for chart in app.get("plotly_chart")]
    assert drawn
    for chart in drawn:
        spec = json.loads(chart.spec)
        assert re.fullmatch("[0-9a-f]{8}", spec["layout"]["datarevision"]), chart.id
        assert "template" not in spec["layout"], chart.id
        assert "bdata" not in chart.spec, chart.id
        assert chart.theme == "", chart.id


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pages_leave_the_drawing_to_one_function(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert sum(call.attr == "plotly_chart" for call in calls) == (path.stem == "_shared")
