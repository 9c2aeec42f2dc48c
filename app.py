"""The dashboard's router: which pages there are, and what stands above every one of them.

Start it with `make app`, or `streamlit run app.py`.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.figures.style import themed_css
from pages import _door, _memory

PAGES = Path(__file__).parent / "pages"

# A file of our own, since Streamlit has the browser fetch its own page icons from the network.
st.set_page_config(page_title="DermDistill", page_icon=str(PAGES / "icon.svg"), layout="wide")
st.logo(str(PAGES / "logo.svg"), size="large")
# What Streamlit's themes have no word for. White words stand on the theme's colour, which on the dark ground is too
# light for them. Where nothing hovers a figure's button would lie over its numbers for good: there a tap shows it.
# A theme that is chosen in the menu makes no page run again, so that figures have to follow it by themselves.
st.html(
    "<style>[data-tag], [data-testid='stBaseButton-primary'] {background-color: #0B6477 !important}"
    "@media (hover: none) {[data-testid='stPlotlyChart']:not(:hover) .modebar {opacity: 0 !important}}"
    f"{themed_css()}</style>"
)

page = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/prediction.py", title="Prediction", icon=":material/search:"),
        st.Page("pages/dataset.py", title="Dataset", icon=":material/photo_library:"),
        st.Page("pages/comparison.py", title="Comparison", icon=":material/compare_arrows:"),
        st.Page("pages/confusion.py", title="Confusion", icon=":material/grid_on:"),
        st.Page("pages/lab.py", title="Distillation lab", icon=":material/science:"),
        st.Page("pages/models.py", title="Model cards", icon=":material/description:"),
        st.Page("pages/privacy.py", title="Privacy", icon=":material/shield:"),
    ],
    position="top",
)
st.set_page_config(page_title=f"{page.title} · DermDistill")  # tabs and screen readers tell pages apart by it
st.caption(
    ":material/warning: **Not a medical device.** For teaching and research only: "
    "nothing here may be used to diagnose or to treat anyone."
)
st.session_state.routed = True  # see pages/_shared.py, run
_memory.keep_uploads_here()
if _door.admitted():
    page.run()
