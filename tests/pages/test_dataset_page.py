"""The dataset page with HAM10000 at hand, with a synthetic set, with nothing; every control that branches."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import load_manifest, update_model, update_shared
from core.data.browse import browsable
from core.data.ham10000 import open_dataset
from core.data.splits import SPLITS, assign, crossing_lesions
from core.data.summary import KEY, summarise
from core.data.synthetic import make_dataset
from core.evaluation.leak import Pair, measure_pair
from core.evaluation.leak_file import save_pairs
from core.evaluation.predictions import Predictions
from core.lesions import BY_CODE, CODES, INDEX, N_CLASSES
from core.serving.projection import Projection, map_key
from pages import _data, _set_map

SECTIONS = ("Classes", "Images", "Splits", "Augmentation", "Balancing", "Map")


@pytest.fixture(scope="module")
def records(small_set, tmp_path_factory) -> pd.DataFrame:
    return open_dataset(small_set.write_flat(tmp_path_factory.mktemp("records"))).records


@pytest.fixture
def make(make_models, records: pd.DataFrame) -> Callable[..., Path]:
    """A function that makes stand-in models with answers to the small set's validation and test images."""

    def make_all(*names: str, predictions: bool = True) -> Path:
        folder = make_models(**dict.fromkeys(names))
        for name in names if predictions else ():
            parts = assign(records)
            rows = np.flatnonzero(parts != "train")
            label = records["dx"].map(INDEX).to_numpy()[rows]
            logits = np.eye(N_CLASSES)[(label + (rows % 3 == 0)) % N_CLASSES] * 3
            ids, lesions = (records[c].to_numpy(dtype=str)[rows] for c in ("image_id", "lesion_id"))
            found = Predictions(name, ids, lesions, label, logits, parts[rows])
            found.save(folder / f"{name}.parquet")
            update_model(folder, name, {}, {"predictions": f"{name}.parquet"})
        return folder

    return make_all


@pytest.fixture
def with_map(records: pd.DataFrame) -> Callable[[Path], np.ndarray]:
    """A function that adds a student's map of the test images to artifacts; gives their ids."""

    def add(folder: Path) -> np.ndarray:
        test = records[assign(records) == "test"]
        ids = test["image_id"].to_numpy(str)
        position = np.random.default_rng(0).random((len(ids), 2)).astype(np.float32)
        sha256 = load_manifest(folder).files["student.tflite"].sha256
        label = test["dx"].map(INDEX).to_numpy()
        (folder / "map.npz").write_bytes(Projection("student", sha256, ids, label, position).to_bytes())
        update_shared(folder, {map_key("student"): "map.npz"})
        return ids

    return add


@pytest.fixture
def with_data(small_folder: Path, monkeypatch: pytest.MonkeyPatch, open_page) -> None:
    """HAM10000 at hand, after `open_page` has hidden it."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))


@pytest.fixture
def with_counts(records: pd.DataFrame) -> Callable[[Path], None]:
    """A function that adds the shipped counts to artifacts."""

    def add(folder: Path) -> None:
        (folder / "summary.json").write_text(json.dumps(asdict(summarise(records))))
        update_shared(folder, {KEY: "summary.json"})

    return add


def test_class_folders_without_metadata_are_looked_at_and_offer_no_test_images(
    make_models, open_page, small_set, tmp_path: Path, monkeypatch
) -> None:
    for image_id, data in small_set.images.items():
        place = tmp_path / "folders" / small_set.label(image_id)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{image_id}.jpg").write_bytes(data)
    make_models(student=None)
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "folders"))
    app = open_page("dataset")
    assert not app.exception
    assert "No metadata file beside the class folders" in texts(app.warning)
    assert _data.test_image_ids() == {}


def texts(elements) -> str:
    return "\n".join(str(element.value).replace("\\_", "_") for element in elements)


def charts(app: AppTest) -> list[dict]:
    return [plain(json.loads(chart.proto.spec)) for chart in app.get("plotly_chart")]


def plain(value: Any) -> Any:
    """Plotly's packed arrays as lists."""
    if isinstance(value, dict) and set(value) == {"dtype", "bdata"}:
        return np.frombuffer(base64.b64decode(value["bdata"]), np.dtype(value["dtype"])).tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def table_with(app: AppTest, column: str) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if column in frame.value)


