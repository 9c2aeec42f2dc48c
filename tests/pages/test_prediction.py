"""The prediction page, driven as a person would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.lesions import BY_CODE, CODES, LESIONS
from core.serving.gate import Verdict


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def images(app: AppTest) -> list:
    return list(app.get("image"))


def charts(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files on the page, which must come through without an exception."""
    app.file_uploader[0].set_value([(name, data, "image/png") for name, data in files])
    app.run()
    assert not app.exception
    return app


@pytest.fixture
def page(make_models, open_page) -> AppTest:
    make_models(student=None, resnet50=None, densenet169="other")
    app = open_page()
    assert not app.exception
    return app


def test_it_opens_with_an_uploader_a_promise_and_the_seven_classes(page: AppTest) -> None:
    assert page.title[0].value == "Prediction"
    assert "Nothing is kept" in texts(page.caption)
    assert list(page.table[0].value["Diagnosis"]) == [lesion.name for lesion in LESIONS]
    assert not page.error


@pytest.mark.parametrize("code", CODES)
def test_one_action_gives_the_verdict(page: AppTest, picture: Callable, code: str) -> None:
    upload(page, ("mine.png", picture(code)))
    assert BY_CODE[code].name in texts(page.subheader)
    assert BY_CODE[code].note in texts(page.caption)
    assert "What could be malignant" in texts(page.markdown)
    assert texts(page.text).startswith("mine.png")
    bars = charts(page)[1]["data"][1]
    assert bars["customdata"][0][0] == BY_CODE[code].name, "the leading class is the first bar"
    assert ("Suspicious" in texts(page.markdown)) == BY_CODE[code].malignant


def test_agreement_is_said(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    said = texts(page.markdown)
    assert "2 of 3 models lead with Melanoma; DenseNet169 with Melanocytic nevus" in said
    assert "divided" in said


def test_the_score_stands_against_its_operating_point(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("nv")))
    said = texts(page.caption)
    assert "below the operating point of 0.400, which 95 % of malignant validation images reach" in said
    assert "Below is not harmless" in said


def test_original_and_overlay_lie_side_by_side_and_say_what_they_are_not(
    page: AppTest, picture: Callable
) -> None:
    upload(page, ("mine.png", picture("mel", (300, 100))))
    captions = [image.captions[0] for image in images(page)]
    assert captions[:2] == ["Original", "Map of Melanoma"]
    assert "Where the model looked, not proof" in texts(page.caption)


def test_the_map_of_another_class_and_of_another_model(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    page.selectbox(key="map").select("bkl").run()
    assert images(page)[1].captions == ["Map of Benign keratosis"]
    page.selectbox(key="model").select("densenet169").run()
    page.selectbox(key="map").select("leading").run()
    assert images(page)[1].captions == ["Map of Melanocytic nevus"]
    assert not page.exception


def test_opacity_changes_the_overlay_and_nothing_else(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    before = [image.value for image in images(page)]
    page.slider(key="opacity").set_value(10).run()
    after = [image.value for image in images(page)]
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_map_without_anything_is_a_note(make_models, open_page, picture: Callable) -> None:
    make_models(student="nomaps")
    app = upload(open_page(), ("mine.png", picture("mel")))
    assert "Nothing in the image speaks for Melanoma" in texts(app.info)
    assert len(images(app)) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"<html><script>alert(1)</script></html>", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"GIF89a..."],
)
def test_what_is_no_image_gets_a_sentence_and_the_next_upload_works(
    page: AppTest, picture: Callable, data: bytes
) -> None:
    upload(page, ("broken.jpg", data))
    assert len(page.error) == 1
    assert page.error[0].value.endswith(".")
    assert not images(page)
    assert "Most likely" not in texts(page.subheader)
    upload(page, ("mine.png", picture("nv")))
    assert "Melanocytic nevus" in texts(page.subheader)


def test_many_images_become_a_table_that_opens_the_most_suspicious(page: AppTest, picture: Callable) -> None:
    files = [
        ("a.png", picture("nv")),
        ("b.jpg", b"nothing"),
        ("c.png", picture("mel")),
        ("d.png", picture("df")),
    ]
    upload(page, *files)
    table = page.dataframe[0].value
    assert list(table["image"]) == ["a.png", "b.jpg", "c.png", "d.png"]
    assert list(table["verdict"]) == ["read", "rejected", "read", "read"]
    assert table["picture"].isna().tolist() == [False, True, False, False]
    assert texts(page.text).startswith("c.png")
    assert "Melanoma" in texts(page.subheader)


def test_a_name_in_the_table_is_no_formula(page: AppTest, picture: Callable) -> None:
    upload(page, ("=cmd().png", picture("nv")), ("b.png", picture("nv")))
    assert page.dataframe[0].value["image"][0] == "'=cmd().png"


def test_names_are_shortened_and_never_markup(page: AppTest, picture: Callable) -> None:
    upload(page, ("../../<img src=x onerror=alert(1)>" + "x" * 400 + ".png", picture("nv")))
    shown = page.text[0].value
    assert len(shown) <= 60
    assert "<" not in shown
    assert "/" not in shown


