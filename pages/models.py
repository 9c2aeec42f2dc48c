"""Model cards: for every model what it is for, what it was made of, what was measured, where it falls short."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.evaluation.cards import Section, make_card, to_markdown, to_markdown_table
from core.evaluation.trials import read_trials
from core.export.eligible import refusal
from core.serving.registry import ModelState
from pages import _downloads, _links, _shared

ONE_DIGIT = ("worst, %", "best, %", "gap, points")
TWO_DIGITS = ("mean change, points", "largest change, points")


def show_section(section: Section, name: str) -> None:
    """One section: paragraphs, then its table with a button that gives it away."""
    st.subheader(section.title)
    for paragraph in section.paragraphs:
        st.markdown(_shared.plain_text(paragraph))
    table, file_name = section.table, f"{name}-{section.title.lower().replace(' ', '-')}.csv"
    if table is None or table.empty:
        return
    headings = _shared.headings(table.columns)
    if list(table.columns) == ["what", "value"]:
        # Text wraps where there is no room; a data frame cuts long values off, a static table wraps them too soon.
        st.markdown(to_markdown_table(table.rename(columns=headings)))
        _shared.download(table, file_name)
        return
    config: dict[str, object] = dict(headings)
    for columns, style in ((ONE_DIGIT, "%.1f"), (TWO_DIGITS, "%.2f")):
        config |= {
            c: st.column_config.NumberColumn(headings[c], format=style) for c in columns if c in headings
        }
    st.dataframe(
        table, hide_index=True, key=f"card-{name}-{section.title}", column_config=config, placeholder="",
        height="content", alt=f"{section.title} of {name}",
    )  # fmt: skip
    _shared.download(table, file_name)


def show_card(state: ModelState) -> None:
    """The card of a model, or why there is none."""
    manifest = _shared.registry().manifest
    if state.reason is not None:
        st.warning(
            f"**It cannot be asked now.** {_shared.plain_text(state.reason)}"
            + (f" `{state.command}` makes one." if state.command else ""),
            icon=":material/block:",
        )
    if manifest is None or state.entry is None:
        return
    try:
        card = make_card(manifest, state.name)
    except UserError as error:
        st.error(_shared.plain_text(str(error)))
        return
    with st.container(horizontal=True):
        st.download_button(
            "Card as Markdown", to_markdown(card), f"{state.name}-card.md", "text/markdown", on_click="ignore",
            icon=":material/download:",
            key="card-markdown",
        )  # fmt: skip
        if state.reason is None and refusal(state.entry) is None:
            _downloads.offer(
                "Model for Python, web, Android", partial(_packed, state.name), f"{state.name}.zip", "application/zip",
                icon=":material/deployed_code:", key="card-model",
                help="One zip file: the network, its preprocessing and calibration in words and numbers, examples, "
                "checksums, this card, the licences. As `python -m core export` writes it.",
            )  # fmt: skip
    for section in card.sections:
        show_section(section, state.name)


def _packed(name: str) -> bytes:
    """A model's exported folder; made when somebody asks for it."""
    from core.export.folder import archive  # with LiteRT

    manifest = _shared.registry().manifest
    assert manifest is not None, "the card of a model came from somewhere"
    return archive(manifest, name)


def show_trials() -> None:
    """What was tried on the way to these models, where that was saved."""
    manifest = _shared.registry().manifest
    try:
        trials = read_trials(manifest) if manifest else []
    except UserError as error:
        st.warning(f"The table of training runs is left out: {_shared.plain_text(str(error))}")
        return
    if not trials:
        return
    with st.expander(f"Training runs that were tried ({len(trials)})", icon=":material/science:"):
        table = pd.DataFrame(trials)
        st.dataframe(
            table, hide_index=True, column_config=_shared.headings(table.columns), key="trials", placeholder="",
            alt="Training runs with their recipes and validation figures",
        )  # fmt: skip
        st.caption(
            ":material/info: Figures of each run's best epoch on validation images, by which the choice was made; test "
            "images took no part in it."
        )
        _shared.download(table, "trials.csv")


def main() -> None:
    """The page from top to bottom."""
    st.title("Model cards")
    st.markdown("What each model is for, what it was made of, what was measured, and where it falls short.")
    states = {state.name: state for state in _shared.registry().states()}
    listed = _shared.in_order(states)
    first = next((i for i, name in enumerate(listed) if states[name].entry is not None), 0)
    name = _links.selectbox("Model", listed, first, _shared.title, key="card", width=320)
    state = states[name]
    full = state.entry.title if state.entry else state.title
    st.header(_shared.plain_text(full))
    show_card(state)
    show_trials()
    _shared.say_what_is_missing()


_shared.run(main)
