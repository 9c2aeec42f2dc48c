"""What pages show more of with HAM10000 at hand: pictures, in the gallery, in the dialog, and behind a cell."""

from __future__ import annotations

import re

import pytest

from tests.browser.steps import on_page, says, settled

pytestmark = [pytest.mark.slow, pytest.mark.ham10000]


def loaded(place) -> int:
    """The width of a picture's own pixels, once it has come."""
    picture = place.get_by_test_id("stImage").locator("img").first
    picture.wait_for()
    return picture.evaluate("async image => { await image.decode(); return image.naturalWidth; }")


def test_an_image_of_the_gallery_opens_with_its_record(dashboard_with_data, visit) -> None:
    page = on_page(visit(f"{dashboard_with_data.url}/dataset?section=Images&dx=df&many=8"), "Dataset")
    says(page, "What these images are")  # below the gallery: all of its cards are there
    openers = settled(page).locator('[class*="st-key-open-ISIC"] button')
    image_id = re.search(r"ISIC_\d{7}", openers.first.inner_text())[0]
    openers.filter(has_text=image_id).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name=image_id).wait_for()
    dialog.get_by_text("Confirmed by").wait_for()
    dialog.get_by_text("What the models say").wait_for()
    assert loaded(dialog) > 200
    assert f"image={image_id}" in settled(page).url


def test_a_cell_shows_its_pictures_with_maps(dashboard_with_data, visit) -> None:
    page = on_page(visit(f"{dashboard_with_data.url}/confusion?true=mel&named=nv"), "Confusion")
    says(page, "Images of a cell")
    says(page, re.compile("Each picture, then where the model found"))
    assert loaded(page) > 100
    settled(page)
