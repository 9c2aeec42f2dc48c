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
    once = passes(models)
    st.caption(
        "A dermatoscopic image has no upright: its quarter turns and mirror images are as good. Each model looks at "
        f"all {ALL}, and calibrated probabilities and maps are averaged. It costs {ALL * once} passes through a "
        f"network for each image instead of {once}. Calibration and operating points were fitted without it."
    )
    for name in models:
        st.caption(f"**{_shared.plain_text(_shared.title(name))}**: {gain(name)}")
    return ALL if on else 1


def passes(models: Sequence[str]) -> int:
    """How often a network looks at an image that is asked about once, as in `core.serving.panel.ask`: those of which a
    leading ensemble consists do not look again for themselves."""
    answered = set(members(models[0]))
    return sum(len(members(name)) or 1 for name in models if name not in answered)


def members(name: str) -> Sequence[str]:
    """The models of which an ensemble consists; none of any other."""
    entry = _shared.registry().state(name).entry
    return entry.members if entry is not None else ()


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
