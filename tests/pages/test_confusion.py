"""The confusion page: matrices, one class, errors; with two models, with one, with none, with and without HAM10000."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, update_model
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.evaluation.predictions import Predictions
from core.lesions import BY_CODE, CODES, INDEX, N_CLASSES
from pages import _gallery, _matrix, _set_image, _shared

TITLES = {"resnet50": "ResNet50", "student": "Student", "baseline": "Baseline"}


def predictions(name: str, records: pd.DataFrame, seed: int) -> Predictions:
    """Answers to the test images of some records, of which about half are right."""
    rows = np.flatnonzero(assign(records) == "test")
    label = records["dx"].map(INDEX).to_numpy()[rows]
    logits = np.random.default_rng(seed).normal(size=(len(rows), N_CLASSES))
    logits[np.arange(len(rows)), label] += 1
    logits[0] = np.eye(N_CLASSES)[label[0]] * 9  # one cell that is never empty
    ids, lesions = (records[c].to_numpy(dtype=str)[rows] for c in ("image_id", "lesion_id"))
    return Predictions(name, ids, lesions, label, logits, np.array(["test"] * len(rows)))


@pytest.fixture
def records(small_folder: Path) -> pd.DataFrame:
    return open_dataset(small_folder).records


@pytest.fixture
def make(make_models, records: pd.DataFrame) -> Callable[..., Path]:
    """A function that makes stand-in models with predictions for the small set's test images."""

    def make_all(*names: str) -> Path:
        folder = make_models(**dict.fromkeys(names))
        for seed, name in enumerate(names):
            predictions(name, records, seed).save(folder / f"{name}.parquet")
            update_model(folder, name, {}, {"predictions": f"{name}.parquet"})
        return folder

    return make_all


