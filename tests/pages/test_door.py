"""Who may come in: without sign-in nobody but this machine's own people."""

from __future__ import annotations

import runpy
from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.settings import ROOT

door = runpy.run_path(str(ROOT / "pages" / "_door.py"))
open_to_others = door["_open_to_others"]


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.0.0.5", "::1"])
def test_this_machine_alone(address: str) -> None:
    assert open_to_others(address, {"Host": "localhost:8501"}) == ""


@pytest.mark.parametrize(
    "address", [None, "", "0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.evil"]
)
def test_an_address_that_others_reach(address: str | None) -> None:
    assert "listens on" in open_to_others(address, {})


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "x-forwarded-for",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "CF-Connecting-IP",
    ],
)
def test_a_request_through_a_proxy(name: str) -> None:
    assert "proxy" in open_to_others("localhost", {name: "203.0.113.7"})


def start() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def test_a_server_open_to_the_network_shows_nothing(make_models: Callable, monkeypatch) -> None:
    make_models(student=None)
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda key: "0.0.0.0" if key == "server.address" else real(key))
    app = start().run()
    assert not app.exception
    assert "no sign-in is set up" in app.error[0].value
    assert not app.title


def test_a_damaged_secrets_file_lets_nobody_in(make_models: Callable, monkeypatch, tmp_path) -> None:
    """Taken for none it would open what was meant to be closed."""
    make_models(student=None)
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("[auth\n")
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda key: [str(secrets)] if key == "secrets.files" else real(key))
    monkeypatch.setattr(type(st.secrets), "load_if_toml_exists", lambda self: False)
    app = start().run()
    assert "nobody is let in" in app.error[0].value
    assert not app.title


def behind_sign_in(is_logged_in: bool) -> AppTest:
    app = start()
    app.secrets["auth"] = {"client_id": "x"}
    app.user = {"is_logged_in": is_logged_in, "email": "reader@example.org"}
    return app.run()


def test_with_sign_in_a_stranger_sees_only_the_door(make_models: Callable) -> None:
    make_models(student=None)
    app = behind_sign_in(is_logged_in=False)
    assert not app.exception
    assert [button.label for button in app.button] == ["Sign in"]
    assert not app.dataframe


def test_whoever_signed_in_sees_the_pages_and_can_leave(make_models: Callable) -> None:
    make_models(student=None)
    app = behind_sign_in(is_logged_in=True)
    assert not app.exception
    assert [button.label for button in app.sidebar.button] == ["Sign out"]
    shown = " ".join(element.value for element in [*app.title, *app.markdown, *app.caption])
    assert "Not a medical device" in shown
    assert "reader@example.org" not in shown
