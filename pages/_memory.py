"""What is uploaded stays in memory, and leaves it soon after its visitor."""

from __future__ import annotations

import asyncio

import streamlit as st
from starlette.formparsers import MultiPartParser
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.serving.heap import give_back, keep_little
from core.settings import MAX_UPLOAD_BYTES
from core.sweeping import sweep_in_background
from pages import _downloads

IMAGES_HERE = "images-here"
"""The key of the session's state by which it is seen that an image was taken away."""

UPLOADER_HERE = "uploader-here"
"""The same of the field that takes files."""

OPENED_HERE = "opened-here"
"""The hash of the image that was opened among several."""

BROUGHT_HERE = "brought-here"
"""The same of answers that a visitor brought."""

_GRACE = 0.9
"""Share of `server.disconnectedSessionTTL` after which a visit that was not taken up again is forgotten: a little
before Streamlit lets it go by itself, which it does only when somebody else leaves, be that in a week."""

_LOOKS = 10
"""How often during that time it is seen whether a visit that came back has left again."""

_leaving: set[str] = set()
"""Visits that have left, of which it is not known yet whether they come back; the server's own thread's alone."""


def keep_uploads_here() -> None:
    """Have uploads kept off the disk, and forgotten when their visitor has been gone for two minutes.

    Starlette writes what is larger than a megabyte into a temporary file while it arrives. What visits have freed
    goes back to the system, so that a server that was busy in the morning is as small again at night.
    """
    MultiPartParser.spool_max_size = MAX_UPLOAD_BYTES
    keep_little()
    sweep_in_background()
    _visit()


def forget_removed(here: set[tuple[str, str]], uploader: str = "") -> None:
    """Let go of all that was made of a visitor's images as soon as one of them is no longer on the page, and of
    uploaded files as soon as the field that took them is not: Streamlit would keep them until the visit ends.

    Args:
        here: name and sha256 of each image that is on the page now; none on any page but Prediction.
        uploader: which field for files the page has; empty for none.
    """
    context = get_script_run_ctx()
    if context and st.session_state.get(UPLOADER_HERE, "") != uploader:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        forget_brought()
    st.session_state[UPLOADER_HERE] = uploader
    if st.session_state.get(OPENED_HERE) not in {sha256 for _, sha256 in here}:
        st.session_state.pop(OPENED_HERE, None)
    if st.session_state.get(IMAGES_HERE, set()) - here:
        from pages import _data, _research, _similar  # what pages without images never need

        for made in (_data, _similar, _research):
            made.forget()
    st.session_state[IMAGES_HERE] = here


def forget_brought() -> None:
    """Let go of a model's answers that a visitor brought, and of all that was made of them."""
    if st.session_state.pop(BROUGHT_HERE, False):
        from pages import _answers, _bring

        for made in (_bring, _answers):
            made.forget()


def keep_until_it_is_gone() -> None:
    """Note that there are answers that a visitor brought."""
    st.session_state[BROUGHT_HERE] = True


def _forget_later(session_id: str) -> None:
    """Called when a visit's connection ends; it can be taken up again for a while."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # not the server's own thread: somebody emptied the caches, and nobody has left
        return
    if session_id not in _leaving:
        _leaving.add(session_id)
        loop.call_later(grace_seconds(), _forget, session_id, grace_seconds())


def grace_seconds() -> float:
    """How long after its connection has ended a visit is forgotten."""
    return _GRACE * st.get_option("server.disconnectedSessionTTL")


def _forget(session_id: str, away: float) -> None:
    """Forget a visit that has been away for its grace. One that was taken up again is looked at from time to time:
    of its next end nobody is told, unless a page ran in between.

    Args:
        session_id: of the visit.
        away: seconds for which it has been without a connection.
    """
    runtime, look = get_instance(), grace_seconds() / _LOOKS
    away = 0.0 if runtime.is_active_session(session_id) else away
    if away < grace_seconds():
        asyncio.get_running_loop().call_later(look, _forget, session_id, away + look)
        return
    _leaving.discard(session_id)
    runtime.close_session(session_id)
    _downloads.sweep()
    give_back()


@st.cache_resource(scope="session", on_release=_forget_later, show_spinner=False)
def _visit() -> str:
    """The visit's name; Streamlit releases it when the visit's connection ends."""
    context = get_script_run_ctx()
    return context.session_id if context else ""