@pytest.fixture
def with_data(small_folder: Path, monkeypatch: pytest.MonkeyPatch, open_page) -> None:
    """HAM10000 at hand, after `open_page` has hidden it."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def charts(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def table_with(app: AppTest, column: str) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if column in frame.value)


def sound(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error
    return app


def numbers(chart: dict) -> list[str]:
    return [a["text"] for a in chart["layout"]["annotations"]]


def test_one_matrix_counts_every_test_image(make, open_page, records) -> None:
    make("student")
    app = sound(open_page("confusion"))
    assert sum(map(int, numbers(charts(app)[0]))) == int((assign(records) == "test").sum())
    assert "Only one model has predictions" in texts(app.caption)


def test_without_models_it_says_which_commands_make_them(tmp_path: Path, open_page, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "nothing"))
    app = open_page("confusion")
    assert not app.exception
    assert "No model has answered the test images yet" in texts(app.info)
    assert "python -m core distill" in "\n".join(frame.value.to_string() for frame in app.dataframe)


def test_a_model_without_predictions_is_named_and_not_offered(make, open_page) -> None:
    folder = make("student")
    update_model(folder, "baseline", ModelEntry("baseline", "Baseline", "baseline"))
    app = open_page("confusion")
    assert "Baseline is left out" in texts(app.warning)
    assert app.selectbox(key="of").options == ["Student"]


@pytest.mark.parametrize(("split", "said"), [("lesion", False), ("report", True)])
def test_lesions_are_not_said_to_be_unseen_by_a_model_of_the_split_by_image(
    make, open_page, split: str, said: bool
) -> None:
    update_model(make("student"), "student", {"figures": {"split": split}})
    app = sound(open_page("confusion"))
    assert "on test images that it was not trained on" in texts(app.markdown)
    assert ("Student: trained and measured on a split by image" in texts(app.caption)) is said


def test_two_models_stand_beside_each_other_with_their_difference(make, open_page) -> None:
    make("student", "baseline")
    app = sound(open_page("confusion", of="student", beside="baseline"))
    assert app.selectbox(key="beside").value == "baseline"
    assert len(charts(app)) == 3
    sums = [sum(map(int, numbers(chart))) for chart in charts(app)]
    assert sums[0] == sums[1]
    assert sums[2] == 0
    assert "Student minus Baseline" in texts(app.markdown)


def test_a_model_of_other_images_is_left_out(make, open_page, records) -> None:
    folder = make("student", "baseline")
    predictions("baseline", records, 1).take(np.arange(9)).save(folder / "baseline.parquet")
    update_model(folder, "baseline", {}, {"predictions": "baseline.parquet"})
    app = open_page("confusion", of="student", beside="baseline")
    assert not app.exception
    assert "other test images" in texts(app.warning)
    assert len(charts(app)) == 1


def test_the_shares_of_each_row_are_of_a_hundred(make, open_page) -> None:
    make("student")
    app = open_page("confusion")
    app.segmented_control(key="cells").set_value("Shares of the true class").run()
    sound(app)
    assert abs(sum(map(int, numbers(charts(app)[0]))) - 700) < 20
    app.segmented_control(key="cells").set_value("Shares of what is named").run()
    assert "of what the model names so" in texts(sound(app).caption)
    columns: dict[str, int] = {}
    for note in charts(app)[0]["layout"]["annotations"]:
        columns[note["x"]] = columns.get(note["x"], 0) + int(note["text"])
    assert all(abs(total - 100) <= 3 or total == 0 for total in columns.values()), columns
    assert sum(total > 0 for total in columns.values()) > 3


def test_a_cell_lists_its_images_the_surest_first_and_says_why_there_is_no_picture(make, open_page) -> None:
    make("student")
    app = sound(open_page("confusion"))
    assert "Click a cell" in texts(app.info)
    app.selectbox(key="true").select("nv").run()
    app.selectbox(key="named").select("nv").run()
    table = table_with(sound(app), "image_id")
    assert set(table["true"]) == set(table["named"]) == {"nv"}
    assert table["confidence"].is_monotonic_decreasing
    assert "DERMDISTILL_DATA" in texts(app.info)
    assert not app.get("image")


def test_with_the_dataset_a_cell_has_pictures_with_maps(make, open_page, with_data, records) -> None:
    make("student")
    app = sound(open_page("confusion", true="nv", named="nv"))
    table = table_with(app, "image_id")
    assert {"age", "sex", "localization"} <= set(table)
    assert "histopathology" in set(table["dx_type"])
    captions = [caption for image in app.get("image") for caption in image.captions]
    assert captions[::2] == ["Image"] * min(len(table), 6)
    assert all(caption.startswith("Melanocytic nevus: ") for caption in captions[1::2])


@pytest.mark.parametrize(
    ("prefix", "said"),
    [("ISIC_", "they are HAM10000's and are not shipped"), ("SYN_", "were drawn by a program")],
)
def test_pictures_that_are_not_shown_are_called_what_they_are(
    make, open_page, records, prefix: str, said: str
) -> None:
    records["image_id"] = records["image_id"].str.replace("ISIC_", prefix)
    make("student")
    app = sound(open_page("confusion", true="nv", named="nv"))
    assert table_with(app, "image_id")["image_id"].str.startswith(prefix).all()
    assert "No pictures: " in texts(app.info)
    assert said in texts(app.info)


def test_a_cohort_of_one_image_is_counted_so(make, open_page, with_data, small_folder, records) -> None:
    make("student")
    table = pd.read_csv(small_folder / "HAM10000_metadata.csv", dtype=str)
    one = records["image_id"][assign(records) == "test"].iloc[0]
    table.loc[table["image_id"] == one, "localization"] = "acral"
    table.to_csv(small_folder / "HAM10000_metadata.csv", index=False)
    app = sound(open_page("confusion", by="site", **{"group-site": "acral"}))
    assert "acral: 1 image of 1 lesion; everything below is of these" in texts(app.caption)


def test_another_list_begins_at_its_first_page(make, open_page, with_data, records, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr("pages._gallery.PER_PAGE", 1)
    monkeypatch.setattr("streamlit.pagination", lambda pages, key: seen.append(key) or 1)
    make("student", "baseline")
    for of in ("student", "student", "baseline"):
        sound(open_page("confusion", of=of, aspect="Worst errors"))
    assert len(seen) == 3
    assert seen[0] == seen[1] != seen[2]


def test_a_wrong_cell_has_the_map_of_both_classes(make, open_page, with_data, records) -> None:
    make("student")
    found = predictions("student", records, 0)
    row = int(np.flatnonzero(found.predicted != found.label)[0])
    true, named = CODES[found.label[row]], CODES[found.predicted[row]]
    app = sound(open_page("confusion", true=true, named=named))
    captions = [caption for image in app.get("image")[:3] for caption in image.captions]
    assert [caption.split(":")[0] for caption in captions] == [
        "Image",
        *(BY_CODE[c].name for c in (named, true)),
    ]
    assert found.image_id[row] in set(table_with(app, "image_id")["image_id"])


def test_a_picture_that_was_mended_is_shown(make, open_page, with_data, small_folder, records) -> None:
    """Refusals are not kept: nobody restarts a server for a file that was copied again."""
    make("student")
    found = predictions("student", records, 0)
    shown = found.image_id[(found.label == INDEX["nv"]) & (found.predicted == INDEX["nv"])]
    files = [path for path in small_folder.rglob("*.jpg") if path.stem in shown]
    kept = {path: path.read_bytes() for path in files}
    for path in files:
        path.write_bytes(b"\xff\xd8\xff broken")
    assert not open_page("confusion", true="nv", named="nv").get("image")
    for path, content in kept.items():
        path.write_bytes(content)
    assert open_page("confusion", true="nv", named="nv").get("image")


def test_pictures_without_maps_where_the_model_s_file_is_damaged(make, open_page, with_data) -> None:
    folder = make("student")
    (folder / "student.tflite").write_bytes(b"damaged")
    app = open_page("confusion", true="nv", named="nv")
    assert not app.exception
    assert [c for image in app.get("image") for c in image.captions] == ["Image"] * min(
        len(table_with(app, "image_id")), 6
    )
    assert "No maps" in texts(app.caption)


def test_a_click_chooses_the_cell_and_a_second_one_keeps_it(monkeypatch) -> None:
    state: dict = {}
    monkeypatch.setattr(_matrix.st, "session_state", state)
    state["matrix-resnet50"] = SimpleNamespace(selection=SimpleNamespace(points=[{"x": "nv", "y": "mel"}]))
    _matrix.take_click("matrix-resnet50")
    assert (state["true"], state["named"], state["whose"]) == ("mel", "nv", "resnet50")
    state["matrix-difference"] = SimpleNamespace(selection=SimpleNamespace(points=[{"x": "df", "y": "nv"}]))
    _matrix.take_click("matrix-difference")
    assert (state["true"], state["named"], state["whose"]) == ("nv", "df", "resnet50"), "of both"
    _matrix.take_click("matrix-resnet50")
    for junk in ([], [{"x": "nobody", "y": "mel"}]):
        state["matrix-student"] = SimpleNamespace(selection=SimpleNamespace(points=junk))
        _matrix.take_click("matrix-student")
        assert (state["true"], state["named"]) == ("mel", "nv")


def test_a_cohort_narrows_everything(make, open_page, with_data, records) -> None:
    make("student")
    app = sound(open_page("confusion", by="sex"))
    group = app.selectbox(key="group-sex").value
    wanted = int(((assign(records) == "test") & (records["sex"] == group)).sum())
    assert sum(map(int, numbers(charts(app)[0]))) == wanted
    assert f"{group}: {wanted} images" in texts(app.caption)


def test_a_group_by_confirmation_stands_in_the_address_by_its_code_too(
    make, open_page, with_data, records
) -> None:
    make("student")
    app = sound(open_page("confusion", **{"by": "confirmation", "group-confirmation": "histo"}))
    box = app.selectbox(key="group-confirmation")
    assert box.value == "histo"
    assert "histopathology" in box.options
    assert "histopathology: " in texts(app.caption)


def test_without_the_dataset_the_cohorts_say_what_is_missing(make, open_page) -> None:
    make("student")
    assert "needs HAM10000 at hand" in texts(open_page("confusion").caption)


def counts_of(app: AppTest, model: int = 0) -> dict[str, int]:
    row = table_with(app, "tp").iloc[model]
    return {name: int(row[name]) for name in ("tp", "fn", "fp", "tn")}


def test_one_class_against_the_rest_is_the_matrix_s_own(make, open_page, records) -> None:
    make("student")
    app = sound(open_page("confusion", aspect="One class", one="bcc"))
    found, k = predictions("student", records, 0), INDEX["bcc"]
    is_it, says = found.label == k, found.predicted == k
    cells = {"tp": is_it & says, "fn": is_it & ~says, "fp": ~is_it & says, "tn": ~is_it & ~says}
    assert counts_of(app) == {name: rows.sum() for name, rows in cells.items()}
    assert len(charts(app)) == 4
    assert "Hollow marks" in texts(app.caption)
    table = table_with(app, "tp")
    assert table[["target", "positive_when"]].iloc[0].tolist() == ["bcc", "it is the leading class"]
    assert pd.isna(table["threshold"][0]), "no threshold decides so"


def test_both_models_figures_are_told_to_who_cannot_see_them(make, open_page) -> None:
    make("student", "baseline")
    app = sound(open_page("confusion", aspect="One class", one="bcc", beside="baseline"))
    told = next(c.proto.alt for c in app.get("plotly_chart") if "Specificity" in c.proto.alt)
    assert "Student, Specificity: " in told
    assert "Baseline, Specificity: " in told


def test_the_threshold_moves_counts_and_points_together(make, open_page) -> None:
    make("student", "baseline")
    app = open_page("confusion", aspect="One class", one="mel", beside="baseline")
    app.segmented_control(key="rule").set_value("its probability reaches a threshold").run()
    before, point = counts_of(app), charts(app)[3]["data"][-1]["y"]
    app.slider(key="threshold").set_value(0.0).run()
    after = counts_of(sound(app))
    assert after["fn"] == after["tn"] == 0
    assert after["tp"] + after["fp"] == sum(before.values())
    assert table_with(app, "threshold")["threshold"].tolist() == [0.0, 0.0]
    assert charts(app)[3]["data"][-1]["y"] != point
    assert "Hollow marks" not in texts(app.caption)


def test_ppv_at_another_prevalence(make, open_page) -> None:
    make("student")
    app = open_page("confusion", aspect="One class", one="nv")
    own = table_with(app, "ppv")["ppv"][0]
    app.toggle(key="other-prevalence").set_value(True).run()
    app.number_input(key="prevalence").set_value(0.5).run()
    rare = table_with(sound(app), "ppv")
    assert rare["ppv"][0] < own
    assert rare["prevalence"][0] == pytest.approx(0.005)
    assert "0.50%, as chosen" in texts(app.caption)


def test_any_malignant_class_starts_at_the_operating_point(make, open_page) -> None:
    make("student")
    app = open_page("confusion", aspect="One class", one="malignant")
    app.segmented_control(key="rule").set_value("its probability reaches a threshold").run()
    assert app.slider(key="malignancy-threshold-student").value == 0.4
    assert "operating point 0.400." in texts(sound(app).caption)


def test_a_start_below_the_operating_point_is_said_to_be_so(make, open_page) -> None:
    folder = make("student")
    update_model(folder, "student", {"operating_point": {"malignancy_threshold": 0.2167}}, {})
    rule = "its probability reaches a threshold"
    app = sound(open_page("confusion", aspect="One class", one="malignant", rule=rule))
    assert app.slider[0].value == 0.216
    assert "operating point 0.217; the slider starts just below, at 0.216" in texts(app.caption)


def test_another_model_starts_at_its_own_operating_point(make, open_page) -> None:
    folder = make("student", "baseline")
    update_model(folder, "baseline", {"operating_point": {"malignancy_threshold": 0.25}}, {})
    rule = "its probability reaches a threshold"
    app = sound(open_page("confusion", aspect="One class", one="malignant", rule=rule))
    assert [slider.value for slider in app.slider] == [0.4]
    app.selectbox(key="of").select("baseline").run()
    assert [slider.value for slider in sound(app).slider] == [0.25]
    app.slider[0].set_value(0.6).run()
    app.selectbox(key="of").select("student").run()
    assert [slider.value for slider in sound(app).slider] == [0.4]


@pytest.mark.parametrize("kind", ["all", "missed", "alarms"])
def test_the_worst_errors_are_errors_of_that_kind(make, open_page, kind: str) -> None:
    make("student")
    app = sound(open_page("confusion", aspect="Worst errors", errors=kind))
    frames = [frame.value for frame in app.dataframe if "image_id" in frame.value]
    assert (frames[0]["true"] != frames[0]["named"]).all()
    assert ("wrong in this way" in texts(app.markdown)) == (kind != "all")
    malignant = {"akiec", "bcc", "mel"}
    if kind == "missed":
        assert set(frames[0]["true"]) <= malignant
        assert not set(frames[0]["named"]) & malignant
    if kind == "alarms":
        assert not set(frames[0]["true"]) & malignant
        assert set(frames[0]["named"]) <= malignant


def test_a_deep_link_by_code_opens_it_and_the_address_then_says_it_in_words(make, open_page) -> None:
    make("student", "baseline")
    app = sound(open_page("confusion", of="baseline", true="mel", named="nv"))
    assert app.selectbox(key="of").value == "baseline"
    assert (app.selectbox(key="true").value, app.selectbox(key="named").value) == ("mel", "nv")
    assert app.query_params["of"] == "Baseline"
    assert app.query_params["true"] == "Melanoma"


@pytest.mark.parametrize(("aspect", "key"), [("Matrix", "whose"), ("Worst errors", "whose-errors")])
def test_whose_images_are_shown_stands_in_the_address(make, open_page, aspect: str, key: str) -> None:
    make("student", "baseline", "resnet50")
    where = {"aspect": aspect, "true": "nv", "named": "nv", "of": "student", "beside": "baseline"}
    app = sound(open_page("confusion", **where | {key: "baseline"}))
    assert app.segmented_control(key=key).value == "baseline"
    assert app.query_params[key] == "Baseline"
    app.selectbox(key="beside").select("resnet50").run()
    assert sound(app).segmented_control(key=key).value == "student", "who is no longer there is no choice"


@pytest.mark.parametrize(
    "query", [{"of": "x" * 5000}, {"true": "<script>", "named": "mel"}, {"aspect": "1", "threshold": "nan"}]
)
def test_junk_in_the_address_is_ignored(make, open_page, query: dict[str, str]) -> None:
    make("student")
    sound(open_page("confusion", **query))


def test_no_probability_in_a_table_is_a_certainty() -> None:
    table = pd.DataFrame({"confidence": [1.0, 0.5, 1e-9, np.nan], "image": list("abcd")})
    shown = _shared.probabilities(table, ["confidence"])
    assert shown["confidence"].tolist()[:3] == [99.9, 50.0, 0.1]
    assert np.isnan(shown["confidence"][3])
    assert shown["image"].tolist() == list("abcd")
    for column in (
        _gallery.COLUMNS["confidence"],
        _gallery.COLUMNS["p_true"],
        _set_image.ANSWERS["confidence"],
    ):
        assert "99.9% stands for more" in column["help"]
