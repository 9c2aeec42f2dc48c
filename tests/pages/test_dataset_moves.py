"""HAM10000 moved away, partly deleted and put back while pages are open: the next run of a page says what is so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _data, _similar


@pytest.fixture
def at_hand(make_models, open_page, small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HAM10000's folder, free to be moved; after `open_page` has hidden it."""
    make_models(student=None)
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    return small_folder


def said(app: AppTest) -> str:
    assert not app.exception
    assert not app.error
    return "\n".join(str(element.value) for element in [*app.info, *app.markdown, *app.caption, *app.text])


def pictures(app: AppTest) -> int:
    return len(app.get("image"))


def test_moved_away_and_back_under_an_open_page(at_hand: Path, open_page) -> None:
    app = open_page("dataset", section="Images")
    assert "not at hand" not in said(app)
    assert pictures(app) == 24
    away = at_hand.rename(at_hand.with_name("elsewhere"))
    assert "**HAM10000 is not at hand.**" in said(app.run())
    assert f"found nothing at {at_hand}" in said(app), "and where it was looked for"
    away.rename(at_hand)
    assert "not at hand" not in said(app.run())
    assert "**84 of 84 images**" in said(app)
    assert pictures(app) == 24, "none of them is remembered as missing"


def test_partly_deleted_under_an_open_page(at_hand: Path, open_page) -> None:
    """The split is made of all ids: a part of the images is not shown as if it were HAM10000."""
    app = open_page("dataset", section="Images")
    lost = at_hand / "images" / "ISIC_0000003.jpg"
    kept = lost.rename(at_hand.with_name("kept.jpg"))
    assert "1 images named in the metadata have no file: ISIC_0000003" in said(app.run())
    assert "python -m core data check" in said(app)
    kept.rename(lost)
    assert "not at hand" not in said(app.run())


def test_a_folder_of_images_deleted_under_an_open_image(at_hand: Path, open_page) -> None:
    app = open_page("dataset", section="Images", image="ISIC_0000003")
    assert "ISIC\\_0000003" in [heading.value for heading in app.subheader]
    shutil.rmtree(at_hand / "images")
    assert "**HAM10000 is not at hand.**" in said(app.run())


def test_one_that_comes_under_an_open_page(at_hand: Path, open_page, small_set) -> None:
    shutil.rmtree(at_hand)
    app = open_page("dataset", section="Images")
    assert "**HAM10000 is not at hand.**" in said(app)
    at_hand.mkdir()
    assert "an empty folder" in said(app.run())
    small_set.write_flat(at_hand)
    assert "not at hand" not in said(app.run())


def test_moved_away_under_a_test_image_that_is_open(at_hand: Path, open_page) -> None:
    """The prediction page goes back to what it has."""
    app = open_page("prediction", source="Sample", kind="HAM10000 test image")
    assert "HAM10000 test image" in app.selectbox(key="kind").options
    assert "Recorded diagnosis" in said(app)
    at_hand.rename(at_hand.with_name("elsewhere"))
    assert "Recorded diagnosis" not in said(app.run())
    assert app.selectbox(key="kind").options == ["Synthetic lesion"]
    assert pictures(app)


def test_similar_lesions_get_their_pictures_as_soon_as_they_are_there(at_hand: Path) -> None:
    away = at_hand.rename(at_hand.with_name("elsewhere"))
    assert _similar.picture("ISIC_0000000") is None
    away.rename(at_hand)
    assert _similar.picture("ISIC_0000000") is not None
    assert _data.test_image_ids()["mel"]
    at_hand.rename(away)
    assert _similar.picture("ISIC_0000000") is None
    assert _data.test_image_ids() == {}
