"""What stands around every page: the way to it, and the notice above it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.settings import ROOT

ROUTED = re.findall(r'st\.Page\("(pages/\w+\.py)"', (ROOT / "app.py").read_text(encoding="utf-8"))


def test_every_page_is_in_the_router() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pages").glob("[a-z]*.py")}
    assert set(ROUTED) == files


@pytest.mark.parametrize("page", ROUTED)
def test_a_deep_link_to_a_cold_server_opens_the_page_under_the_notice(
    make_models: Callable, tmp_path, monkeypatch, page: str
) -> None:
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))
    st.cache_data.clear()
    st.cache_resource.clear()
    make_models(student=None, resnet50=None)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page(page).run()
    assert not app.exception
    assert app.title
    assert "Not a medical device" in app.caption[0].value
