"""The prediction page, driven as a person would."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import streamlit as st
from streamlit.runtime.caching.cache_data_api import _data_caches
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from core import settings
from core.artifacts import ModelEntry, update_model
from core.data.ham10000 import open_dataset
from core.errors import UserError
from core.lesions import BY_CODE, CODES, LESIONS
from core.serving import panel
from core.serving.gate import Verdict
from core.serving.panel import Reading
from core.serving.quality import Quality
from core.serving.similar import SimilarLesion, SimilarUnavailable
from core.serving.wording import UNRELIABLE
from core.text import escape as escape_markdown
from pages import _data
from pages._images import Item


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def images(app: AppTest) -> list:
    return list(app.get("image"))


def drawn(app: AppTest) -> list[str]:
    """The gauge of the malignancy score and the bars of the probabilities, as HTML."""
    return [html.proto.body for html in app.get("html")]


def charts(app: AppTest) -> list:
    return list(app.get("plotly_chart"))


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


def test_a_server_loads_models_before_anybody_uploads(
    make_models: Callable, open_page: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_models(student=None, resnet50=None)
    made, done = [], threading.Event()
    monkeypatch.setattr(_data, "is_served", lambda: True)
    monkeypatch.setattr(_data, "make_ready", lambda registry, models: made.append(models))
    monkeypatch.setattr(_data, "dataset", done.set)
    page = open_page()
    assert done.wait(10)
    page.run()
    assert not page.exception
    assert made == [("student", "resnet50")], "once, however often the page runs"


def test_it_opens_with_an_uploader_a_promise_and_the_seven_classes(page: AppTest) -> None:
    assert page.title[0].value == "Prediction"
    assert "Nothing is kept" in texts(page.caption)
    assert "removes the files" in texts(page.caption)
    assert "needs `.dcm`" in texts(page.caption)
    assert list(page.table[0].value["Diagnosis"]) == [lesion.name for lesion in LESIONS]
    assert not page.error


@pytest.mark.parametrize("code", CODES)
def test_one_action_gives_the_verdict(page: AppTest, picture: Callable, code: str) -> None:
    upload(page, ("mine.png", picture(code)))
    assert BY_CODE[code].name in texts(page.subheader)
    assert BY_CODE[code].note in texts(page.caption)
    assert "What could be malignant" in texts(page.markdown)
    assert texts(page.text).startswith("mine.png")
    gauge, bars = drawn(page)
    assert "malignancy score" in gauge
    named = [bars.find(escape(lesion.name)) for lesion in LESIONS]
    assert named.index(min(named)) == CODES.index(code), "the leading class is the first bar"
    assert ("Suspicious: have it" in texts(page.markdown)) == BY_CODE[code].malignant


def test_agreement_is_said(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    said = texts(page.markdown)
    assert "2 of 3 models lead with Melanoma; DenseNet169 with Melanocytic nevus" in said
    assert "it is suspicious" in said


def test_the_score_stands_against_its_operating_point(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("nv")))
    said = texts(page.caption)
    assert "below the operating point of 0.400, which 95% of malignant validation images reach" in said
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


def test_models_side_by_side_are_drawn_when_they_are_opened(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    assert len(images(page)) == 2
    before = len(drawn(page))
    page.session_state["side-by-side"] = True
    page.run()
    assert not page.exception
    captions = [image.captions[0] for image in images(page)[2:]]
    assert [caption.split(":")[0] for caption in captions] == ["Student", "ResNet50", "DenseNet169"]
    assert len(drawn(page)) == before + 1, "all models' probabilities"
    assert not charts(page), "nobody waits for Plotly to read a verdict"


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


def test_the_image_that_was_opened_stays_open_when_one_is_added(page: AppTest, picture: Callable) -> None:
    files = [("a.png", picture("nv")), ("c.png", picture("mel")), ("d.png", picture("df"))]
    upload(page, *files)
    assert texts(page.text).startswith("c.png")
    page.session_state["opened-here"] = hashlib.sha256(files[2][1]).hexdigest()  # as a click leaves it
    upload(page, ("0.png", picture("vasc")), *files)
    assert texts(page.text).startswith("d.png")
    upload(page, *files[:2])
    assert texts(page.text).startswith("c.png")
    assert "opened-here" not in page.session_state


def test_names_that_begin_and_end_alike_are_told_apart(page: AppTest, picture: Callable) -> None:
    names = [
        f"2026-03-14_clinic-Vienna_subject-0001_visit-02_lesion-0{number}_dermoscopy.png"
        for number in (17, 18)
    ]
    upload(page, *((name, picture(code)) for name, code in zip(names, ("nv", "mel"), strict=True)))
    assert list(page.dataframe[0].value["image"]) == names


def test_it_is_said_who_is_asked_when_nobody_is_chosen(page: AppTest) -> None:
    said = "None is chosen, so the usual ones are asked: Student, ResNet50, DenseNet169."
    assert said not in texts(page.caption)
    page.multiselect(key="models").set_value([]).run()
    assert said in texts(page.caption)


def test_the_table_of_many_tells_no_certainty(page: AppTest, picture: Callable, monkeypatch) -> None:
    def ask(registry, models, data, name, *, orientations) -> Reading:
        found = panel.ask(registry, models, data, name, orientations=orientations)
        sure = (replace(found.diagnoses[0], confidence=0.99996), *found.diagnoses[1:])
        return replace(found, diagnoses=sure) if name == "sure.png" else found

    monkeypatch.setattr("pages._data.ask", ask)
    upload(page, ("sure.png", picture("nv")), ("other.png", picture("bcc")))
    sure, other = page.dataframe[0].value["confidence"]
    assert f"{sure:.1f}%" == "99.9%"
    assert other < 90


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


class RefusesAll:
    """A gate that lets nothing through."""

    model = "student"

    def check(self, embedding, upload) -> Verdict:
        return Verdict(False, "This looks like a cat.", 9.0, 1.0)


def test_what_the_gate_refuses_gets_a_reason_and_no_class(
    page: AppTest, picture: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.serving.answer.load_gate", lambda registry, model: RefusesAll())
    upload(page, ("cat.png", picture("mel")))
    assert "Not judged" in page.warning[0].value
    assert "This looks like a cat." in page.warning[0].value
    assert not page.subheader
    assert not drawn(page)
    assert "Melanoma" not in texts([*page.markdown, *page.caption, *page.warning])


def test_a_damaged_model_is_left_out_with_its_command(make_models, open_page, picture: Callable) -> None:
    folder = make_models(student=None, resnet50=None)
    (folder / "student.tflite").write_bytes(b"damaged")
    app = upload(open_page(), ("mine.png", picture("bcc")))
    assert "Student is refused: `python -m core distill --init imagenet`" in texts(app.caption)
    assert app.multiselect(key="models").value == ["resnet50"]
    assert "Basal cell carcinoma" in texts(app.subheader)


def test_without_models_the_page_says_which_commands_make_them(open_page, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "empty"))
    app = open_page()
    assert not app.exception
    assert "no model that can be used" in texts(app.error)
    assert "python -m core distill --init imagenet" in list(app.table[0].value["made by"])
    assert not app.file_uploader


def test_a_damaged_manifest_is_to_be_restored_and_no_command_is_promised(make_models, open_page) -> None:
    (make_models(student=None) / "manifest.json").write_text("{")
    app = open_page()
    assert not app.exception
    said = texts(app.error).replace("\\", "")
    assert said.startswith("**There is no model that can be used**: ")
    assert "found a damaged file" in said
    assert said.endswith("restore it.")
    assert not app.table


def test_a_model_that_no_known_command_makes_is_named_without_one(make_models, open_page) -> None:
    folder = make_models(student=None)
    update_model(folder, "mine", ModelEntry("mine", "My *own*", "student"), {})
    app = open_page()
    assert "My \\*own\\* is refused." in texts(app.caption)
    assert "None" not in texts(app.caption)


def test_images_that_differ_in_a_few_rows_share_no_answer(page: AppTest, picture: Callable) -> None:
    """Over a million elements Streamlit hashes a sample only; keys are of the bytes' sha256 instead."""
    size = (1200, 900)
    upload(page, ("mine.png", picture("mel", size)))
    first = drawn(page)[1]
    upload(page, ("mine.png", picture("mel", size, changed=20 * 3 * 1200)))
    second = drawn(page)[1]
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