def sound(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error
    return app


def opened(app: AppTest) -> list[str]:
    """The ids on the gallery's buttons."""
    return [button.label for button in app.button if str(button.key).startswith("open-")]


def asked(app: AppTest, name: str) -> str | None:
    """What the address says."""
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("state", ["everything", "no dataset", "nothing"])
def test_every_section_opens_whatever_is_missing(
    make, with_map, with_counts, open_page, monkeypatch, small_folder, tmp_path, section: str, state: str
) -> None:
    if state == "nothing":
        monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "empty"))
    else:
        folder = make("student")
        with_map(folder)
        with_counts(folder)
    if state == "everything":
        monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    app = sound(open_page("dataset", section=section))
    assert app.pills(key="section").value == section
    said = texts([*app.info, *app.markdown, *app.caption])
    assert ("HAM10000 is not at hand" in said) == (state != "everything")
    assert ("python -m core data download" in said) == (state != "everything")
    assert ("python -m core project" in said) == (state == "nothing" and section == "Map")


def test_counts_are_the_dataset_s_own_where_it_is_at_hand(make, open_page, with_data) -> None:
    make("student")
    app = sound(open_page("dataset"))
    assert "84 images of 70 lesions" in texts(app.markdown)
    assert "HAM10000, at hand" in texts(app.markdown)
    assert list(table_with(app, "lesions")["images"]) == [12] * N_CLASSES
    said = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert "histopathology: 84" in said, "to those who hear a figure it says what it shows to others"


def test_shipped_counts_stand_in(make, with_counts, open_page) -> None:
    with_counts(make("student"))
    app = sound(open_page("dataset"))
    assert "84 images of 70 lesions" in texts(app.markdown)
    assert "as shipped" in texts(app.markdown)
    assert "Counts of classes and splits are those shipped with the models" in texts(app.info)


def test_without_shipped_counts_it_says_which_command_makes_them(make, open_page) -> None:
    make("student")
    app = sound(open_page("dataset"))
    assert "700 images" in texts(app.markdown)
    assert "python -m core data summary --publish" in texts(app.markdown)
    assert "Every picture and every count of classes and splits is of a synthetic set" in texts(app.info)


def test_damaged_counts_are_left_out_and_named(make, with_counts, open_page) -> None:
    folder = make("student")
    with_counts(folder)
    (folder / "summary.json").write_text("{}")
    app = sound(open_page("dataset"))
    assert "The shipped counts are left out" in texts(app.warning)
    assert "700 images" in texts(app.markdown)
    assert "shipped with the models" not in texts(app.info)


def test_a_synthetic_folder_is_called_so(make, open_page, tmp_path, monkeypatch) -> None:
    make("student")
    monkeypatch.setenv("DERMDISTILL_DATA", str(make_dataset(tmp_path / "set", per_class=2, size=(64, 48))))
    app = sound(open_page("dataset", section="Images"))
    assert "SYNTHETIC" in texts(app.info)
    assert "**14 of 14 images**" in texts(app.markdown)


def test_filters_narrow_the_gallery_and_each_other(make, open_page, with_data, records) -> None:
    make("student")
    app = sound(open_page("dataset", section="Images"))
    assert len(opened(app)) == 24
    app.multiselect(key="dx").set_value(["mel"]).run()
    assert "**12 of 84 images**, 10 lesions" in texts(sound(app).markdown)
    assert {str(BY_CODE[records.set_index("image_id").loc[i, "dx"]].name) for i in opened(app)} == {
        "Melanoma"
    }
    app.multiselect(key="sex").set_value(["male"]).run()
    men = records[(records["dx"] == "mel") & (records["sex"] == "male")]
    assert sorted(opened(sound(app))) == sorted(men["image_id"])
    by_sex = charts(app)[2]["data"][1]
    assert sum(by_sex["x"]) == 12, "sexes are counted under the other filters, not under their own"
    app.button(key="clear").click().run()
    assert "**84 of 84 images**" in texts(sound(app).markdown)
    assert app.multiselect(key="dx").value == []


