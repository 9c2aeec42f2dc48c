"""Comparison: any set of models, the report's figures and a model of your own, with intervals and tests."""

from __future__ import annotations

import streamlit as st

from core.evaluation.contestants import Contestant
from pages import _answers, _bring, _compression, _costs, _links, _shared, _training, _views

VIEWS = {
    "Figures": _views.show_figures,
    "Trade-off": _costs.show_tradeoff,
    "Classes": _views.show_classes,
    "Curves": _answers.show_curves,
    "Calibration": _answers.show_calibration,
    "Differences": _answers.show_differences,
    "Cohorts": _answers.show_cohorts,
    "Training": _training.show_training,
    "Compression": _compression.show_compression,
}


def choose(models: list[Contestant]) -> list[Contestant]:
    """The models to compare."""
    by_name = {model.name: model for model in models}
    measured = [model.name for model in models if model.figures]
    chosen = _links.multiselect(
        "Models", list(by_name), lambda name: by_name[name].title, key="compare", default=measured
    )
    return [by_name[name] for name in _shared.in_order(chosen)]


def main() -> None:
    """The page from top to bottom."""
    st.title("Comparison")
    st.markdown(
        "Models on test images that they were not trained on. Intervals are 95% and come from resampling "
        "lesions, not images, since images of one lesion are no independent cases."
    )
    models = _shared.contestants()
    _shared.say_what_is_missing()
    if not models:
        st.info(
            "There is no model to compare yet. The commands above make them; until then, this is what was "
            "reported of others."
        )
        _views.show_reported()
        return
    chosen = choose(models)
    guest = _bring.bring(models)
    if guest is not None:
        chosen = [*chosen, guest.contestant]
    if not chosen:
        st.info("Choose a model above.")
        return
    if len({model.split for model in chosen} - {""}) > 1:
        st.warning(
            "These models were trained and measured on different splits: of a split by image they have seen lesions "
            "that they are tested on, and others have not answered the same images.",
            icon=":material/call_split:",
        )
    view = _links.pills("What to compare", list(VIEWS), key="view")
    VIEWS[view](chosen, guest)
    _answers.read_ahead(chosen, guest)


_shared.run(main, uploader="brought")