def test_a_synthetic_sample_is_labelled_and_goes_through_the_same_gate(
    make_models, open_page, monkeypatch
) -> None:
    make_models(student=None)
    app = open_page(source="Sample")
    assert not app.exception
    assert "SYNTHETIC" in texts(app.info)
    assert app.text[0].value == "synthetic-mel-1.jpg"
    assert app.subheader
    assert app.selectbox(key="kind").options == ["Synthetic lesion"]
    monkeypatch.setattr("core.serving.answer.load_gate", lambda registry, model: RefusesAll())
    app = open_page(source="Sample", number="2")
    assert "Not judged" in texts(app.warning)
    assert not app.subheader


def test_samples_begin_with_those_that_the_gate_keeps(make_models, open_page, monkeypatch) -> None:
    make_models(student=None)
    monkeypatch.setattr("pages._images.first_kept", lambda registry, code: {"mel": 5, "nv": 7}.get(code, 1))
    app = open_page(source="Sample")
    assert app.text[0].value == "synthetic-mel-5.jpg"
    for code, number in (("nv", 7), ("df", 1)):
        app.selectbox(key="class").select(code).run()
        assert app.text[0].value == f"synthetic-{code}-{number}.jpg"
    assert open_page(source="Sample", number="2").text[0].value == "synthetic-mel-2.jpg"


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


