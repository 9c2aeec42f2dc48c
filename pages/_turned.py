"""The prediction page's switch for asking about all orientations of an image, with what that costs and gains."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.serving.turned import ALL, COMMAND, read_gain
from pages import _shared

KEY = "orientations"


def choose(models: Sequence[str]) -> int:
    """How many orientations of an image the models are asked about: 1, or all."""
    on = st.toggle(f"All {ALL} orientations", key=KEY, bind="query-params")
    once = sum(networks(name) for name in models)
    st.caption(
        "A dermatoscopic image has no upright: its quarter turns and mirror images are as good. Each model looks at "
        f"all {ALL}, and calibrated probabilities and maps are averaged. It costs {ALL * once} passes through a "
        f"network for each image instead of {once}. Calibration and operating points were fitted without it."
    )
    for name in models:
        st.caption(f"**{_shared.plain_text(_shared.title(name))}**: {gain(name)}")
    return ALL if on else 1


def networks(name: str) -> int:
    """How many networks answer for a model: an ensemble's members, otherwise one."""
    entry = _shared.registry().state(name).entry
    return len(entry.members) if entry is not None and entry.members else 1


def gain(name: str) -> str:
    """What it gains, as measured and stored; otherwise that it was not, with the command that does it. Markdown."""
    entry, manifest = _shared.registry().state(name).entry, _shared.registry().manifest
    if entry is None or manifest is None or entry.members:
        return "what it gains was not measured."
    try:
        found = read_gain(manifest, name)
    except UserError as error:
        return _shared.plain_text(str(error))
    if found is None:
        return f"what it gains was not measured; `{COMMAND} --model {name}` measures it."
    return _shared.plain_text(found.sentence())
