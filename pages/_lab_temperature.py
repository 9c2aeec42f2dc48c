"""The lab's slider of the temperature, which all its chapters share."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from core.lab.soft_labels import CHOICES, nearest_choice
from pages import _links


def temperature_slider(start: float, *, key: str, **more: Any) -> float:
    """A slider of T over `CHOICES`, bound to the address; any other T that stands there becomes the nearest of them."""
    asked = st.query_params.get(key)
    if key not in st.session_state and asked and asked not in map(_written, CHOICES):
        wanted = _number(asked)
        if wanted is None:
            _links.say(f"The address asks for T = “{_links.plain(asked)}”, which is no temperature.")
        else:  # as Streamlit does not take an option that is only near
            st.query_params[key] = _written(nearest_choice(wanted))
            _links.again()
    return st.select_slider("Temperature T", CHOICES, start, _written, key=key, bind="query-params", **more)


def _written(temperature: float) -> str:
    return f"{temperature:g}"


def _number(text: str) -> float | None:
    """A finite number above 0; None for anything else."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None
