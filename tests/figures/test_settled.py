"""Figures that Plotly knows again, and so draws once: no arrays in binary, and a revision of their data."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from core.figures.settled import settle
from core.figures.style import figure


def make(x: object, high: object = (0.5, 0.25), **layout: object) -> go.Figure:
    one = {
        "type": "scatter",
        "x": x,
        "y": [3, 4],
        "error_y": {"array": high},
        "customdata": [["a", 1], ["b", 2]],
    }
    return figure(100, data=[one, {"type": "bar", "x": ["p", "q"], "y": np.array([1, 2])}], **layout)


def revision(figure: go.Figure) -> str:
    return settle(figure).layout.datarevision


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.uint8])
def test_arrays_are_sent_as_lists_wherever_they_are(kind: type) -> None:
    found = settle(make(np.array([1, 2], kind), np.array([0.5, 0.25])))
    spec = found.to_json()
    assert "bdata" not in spec
    first, second = json.loads(spec)["data"]
    assert (first["x"], first["error_y"]["array"], second["y"]) == ([1, 2], [0.5, 0.25], [1, 2])


def test_grids_of_numbers_keep_their_shape_and_what_is_not_known() -> None:
    found = figure(100)
    found.add_heatmap(z=np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert json.loads(settle(found).to_json())["data"][0]["z"] == [[1.0, None], [2.0, 3.0]]


def test_the_revision_is_that_of_the_data_alone() -> None:
    here = revision(make(np.array([1.0, 2.0])))
    assert here == revision(make(np.array([1.0, 2.0]), showlegend=True))
    long = np.arange(5000.0)
    changed = long.copy()
    changed[2500] += 1e-9  # where NumPy writes dots
    others = [make(np.array([1.0, 2.5])), make(np.array([1.0, 2.0]), (0.5, 0.5)), make(long), make(changed)]
    assert len({here, *map(revision, others)}) == 5


def test_places_of_ticks_are_lists_as_well() -> None:
    found = settle(figure(100, xaxis={"tickvals": np.arange(3), "ticktext": ["a", "b", "c"]}))
    assert json.loads(found.to_json())["layout"]["xaxis"]["tickvals"] == [0, 1, 2]
