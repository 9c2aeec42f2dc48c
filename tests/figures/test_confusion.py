"""Confusion figures: cells hold their numbers, every cell can be clicked, text can be read on every colour."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from core.evaluation.intervals import resample
from core.evaluation.operating import at_threshold
from core.figures.confusion import (
    DIVERGING,
    confusion_difference,
    confusion_matrix,
    mark_point,
    two_by_two,
)
from core.figures.heatmap import readable_on
from core.lesions import CODES, N_CLASSES

MATRIX = np.arange(N_CLASSES**2).reshape(N_CLASSES, N_CLASSES)


def texts(figure: go.Figure) -> dict[tuple[str, str], str]:
    return {(note.y, note.x): note.text for note in figure.layout.annotations}


def test_cells_show_counts_or_shares() -> None:
    shares = MATRIX / 200
    counts = confusion_matrix(MATRIX, shares, as_counts=True, share_of="the true class")
    assert texts(counts)[("mel", "nv")] == str(MATRIX[4, 5])
    shown = confusion_matrix(MATRIX, shares, as_counts=False, share_of="the true class")
    assert texts(shown)[("mel", "nv")] == "16"
    assert np.array_equal(shown.data[0].z, shares)


def test_every_cell_can_be_clicked_and_says_what_it_is() -> None:
    figure = confusion_matrix(MATRIX, MATRIX / 100, as_counts=True, share_of="the true class")
    targets = figure.data[1]
    assert set(zip(targets.y, targets.x, strict=True)) == {(t, n) for t in CODES for n in CODES}
    assert targets.mode == "markers"
    hover = dict(zip(zip(targets.y, targets.x, strict=True), targets.hovertext, strict=True))
    assert (
        hover[("mel", "nv")]
        == "<b>Melanoma</b><br>named Melanocytic nevus<br>33 images, 33.0% of the true class"
    )
    once = confusion_matrix(MATRIX * 0 + 1, MATRIX / 100, as_counts=True, share_of="x").data[1].hovertext
    assert all("<br>1 image, " in text for text in once)
    assert figure.data[0].hoverinfo == "skip", "the heatmap must not take the click"


def test_what_is_undefined_is_left_empty() -> None:
    shares = np.full((N_CLASSES, N_CLASSES), np.nan)
    figure = confusion_matrix(MATRIX, shares, as_counts=False, share_of="what the model names so")
    assert not texts(figure)
    assert "%" not in figure.data[1].hovertext[0]


def test_the_chosen_cell_is_outlined() -> None:
    figure = confusion_matrix(MATRIX, MATRIX / 100, as_counts=True, share_of="x", chosen=("mel", "nv"))
    assert {(s.x0, s.y0) for s in figure.layout.shapes} == {(4.52, 3.52)}
    assert not confusion_matrix(MATRIX, MATRIX / 100, as_counts=True, share_of="x").layout.shapes


def test_differences_are_signed_and_centred() -> None:
    difference = np.zeros((N_CLASSES, N_CLASSES))
    difference[0, 1], difference[2, 3] = 0.254, -0.1
    figure = confusion_difference(difference, as_counts=False, titles=("A", "B"))
    assert texts(figure)[("akiec", "bcc")] == "+25"
    assert texts(figure)[("bkl", "df")] == "-10"
    assert texts(figure)[("nv", "nv")] == "0"
    assert figure.data[0].zmin == -figure.data[0].zmax
    assert "A minus B: +25.4 points" in figure.data[1].hovertext[1]


def test_an_undefined_difference_says_so() -> None:
    difference = np.full((N_CLASSES, N_CLASSES), 0.1)
    difference[:, 0] = np.nan
    hover = list(confusion_difference(difference, as_counts=False, titles=("A", "B")).data[-1].hovertext)
    assert not any("nan" in text for text in hover)
    assert sum("undefined" in text for text in hover) == N_CLASSES


def test_no_difference_at_all_is_drawn() -> None:
    figure = confusion_difference(np.zeros((N_CLASSES, N_CLASSES)), as_counts=True, titles=("A", "B"))
    assert set(texts(figure).values()) == {"0"}


@pytest.mark.parametrize("shape", [(7,), (6, 7), (7, 7, 1)])
def test_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected an array of shape"):
        confusion_difference(np.zeros(shape), as_counts=True, titles=("A", "B"))


def contrast(first: str, second: tuple[float, ...]) -> float:
    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    text = tuple(int(first[i : i + 2], 16) / 255 for i in (1, 3, 5))
    light, dark = sorted((luminance(text), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_numbers_can_be_read_on_every_colour(share: float) -> None:
    from plotly.colors import sample_colorscale

    colour = sample_colorscale(DIVERGING, [share], colortype="tuple")[0]
    assert contrast(readable_on(share, DIVERGING), colour) >= 4.5


def test_two_by_two_has_its_four_numbers() -> None:
    score, positive = np.array([0.9, 0.1, 0.8, 0.2, 0.3]), np.array([1, 1, 0, 0, 0], bool)
    decision = at_threshold(score, positive, 0.5, resample(np.arange(5).astype(str), 20))
    shown = " ".join(note.text for note in two_by_two(decision, "Melanoma").layout.annotations)
    assert shown == ("<b>1</b> found <b>1</b> missed <b>1</b> false alarms <b>2</b> rightly spared")


@pytest.mark.parametrize(("on_curve", "symbol"), [(True, "circle"), (False, "circle-open")])
def test_a_decision_is_marked_on_its_curve_or_hollow_beside_it(on_curve: bool, symbol: str) -> None:
    figure = go.Figure()
    mark_point(figure, 0.2, 0.9, "student", "Student", on_curve=on_curve)
    assert figure.data[0].marker.symbol == symbol
    mark_point(figure, float("nan"), 0.9, "student", "Student")
    assert len(figure.data) == 1, "what is undefined is not drawn"
