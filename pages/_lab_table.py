"""What the lab's chapters on runs share: the table, what its answers belong to, and what is missing from it."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.lab.findings import Cells, TestPart
from core.lab.plan import command_for, plan
from core.lab.table import KEY, Outcome, read_table
from core.lab.tables import history_table, missing, runs_table
from core.lab.views import trained_since
from core.manifest import Manifest
from pages import _shared

NO_RUNS = "None of these runs was made yet."


def outcomes() -> list[Outcome]:
    """The runs in the table; none where there is no table, or where it is damaged, which is said."""
    manifest = _shared.registry().manifest
    if manifest is None:
        return []
    path = manifest.shared.get(KEY, "")
    try:
        return _outcomes(str(manifest.folder), manifest.files[path].sha256 if path else "", manifest)
    except UserError as error:
        st.warning(f"The table of the runs cannot be read: {_shared.plain_text(str(error))}")
        return []


@st.cache_resource(max_entries=4, show_spinner="Reading the runs ...")
def _outcomes(folder: str, sha256: str, _manifest: Manifest) -> list[Outcome]:
    return read_table(_manifest)


def test_part(found: list[Outcome]) -> TestPart | None:
    """What the runs' answers belong to, from the first model that answered the same images; where there is none, that
    is said."""
    manifest = _shared.registry().manifest
    for name in _shared.in_order(manifest.models if manifest else ()):
        try:
            part = TestPart.of(_shared.predictions(name))
        except UserError:
            continue
        if any(part.fits(outcome) for outcome in found):
            return part
    if found:
        st.caption(
            ":material/info: No model here has answers to the images that these runs were tested on, so the intervals "
            "below are of the seeds alone and too narrow: what other test lesions would give is not in them."
        )
    return None


def say_drawn(found: list[Outcome]) -> None:
    """That runs were trained and tested on drawn lesions, where they were."""
    if any(outcome.is_of_drawings for outcome in found):
        st.warning(
            "The runs of the following chapters were trained and tested on synthetic lesions, drawn by a program: "
            "their figures say nothing of HAM10000 or of real lesions.",
            icon=":material/science:",
        )


def version() -> str:
    """Of the table and of all predictions: what else computed from them may be remembered under."""
    manifest = _shared.registry().manifest
    if manifest is None:
        return ""
    paths = [manifest.shared.get(KEY), *(e.files.get("predictions") for e in manifest.models.values())]
    return " ".join(manifest.files[path].sha256 for path in paths if path)


def say_trained_since(found: list[Outcome]) -> None:
    """That teachers have learned further since they taught some of these runs, and where their weights of then are."""
    manifest = _shared.registry().manifest
    weights = (
        {name: entry.files.get("weights") for name, entry in manifest.models.items()} if manifest else {}
    )
    sums = {name: manifest.files[path].sha256 for name, path in weights.items() if path}
    names = trained_since(found, sums)
    if names:
        who = " and ".join(map(_shared.title, names))
        st.caption(
            f":material/history: {who} learned further after these runs. The weights that taught them are in the "
            "repository's history; the sha256 of each is in the runs' recipes."
        )


def show_all(found: list[Outcome], left_out: int = 0) -> None:
    """Every run, to take away; and that some of them are in no figure, since other weights taught them."""
    if not found:
        return
    if left_out:
        st.caption(
            f":material/history: {left_out} of the {len(found)} runs are left out of the chapters above: their "
            "teachers had other weights than those of most runs. The table below has them too."
        )
    with st.expander(f"All {len(found)} runs behind these chapters", icon=":material/table:"):
        table = runs_table(found)
        st.dataframe(table, hide_index=True, key="runs-table", alt="Every run: recipe, seed, commit, figures")
        with st.container(horizontal=True):
            _shared.download(table, "lab-runs.csv", "Runs as CSV")
            _shared.download(history_table(found), "lab-histories.csv", "Histories as CSV")


def say_missing(cells: Cells, *groups: str, gap: str = "an empty cell") -> None:
    """Where runs are missing: how many of some groups' there are, and the commands that make more.

    Args:
        cells: the runs.
        groups: of the plan.
        gap: what a chapter shows where there is no run.
    """
    wanted = {variant.name: variant for group in groups for variant in plan(group)}
    left = missing(cells, list(wanted.values()))
    if left:
        commands = [f"`{command_for(group)}`" for group in groups if missing(cells, plan(group))]
        made = len(wanted) - len(left)
        count = (
            f"{made} run{'s' * (made != 1)} so far; {gap} was not measured." if made else "No runs so far."
        )
        by = " and ".join(filter(None, (", ".join(commands[:-1]), commands[-1])))
        st.caption(f":material/science: {count} {by} add{'s' * (len(commands) == 1)} runs.")
