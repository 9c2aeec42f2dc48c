"""The lab's figures hold the numbers that they were given."""

from __future__ import annotations

import numpy as np
import pytest

from core.figures.lab import entropy_lines, gradient_bars, knowledge_map, pull_by_temperature, soft_label_bars
from core.figures.runs import Series, cell_map, lesson_curves, lines
from core.lab.soft_labels import LARGEST_ENTROPY, TEMPERATURES, entropy_curve, softened
from core.lesions import CODES

LOGITS = np.array([1.0, 0, 2, -1, 5, 4, 0])


def test_soft_labels_are_drawn_at_both_temperatures():
    figure = soft_label_bars(softened(LOGITS, 1.0), softened(LOGITS, 4.0), 4.0)
    soft, once = figure.data
    assert list(soft.x) == list(CODES)
    assert list(soft.y) == pytest.approx(softened(LOGITS, 4.0))
    assert list(once.y) == pytest.approx(softened(LOGITS, 1.0))
    assert figure.layout.shapes[0].y0 == pytest.approx(1 / 7)
    assert not figure.layout.annotations, "words on the line would lie over a bar"


def test_entropies_stay_below_the_line_that_says_nothing():
    curve, twice = entropy_curve(LOGITS), entropy_curve(LOGITS, twice=True)
    figure = entropy_lines({"resnet50": curve}, twice, 8.0, {"resnet50": "ResNet50"})
    assert [trace.name for trace in figure.data] == ["ResNet50", "softmax of softmax (the report's)"]
    assert max(figure.data[0].y) < LARGEST_ENTROPY == figure.layout.shapes[0].y0
    assert figure.layout.shapes[1].x0 == 8.0


def test_the_map_s_colours_end_at_the_largest_cell_off_the_diagonal():
    matrix = np.full((7, 7), 0.02) + 0.86 * np.eye(7)
    matrix[2, 4], matrix[6] = 0.11, np.nan
    figure = knowledge_map(matrix, of="share")
    assert figure.data[0].zmax == pytest.approx(0.11)
    assert len(figure.layout.annotations) == 42
    assert {a.text for a in figure.layout.annotations} == {"2", "11", "88"}


def test_gradients_and_pulls_are_given_on():
    bars = gradient_bars({"hard": ("#111111", LOGITS)})
    assert list(bars.data[0].y) == LOGITS.tolist()
    pull = pull_by_temperature(TEMPERATURES, {"with T²": ("#111111", TEMPERATURES**-1)}, 4.0)
    assert list(pull.data[0].y) == pytest.approx(TEMPERATURES**-1)
    assert pull.layout.yaxis.type == "log"


@pytest.mark.parametrize("difference", [True, False])
def test_cells_without_runs_stay_empty(difference: bool):
    value = np.array([[0.021, np.nan], [-0.004, 0.0]])
    half = np.array([[0.006, np.nan], [np.nan, 0.01]])
    hover = [["a", "b"], ["c", "d"]]
    figure = cell_map(
        ["1", "2"], ["0.5", "1"], value, half, hover, axes=("T", "alpha"), difference=difference
    )
    texts = {(a.x, a.y): a.text for a in figure.layout.annotations}
    # By place, not by name: Plotly takes the name "1" for the second place.
    assert set(texts) == {(0, 0), (0, 1), (1, 1)}
    assert list(figure.layout.xaxis.ticktext) == ["1", "2"]
    assert list(figure.data[0].x) == [0, 1]
    assert texts[0, 0].startswith("+2.1<br>" if difference else "2.1<br>")
    assert "± 0.6" in texts[0, 0]
    assert "±" not in texts[0, 1]


def test_a_map_without_any_runs_is_still_a_figure():
    nothing = np.full((1, 1), np.nan)
    assert not cell_map(
        ["1"], ["1"], nothing, nothing, [[""]], axes=("T", "alpha"), difference=True
    ).layout.annotations


def test_lines_have_their_runs_behind_them():
    series = Series("a", "#111111", [1, 2], [0.1, 0.2], [0.01, np.nan], runs=(([1, 2], [0.1, 0.3]),))
    figure = lines([series], x="x", y="y", share=True)
    thin, thick = figure.data
    assert not thin.showlegend
    assert list(thick.error_y.array) == [0.01, 0]


def test_a_lesson_s_curves_begin_where_there_is_something():
    points = [
        {"arm": "alone", "epoch": 0.0, "loss": None, "test_loss": 2.0},
        {"arm": "taught", "epoch": 0.0, "loss": None, "test_loss": 2.0},
        {"arm": "alone", "epoch": 0.5, "loss": 1.5, "test_loss": 1.8},
    ]
    figure = lesson_curves(points, "loss", label="Loss", share=False, epochs=4)
    assert [list(trace.x) for trace in figure.data] == [[0.5], []]
    figure = lesson_curves(
        points, "test_loss", label="Loss", share=False, epochs=4, reference=(1.9, "chance")
    )
    assert [len(trace.x) for trace in figure.data] == [2, 1]
    assert figure.layout.shapes[0].y0 == 1.9
