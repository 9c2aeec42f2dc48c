"""Whether distillation pays, as it is shipped: a sentence beside the comparison's differences."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.evaluation.compare import BASELINE, STUDENT
from core.evaluation.contestants import averaged_runs
from core.evaluation.gain import gain_sentence, read_gain
from core.manifest import Manifest
from pages import _shared


def say_whether_distillation_pays() -> None:
    """The student and the baseline on validation as well, and in what else they differ."""
    manifest = _shared.registry().manifest
    if manifest is None:
        return
    key = tuple(_shared.predictions_sha256(name) for name in manifest.models)
    try:
        said = _gain(key, manifest)
    except UserError:
        return  # the view says of each model why it is left out
    if not said:
        return
    kinds = [
        f"{_shared.title(n)} is the mean of {len(mean)} trainings' weights"
        for n in (STUDENT, BASELINE)
        if (mean := averaged_runs(manifest.models[n]))
    ]
    st.caption(
        f":material/balance: {said}"
        + (f" They differ in more than teachers: {' and '.join(kinds)}." if kinds else "")
        + " With everything else equal, and several seeds, the distillation lab asks the same."
    )


@st.cache_data(max_entries=4, show_spinner=False)
def _gain(key: tuple[str, ...], _manifest: Manifest) -> str:
    return gain_sentence(read_gain(_manifest))