@pytest.mark.parametrize("said", [["student-int8", "resnet50"], ["Student, int8", "ResNet50"]])
def test_a_deep_link_names_models_by_name_or_by_title(make_models, open_page, said: list[str]) -> None:
    make_models(**{"student": None, "resnet50": None, "student-int8": None})
    app = open_page(source="Sample", models=said, model=said[1])
    assert not app.exception
    assert app.multiselect(key="models").value == ["student-int8", "resnet50"]
    assert app.selectbox(key="model").value == "resnet50"


@pytest.mark.parametrize("code", ["bcc", "vasc"])
def test_a_deep_link_names_a_class_by_code_or_by_name(make_models, open_page, code: str) -> None:
    """Streamlit reads only an option's words from the address, so `?class=bcc` once opened Melanoma."""
    make_models(student=None)
    for said in (code, BY_CODE[code].name):
        app = open_page(**{"source": "Sample", "number": "3", "class": said, "map": "df"})
        assert not app.exception
        assert app.text[0].value == f"synthetic-{code}-3.jpg"
        assert app.selectbox(key="map").value == "df"
        assert app.query_params["class"] == BY_CODE[code].name, "the address can be sent on"
        app.number_input(key="number").set_value(4).run()
        assert app.text[0].value == f"synthetic-{code}-4.jpg"
        app.selectbox(key="class").select("nv").run()
        assert app.text[0].value == "synthetic-nv-1.jpg", "another class begins anew"


def accept(monkeypatch: pytest.MonkeyPatch, model: str = "student") -> None:
    """A gate that lets everything through."""

    class Gate:
        def check(self, embedding, upload) -> Verdict:
            return Verdict(True, "", 0.5, 1.0)

    Gate.model = model
    monkeypatch.setattr("core.serving.answer.load_gate", lambda registry, name: Gate())


def test_checks_come_before_the_verdict(page: AppTest, picture: Callable, monkeypatch) -> None:
    accept(monkeypatch)
    monkeypatch.setattr("core.serving.answer.load_limits", lambda registry: object())
    said = Quality(("The picture is blurred.",), poor=True)
    monkeypatch.setattr("core.serving.answer.judge", lambda pixels, limits: said)
    upload(page, ("mine.png", picture("mel")))
    assert "Looks enough like a dermatoscopic image" in texts(page.caption)
    assert "50% of the limit" in texts(page.caption)
    assert UNRELIABLE in texts(page.warning)
    assert "The picture is blurred." in texts(page.warning)
    assert "Poor picture; leading: Melanoma" in texts(page.subheader)
    order = [element.type for element in page.main if element.type in ("warning", "subheader")]
    assert order.index("subheader") > order.index("warning")


