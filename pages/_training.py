"""The comparison's training curves, and what they are measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import UserError
from core.evaluation.brought import NAME
from core.evaluation.contestants import (
    Contestant,
    averaged_runs,
    run_shown,
)
from core.evaluation.histories import read_history
from core.figures.curves import (
    training_curves,
)
from core.manifest import ModelEntry
from core.text import listed
from pages import _links, _shared
from pages._bring import Guest

TRAINING_HEADINGS = {"loss": "Training loss", "accuracy": "Training accuracy", "seconds": "Seconds so far"}


def show_training(models: list[Contestant], guest: Guest | None) -> None:
    """Training curves of one model, as the report draws them."""
    ours = [model for model in models if model.name != NAME]
    if not ours:
        st.info("Choose one of our models above: a CSV of probabilities has no training to show.")
        return
    titles = {model.name: model.title for model in ours}
    name = _links.selectbox("Model", list(titles), format_func=titles.get, key="curve", width=320)
    manifest = _shared.registry().manifest
    try:
        if manifest is None:
            return
        history = read_history(manifest, name)
    except UserError as error:
        st.info(_shared.plain_text(str(error)))
        return
    entry = manifest.model(name)
    differs = {"loss": two_losses(entry.recipe)}
    epoch = history["epoch"].tolist()
    for column, (kind, label, share) in zip(
        st.columns(2, gap="medium"), (("accuracy", "Accuracy", True), ("loss", "Loss", False)), strict=True
    ):
        with column:
            training = history[kind].tolist() if kind in history else None
            _shared.chart(
                training_curves(epoch, training, history[f"val_{kind}"].tolist(), label=label, share=share,
                                ink=_shared.ink()),
                key=f"training-{kind}", alt=f"{label} of {titles[name]} by epoch",
                reading=f"{label} by epoch, training blue and validation red, as the report draws it."
                + differs.get(kind, ""),
            )  # fmt: skip
    st.caption(whose_curves(entry))
    shares = [column for column in history.columns if column.endswith(("accuracy", "f1"))]
    headings = _shared.headings(history.columns) | TRAINING_HEADINGS
    st.dataframe(
        _shared.in_percent(history, shares), hide_index=True, key="history",
        column_config=headings | {c: st.column_config.NumberColumn(headings[c], format="%.1f%%") for c in shares},
        alt="The training history epoch by epoch",
    )  # fmt: skip
    _shared.download(history, f"history-{name}.csv")


CHANGES = {
    "mixup": "mixup",
    "label_smoothing": "label smoothing",
    "focal_gamma": "a focal exponent",
    "logit_adjustment": "adjusted logits",
}
"""Fields of a recipe that make the training loss another, in words."""


def two_losses(recipe: Mapping[str, Any]) -> str:
    """How the loss in blue is another than the one in red; empty where both are plain cross-entropy."""
    weighted, taught = recipe.get("balance") == "sqrt", recipe.get("distillation")
    blue = "cross-entropy weighted by class" if weighted else "cross-entropy"
    changed = [words for field, words in CHANGES.items() if recipe.get(field)]
    if changed:
        blue = f"{blue} with {listed(changed)}"
    if taught:
        alpha, temperature = taught.get("alpha"), taught.get("temperature")
        blue = f"alpha · T² · KL to the teachers + (1 - alpha) · {blue}, with alpha = {alpha} and T = {temperature}"
    elif not weighted and not changed:
        return ""
    return f" These are two different losses: blue is {blue}; red is plain cross-entropy. Their heights do not compare."


def whose_curves(entry: ModelEntry) -> str:
    """What the curves are measured on, and of which run they are where the model is the mean of several."""
    repeated = ", those of small classes repeated" if entry.recipe.get("balance") == "oversample" else ""
    said = (
        f"The curve in blue is measured on augmented training images{repeated}, while the network learns, the red one "
        "on plain validation images, so red may lie above blue."
    )
    runs = averaged_runs(entry)
    if runs:
        one = run_shown(entry) or "one of them"
        said += f" The model is the mean of the weights of {' and '.join(runs)}; the curves are those of {one} alone."
    return _shared.plain_text(said)
