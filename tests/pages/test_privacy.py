"""What is kept, where images go and what an operator has to add: said on a page and in the README, and the same."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import MAX_UPLOAD_BYTES, ROOT


def words(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(element.value) for element in [*app.title, *app.header, *app.markdown, *app.info])


def test_page_and_readme_say_what_is_kept_and_what_an_operator_adds(open_page) -> None:
    said = words(open_page("privacy"))
    for part in (
        "What is kept.** Nothing.",
        "closed tab held goes 2 minutes later",
        "memory of the server",
        "sign-in",
        "TLS",
        "legal ground",
        "deletion",
    ):
        assert part in said
    assert f"{MAX_UPLOAD_BYTES >> 20} MB" in said
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paragraph = " ".join(re.search(r"- \*\*Privacy\.\*\*(.*?)\n- ", readme, re.DOTALL)[1].split())
    for part in ("Nothing that is uploaded is written to disk", "memory", "sign-in, TLS, a legal ground"):
        assert part in paragraph


@pytest.mark.parametrize(
    ("set_up", "sentence"), [(True, "asks everybody to sign in"), (False, "this machine alone")]
)
def test_the_page_says_whether_there_is_a_sign_in(
    open_page, monkeypatch, set_up: bool, sentence: str
) -> None:
    monkeypatch.setattr("pages._door.sign_in_is_set_up", lambda: set_up)
    monkeypatch.setattr("pages._door.admitted", lambda: True)
    assert sentence in words(open_page("privacy"))
