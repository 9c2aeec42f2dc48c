"""Distillation lab: soft labels, temperature, the loss, why the report's student collapsed, and what repairs it."""

from __future__ import annotations

import streamlit as st

from core.lab.findings import in_cells
from core.lab.views import of_one_teaching
from core.lesions import LESIONS
from pages import _lab_collapse, _lab_gain, _lab_live, _lab_loss, _lab_soft, _lab_table, _shared

CHAPTERS = (
    ("Soft labels", "soft-labels"),
    ("Temperature", "temperature"),
    ("Dark knowledge", "dark-knowledge"),
    ("The loss", "loss"),
    ("The collapse", "collapse"),
    ("What it gives", "gain"),
    ("How much data", "data"),
    ("Live", "live"),
)
"""Title and anchor of each chapter, in order."""


def main() -> None:
    """The story from top to bottom."""
    st.title("Distillation lab")
    st.markdown(
        "A large teacher knows more than its first choice: it also knows what a lesion *almost* looks like. "
        "Distillation hands that on to a small student. Going down this page once tells how, why an earlier report's "
        "student learnt nothing, and what it takes to repair it. Figures come from real logits of the shipped models "
        "and from real, logged training runs; what is made up to show a formula at work is called so."
    )
    st.markdown(
        # Without a break within a title, which on a phone would leave its number at the end of a line.
        " · ".join(
            f"[{number} {title}](#{anchor})".replace(" ", "\N{NO-BREAK SPACE}")
            for number, (title, anchor) in enumerate(CHAPTERS, 1)
        )
    )
    st.caption(
        ":material/label: Classes stand by their codes in figures: "
        + ", ".join(f"{lesion.code} {lesion.name[0].lower()}{lesion.name[1:]}" for lesion in LESIONS)
        + ". Each chapter's temperature is its own."
    )
    chosen = _lab_soft.choose()
    if chosen is not None:
        _lab_soft.show(chosen)
        _lab_loss.show(chosen)
    table = _lab_table.version()
    found = _lab_table.outcomes()
    _lab_table.say_drawn(found)
    together = of_one_teaching(found)
    cells = in_cells(together)
    _lab_collapse.show(cells)
    _lab_gain.show(cells, _lab_table.test_part(together), table)
    _lab_table.show_all(found, left_out=len(found) - len(together))
    _lab_live.show()


_shared.run(main)
