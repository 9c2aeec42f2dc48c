"""Choices that live in the address, and that take an option's code there as well as its name.

Streamlit writes the words of an option into the address (`?class=Basal+cell+carcinoma`) and reads nothing else from
it: `?class=bcc`, which a person types and which stays the same when words change, opened the default instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from core.text import escape

SAID, AGAIN = "address-said", "address-again"
"""Keys of the session's state: what was said of the address in this run, and whether it runs once more."""

Option = TypeVar("Option")
Number = TypeVar("Number", int, float)


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
    _say_in_words(key, options, format_func)
    _drop_strangers(key, options)
    return st.selectbox(label, options, index, format_func, key=key, bind="query-params", **more)


def multiselect(
    label: str, options: Sequence[Option], format_func: Callable[[Any], str] = str, *, key: str, **more: Any
) -> list[Option]:
    """`st.multiselect`, likewise."""
    _say_in_words(key, options, format_func)
    _drop_strangers(key, options)
    return st.multiselect(label, options, format_func=format_func, key=key, bind="query-params", **more)


def segmented_control(
    label: str, options: Sequence[Option], format_func: Callable[[Any], str] = str, *, key: str, **more: Any
) -> Option:
    """`st.segmented_control` of which one is always chosen, at first the first, likewise."""
    return _one_of_a_row(st.segmented_control, label, options, format_func, key, more)


def pills(label: str, options: Sequence[Option], *, key: str) -> Option:
    """`st.pills` of which one is always chosen, at first the first, likewise."""
    return _one_of_a_row(st.pills, label, options, str, key, {})


def _one_of_a_row(
    widget: Callable[..., Option | None], label: str, options: Sequence[Option], format_func: Callable[[Any], str],
    key: str, more: dict[str, Any],
) -> Option:  # fmt: skip
    if key not in st.session_state and st.query_params.get(key) == "":
        del st.query_params[key]  # of which Streamlit would make no choice at all, whatever is required
        again()
    _say_in_words(key, options, format_func)
    _drop_strangers(key, options)
    chosen = widget(
        label, options, default=options[0], required=True, format_func=format_func, key=key, bind="query-params",
        **more,
    )  # fmt: skip
    return options[0] if chosen is None else chosen


def number_input(
    label: str, low: Number, high: Number, start: Number, *more: Any, key: str, **others: Any
) -> Number:
    """`st.number_input` bound to the address, which has no answer of its own to `?number=1e999`."""
    asked = say_what_is_out_of_range(key, low, high)
    if asked is not None and not math.isfinite(asked):
        del st.query_params[key]
        again()
    if key in st.session_state and not low <= st.session_state[key] <= high:
        del st.session_state[key]
    return st.number_input(label, low, high, start, *more, key=key, bind="query-params", **others)


def slider(
    label: str, low: Number, high: Number, start: Number, *more: Any, key: str, **others: Any
) -> Number:
    """`st.slider` of one number, likewise."""
    say_what_is_out_of_range(key, low, high)
    return st.slider(label, low, high, start, *more, key=key, bind="query-params", **others)


def say(text: str) -> None:
    """What the address asks for and cannot get."""
    st.session_state.setdefault(SAID, []).append(text)
    st.toast(text, icon=":material/link_off:")


def again() -> None:
    """Have the page run from its beginning, since its address was put right; what was said is said once more."""
    st.session_state[AGAIN] = True
    st.rerun()


def begin() -> None:
    """Called when a page begins to run."""
    said = st.session_state.pop(SAID, [])
    if st.session_state.pop(AGAIN, False):
        for text in said:
            say(text)


def say_what_is_out_of_range(key: str, low: float, high: float) -> float | None:
    """The number that the address asks for, which is said to be no choice where it is none; NaN for no number at all.

    Whoever is sent a link would otherwise take what is shown for what was meant.
    """
    asked = st.query_params.get(key)
    if key in st.session_state or not asked:
        return None
    try:
        number = float(asked)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        say(f"The address asks for “{plain(asked)}”, where {low:g} to {high:g} can be chosen.")
    return number


def plain(junk: str) -> str:
    """Something from an address, short and without markup."""
    from core.serving.intake import display_name  # with what opens images, which the overview does without

    return escape(display_name(junk))


def _say_in_words(key: str, options: Sequence[Any], format_func: Callable[[Any], str]) -> None:
    """Replace codes in the address by words, before the widget is there: until then Streamlit lets the address be
    changed, and afterwards reads it itself."""
    by_code = {str(option): format_func(option) for option in options}
    asked = st.query_params.get_all(key)
    words = [by_code.get(one, one) for one in asked]
    if key not in st.session_state and (
        unknown := [one for one in words if one and one not in by_code.values()]
    ):
        say(f"The address asks for “{plain(unknown[0])}”, which is no choice here.")
    if key not in st.session_state and words != asked:
        st.query_params[key] = words if len(words) > 1 else words[0]
        again()


def _drop_strangers(key: str, options: Sequence[Any]) -> None:
    """Let go of choices that are none any more: Streamlit would go on giving them back while it shows another."""
    chosen = st.session_state.get(key)
    if isinstance(chosen, list):
        if any(one not in options for one in chosen):
            st.session_state[key] = [one for one in chosen if one in options]
    elif chosen is not None and chosen not in options:
        del st.session_state[key]
