"""Choices that live in the address, and that take an option's code there as well as its name.

Streamlit writes the words of an option into the address (`?class=Basal+cell+carcinoma`) and reads nothing else from
it: `?class=bcc`, which a person types and which stays the same when words change, opened the default instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

Option = TypeVar("Option")


def selectbox(
    label: str,
    options: Sequence[Option],
    index: int = 0,
    format_func: Callable[[Any], str] = str,
    *,
    key: str,
    **more: Any,
) -> Option:
    """`st.selectbox` bound to the address, where an option stands by its words or by its code."""
    by_code = {str(option): format_func(option) for option in options}
    asked = st.query_params.get(key)
    if key not in st.session_state and isinstance(asked, str) and by_code.get(asked, asked) != asked:
        # Before the widget is there, so that Streamlit still lets the address be changed and then reads it itself.
        st.query_params[key] = by_code[asked]
        st.rerun()
    return st.selectbox(label, options, index, format_func, key=key, bind="query-params", **more)
