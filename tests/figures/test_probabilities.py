"""What the figures show, read from the figures themselves."""

import numpy as np
import plotly.graph_objects as go
import pytest

from core.figures.probabilities import agreement_dots, malignancy_gauge, probability_bars
from core.figures.style import class_colour, model_colour
from core.lesions import BY_CODE, CODES, LESIONS

PROBABILITIES = np.array([0.02, 0.05, 0.1, 0.003, 0.62, 0.2, 0.007])


def bars(figure: go.Figure) -> go.Bar:
    """The bars with values, which are drawn over their grey grounds."""
    return figure.data[1]


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_bars_are_sorted_and_carry_each_class_colour() -> None:
    drawn = bars(probability_bars(PROBABILITIES))
    order = np.argsort(-PROBABILITIES)
    assert list(drawn.x) == list(PROBABILITIES[order])
    assert list(drawn.marker.color) == [class_colour(CODES[i]) for i in order]
    assert [names[0] for names in drawn.customdata] == [LESIONS[i].name for i in order]


def test_the_first_row_is_on_top() -> None:
    figure = probability_bars(PROBABILITIES)
    low, high = figure.layout.yaxis.range
    assert low > high, "the axis must run downwards, or the least likely class would lead"
    assert bars(figure).y[0] == 0


def test_every_bar_is_named_valued_and_its_malignancy_said() -> None:
    said = texts(probability_bars(PROBABILITIES))
    assert said[:2] == ["Melanoma · malignant", "62 %"]
    assert sum("malignant" in text for text in said) == sum(lesion.malignant for lesion in LESIONS)


def test_only_the_chosen_class_is_bold() -> None:
    said = texts(probability_bars(PROBABILITIES, chosen="bkl"))
    assert [text for text in said if "<b>" in text] == [f"<b>{BY_CODE['bkl'].name}</b>"]


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [np.nan] * 7, [[1 / 7] * 7]])
def test_probabilities_of_another_kind_are_refused(wrong: list) -> None:
    with pytest.raises(ValueError, match="expected 7 finite probabilities"):
        probability_bars(wrong)


@pytest.mark.parametrize(("score", "colour"), [(0.1, "nv"), (0.2, "bcc"), (0.9, "bcc")])
def test_the_malignancy_gauge_turns_at_the_operating_point(score: float, colour: str) -> None:
    drawn = malignancy_gauge(score, 0.2)
    assert f"width:{100 * score:.2f}%;top:26px;height:18px;background:{class_colour(colour)}" in drawn
    assert f'aria-label="malignancy score {score:.3f} on a scale from 0 to 1, operating point 0.200"' in drawn
    assert drawn.count("left:20.00%") == 2, "the line and its name"


@pytest.mark.parametrize(("threshold", "place"), [(0.4, "left:40.00%;top:0"), (0.7, "right:30.00%;top:0")])
def test_the_operating_point_is_named_on_the_side_with_more_room(threshold: float, place: str) -> None:
    assert place in malignancy_gauge(0.1, threshold)


def test_a_malignancy_gauge_without_operating_point_draws_no_line() -> None:
    drawn = malignancy_gauge(0.99, None)
    assert "operating" not in drawn
    assert "border-left" not in drawn
    assert class_colour("nv") in drawn


def test_rounding_above_one_fills_the_gauge_and_no_more() -> None:
    assert "width:100.00%" in malignancy_gauge(1.000001, 0.5)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_score_that_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected a score from 0 to 1"):
        malignancy_gauge(wrong, 0.2)


def test_agreement_has_one_series_per_model_in_the_same_class_order() -> None:
    other = PROBABILITIES[::-1]
    figure = agreement_dots({"student": PROBABILITIES, "mine": other}, {"student": "Student"})
    assert [series.name for series in figure.data] == ["Student", "mine"]
    assert [series.marker.color for series in figure.data] == [model_colour("student"), model_colour("mine")]
    names = [lesion.name for lesion in LESIONS]
    for series in figure.data:
        assert list(series.customdata) == texts(figure), "each row is named once, in the order of the dots"
    order = [names.index(name) for name in texts(figure)]
    assert list(figure.data[0].x) == list(PROBABILITIES[order])
    assert list(figure.data[1].x) == list(other[order])
