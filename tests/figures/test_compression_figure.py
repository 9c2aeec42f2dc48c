"""The figure of both ways of pruning: shares of the whole network's cost, its figure as the line."""

import pytest

from core.evaluation.compressed import CHANNELS, MAGNITUDE, METHODS, WHOLE, Curves, Point
from core.evaluation.intervals import Interval
from core.figures.compression import COSTS, GAINS, compression_curves

WHOLE_POINT = Point(WHOLE, 1.0, 0.8, 0.7, 2_000, 300_000, 4_000_000, 3_600_000, 4.0, 1.0)
CHANNEL_POINTS = (Point(CHANNELS, 0.4, 0.77, 0.66, 800, 120_000, 1_700_000, 1_440_000, 1.9, 0.47, 4),
                  Point(CHANNELS, 0.6, 0.79, 0.69, 1_200, 180_000, 2_500_000, 2_160_000, 2.6, 0.64, 4))  # fmt: skip
SPARSE = Point(MAGNITUDE, 0.8, 0.78, 0.65, 500, 300_000, 4_000_000, 1_800_000, 4.0, 1.01, 4)
CURVES = Curves("student", "abc", 1573, "a machine", (WHOLE_POINT, *CHANNEL_POINTS, SPARSE))


def line(figure, name):
    return next(t for t in figure.data if t.name == name and "lines" in t.mode)


@pytest.mark.parametrize(
    ("cost", "channels", "weights"),
    [
        ("Time", [0.47, 0.64, 1.0], [1.01, 1.0]),  # the whole network last, whatever the clock says
        ("Size", [0.4, 0.6, 1.0], [0.5, 1.0]),
        ("Multiply-adds", [0.4, 0.6, 1.0], [1.0, 1.0]),
        ("Weights", [0.4, 0.6, 1.0], [0.25, 1.0]),
    ],
)
def test_shares_of_the_whole_network(cost, channels, weights):
    figure = compression_curves(CURVES, cost=cost)
    assert line(figure, METHODS[CHANNELS]).x == pytest.approx(channels)
    assert line(figure, METHODS[MAGNITUDE]).x == pytest.approx(weights)
    assert line(figure, METHODS[CHANNELS]).y == pytest.approx([0.66, 0.69, 0.7])
    assert figure.layout.shapes[0].y0 == pytest.approx(0.7)


def test_the_other_figure_and_every_key():
    for cost in COSTS:
        for gain in GAINS:
            assert compression_curves(CURVES, cost=cost, gain=gain, ink="#545D66").data
    accuracy = compression_curves(CURVES, gain="accuracy")
    assert line(accuracy, METHODS[CHANNELS]).y == pytest.approx([0.77, 0.79, 0.8])


def test_the_whole_network_s_interval_is_a_band_that_is_seen_whole():
    figure = compression_curves(CURVES, band=Interval(0.7, 0.61, 0.78))
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.y0, band.y1) == (0.61, 0.78)
    low, high = figure.layout.yaxis.range
    assert low < 0.61
    assert high > 0.78
    undefined = compression_curves(CURVES, band=Interval(0.7, float("nan"), float("nan")))
    assert [shape.type for shape in undefined.layout.shapes] == ["line"]


def test_a_method_without_points_is_not_drawn():
    only = Curves("student", "abc", 1573, "a machine", (WHOLE_POINT, SPARSE))
    names = [trace.name for trace in compression_curves(only).data]
    assert METHODS[CHANNELS] not in names
    assert METHODS[MAGNITUDE] in names


@pytest.mark.parametrize("changes", [{"cost": "money"}, {"gain": "fun"}])
def test_unknown_keys_are_refused(changes):
    with pytest.raises(ValueError, match="expected curves with"):
        compression_curves(CURVES, **changes)


def test_without_the_whole_network_there_is_nothing_to_compare_with():
    with pytest.raises(ValueError, match="expected curves with the whole network"):
        compression_curves(Curves("student", "abc", 1573, "a machine", CHANNEL_POINTS))