def test_a_selection_that_nothing_fits_says_so(make, open_page, with_data) -> None:
    make("student")
    app = open_page("dataset", section="Images")
    app.multiselect(key="site").set_value(["face"])
    app.multiselect(key="age").set_value(["00-09"]).run()
    assert "No image fits" in texts(sound(app).info)
    assert opened(app) == []


def test_the_part_is_that_of_the_chosen_split(make, open_page, with_data, records) -> None:
    make("student")
    app = open_page("dataset", section="Images")
    app.multiselect(key="part").set_value(["test"]).run()
    assert sorted(opened(app)) == sorted(records["image_id"][assign(records) == "test"])
    app.segmented_control(key="split").set_value("report").run()
    assert sorted(opened(sound(app))) == sorted(records["image_id"][assign(records, "report") == "test"])


def test_only_leaking_lesions(make, open_page, with_data, records) -> None:
    make("student")
    app = open_page("dataset", section="Images")
    app.toggle(key="leaks").set_value(True).run()
    table = browsable(records)
    expected = sorted(table["image_id"][table["leaks"]])
    assert f"**{len(expected)} of 84 images**" in texts(sound(app).markdown)
    assert set(opened(app)) <= set(expected)


def test_pages_follow_each_other_and_a_new_filter_begins_at_the_first(make, open_page, with_data) -> None:
    make("student")
    app = open_page("dataset", section="Images")
    seen = opened(app)
    for page in (2, 3, 4):
        app.pagination(key="gallery-page").set_value(page).run()
        assert not set(opened(app)) & set(seen)
        seen += opened(app)
    assert len(set(seen)) == 84
    app.selectbox(key="many").select(16).run()
    assert len(opened(sound(app))) == 16
    app.pagination(key="gallery-page").set_value(5).run()
    app.multiselect(key="sex").set_value(["male"]).run()
    assert app.pagination(key="gallery-page").value == 1
    app.selectbox(key="order").select("image id").run()
    assert opened(sound(app)) == sorted(opened(app))


def test_a_picture_that_cannot_be_read_is_a_sentence_among_the_others(
    make, open_page, with_data, small_folder
) -> None:
    make("student")
    (small_folder / "images" / "ISIC_0000000.jpg").write_bytes(b"not a picture, but not empty either")
    app = sound(open_page("dataset", section="Images", order="image id"))
    assert "ISIC_0000000: expected a readable image" in texts(app.text)
    assert len(app.get("image")) == 23


def test_an_image_opens_with_its_record_its_lesion_and_the_stored_answers(
    make, open_page, with_data, records
) -> None:
    make("student", "resnet50")
    app = open_page("dataset", section="Images", order="image id")
    parts = assign(records)
    twice = records["lesion_id"].duplicated(keep=False) & (parts == "test")
    row = records[twice].iloc[0]
    app = sound(open_page("dataset", section="Images", image=row["image_id"]))
    said = texts([*app.markdown, *app.subheader])
    for part in (row["image_id"], BY_CODE[row["dx"]].name, row["lesion_id"], "histopathology", "test (ours)"):
        assert part in said
    answers = table_with(app, "malignancy")
    assert list(answers["model"]) == ["ResNet50", "Student"]
    assert set(answers["right"]) <= {"yes", "no"}
    sibling = records[(records["lesion_id"] == row["lesion_id"]) & (records["image_id"] != row["image_id"])]
    other = str(sibling["image_id"].iloc[0])
    app.button(key=f"sibling-{other}").click().run()
    assert asked(sound(app), "image") == other
    assert other in texts(app.subheader)


def test_a_click_in_the_gallery_opens_the_image(make, open_page, with_data) -> None:
    make("student")
    app = open_page("dataset", section="Images")
    first = opened(app)[0]
    app.button(key=f"open-{first}").click().run()
    assert asked(sound(app), "image") == first
    assert first in texts(app.subheader)


def test_its_augmentations_have_an_address_of_their_own(make, open_page) -> None:
    """Reloaded, the page shows the same image's augmentations, and no dialog over them."""
    make("student")
    app = sound(open_page("dataset", section="Images", image="SYN_0000003"))
    app.button(key="its-augmentations").click().run()
    asked = {key: app.query_params[key] for key in app.query_params}
    assert "image" not in asked
    assert asked["section"] == "Augmentation"
    again = sound(open_page("dataset", **asked))
    assert any(caption.value.startswith(":material/info: SYN_0000003") for caption in again.caption)


