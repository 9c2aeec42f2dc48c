"""Privacy: what happens to an uploaded image, what is kept of it (nothing), and what an operator has to add."""

from __future__ import annotations

import streamlit as st

from core import settings
from pages import _door, _memory, _shared

FOR_VISITORS = f"""
- **Where an image goes.** From your browser into the memory of the server that you opened, and no further. The models
  run there. Nothing is sent to anyone else, and while it runs this dashboard asks nothing of the internet.
- **What is kept.** Nothing. No image, file name, answer or map is written to disk or into a log. An image is in memory
  as long as your visit lasts. Taking the file away on the page removes it at once, with its answers and maps; what a
  closed tab held goes {_memory.grace_seconds() / 60:.0f} minutes later.
- **What is read of a file.** Its pixels, its colour profile and which way up it is. Places, names, dates, device
  numbers and all other fields of JPEG, TIFF, PNG or DICOM files are neither shown nor kept. What is *in the picture*
  stays in it: a ruler with a name on it, a tattoo, a face. Cut such things off before you upload.
- **What may be uploaded.** JPEG, PNG, WebP, BMP, TIFF and DICOM, up to
  {settings.MAX_UPLOAD_BYTES // 2**20} MB, told apart by their content, though the page takes a file only if its
  name has an ending that fits one of them. Only decoded pixels go on; whatever else is in a file is dropped.
- **Reports and tables** are made when you ask for them, and go with the next change on the page, or with your visit.
- **Cookies.** One against forged requests, and, where sign-in is set up, one that says that you signed in.
  No statistics are collected.
"""

FOR_OPERATORS = """
Images of skin are health data. Whoever lets others use this dashboard with patients' images has to add what the law
asks for where they are; the dashboard brings the technical part of it:

| needed | here |
|---|---|
| sign-in | `[auth]` in `.streamlit/secrets.toml`; without it nobody but the server's own machine gets in |
| encrypted transport | a reverse proxy that ends TLS; see the README |
| no traces | nothing is stored; the proxy's own log should keep no query strings |
| deletion | ends with the visit; a restart of the server empties everything |
| legal ground, information, records | yours: consent, hospital rules, a data protection impact assessment |
| medical device law | **not met**: no diagnosis or treatment may rest on it |
"""


def main() -> None:
    """The page."""
    st.title("Privacy")
    st.write(
        "An uploaded image is looked at in memory and forgotten. Nothing of it is stored, logged or sent on."
    )
    st.header("For everybody who uploads")
    st.markdown(FOR_VISITORS)
    st.header("For whoever runs this for others")
    st.markdown(FOR_OPERATORS)
    if _door.sign_in_is_set_up():
        st.info("This server asks everybody to sign in.", icon=":material/lock:")
    else:
        st.info("This server has no sign-in, so it answers this machine alone.", icon=":material/lock:")


_shared.run(main)
