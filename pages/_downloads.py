"""Downloads: made when they are asked for, whole until they are fetched, and gone with the visit or the next run.

Left to itself, Streamlit keeps what a download button has made until two more runs have ended, of whichever visitor:
of a lone visitor's report for good, and of a busy server's perhaps not until its owner's browser has asked for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

MADE = "downloads-made"
"""The key of the session's state with the names of files that were made since the page last ran to its end."""

MARKED, DELETED = 1, 2
"""Streamlit marks a file that no page refers to, and deletes one that is marked."""


def offer(label: str, make: Callable[[], str | bytes], file_name: str, mime: str, **more: Any) -> None:
    """A button that gives a file away.

    Args:
        label: of the button.
        make: gives the file's content; called by the server, which has neither a session's state nor its caches.
        file_name: that the browser is told.
        mime: its type.
        more: as `st.download_button` takes it.
    """
    made: list[str] = st.session_state.setdefault(MADE, [])
    content = partial(_make, make, file_name, mime, get_script_run_ctx(), made)
    st.download_button(label, content, file_name, mime, on_click="ignore", **more)


def forget_made() -> None:
    """Let go of what was made in earlier runs; called when a page has run to its end, so that its files are known."""
    if st.session_state.get(MADE):
        st.session_state[MADE].clear()
        sweep()


def sweep() -> None:
    """Delete every file that no page refers to, of whomever it is."""
    if exists():
        for _ in (MARKED, DELETED):
            get_instance().media_file_mgr.remove_orphaned_files()


def _make(make: Callable[[], str | bytes], file_name: str, mime: str, context: Any, made: list[str]) -> bytes:
    """The content, which the visitor's page refers to from now on until it runs again."""
    found = make()
    content = found.encode() if isinstance(found, str) else found
    if context is None or not exists():
        return content
    # Whose page it is, Streamlit reads off the thread; this one is the server's.
    thread = threading.Thread(target=_refer, args=(content, file_name, mime))
    add_script_run_ctx(thread, context)
    thread.start()
    thread.join()
    made.append(file_name)
    return content


def _refer(content: bytes, file_name: str, mime: str) -> None:
    # The same content, type and name have the same address.
    manager = get_instance().media_file_mgr
    manager.add(content, mime, f"made-{file_name}", file_name, is_for_static_download=True)