def test_the_table_of_many_explains_its_words(page: AppTest, picture: Callable, monkeypatch) -> None:
    monkeypatch.setattr("core.serving.answer.load_limits", lambda registry: object())
    monkeypatch.setattr(
        "core.serving.answer.judge", lambda pixels, limits: Quality(("It is blurred.",), poor=True)
    )
    upload(page, ("one.png", picture("nv")), ("two.png", picture("bkl")))
    table = page.dataframe[0].value
    assert "unclear" in table["suspicious"].tolist()
    assert table["reason"].str.startswith(f"{UNRELIABLE} It is blurred. ").all()
    assert "“to some” where it is that of ResNet50 or DenseNet169 alone" in texts(page.caption)
    assert "“unclear” where it is below in a picture so poor" in texts(page.caption)


def test_advice_alone_leaves_the_verdict_as_it_is(page: AppTest, picture: Callable, monkeypatch) -> None:
    monkeypatch.setattr("core.serving.answer.load_limits", lambda registry: object())
    monkeypatch.setattr("core.serving.answer.judge", lambda pixels, limits: Quality(("It is blurred.",)))
    upload(page, ("mine.png", picture("mel")))
    assert "**Photograph:** It is blurred." in texts(page.info)
    assert not page.warning
    assert "Most likely: Melanoma" in texts(page.subheader)


