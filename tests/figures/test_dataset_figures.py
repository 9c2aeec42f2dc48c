"""What the dataset page's figures show, read from the figures themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.data.balancing import balancing_table
from core.figures.counts import balancing_bars, class_bars, leak_bars, value_bars
from core.figures.embedding import CLASS, COLOURINGS, CONFIDENCE, ERROR, PREDICTION, embedding_map
from core.figures.style import class_colour
from core.lesions import BY_CODE, CODES, LESIONS

IMAGES = dict(zip(CODES, [30, 50, 110, 10, 110, 670, 20], strict=True))


def texts(figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_classes_in_their_colours_with_counts_shares_and_lesions():
    figure = class_bars(IMAGES, dict.fromkeys(CODES, 5))
    bars, marks = figure.data
    assert list(bars.x) == list(IMAGES.values())
    assert list(bars.marker.color) == [class_colour(code) for code in CODES]
    assert list(marks.x) == [5] * 7
    assert "670 · 67.0%" in texts(figure)
    assert "Melanoma · malignant" in texts(figure)
    assert len(class_bars(IMAGES).data) == 1


def test_a_value_s_bar_is_made_of_its_classes_end_to_end():
    counts = {"male": dict.fromkeys(CODES, 2), "female": dict.fromkeys(CODES, 0) | {"nv": 9}}
    figure = value_bars(counts, {"male": "Men"}, marked=["female"], totals={"male": 20, "female": 30})
    faint, classes = figure.data
    assert list(faint.x) == [20, 30]
    assert list(classes.y) == [0] * 7 + [1] * 7
    assert list(classes.marker.color) == [class_colour(code) for code in CODES] * 2
    assert list(classes.x) == [2] * 7 + [9 * (code == "nv") for code in CODES]
    assert list(classes.base) == [*range(0, 14, 2), *[9 * (code == "vasc") for code in CODES]]
    assert list(classes.customdata[0]) == ["Men", BY_CODE[CODES[0]].name]
    assert list(figure.layout.yaxis.ticktext) == ["Men", "<b>female</b>"]
    low, high = figure.layout.yaxis.range
    assert low > high, "the first value is on top"


def test_no_value_at_all_is_an_empty_figure():
    assert all(len(bar.x) == 0 for bar in value_bars({}).data)


def test_a_leak_is_a_share_of_the_whole():
    figure = leak_bars({"Test": (540, 2003), "Validation": (0, 0)})
    assert list(figure.data[1].x) == [540 / 2003, 0]
    assert list(figure.layout.xaxis.range) == [0, 1]
    assert "540 of 2,003" in texts(figure)


@pytest.mark.parametrize(("column", "text"), [("share", "67.0%"), ("shown", "670")])
def test_balancing_stands_beside_what_was_there(column, text):
    table = balancing_table(IMAGES)
    rows = table[table["balance"] == "none"]
    figure = balancing_bars(rows.assign(before=rows[column] / 2), column, axis="x")
    after, before, said = figure.data
    assert list(after.x) == list(rows[column])
    assert list(before.x) == list(rows[column] / 2)
    assert f" {text}" in said.text
    assert list(after.marker.color) == [class_colour(code) for code in CODES]


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    label = np.arange(70) % 7
    predicted = np.where(rng.random(70) < 0.6, label, (label + 1) % 7)
    ids = np.array([f"ISIC_{k:07d}" for k in range(70)])
    return rng.random((70, 2)), ids, label, predicted, rng.random(70)


def drawn(figure) -> dict[str, tuple[float, float]]:
    """Image id -> where its point lies, whatever trace it is in."""
    return {
        str(custom[0]): (x, y)
        for trace in figure.data
        if trace.customdata is not None
        for custom, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_every_image_is_one_point_where_it_belongs_whatever_the_colouring(points, colouring):
    figure = embedding_map(*points, colouring=colouring)
    where = drawn(figure)
    assert where == {image_id: tuple(xy) for image_id, xy in zip(points[1], points[0], strict=True)}
    json.loads(figure.to_json())


def test_the_colours_say_what_was_asked(points):
    _, ids, label, predicted, confidence = points
    for colouring, values in ((CLASS, label), (PREDICTION, predicted)):
        for trace in embedding_map(*points, colouring=colouring).data:
            code = next(lesion.code for lesion in LESIONS if lesion.name == trace.name)
            assert trace.marker.color == class_colour(code)
            own = {str(custom[0]) for custom in trace.customdata}
            assert own == set(ids[values == CODES.index(code)])
    wrong = {trace.name: trace for trace in embedding_map(*points, colouring=ERROR).data}["wrong"]
    assert {str(custom[0]) for custom in wrong.customdata} == set(ids[label != predicted])
    only = embedding_map(*points, colouring=CONFIDENCE).data[0]
    np.testing.assert_array_equal(only.marker.color, confidence)


def test_a_point_says_the_class_the_answer_and_how_sure(points):
    trace = embedding_map(*points).data[0]
    assert "named" in trace.customdata[0][1]
    alone = embedding_map(*points[:3])
    assert all(BY_CODE[c].name in {t.name for t in alone.data} for c in CODES)
    assert "named" not in alone.data[0].customdata[0][1]


def test_an_image_can_be_marked(points):
    ring = embedding_map(*points, marked="ISIC_0000003").data[-1]
    assert (ring.x[0], ring.y[0]) == tuple(points[0][3])
    assert len(embedding_map(*points, marked="ISIC_9").data) == 7


@pytest.mark.parametrize("colouring", ["weight", PREDICTION, ERROR, CONFIDENCE])
def test_a_colouring_that_cannot_be_drawn_is_refused(points, colouring):
    with pytest.raises(ValueError, match="expected"):
        embedding_map(*points[:3], colouring=colouring)
