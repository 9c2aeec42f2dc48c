"""What pages share: loaders with caches.

Caches of what was uploaded belong to one session, key on the sha256 of the bytes, and go when the session ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.data.ham10000 import Dataset, open_dataset
from core.data.samples import Sample, synthetic_sample, test_images, test_sample
from core.errors import UserError
from core.figures.style import INK_ON_LIGHT
from core.serving.panel import Reading, ask, fingerprint
from core.serving.registry import Registry, shared_registry


def ink() -> str | None:
    """The colour of text in figures, for the theme that the browser shows; see `core.figures.style`."""
    return INK_ON_LIGHT if st.context.theme.type == "light" else None


def registry() -> Registry:
    """The process's models; each is loaded once, whoever asks first."""
    return shared_registry()


def read(data: bytes, sha256: str, name: str, models: Sequence[str]) -> Reading:
    """What `models` say of a file's bytes, whose hash is `sha256`; remembered for this session only."""
    return _read(sha256, name, tuple(models), fingerprint(registry()), data)


@st.cache_data(scope="session", max_size="128mb", show_spinner=False)
def _read(sha256: str, name: str, models: tuple[str, ...], version: str, _data: bytes) -> Reading:
    return ask(registry(), models, _data, name)


@st.cache_resource(ttl=300, show_spinner=False)
def dataset() -> Dataset | str:
    """HAM10000, or in a sentence why there is none; looked for again after five minutes."""
    try:
        return open_dataset()
    except UserError as error:
        return str(error)


@st.cache_data(max_entries=64, show_spinner="Drawing a synthetic lesion ...")
def synthetic(code: str, number: int) -> Sample:
    """See `core.data.samples.synthetic_sample`; nobody's data, so one cache serves all sessions."""
    return synthetic_sample(code, number)


@st.cache_data(ttl=300, show_spinner="Looking for HAM10000 ...")
def test_image_ids() -> dict[str, tuple[str, ...]]:
    """See `core.data.samples.test_images`; empty without the real dataset."""
    found = dataset()
    return test_images(found) if isinstance(found, Dataset) and not found.is_synthetic else {}


def from_dataset(image_id: str) -> Sample:
    """See `core.data.samples.test_sample`."""
    found = dataset()
    if not isinstance(found, Dataset):
        raise UserError(found)
    return test_sample(found, image_id)
