"""The dashboard's router: which pages there are, and what stands above every one of them.

Start it with `make app`, or `streamlit run app.py`.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

# A file of our own: Streamlit's icon fonts and emoji as a page icon are fetched from the network.
ICON = str(Path(__file__).parent / "pages/icon.svg")

st.set_page_config(page_title="DermDistill", page_icon=ICON, layout="wide")
st.logo(ICON, size="large")

page = st.navigation(
    [
        st.Page("pages/prediction.py", title="Prediction", icon=":material/search:", default=True),
    ],
    position="top",
)
st.caption(
    ":material/warning: **Not a medical device.** For teaching and research only: "
    "nothing here may be used to diagnose or to treat anyone."
)
page.run()
