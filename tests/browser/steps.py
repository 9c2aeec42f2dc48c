"""What visitors do on every page: wait, choose, upload, download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Page = Any
"""`playwright.sync_api.Page`; Playwright is imported by the fixtures alone, so that a machine without it skips."""


def settled(page: Page) -> Page:
    """Wait until the page's run has ended; fails where it ended in an exception."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    boxes = page.get_by_test_id("stException")
    assert boxes.count() == 0, boxes.first.inner_text()
    return page


def says(page: Page, text: str) -> None:
    """Wait for a text that can be seen."""
    page.get_by_text(text).filter(visible=True).first.wait_for()


def on_page(page: Page, title: str) -> Page:
    """Wait for a page by its title."""
    page.get_by_role("heading", name=title, level=1, exact=True).first.wait_for()
    return settled(page)


def box(page: Page, label: str, kind: str = "stSelectbox") -> Page:
    """A selectbox, or another kind of field, by its label."""
    return page.get_by_test_id(kind).filter(has=page.get_by_text(label, exact=True)).first


def choose(page: Page, label: str, option: str, kind: str = "stSelectbox") -> None:
    """Choose one option of a field."""
    field = box(page, label, kind).locator("input").first
    # As people do: a list of options that opens at the window's edge closes again as the page scrolls to it.
    field.evaluate("element => element.scrollIntoView({block: 'center', behavior: 'instant'})")
    field.click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def press(page: Page, name: str) -> None:
    """Press a pill or a segment."""
    page.get_by_test_id("stButtonGroup").locator("button").get_by_text(name, exact=True).first.click()


def upload(page: Page, name: str, data: bytes, kind: str) -> None:
    """Give a file to the page's uploader."""
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(
        {"name": name, "mimeType": kind, "buffer": data}
    )


def download(page: Page, label: str) -> bytes:
    """What a download button gives, once the run under way is over: until then it may still be the last one's."""
    settled(page)
    with page.expect_download() as found:
        page.get_by_test_id("stDownloadButton").filter(has_text=label).locator("button").first.click()
    return Path(found.value.path()).read_bytes()