def test_a_training_image_is_asked_about_only_when_one_wants_it(make, open_page, with_data, records) -> None:
    make("student")
    train = str(records["image_id"][assign(records) == "train"].iloc[0])
    app = sound(open_page("dataset", image=train))
    assert "these answers are no measure of it" in texts(app.caption)
    assert not [frame for frame in app.dataframe if "malignancy" in frame.value]
    app.button(key=f"ask-{train}").click().run()
    assert list(table_with(sound(app), "malignancy")["model"]) == ["Student"]


def test_what_the_gate_refuses_gets_no_class(make, open_page, with_data, records, monkeypatch) -> None:
    make("student")
    verdict = SimpleNamespace(accepted=False, reason="This looks like a cat.")
    monkeypatch.setattr(
        "core.serving.answer.load_gate",
        lambda registry, model: SimpleNamespace(model="student", check=lambda *_: verdict),
    )
    train = str(records["image_id"][assign(records) == "train"].iloc[0])
    app = open_page("dataset", image=train)
    app.button(key=f"ask-{train}").click().run()
    assert "This looks like a cat." in texts(app.warning)
    assert not [frame for frame in app.dataframe if "malignancy" in frame.value]


def test_without_a_model_there_is_nobody_to_ask(open_page, with_data, records, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "empty"))
    app = sound(open_page("dataset", image=str(records["image_id"].iloc[0])))
    assert "python -m core distill" in texts(app.info)


@pytest.mark.parametrize("image", ["ISIC_9999999", "../../etc/passwd", "**<b>x</b>**" * 40, "[a](http://b)"])
def test_an_image_that_is_not_there_is_a_sentence(make, open_page, with_data, image: str) -> None:
    make("student")
    app = sound(open_page("dataset", image=image))
    assert "This set has no such image." in texts(app.info)
    assert "<b>" not in texts(app.subheader)


def test_without_the_dataset_a_test_image_still_has_its_answers(make, open_page, records) -> None:
    make("student")
    image_id = str(records["image_id"][assign(records) == "test"].iloc[0])
    app = sound(open_page("dataset", image=image_id))
    assert "Its picture and record are HAM10000's" in texts(app.info)
    assert list(table_with(app, "malignancy")["model"]) == ["Student"]


def test_a_drawn_image_opens_and_says_that_it_is_drawn(make, open_page) -> None:
    make("student")
    app = sound(open_page("dataset", section="Images", image="SYN_0000003"))
    assert "Synthetic: drawn by a program" in texts(app.caption)
    app.button(key="ask-SYN_0000003").click().run()
    assert list(table_with(sound(app), "malignancy")["model"]) == ["Student"]


def test_the_splits_stand_side_by_side_and_the_leaking_lesions_below(
    make, open_page, with_data, records
) -> None:
    make("student")
    app = sound(open_page("dataset", section="Splits"))
    crossing = crossing_lesions(records, assign(records, "report"))
    said = texts(app.markdown)
    assert "**0 lesions in more than one part**" in said
    assert f"**{len(crossing)} lesions in more than one part**" in said
    assert len(table_with(app, "parts")) == len(crossing)
    lesion = str(crossing["lesion_id"].iloc[-1])
    app.selectbox(key="lesion").select(lesion).run()
    shown = [b.label for b in sound(app).button if str(b.key).startswith("leak-")]
    assert sorted(shown) == sorted(records["image_id"][records["lesion_id"] == lesion])


def test_without_the_dataset_the_leaking_lesions_are_the_drawn_ones(make, with_counts, open_page) -> None:
    with_counts(make("student"))
    app = sound(open_page("dataset", section="Splits"))
    assert "Of the synthetic set" in texts(app.caption)
    assert "as shipped" in texts(app.caption)


