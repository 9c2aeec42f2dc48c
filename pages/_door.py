"""Who may come in: whoever signs in where sign-in is set up, and otherwise this machine alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

SECRETS = ".streamlit/secrets.toml"
_FORWARDED = ("forwarded", "x-real-ip", "via", "cf-connecting-ip", "true-client-ip")
_PREFIX = "x-forwarded-"
"""Headers by which a reverse proxy says that it is one; of one that sends none of them nothing is known."""


def admitted() -> bool:
    """Whether this visitor may see a page; otherwise what to do is said in its place.

    With an `[auth]` section in Streamlit's secrets everybody signs in. Without one the server has to listen on this
    machine's own address alone, and nobody may ask through a proxy: a dashboard for medical images is not left open to
    a network by accident.
    """
    if _secrets_are_damaged():
        st.error(
            f"Sign-in cannot be set up: `{SECRETS}` is there and cannot be read. Expected TOML with an `[auth]` "
            "section. Until it is mended, nobody is let in."
        )
        return False
    if sign_in_is_set_up():
        return _signed_in()
    if reason := _open_to_others(st.get_option("server.address"), st.context.headers.to_dict()):
        st.error(
            f"Nothing is shown, since {reason} and no sign-in is set up. Start the server on `localhost`, or add an "
            f"`[auth]` section to `{SECRETS}`; the README says how, under “Running it for others”."
        )
        return False
    return True


def sign_in_is_set_up() -> bool:
    """Whether Streamlit's secrets have an `[auth]` section."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def _secrets_are_damaged() -> bool:
    there = any(Path(path).is_file() for path in st.get_option("secrets.files"))
    return there and not st.secrets.load_if_toml_exists()


def _signed_in() -> bool:
    if st.user.is_logged_in:
        # Who it is, is nobody else's business and needed nowhere: no name is shown, logged or kept.
        st.sidebar.button("Sign out", on_click=st.logout, icon=":material/logout:")
        return True
    st.title("DermDistill")
    st.write("Please sign in. Images that you upload stay in this server's memory and go with your visit.")
    st.button("Sign in", on_click=st.login, type="primary", icon=":material/login:")
    return False


def _open_to_others(address: str | None, headers: Mapping[str, str]) -> str:
    """Why others than this machine's own people could look, or nothing.

    Args:
        address: where the server listens; None is every address of the machine.
        headers: of the request, with names in any case.
    """
    if not _is_loopback(address or ""):
        return f"the server listens on {address or 'every address of this machine'}"
    sent = {name.lower(): value for name, value in headers.items()}
    if any(name in _FORWARDED or name.startswith(_PREFIX) for name in sent):
        return "the request came through a proxy"
    return ""


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
