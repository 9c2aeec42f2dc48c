"""What several models' probabilities show, read from their HTML."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from core.figures.probabilities import agreement_dots
from core.figures.style import MODEL_SYMBOLS, mark_style, model_colour
from core.lesions import CODES, LESIONS

PROBABILITIES = np.array([0.02, 0.05, 0.1, 0.003, 0.62, 0.2, 0.007])
OTHER = PROBABILITIES[::-1]


def lines(html: str) -> list[ElementTree.Element]:
    """One element for each class, from the top; the HTML must be well formed."""
    return [e for e in ElementTree.fromstring(html).iter() if e.get("aria-label")]


def marks(line: ElementTree.Element) -> list[ElementTree.Element]:
    return [e for e in line.iter("div") if e.get("title")]


def place(mark: ElementTree.Element) -> float:
    return float(re.search(r"left:([\d.]+)%", mark.get("style"))[1])


def test_every_line_is_a_class_and_every_mark_a_model_at_its_probability() -> None:
    shown = lines(agreement_dots({"student": PROBABILITIES, "mine": OTHER}, {"student": "Student"}))
    order = np.argsort(-(PROBABILITIES + OTHER), kind="stable")
    assert len(shown) == len(LESIONS)
    for line, i in zip(shown, order, strict=True):
        student, mine = marks(line)
        assert place(student) == pytest.approx(100 * PROBABILITIES[i], abs=0.006)
        assert place(mine) == pytest.approx(100 * OTHER[i], abs=0.006)
        assert student.get("title") == f"Student: {LESIONS[i].name} {100 * PROBABILITIES[i]:.1f}%"
        assert model_colour("student") in student[0].get("style")
        assert model_colour("mine") in mine[0].get("style")


def test_who_does_not_see_the_marks_hears_all_figures() -> None:
    [first, *_] = lines(agreement_dots({"student": PROBABILITIES, "mine": PROBABILITIES}, {}))
    assert first.get("aria-label") == "Melanoma: student 62%, mine 62%"


def test_a_mark_tells_no_certainty_that_its_line_refuses_to_tell() -> None:
    [first, *others] = lines(agreement_dots({"student": [0.99996, 0.00004, 0, 0, 0, 0, 0]}, {}))
    assert first.get("aria-label").endswith("student > 99%")
    assert [mark.get("title") for mark in marks(first)] == [f"student: {LESIONS[0].name} > 99.9%"]
    assert all(mark.get("title").endswith(" < 0.1%") for line in others for mark in marks(line))


def test_titles_are_text_and_no_markup() -> None:
    html = agreement_dots({"mine": PROBABILITIES}, {"mine": "<b>Mine</b>"})
    assert not list(ElementTree.fromstring(html).iter("b"))
    assert "&lt;b&gt;Mine" in html


def test_every_model_has_a_mark_of_its_own_without_colour() -> None:
    shapes = {mark_style(name).replace(model_colour(name), "") for name in (*MODEL_SYMBOLS, "mine")}
    assert len(shapes) == len(MODEL_SYMBOLS) + 1


def test_rounding_beyond_the_scale_stays_on_it() -> None:
    shares = [1.000001, -1e-9, 0, 0, 0, 0, 0]
    assert {place(mark) for line in lines(agreement_dots({"a": shares}, {})) for mark in marks(line)} == {
        0,
        100,
    }


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [np.nan] * 7])
def test_other_than_seven_probabilities_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match=f"a: expected {len(CODES)} finite probabilities"):
        agreement_dots({"a": wrong}, {})