def add_pair(folder: Path, records: pd.DataFrame) -> Pair:
    """One recipe on both splits in artifacts: right for every image but each third."""
    found, facts = {}, {}
    for split in SPLITS:
        test = records[assign(records, split) == "test"]
        label = test["dx"].map(INDEX).to_numpy()
        logits = np.eye(N_CLASSES)[(label + (np.arange(len(test)) % 3 == 0)) % N_CLASSES] * 3
        ids, lesions = (test[c].to_numpy(dtype=str) for c in ("image_id", "lesion_id"))
        found[split] = Predictions(
            f"student-{split}", ids, lesions, label, logits, np.full(len(test), "test")
        )
        recipe = {"split": split, "stages": [{"epochs": 4, "size": 96}, {"epochs": 1, "size": 128}]}
        facts[split] = {
            "recipe": recipe,
            "commit": "abc",
            "machine": "a CPU",
            "seconds": 600,
            "initial_weights": "x",
        }
    pair = measure_pair("student", found, facts, records, resamples=100)
    save_pairs(folder, [pair])
    return pair


def test_what_the_leak_is_worth_is_measured(make, open_page, with_data, records) -> None:
    pair = add_pair(make("student"), records)
    app = sound(open_page("dataset", section="Splits"))
    assert "points for Student" in texts(app.markdown)
    table = table_with(app, "several_trained")
    accuracy = [pair.sides[split].figures["accuracy"].value for split in SPLITS]
    assert list(table["accuracy"]) == pytest.approx([100 * value for value in accuracy])
    assert list(table["reported_accuracy"].isna()) == [True, False], "the report's belongs to its own split"
    assert "Student: 4 epochs at 96 px, then 1 at 128 px, 10 and 10 minutes" in texts(app.caption)
    labels = [note["text"] for note in charts(app)[-1]["layout"]["annotations"]]
    assert labels == ["Student", "Student, lesions with several images", "Student, lesions with one image"]
    app.selectbox(key="leak-figure").select("macro_f1").run()
    assert len(charts(sound(app))[-1]["layout"]["annotations"]) == 1
    app.selectbox(key="leak-figure").select("macro_auc").run()
    assert charts(sound(app))[-1]["layout"]["xaxis"]["tickformat"] == ".3~f"


def test_before_anybody_measured_the_leak_the_page_says_how(make, open_page, with_data) -> None:
    make("student")
    app = sound(open_page("dataset", section="Splits"))
    assert "core leak" in texts(app.info)


def test_damaged_pairs_are_said_to_be_so_and_the_rest_stands(make, open_page, with_data, records) -> None:
    folder = make("student")
    add_pair(folder, records)
    (folder / "leak.json").write_text("{}")
    app = sound(open_page("dataset", section="Splits"))
    assert "cannot be read" in texts(app.warning)
    assert len(table_with(app, "parts"))


def test_the_preset_sets_the_sliders_and_a_slider_changes_the_views(make, open_page, with_data) -> None:
    make("student")
    app = sound(open_page("dataset", section="Augmentation"))
    assert app.slider(key="report-rotation").value == 5
    assert tuple(app.slider(key="report-zoom").value) == (0.8, 1.2)
    assert len(app.get("image")) == 9
    first = [image.value for image in app.get("image")]
    app.segmented_control(key="augmentation").set_value("strong").run()
    assert app.slider(key="strong-rotation").value == 30
    assert app.toggle(key="strong-orientations").value is True
    ours = [image.value for image in sound(app).get("image")]
    assert ours[0] == first[0], "the image itself stays"
    assert all(a != b for a, b in zip(ours[1:], first[1:], strict=True))
    app.slider(key="strong-brightness").set_value((0.5, 0.6)).run()
    assert [image.value for image in sound(app).get("image")][1:] != ours[1:]
    app.number_input(key="draw").set_value(1).run()
    assert not app.exception


def test_no_augmentation_shows_the_image_eight_times(make, open_page, with_data) -> None:
    make("student")
    app = open_page("dataset", section="Augmentation")
    app.segmented_control(key="augmentation").set_value("none").run()
    pictures = [image.value for image in sound(app).get("image")]
    assert len(set(map(str, pictures[1:]))) == 1
    assert "magnification and stretch by their logarithms" in texts(app.caption)


def test_another_image_is_chosen_by_class_and_number(make, open_page, with_data, records) -> None:
    make("student")
    app = sound(open_page("dataset", **{"section": "Augmentation", "view-of": "bcc", "view-number": "3"}))
    wanted = records["image_id"][records["dx"] == "bcc"].iloc[2]
    assert str(wanted) in texts(app.caption)