def test_a_model_that_fails_is_named_and_the_next_one_leads(
    make_models, open_page, picture: Callable
) -> None:
    make_models(student="nan", resnet50=None)
    app = upload(open_page(), ("mine.png", picture("vasc")))
    assert "Student gave no answer" in texts(app.warning)
    assert "Vascular lesion" in texts(app.subheader)


def test_no_answer_at_all_is_an_error_and_never_a_class(make_models, open_page, picture: Callable) -> None:
    make_models(student="nan")
    app = upload(open_page(), ("mine.png", picture("vasc")))
    assert "No model could answer." in texts(app.error)
    assert not app.subheader


def test_what_the_gate_refuses_gets_a_reason_and_no_class(
    page: AppTest, picture: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gate:
        model = "student"

        def check(self, embedding, upload) -> Verdict:
            return Verdict(False, "This looks like a cat.", 9.0, 1.0)

    monkeypatch.setattr("core.serving.answer.load_gate", lambda registry, model: Gate())
    upload(page, ("cat.png", picture("mel")))
    assert "Not judged" in page.warning[0].value
    assert "This looks like a cat." in page.warning[0].value
    assert not page.subheader
    assert not charts(page)
    assert "Melanoma" not in texts([*page.markdown, *page.caption, *page.warning])


def test_a_damaged_model_is_left_out_with_its_command(make_models, open_page, picture: Callable) -> None:
    folder = make_models(student=None, resnet50=None)
    (folder / "student.tflite").write_bytes(b"damaged")
    app = upload(open_page(), ("mine.png", picture("bcc")))
    assert "Student is refused: `python -m core distill`" in texts(app.caption)
    assert app.multiselect(key="models").value == ["resnet50"]
    assert "Basal cell carcinoma" in texts(app.subheader)


def test_without_models_the_page_says_which_commands_make_them(open_page, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "empty"))
    app = open_page()
    assert not app.exception
    assert "no model that can be used" in texts(app.error)
    assert "python -m core distill" in list(app.table[0].value["made by"])
    assert not app.file_uploader


def test_images_that_differ_in_one_pixel_share_no_answer(page: AppTest, picture: Callable) -> None:
    """Over a million elements Streamlit hashes a sample only; keys are of the bytes' sha256 instead."""
    size = (1200, 900)
    upload(page, ("mine.png", picture("mel", size)))
    first = charts(page)[1]["data"][1]["x"]
    upload(page, ("mine.png", picture("mel", size, changed=1)))
    second = charts(page)[1]["data"][1]["x"]
    assert first != second


def test_nothing_of_an_upload_is_written_to_disk(page: AppTest, picture: Callable) -> None:
    written: list[str] = []
    watching = True

    def watch(event: str, args: tuple) -> None:
        if watching and event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
            written.append(str(args[0]))

    sys.addaudithook(watch)
    upload(page, ("mine.png", picture("mel")))
    watching = False
    assert [path for path in written if Path(path).suffix != ".pyc" and "__pycache__" not in path] == []


def test_a_synthetic_sample_is_labelled_and_goes_through_the_same_gate(make_models, open_page) -> None:
    make_models(student=None)
    app = open_page(source="Sample")
    assert not app.exception
    assert "SYNTHETIC" in texts(app.info)
    assert app.text[0].value == "synthetic-mel-1.jpg"
    assert app.subheader
    assert app.selectbox(key="kind").options == ["Synthetic lesion"]


def test_test_images_are_offered_with_the_dataset(make_models, open_page, small_folder, monkeypatch) -> None:
    make_models(student=None)
    app = open_page()
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    app.segmented_control[0].set_value("Sample")
    app.run()
    app.number_input(key="number").set_value(900).run()
    app.selectbox(key="kind").select("HAM10000 test image").run()
    assert not app.exception
    assert "Recorded diagnosis: Melanoma, confirmed by histopathology." in texts(app.info)
    assert "SYNTHETIC" not in texts(app.info)


@pytest.mark.parametrize(
    "query",
    [
        {"source": "<script>", "map": "zzz"},
        {"opacity": "99999999999999999999", "colours": "", "models": "nobody,student"},
        {"source": "Sample", "class": "nobody", "number": "-5", "kind": "x" * 5000},
    ],
)
def test_junk_in_the_address_is_ignored(
    make_models, open_page, picture: Callable, query: dict[str, str]
) -> None:
    make_models(student=None)
    app = open_page(**query)
    assert not app.exception
    if app.file_uploader:
        upload(app, ("mine.png", picture("nv")))
        assert "Melanocytic nevus" in texts(app.subheader)


def test_a_deep_link_opens_the_same_view(make_models, open_page) -> None:
    make_models(student=None, resnet50=None)
    app = open_page(source="Sample", number="3", models="ResNet50", opacity="25")
    assert not app.exception
    assert app.text[0].value == "synthetic-mel-3.jpg"
    assert app.multiselect(key="models").value == ["resnet50"]
    assert app.slider(key="opacity").value == 25
