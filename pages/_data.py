"""What pages share: HAM10000, samples, and what models say of an image; loaders with caches.

Caches of what was uploaded belong to one session, key on the sha256 of the bytes, and go when the session ends.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime import exists as is_served

from core.data.browse import fingerprint as fingerprint_of
from core.data.ham10000 import Dataset, open_dataset
from core.data.samples import Sample, synthetic_sample, test_images, test_sample
from core.data.watch import Watch
from core.errors import UserError
from core.serving.panel import Reading, ask, fingerprint, make_ready
from core.settings import MAX_DISPLAY_SIDE, MAX_FILES, data_dir
from pages import _shared

# A reading is its picture, three bytes a pixel, and a dozen kilobytes of each model that was asked. With less than as
# many as a page takes, each run of the page would push out the ones that it needs next and read all of them anew.
READINGS_BYTES = MAX_FILES * (3 * MAX_DISPLAY_SIDE**2 + 2**18)


def read(data: bytes, sha256: str, name: str, models: Sequence[str], orientations: int = 1) -> Reading:
    """What `models` say of a file's bytes, whose hash is `sha256`; remembered for this session only."""
    return _read(sha256, name, tuple(models), orientations, fingerprint(_shared.registry()), data)


@st.cache_data(scope="session", max_size=READINGS_BYTES, show_spinner=False)
def _read(
    sha256: str, name: str, models: tuple[str, ...], orientations: int, version: str, _data: bytes
) -> Reading:
    return ask(_shared.registry(), models, _data, name, orientations=orientations)


def get_ready(models: Sequence[str]) -> None:
    """On a server, load in the background what a first upload would wait for; once for these files and models."""
    if is_served():
        _getting_ready(fingerprint(_shared.registry()), tuple(models))


@st.cache_resource(max_entries=8, show_spinner=False)
def _getting_ready(version: str, models: tuple[str, ...]) -> threading.Thread:
    registry = _shared.registry()

    def load() -> None:
        make_ready(registry, models)
        dataset()

    thread = threading.Thread(target=load, name="get-ready", daemon=True)
    thread.start()
    return thread


def forget() -> None:
    """Let go of what this visit's models said."""
    _read.clear()


def dataset() -> Dataset | str:
    """HAM10000, or in a sentence why there is none; opened anew as soon as its folder has changed."""
    return _opened()[0]


@st.cache_resource(ttl=300, show_spinner=False, validate=lambda opened: not opened[1].has_changed())
def _opened() -> tuple[Dataset | str, Watch]:
    try:
        found = open_dataset()
    except UserError as error:
        return str(error), Watch.on(data_dir(), None)
    return found, Watch.on(data_dir(), found)


@st.cache_data(max_entries=64, show_spinner="Drawing a synthetic lesion ...")
def synthetic(code: str, number: int) -> Sample:
    """See `core.data.samples.synthetic_sample`; nobody's data, so one cache serves all sessions."""
    return synthetic_sample(code, number)


def test_image_ids() -> dict[str, tuple[str, ...]]:
    """See `core.data.samples.test_images`; empty without the real dataset, and where it lacks its metadata: nobody
    knows then which images are of one lesion, and some that models were trained on would be offered."""
    found = dataset()
    is_real = isinstance(found, Dataset) and not found.is_synthetic and found.metadata is not None
    return _test_image_ids(fingerprint_of(found), found) if is_real else {}


@st.cache_data(max_entries=2, show_spinner="Looking for HAM10000 ...")
def _test_image_ids(key: str, _dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return test_images(_dataset)


def from_dataset(image_id: str) -> Sample:
    """See `core.data.samples.test_sample`."""
    found = dataset()
    if not isinstance(found, Dataset):
        raise UserError(found)
    return test_sample(found, image_id)