def test_balancing_before_and_after(make, open_page, with_data, records) -> None:
    make("student")
    app = sound(open_page("dataset", section="Balancing"))
    table = table_with(app, "repeats")
    train = records["dx"][assign(records) == "train"]
    assert table["images"].sum() == 3 * len(train)
    assert len(charts(app)) == 3
    app.segmented_control(key="effect").set_value("Images an epoch shows").run()
    after, before, _ = charts(sound(app))[1]["data"]
    assert after["x"] == [1200] * N_CLASSES
    assert app.get("plotly_chart")[1].proto.alt.startswith("akiec: 1,200; bcc: 1,200")
    assert before["x"] == [int((train == code).sum()) for code in CODES]
    app.segmented_control(key="balance-split").set_value("report").run()
    images = table_with(sound(app), "repeats")["images"].sum()
    assert images == 3 * (assign(records, "report") == "train").sum()


@pytest.mark.parametrize(
    ("colour", "names"),
    [("Right or wrong", {"right", "wrong"}), ("confidence", {"confidence"})],
)
def test_the_map_is_coloured_as_asked(make, with_map, open_page, colour: str, names: set[str]) -> None:
    ids = with_map(make("student"))
    app = sound(open_page("dataset", section="Map", colour=colour))
    traces = [t for t in charts(app)[0]["data"] if t.get("customdata")]
    assert {t["name"] for t in traces} == names
    assert sorted(c[0] for t in traces for c in t["customdata"]) == sorted(ids)


def test_without_answers_the_map_shows_the_classes_alone(make, with_map, open_page) -> None:
    with_map(make("student", predictions=False))
    app = sound(open_page("dataset", section="Map"))
    assert "Only the classes can be shown" in texts(app.caption)
    assert app.segmented_control(key="colour").options == ["True class"]


def test_a_map_of_an_older_file_is_refused_with_the_command(make, with_map, open_page) -> None:
    folder = make("student")
    with_map(folder)
    (folder / "student.tflite").write_bytes(b"new")
    update_model(folder, "student", {}, {"litert": "student.tflite"})
    app = sound(open_page("dataset", section="Map"))
    assert "The map cannot be used" in texts(app.warning)
    assert "python -m core project" in texts(app.warning)
    assert not charts(app)


def test_a_click_on_the_map_opens_the_image_and_can_be_repeated(monkeypatch) -> None:
    address, state = {}, {}
    monkeypatch.setattr("streamlit.query_params", address)
    monkeypatch.setattr("streamlit.session_state", state)
    state["map-0"] = SimpleNamespace(
        selection=SimpleNamespace(points=[{"customdata": ["ISIC_0000007", "Melanoma"]}])
    )
    _set_map.take_click("map-0")
    assert address == {"image": "ISIC_0000007"}
    assert state[_set_map.CLICKS] == 1, "a new key, so that the same point can be clicked again"
    state["map-1"] = SimpleNamespace(selection=SimpleNamespace(points=[]))
    _set_map.take_click("map-1")
    assert state[_set_map.CLICKS] == 1


def test_a_deep_link_opens_the_same_view(make, open_page, with_data) -> None:
    make("student")
    query = {"dx": "mel", "order": "image id", "many": "8 images", "gallery-page": "2"}
    app = sound(open_page("dataset", section="Images", **query))
    assert app.multiselect(key="dx").value == ["mel"]
    assert app.selectbox(key="many").value == 8
    assert len(opened(app)) == 12 - 8
    assert opened(app) == sorted(opened(app))
    app = sound(open_page("dataset", section="Images", leaks="true"))
    assert app.toggle(key="leaks").value is True


@pytest.mark.parametrize(
    "query",
    [
        {"section": "<script>", "image": ""},
        {"section": "Images", "gallery-page": "-3", "many": "x", "dx": "nobody", "order": "x" * 3000},
        {
            "section": "Augmentation",
            "report-rotation": "9999",
            "report-zoom": "abc",
            "view-number": "0",
            "view-of": "?",
        },
        {"section": "Map", "colour": "weight", "eyes": "nobody"},
        {"section": "Splits", "lesion": "HAM_x", "balance-split": "??"},
    ],
)
def test_junk_in_the_address_is_ignored(make, with_map, open_page, with_data, query: dict[str, str]) -> None:
    with_map(make("student"))
    sound(open_page("dataset", **query))
