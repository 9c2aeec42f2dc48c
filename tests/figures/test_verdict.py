"""What the verdict shows, read from its HTML."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from core.figures.style import class_colour
from core.figures.verdict import malignancy_gauge, probability_bars
from core.lesions import BY_CODE, CODES, LESIONS

PROBABILITIES = np.array([0.02, 0.05, 0.1, 0.003, 0.62, 0.2, 0.007])


def rows(html: str) -> list[ElementTree.Element]:
    """One element for each class, from the top; the HTML must be well formed."""
    return [e for e in ElementTree.fromstring(html).iter() if e.get("role") == "listitem"]


def words(row: ElementTree.Element) -> list[str]:
    return ["".join(span.itertext()) for span in row.iter("span")]


def test_bars_are_sorted_and_carry_each_class_colour_and_share() -> None:
    drawn = rows(probability_bars(PROBABILITIES))
    order = np.argsort(-PROBABILITIES)
    assert [words(row)[0].split(" · ")[0] for row in drawn] == [LESIONS[i].name for i in order]
    for row, i in zip(drawn, order, strict=True):
        filled = list(row.iter("div"))[-1].get("style")
        assert re.search(r"width:([\d.]+)%", filled)[1] == f"{100 * PROBABILITIES[i]:.2f}"
        assert class_colour(CODES[i]) in filled


def test_every_bar_is_named_valued_and_its_malignancy_said() -> None:
    drawn = rows(probability_bars(PROBABILITIES))
    assert words(drawn[0]) == ["Melanoma · malignant", "62%"]
    assert sum("malignant" in words(row)[0] for row in drawn) == sum(lesion.malignant for lesion in LESIONS)
    assert drawn[0].get("title") == f"Melanoma: 62.0%. {BY_CODE['mel'].note}"


@pytest.mark.parametrize(("share", "said"), [(0.99996, "> 99.9%"), (0.998, "99.8%"), (0.00004, "< 0.1%")])
def test_pointing_at_a_bar_tells_no_certainty_either(share: float, said: str) -> None:
    titles = [row.get("title") for row in rows(probability_bars([1 - share, share, *[0] * 5]))]
    assert f"{LESIONS[1].name}: {said}. {LESIONS[1].note}" in titles


def test_only_the_chosen_class_is_bold() -> None:
    drawn = ElementTree.fromstring(probability_bars(PROBABILITIES, chosen="bkl"))
    assert [bold.text for bold in drawn.iter("b")] == [BY_CODE["bkl"].name]


def test_rounding_beyond_the_scale_fills_a_bar_and_no_more() -> None:
    html = probability_bars([1.000001, -1e-9, 0, 0, 0, 0, 0])
    assert "width:100.00%" in html
    assert "width:-" not in html


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [np.nan] * 7, [[1 / 7] * 7]])
def test_probabilities_of_another_kind_are_refused(wrong: list) -> None:
    with pytest.raises(ValueError, match="expected 7 finite probabilities"):
        probability_bars(wrong)


@pytest.mark.parametrize(("score", "colour"), [(0.1, "nv"), (0.2, "bcc"), (0.9, "bcc")])
def test_the_malignancy_gauge_turns_at_the_operating_point(score: float, colour: str) -> None:
    drawn = malignancy_gauge(score, 0.2)
    assert f"width:{100 * score:.2f}%;background:{class_colour(colour)}" in drawn
    assert f'aria-label="malignancy score {score:.3f} on a scale from 0 to 1, operating point 0.200"' in drawn
    assert drawn.count("left:20.00%") == 2, "the line and its name"


@pytest.mark.parametrize(("threshold", "place"), [(0.4, "left:40.00%;top:0"), (0.7, "right:30.00%;top:0")])
def test_the_operating_point_is_named_on_the_side_with_more_room(threshold: float, place: str) -> None:
    assert place in malignancy_gauge(0.1, threshold)


def test_a_score_just_below_the_operating_point_does_not_seem_to_reach_it() -> None:
    drawn = malignancy_gauge(0.20279, 0.20333)
    assert 'aria-label="malignancy score 0.2028 on a scale from 0 to 1, operating point 0.2033"' in drawn
    assert ">operating point 0.2033<" in drawn


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
