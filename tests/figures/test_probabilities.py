"""What the figures show, read from the figures themselves."""

import numpy as np
import plotly.graph_objects as go

from core.figures.probabilities import agreement_dots
from core.figures.style import model_colour
from core.lesions import LESIONS

PROBABILITIES = np.array([0.02, 0.05, 0.1, 0.003, 0.62, 0.2, 0.007])


def names_of(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_agreement_has_one_series_per_model_in_the_same_class_order() -> None:
    other = PROBABILITIES[::-1]
    figure = agreement_dots({"student": PROBABILITIES, "mine": other}, {"student": "Student"})
    assert [series.name for series in figure.data] == ["Student", "mine"]
    assert [series.marker.color for series in figure.data] == [model_colour("student"), model_colour("mine")]
    names = [lesion.name for lesion in LESIONS]
    for series in figure.data:
        assert list(series.customdata) == names_of(figure), "each row is named once, in the order of the dots"
    order = [names.index(name) for name in names_of(figure)]
    assert list(figure.data[0].x) == list(PROBABILITIES[order])
    assert list(figure.data[1].x) == list(other[order])
