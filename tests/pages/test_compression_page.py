"""The comparison's view of pruning: nothing yet, curves, damaged curves."""

import pytest

from core.artifacts import store_json, update_model
from core.benchmark.bars import Bar
from core.evaluation.compressed import CHANNELS, MAGNITUDE, WHOLE, Curves, Point, add_points

POINTS = (
    Point(WHOLE, 1.0, 0.8, 0.7, 2_000, 300_000, 4_000_000, 3_600_000, 4.0, 1.0),
    Point(CHANNELS, 0.5, 0.79, 0.69, 1_200, 180_000, 2_500_000, 2_160_000, 2.6, 0.64, 4),
    Point(MAGNITUDE, 0.8, 0.78, 0.65, 500, 300_000, 4_000_000, 1_800_000, 4.0, 1.0, 4),
)


@pytest.fixture
def folder(make_models):
    return make_models(student=None)


def opened(open_page):
    page = open_page("comparison", view="Compression", compare="Student")
    assert not page.exception
    return page


def test_before_the_first_pruning_its_command_is_named(folder, open_page):
    page = opened(open_page)
    assert any("python -m core prune" in info.value for info in page.info)


def test_curves_are_drawn_and_given_away(folder, open_page):
    add_points(folder, Curves("student", "abc", 1573, "a *machine*", POINTS))
    page = opened(open_page)
    assert len(page.get("plotly_chart")) == 1
    assert page.dataframe[-1].value["share"].tolist() == [
        "",
        "50% multiply-adds kept",
        "80% of the weights at zero",
    ]
    assert any(r"a \*machine\*" in caption.value for caption in page.caption)
    page.selectbox(key="pruned-gain").set_value("accuracy").run()
    assert not page.exception


def test_points_of_other_weights_are_not_shown_as_those_of_the_shipped_network(folder, open_page):
    (folder / "student.npz").write_bytes(b"weights")
    manifest = update_model(folder, "student", {}, {"weights": "student.npz"})
    own = manifest.files["student.npz"].sha256
    for sha256, charts in ((own, 1), ("abc", 0)):
        add_points(folder, Curves("student", sha256, 1573, "a machine", POINTS))
        page = opened(open_page)
        assert len(page.get("plotly_chart")) == charts
        assert any("those points are of other weights" in info.value for info in page.info) is not bool(
            charts
        )


@pytest.mark.parametrize(("value", "drawn"), [(0.7, True), (0.71, False)])
def test_the_band_is_that_of_the_network_that_was_pruned(make_models, open_page, value, drawn):
    folder = make_models(**{"student": None, "student-int8": None})
    measured = {"value": value, "low": 0.65, "high": 0.75}
    update_model(folder, "student-int8", {"figures": {"validation": {"balanced_accuracy": measured}}})
    add_points(folder, Curves("student", "abc", 1573, "a machine", POINTS))
    page = opened(open_page)
    assert any("the band its own 95% interval" in caption.value for caption in page.caption) is drawn


def test_damaged_curves_are_named_and_nothing_else_suffers(folder, open_page):
    path = add_points(folder, Curves("student", "abc", 1573, "a machine", POINTS))
    path.write_text("{}")
    page = opened(open_page)
    assert any("compression.json" in warning.value.replace("\\", "") for warning in page.warning)


def test_demands_are_listed_the_missed_ones_first(folder, open_page):
    add_points(folder, Curves("student", "abc", 1573, "a machine", POINTS))
    bars = [
        Bar("small: size", 4.1, 4.2, unit=" MB"),
        Bar("small: time", 0.756, 0.65),
        Bar("small: else", None, 1),
    ]
    store_json(folder, "benchmark", "benchmark.json", {"bars": [bar.to_dict() for bar in bars]})
    table = opened(open_page).dataframe[-1].value
    assert table["asked"].tolist() == ["small: time", "small: size", "small: else"]
    assert table[""].tolist() == ["missed", "met", "not measured"]
    assert table["measured"].tolist() == ["0.756", "4.1 MB", ""]
    store_json(folder, "benchmark", "benchmark.json", {"bars": 3})
    assert any("benchmark cannot be read" in warning.value for warning in opened(open_page).warning)
