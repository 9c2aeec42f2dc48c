"""Bring your own model: a CSV of probabilities that stands beside ours in every figure of the comparison."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from core.data.browse import fingerprint
from core.data.ham10000 import Dataset
from core.errors import UserError
from core.evaluation.brought import COLUMNS, NAME, Brought, BroughtError, read_brought, template
from core.evaluation.cohorts import cohorts
from core.evaluation.contestants import EVALUATE, Contestant
from core.evaluation.evaluate import measure
from core.evaluation.predictions import Predictions
from core.serving.tables import neutralise
from core.settings import MAX_UPLOAD_BYTES
from pages import _data, _memory, _shared


@dataclass(frozen=True, eq=False)
class Guest:
    """A model brought along: what it answered, and its figures.

    Attributes:
        key: of the file and of the answers of ours that it was read against, for caches.
    """

    brought: Brought
    contestant: Contestant
    key: str


def bring(models: list[Contestant]) -> Guest | None:
    """The uploader, the template, the errors by row; the guest, once its file is in order."""
    with st.expander("Bring your own model", icon=":material/upload_file:"):
        ours = find_reference(models)
        if ours is None:
            st.info(
                f"A model of ours with predictions is needed to know the test images; none is here. `{EVALUATE}` "
                "makes them."
            )
            return None
        reference = _shared.predictions(ours.name)
        counts = {part: int((reference.part == part).sum()) for part in ("test", "validation")}
        st.markdown(
            f"A CSV with the columns `{'`, `'.join(COLUMNS)}`, one row for each of the {counts['test']:,} test images, "
            "probabilities that sum to 1, as `python -m core predict` writes them too. "
            f"With the {counts['validation']:,} validation images in it, too, it is "
            "calibrated as ours are. It stays in this session's memory; leaving this page removes it."
        )
        st.download_button(
            "Template with all image ids", template(reference), "template.csv", "text/csv",
            icon=":material/download:", on_click="ignore", key="template",
        )  # fmt: skip
        file = st.file_uploader(
            "Probabilities of your model", ["csv", "tsv", "txt"], key="brought",
            max_upload_size=MAX_UPLOAD_BYTES >> 20,
        )  # fmt: skip
        size = st.number_input(
            "Its size in MB (0: unknown)", 0.0, 100_000.0, 0.0, 1.0, key="brought-size", width=240
        )
        if file is None:
            _memory.forget_brought()
            return None
        _memory.keep_until_it_is_gone()
        data = file.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            guest = invite(data, sha256, ours)
        except BroughtError as error:
            show_errors(error)
            return None
        for note in guest.brought.notes:
            st.caption(f":material/info: {_shared.plain_text(note[:1].upper() + note[1:])}.")
        st.success(
            f"“{guest.contestant.title}” stands in every figure below but Training and Compression.",
            icon=":material/check_circle:",
        )
        return replace(guest, contestant=replace(guest.contestant, bytes=int(size * 1e6) or None))


def find_reference(models: list[Contestant]) -> Contestant | None:
    """The first model whose answers can be read, of the default split if any: they know ids, lesions and classes."""
    for model in sorted(models, key=lambda m: m.split != "lesion"):
        try:
            _shared.predictions(model.name)
        except UserError:
            continue  # the figures say of each model why it is left out
        return model
    return None


def invite(data: bytes, sha256: str, ours: Contestant) -> Guest:
    """Read against the answers of a model of ours, measure; remembered for this session by both files' hashes."""
    reference = _shared.predictions_sha256(ours.name)
    brought = _read(sha256, reference, data, _shared.predictions(ours.name))
    found = _data.dataset()
    at_hand = fingerprint(found) if isinstance(found, Dataset) else ""
    figures, groups = _measure(sha256, reference, brought), _cohorts(sha256, reference, at_hand, brought)
    contestant = Contestant(NAME, "Your model", figures, ours.split, brought.temperature, cohorts=groups)
    return Guest(brought, contestant, f"{sha256} {reference}")


@st.cache_data(scope="session", max_entries=4, show_spinner="Reading your CSV ...")
def _read(sha256: str, reference: str, _data: bytes, _reference: Predictions) -> Brought:
    return read_brought(_data, _reference)


@st.cache_data(scope="session", max_entries=4, show_spinner="Measuring your model ...")
def _measure(sha256: str, reference: str, _brought: Brought) -> dict:
    return measure(_brought.predictions, _brought.temperature).to_dict()


@st.cache_data(scope="session", max_entries=4, show_spinner="Measuring your model by cohort ...")
def _cohorts(sha256: str, reference: str, at_hand: str, _brought: Brought) -> list[dict]:
    """By age, sex, site and confirmation where HAM10000 is at hand, otherwise none."""
    found = _data.dataset()
    if not isinstance(found, Dataset) or found.is_synthetic or found.metadata is None:
        return []
    try:
        measured = cohorts(_brought.predictions, found.records, _brought.temperature)
    except UserError:  # a part of HAM10000 lacks some of the images
        return []
    return [cohort.to_dict() for cohort in measured]


def forget() -> None:
    """Let go of what was read and measured of this visit's file."""
    for made in (_read, _measure, _cohorts):
        made.clear()


def show_errors(error: BroughtError) -> None:
    """What is wrong with the file: in a sentence where it is the file as a whole, otherwise by row."""
    if not any(e.row for e in error.errors):
        said = "; ".join(e.problem for e in error.errors)
        st.error(f"**Your file was not taken**: {_shared.plain_text(said)}.")
        return
    more = f", the first {len(error.errors)} of them below" if error.total > len(error.errors) else ""
    st.error(f"**Your file was not taken**: {error.total} error{'s' * (error.total > 1)}{more}.")
    table = pd.DataFrame(
        [
            {"row": e.row, "column": neutralise(e.column), "problem": neutralise(e.problem)}
            for e in error.errors
        ]
    )
    st.dataframe(table, hide_index=True, key="brought-errors", placeholder="", height="content")
    st.caption("Rows are counted as a spreadsheet does: the header is row 1.")
    _shared.download(table, "errors.csv", "Errors as CSV")
