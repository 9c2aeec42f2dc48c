"""The comparison's figures: they hold the numbers that they were given, in the models' own colours."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from core.evaluation.calibration import reliability
from core.evaluation.contestants import Contestant
from core.evaluation.operating import roc
from core.figures.curves import (
    POINTS,
    Line,
    precision_recall_curves,
    reliability_diagram,
    roc_curves,
    thinned,
    training_curves,
)
from core.figures.heatmap import readable_on, sensitivity_heatmap
from core.figures.intervals import Mark, Row, interval_rows
from core.figures.style import (
    BROUGHT,
    INK_ON_LIGHT,
    MODEL_SYMBOLS,
    TRAINING,
    VALIDATION,
    hollow,
    model_colour,
)
from core.figures.tradeoff import Bubble, bubbles_of, tradeoff
from core.lesions import CODES, N_CLASSES
from core.reported import RESULTS

NAN = float("nan")


def scores(n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.2
    return rng.normal(size=n) + truth, truth


def figures(accuracy: float) -> dict:
    return {"accuracy": {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02}}


MODELS = [
    Contestant("student", "Student", figures(0.82), bytes=3_000_000, milliseconds=5.0),
    Contestant("resnet50", "ResNet50", figures(0.80), bytes=24_000_000, milliseconds=60.0),
    Contestant("baseline", "Baseline", figures(0.85), bytes=None),
    Contestant("densenet169", "DenseNet169", {}, bytes=13_000_000),
]


@pytest.mark.parametrize("symbol", [*MODEL_SYMBOLS.values(), "cross"])
def test_every_symbol_has_an_outline_that_plotly_knows(symbol: str) -> None:
    assert "-open" in hollow(symbol)
    go.Scatter(marker={"symbol": hollow(symbol)})


def test_a_model_that_is_not_ours_has_a_colour_of_its_own() -> None:
    assert model_colour("yours") == BROUGHT
    assert BROUGHT not in {model_colour(name) for name in MODEL_SYMBOLS}


def test_rows_hold_values_and_whiskers() -> None:
    mark = Mark("Student", 0.8, 0.7, 0.85, "#0083C4", "circle")
    thin = Mark("Student", 0.5, 0.1, 0.9, "#0083C4", "circle", hollow=True)
    found = interval_rows(
        [Row("all", (mark,)), Row("few", (thin,))], axis="Accuracy", reference=(0.67, "majority")
    )
    (series,) = found.data
    assert list(series.x) == [0.8, 0.5]
    np.testing.assert_allclose(series.error_x.array, (0.05, 0.4))
    np.testing.assert_allclose(series.error_x.arrayminus, (0.1, 0.4))
    assert series.marker.symbol == ("circle", "circle-open")
    assert {a.text for a in found.layout.annotations} == {"all", "few", "majority"}
    low, high = found.layout.xaxis.range
    assert low < 0.1 < 0.9 < high


def test_the_legend_shows_a_full_mark_where_there_is_one() -> None:
    full, thin = (Mark("Student", x, NAN, NAN, "#0083C4", "circle", hollow=x < 0.6) for x in (0.8, 0.5))
    other = Mark("Other", 0.4, NAN, NAN, "#000000", "square", hollow=True)
    found = interval_rows([Row("few", (thin, other)), Row("all", (full,))], axis="Accuracy")
    student, hollow_alone = found.data
    assert student.marker.symbol == ("circle", "circle-open"), "Plotly's legend shows the first"
    assert list(student.x) == [0.8, 0.5]
    assert [label for label, *_ in student.customdata] == ["all", "few"]
    assert hollow_alone.marker.symbol == ("square-open",)


def test_a_mark_without_interval_has_no_whiskers_and_none_at_all_is_empty() -> None:
    found = interval_rows([Row("reported", (Mark("r", 0.67, NAN, NAN, "#000000"),))], axis="Accuracy")
    assert found.data[0].error_x.array is None
    assert len(interval_rows([], axis="Accuracy").data) == 0
    points = interval_rows(
        [Row("gain", (Mark("g", 0.022, 0.008, 0.037, "#000000"),))], axis="Gain", points=True
    )
    assert points.data[0].x.tolist() == pytest.approx([2.2])
    assert points.data[0].customdata[0][1] == "[+0.8, +3.7]"
    empty = interval_rows([Row("none", (Mark("r", NAN, NAN, NAN, "#000000"),))], axis="Accuracy")
    assert tuple(empty.layout.xaxis.range) == (0.0, 1.0)


def test_bubbles_are_the_models_whose_size_and_figure_are_known() -> None:
    found = bubbles_of(MODELS, "megabytes")
    assert [b.model for b in found if not b.reported] == ["student", "resnet50"]
    assert [b.front for b in found if not b.reported] == [True, False]
    assert [b.cost for b in found if b.reported] == [row.megabytes for row in RESULTS]


def test_hovering_names_the_unit_of_a_cost_once() -> None:
    (size, *_), (time, *_) = (
        tradeoff([b for b in bubbles_of(MODELS, cost) if b.model == "student"][:1], cost="", gain="").data
        for cost in ("megabytes", "milliseconds")
    )
    assert size.hovertemplate.count(" MB") == 1
    assert " at 5 ms<br>" in time.hovertemplate
    assert time.hovertemplate.count(" MB") == 1


def test_the_report_has_no_latency_of_one_image() -> None:
    assert [b.cost for b in bubbles_of(MODELS, "milliseconds")] == [5.0, 60.0]
    assert not any(b.reported for b in bubbles_of(MODELS, "megabytes", "balanced_accuracy"))


def test_the_tradeoff_draws_the_front_and_hollow_reports() -> None:
    found = tradeoff(
        [
            Bubble("student", "Student", 3, 0.8, 0.7, 0.9, 3, front=True),
            Bubble("resnet50", "ResNet50", 24, 0.85, 0.8, 0.9, 24, front=True),
            Bubble("resnet50", "reported", 95, 0.68, NAN, NAN, 95, reported=True),
        ],
        cost="MB", gain="Accuracy", reference=(0.67, "majority"),
    )  # fmt: skip
    front, student, resnet, reported = found.data
    assert front.name == "Pareto front"
    assert (front.x, front.y) == ((3, 24), (0.8, 0.85))
    assert student.marker.color == model_colour("student")
    assert student.marker.size < resnet.marker.size < reported.marker.size
    assert reported.marker.symbol == "diamond-open"
    assert reported.error_y.array is None
    assert found.layout.yaxis.range[0] < 0.67
    assert found.layout.xaxis.type == "log"


def test_a_cost_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        tradeoff([Bubble("a", "A", 0, 0.5, NAN, NAN)], cost="MB", gain="Accuracy")


def test_curves_keep_their_ends_when_thinned() -> None:
    score, truth = scores()
    curve = roc(score, truth)
    found = roc_curves([Line("student", "Student", curve)], ink=INK_ON_LIGHT)
    (line,) = found.data
    assert len(line.x) <= POINTS < len(curve.x)
    assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
    assert f"{curve.area:.3f}" in line.name
    assert thinned(np.arange(3), np.zeros(3)).tolist() == [0, 1, 2]
    rows = thinned(np.append(np.linspace(0, 0.1, 1000), 1), np.zeros(1001), points=11)
    assert rows.tolist() == [0, 999, 1000], "a point for each tenth of the way, where there is one"


def test_the_precision_recall_figure_has_guessing_at_the_share() -> None:
    score, truth = scores(100)
    found = precision_recall_curves([Line("student", "Student", roc(score, truth))], 0.2)
    assert found.layout.shapes[0].y0 == found.layout.shapes[0].y1 == 0.2


def test_a_class_without_cases_draws_an_empty_curve() -> None:
    score = np.zeros(5)
    found = roc_curves([Line("student", "Student", roc(score, np.zeros(5, bool)))])
    assert found.data[0].name == "Student"
    assert len(found.data[0].x) == 0


def test_reliability_leaves_empty_bins_out_and_counts_images() -> None:
    probabilities = np.full((10, N_CLASSES), 0.02)
    probabilities[:, 0] = 0.88
    found = reliability(probabilities, np.zeros(10, int))
    before, after, bars = reliability_diagram(found, found, "student").data
    assert len(before.x) == len(after.x) == 1
    assert sum(bars.y) == 10
    assert after.marker.color == model_colour("student")
    assert (before.name, after.name) == ("before, ECE 12.0%", "after calibration, ECE 12.0%")


def test_training_is_blue_and_validation_red() -> None:
    found = training_curves([1, 2], [0.5, 0.6], [0.4, 0.5], label="Accuracy", share=True)
    assert [(d.name, d.line.color) for d in found.data] == [
        ("training", TRAINING),
        ("validation", VALIDATION),
    ]
    assert len(training_curves([1], None, [0.4], label="Loss", share=False).data) == 1


def test_the_heatmap_writes_per_cent_into_its_cells() -> None:
    value = np.linspace(0, 1, 2 * N_CLASSES).reshape(2, N_CLASSES)
    value[1, 3] = NAN
    found = sensitivity_heatmap(["A", "B"], value, value, value)
    written = found.data[1]
    texts = dict(zip(zip(written.y, written.x, strict=True), written.text, strict=True))
    assert len(texts) == len(written.text) == 2 * N_CLASSES - 1
    assert texts["B", CODES[-1]] == "100"
    hover = [text for row in found.data[0].hovertext for text in row]
    assert not any("nan" in text for text in hover)
    assert sum("undefined" in text for text in hover) == 1
    with pytest.raises(ValueError, match="shape"):
        sensitivity_heatmap(["A"], value, value, value)


def test_text_on_the_heatmap_can_be_read() -> None:
    assert readable_on(0.0) == "#FFFFFF"
    assert readable_on(1.0) == "#000000"