def test_a_good_photograph_gets_no_advice(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    assert not page.warning
    assert "Photograph:" not in texts(page.info)
    assert "Most likely: Melanoma" in texts(page.subheader)


def test_one_model_s_suspicion_is_not_outvoted(page: AppTest, picture: Callable) -> None:
    """DenseNet169 leads with the class after the others': melanoma, where they see a benign one."""
    upload(page, ("mine.png", picture("df")))
    said = texts(page.markdown)
    assert "Suspicious to DenseNet169: have it looked at" in said
    assert ":material/call_split:" in said
    assert "To DenseNet169 alone it is suspicious." in said


FOUND = (SimilarLesion("ISIC_0000001", "bcc", 0.9987), SimilarLesion("ISIC_0000002", "nv", 0.45))


def test_without_an_index_it_says_which_command_makes_it(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    assert "python -m core gate fit" in texts(page.caption)


def test_similar_lesions_without_the_dataset_are_a_table(
    page: AppTest, picture: Callable, monkeypatch
) -> None:
    monkeypatch.setattr("pages._similar.similar_to", lambda *a: FOUND)
    upload(page, ("mine.png", picture("mel")))
    table = page.dataframe[0].value
    assert list(table["Diagnosis"]) == ["Basal cell carcinoma", "Melanocytic nevus"]
    assert list(table["Similarity"]) == [0.99, 0.45], "1 is said to stand for the same picture"
    assert "lesions that Student learned from" in texts(page.caption), "whichever model was asked"
    assert "DERMDISTILL_DATA" in texts(page.caption)


def test_similar_lesions_with_the_dataset_are_pictures_with_records(
    make_models, open_page, picture: Callable, small_folder, monkeypatch
) -> None:
    make_models(student=None)
    known = open_dataset(small_folder).records.iloc[0]
    found = (SimilarLesion(known["image_id"], known["dx"], 0.9987), SimilarLesion("ISIC_9999999", "nv", 0.45))
    monkeypatch.setattr("pages._similar.similar_to", lambda *a: found)
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    app = upload(open_page(), ("mine.png", picture("mel")))
    captions = [caption for image in images(app) for caption in image.captions]
    assert any(f"{BY_CODE[known['dx']].name}, similarity > 0.99" in caption for caption in captions)
    assert "its picture is not in this folder" in texts(app.caption)


def test_an_unusable_index_is_named(page: AppTest, picture: Callable, monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise SimilarUnavailable("expected the lesions as student sees them")

    monkeypatch.setattr("pages._similar.similar_to", refuse)
    upload(page, ("mine.png", picture("mel")))
    said = "The index of lesions cannot be used: expected the lesions as student sees them. `python -m core gate fit`"
    assert said in texts(page.caption)


def downloads(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def test_one_image_offers_its_case_report(page: AppTest, picture: Callable) -> None:
    assert not downloads(page)
    upload(page, ("mine.png", picture("mel")))
    assert downloads(page) == ["Case report"]


def test_many_images_offer_a_table_and_a_report_on_all(page: AppTest, picture: Callable) -> None:
    upload(page, ("a.png", picture("nv")), ("b.png", picture("mel")))
    assert downloads(page) == ["Table as CSV", "Report on all as HTML", "Case report"]


def test_a_rejected_file_offers_no_report(page: AppTest) -> None:
    upload(page, ("broken.jpg", b"nothing"))
    assert not downloads(page)


def test_the_research_drawer_is_closed_and_loads_nothing(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    assert not page.get("pills")
    assert not {"methods", "research-model"} & {
        str(widget.key) for widget in [*page.selectbox, *page.button_group]
    }


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What the research drawer is asked to explain, `model class method`, with a stand-in that answers at once."""
    found: list[str] = []

    def explain(sha256, model, weights, code, method, data) -> np.ndarray:
        found.append(f"{model} {code} {method}")
        return np.ones((7, 7), np.float32)

    monkeypatch.setattr("pages._research._explain", explain)
    monkeypatch.setattr("pages._research._about", lambda method: "A method.")
    return found


def test_the_open_research_drawer_computes_what_is_chosen(
    make_models, open_page, picture: Callable, asked
) -> None:
    folder = make_models(student=None, baseline=None)
    (folder / "student.npz").write_bytes(b"weights")
    update_model(folder, "student", {}, {"weights": "student.npz"})
    app = upload(open_page(), ("mine.png", picture("mel")))
    app.session_state["research"] = True
    app.run()
    assert not app.exception
    assert asked == ["student mel grad-cam++"]
    assert app.selectbox(key="research-model").options == ["Student"]
    app.selectbox(key="research-class").select("nv").run()
    assert asked[-1] == "student nv grad-cam++"
    assert "Grad-CAM++ of Melanocytic nevus" in [c for image in images(app) for c in image.captions]


def test_a_network_leads_with_its_own_class_though_its_variant_leads(
    make_models, open_page, picture: Callable, asked
) -> None:
    folder = make_models(**{"student": None, "student-int8": "other"})
    (folder / "student.npz").write_bytes(b"weights")
    update_model(folder, "student", {}, {"weights": "student.npz"})
    update_model(folder, "student-int8", {"parent": "student"})
    for models, code in ((["student-int8", "student"], "mel"), (["student", "student-int8"], "mel"),
                         (["student-int8"], "nv")):  # fmt: skip
        app = upload(open_page(models=models), ("mine.png", picture("mel")))
        app.session_state["research"] = True
        app.run()
        assert not app.exception
        assert asked[-1] == f"student {code} grad-cam++"


def test_the_research_drawer_without_weights_says_how_to_make_them(page: AppTest, picture: Callable) -> None:
    upload(page, ("mine.png", picture("mel")))
    page.session_state["research"] = True
    page.run()
    assert not page.exception
    assert "None of the models that answered has Keras weights here" in texts(page.info)


def test_pasting_offers_a_field_for_it(make_models, open_page) -> None:
    make_models(student=None)
    app = open_page(source="Paste")
    assert not app.exception
    assert "paste an image" in app.chat_input[0].placeholder


def test_a_pasted_image_is_read_and_can_be_forgotten(make_models, open_page, picture: Callable) -> None:
    make_models(student=None)
    app = open_page(source="Paste")
    app.session_state["pasted-images"] = [Item("image.png", picture("vasc"))]
    app.run()
    assert "Vascular lesion" in texts(app.subheader)
    app.button[0].click().run()
    assert not app.exception
    assert "What the models can name" in texts(app.subheader)


def remembered() -> bytes:
    """What the sessions' caches hold that was made of uploads."""
    caches = [
        cache
        for session, found in _data_caches._function_caches.items()
        if session
        for cache in found.values()
    ]
    return b"".join(value for cache in caches for value in cache.storage._mem_cache.values())


def test_what_was_made_of_a_file_goes_with_it(page: AppTest, picture: Callable) -> None:
    upload(page, ("anna.png", picture("mel")), ("other.png", picture("nv")))
    assert b"anna.png" in remembered()
    upload(page, ("other.png", picture("nv")))
    assert b"anna.png" not in remembered()
    assert b"other.png" in remembered()
    upload(page)
    assert remembered() == b""
    assert "anna" not in repr(page.session_state["images-here"])


def test_who_goes_to_another_page_leaves_nothing_behind(page: AppTest, picture: Callable) -> None:
    upload(page, ("anna.png", picture("mel")))
    assert b"anna.png" in remembered()
    page.switch_page("pages/privacy.py").run()
    assert not page.exception
    assert remembered() == b""
    assert not page.session_state["images-here"]


def test_who_goes_to_a_sample_that_cannot_be_read_leaves_nothing_behind(
    page: AppTest, picture: Callable, monkeypatch
) -> None:
    def synthetic(code: str, number: int) -> None:
        raise UserError("expected *a* picture")

    gone = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_session_files", lambda self, session: gone.append(session)
    )
    monkeypatch.setattr("pages._data.synthetic", synthetic)
    upload(page, ("anna.png", picture("mel")))
    page.segmented_control(key="source").set_value("Sample").run()
    assert not page.exception
    assert texts(page.error) == escape_markdown("expected *a* picture")
    assert remembered() == b""
    assert len(gone) == 1


def test_uploaded_files_go_with_the_field_that_took_them(
    page: AppTest, picture: Callable, monkeypatch
) -> None:
    """Streamlit would keep them until the visit ends."""
    gone = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_session_files", lambda self, session: gone.append(session)
    )
    upload(page, ("anna.png", picture("mel")))
    page.run()
    assert not gone
    page.segmented_control(key="source").set_value("Sample").run()
    assert len(gone) == 1
    page.run()
    assert len(gone) == 1


def test_what_was_pasted_and_never_sent_goes_with_its_field(make_models, open_page, monkeypatch) -> None:
    make_models(student=None)
    app = open_page(source="Paste")
    gone = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_session_files", lambda self, session: gone.append(session)
    )
    app.run()
    assert not gone
    app.segmented_control(key="source").set_value("Sample").run()
    assert not app.exception
    assert len(gone) == 1


def test_what_is_pasted_stands_beside_what_was_pasted_before(
    make_models, open_page, picture: Callable
) -> None:
    """Clipboards call every picture image.png."""
    make_models(student=None)
    app = open_page(source="Paste")
    first, second = picture("vasc"), picture("nv")
    for pasted in ([first], [first, second]):
        sent = SimpleNamespace(
            files=[SimpleNamespace(name="image.png", getvalue=lambda data=data: data) for data in pasted]
        )
        with patch("streamlit.chat_input", return_value=sent):
            app.run()
        assert not app.exception
    app.run()
    assert list(app.dataframe[0].value["image"]) == ["pasted-1.png", "pasted-2.png"]


def test_what_was_made_of_pasted_images_is_forgotten_with_them(
    make_models, open_page, picture: Callable
) -> None:
    make_models(student=None)
    app = open_page(source="Paste")
    app.session_state["pasted-images"] = [Item("anna.png", picture("vasc"))]
    app.run()
    assert b"anna.png" in remembered()
    app.button[0].click().run()
    assert remembered() == b""


def test_explanations_and_similar_lesions_go_as_well(page: AppTest, picture: Callable, monkeypatch) -> None:
    gone: list[str] = []
    for module in ("_similar", "_research"):
        monkeypatch.setattr(f"pages.{module}.forget", lambda module=module: gone.append(module))
    upload(page, ("mine.png", picture("mel")))
    page.run()
    assert not gone
    upload(page)
    assert gone == ["_similar", "_research"]


def many() -> None:
    import hashlib

    from pages import _data

    for number in range(70):
        data = str(number).encode()
        _data.read(data, hashlib.sha256(data).hexdigest(), f"{number}.png", ("student",))


def test_many_large_photographs_are_asked_about_once(make_models, open_page, monkeypatch) -> None:
    asked: list[str] = []
    side = settings.MAX_DISPLAY_SIDE

    def ask(registry, models, data, name, *, orientations) -> Reading:
        asked.append(name)
        return Reading(name, "ok", display=np.zeros((side, side, 3), np.uint8))

    monkeypatch.setattr("pages._data.ask", ask)
    make_models(student=None)
    app = AppTest.from_function(many, default_timeout=60)
    app.run().run()
    assert not app.exception
    assert len(asked) == 70
    st.cache_data.clear()


def test_a_camera_is_offered(make_models, open_page) -> None:
    make_models(student=None)
    app = open_page(source="Camera")
    assert not app.exception
    assert app.get("camera_input")
