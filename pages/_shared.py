"""What pages share: the models, their figures, and how both are shown.

The overview begins with these imports, so that none of them is slow: pandas and what opens images come later.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import UserError
from core.evaluation.contestants import EVALUATE, Contestant, contestant, read_predictions
from core.evaluation.latency import Benchmark, read_benchmark
from core.evaluation.predictions import Predictions
from core.figures.settled import settle
from core.figures.style import INK_ON_DARK, INK_ON_LIGHT
from core.manifest import Manifest
from core.numbers import percent_range
from core.serving.registry import KNOWN, Registry, shared_registry
from core.serving.tables import to_csv
from core.settings import ROOT
from core.text import escape
from pages import _downloads, _links, _memory

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

ROUTED = "routed"
"""The key of the session's state by which pages know that the router has run."""


def run(main: Callable[[], None], *, has_images: bool = False, uploader: str = "") -> None:
    """Run a page, and the router around it where Streamlit left that out.

    Args:
        main: the page.
        has_images: whether it shows a visitor's own; it lets go of them itself.
        uploader: which field for files another page has.

    While nobody has opened the router in this process, Streamlit takes a folder named `pages` for the navigation and
    answers a deep link with the bare page: no notice, no sign-in, other pages. So a page that finds no trace of the
    router runs it, and the router runs the page.
    """
    if ROUTED in st.session_state:
        _links.begin()
        if not has_images:  # a visitor's own: whoever leaves that page lets go of them
            _memory.forget_removed(set(), uploader)
        main()
        _downloads.forget_made()
    else:
        runpy.run_path(str(ROOT / "app.py"))


def ink() -> str:
    """The colour of text in figures, for the theme that the browser shows; see `core.figures.style`."""
    return INK_ON_LIGHT if st.context.theme.type == "light" else INK_ON_DARK


def registry() -> Registry:
    """The process's models; each is loaded once, whoever asks first."""
    return shared_registry()


FIGURE_TOOLS = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
}
"""A figure's own button, which saves it as SVG."""


def chart(figure: go.Figure, *, key: str, alt: str, reading: str = "") -> None:
    """A figure with its one line on how to read it; empty where one line stands beneath several."""
    tools = FIGURE_TOOLS | {"toImageButtonOptions": {"format": "svg", "filename": f"dermdistill-{key}"}}
    draw(figure, config=tools, key=f"chart-{key}", alt=alt)
    if reading:
        st.caption(f":material/info: {reading}")


def draw(figure: go.Figure, **options: Any) -> None:
    """`st.plotly_chart` of one of `core.figures`, which have looks of their own; drawn once by the browser."""
    st.plotly_chart(settle(figure), theme=None, **options)


def download(frame: pd.DataFrame, file_name: str, label: str = "Table as CSV") -> None:
    """A button that gives a table away, its cells safe for spreadsheets."""
    key, icon = f"csv-{file_name}", ":material/download:"
    if _memory.BROUGHT_HERE in st.session_state:
        _downloads.offer(label, partial(to_csv, frame), file_name, "text/csv", key=key, icon=icon)
    else:  # of nobody's, which may stay; a file that is made when it is asked for takes the keyboard's focus away
        st.download_button(label, to_csv(frame), file_name, "text/csv", key=key, icon=icon, on_click="ignore")


PERCENT = {"min_value": 0.0, "max_value": 100.0, "format": "%.1f%%"}
"""Of a column with bars that `in_percent` made; Streamlit's own "percent" has no fixed number of decimals."""
SCORE = {"min_value": 0.0, "max_value": 1.0, "format": "%.3f"}
"""Of a column with malignancy scores, written as their operating point is."""


def in_percent(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """A copy of a table for the eye, shares in these columns in per cent."""
    names = list(columns)
    return table.assign(**(table[names].astype(float) * 100))


LEAST_SURE, SUREST = 0.1, 99.9
"""Per cent. What lies beyond would be rounded to a certainty; see `core.numbers.percent`."""
PROBABILITY = PERCENT | {"help": f"{SUREST}% stands for more, too, and {LEAST_SURE}% for less."}
"""Of a column with bars that `probabilities` made."""


def probabilities(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """As `in_percent`, for probabilities, none of which is written as a certainty."""
    names = list(columns)
    shown = in_percent(table, names)
    return shown.assign(**shown[names].clip(LEAST_SURE, SUREST))


def ranges(table: pd.DataFrame, name: str) -> list[str | None]:
    """The intervals of a table's figure, per cent, in words; None where it is undefined."""
    ends = table[[f"{name}_low", f"{name}_high"]].to_numpy(float)
    return [percent_range(low, high) or None for low, high in ends]


def headings(columns: Iterable[str]) -> dict[str, str]:
    """A table's columns in words: `val_macro_f1` -> Validation macro F1."""
    known = {"sha256": "SHA-256", "val_macro_f1": "Validation macro F1"}
    words = {name: name.replace("val_", "validation ").replace("_", " ") for name in columns}
    return {name: known.get(name, said[:1].upper() + said[1:]) for name, said in words.items()}


def title(name: str) -> str:
    """A model's short name for people."""
    return registry().short_title(name)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of models in the order of every table."""
    known = list(KNOWN)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def benchmark() -> Benchmark | None:
    """See `core.evaluation.latency`; a damaged one is said to be so, and otherwise as if there were none."""
    manifest = registry().manifest
    try:
        return read_benchmark(manifest) if manifest else None
    except UserError as error:
        st.warning(f"The benchmark cannot be read: {plain_text(str(error))}")
        return None


def contestants(names: Sequence[str] | None = None) -> list[Contestant]:
    """Models of the manifest, in order (default: all of them); none without a manifest."""
    manifest = registry().manifest
    if manifest is None:
        return []
    measured = benchmark()
    chosen = in_order(manifest.models) if names is None else [n for n in names if n in manifest.models]
    return [contestant(manifest, name, title(name), measured) for name in chosen]


def predictions(name: str, part: str | None = None) -> Predictions:
    """A model's answers to validation and test, or to one `part` of them; read once for each file.

    Raises:
        UserError: there are none, or they are damaged.
    """
    manifest = registry().manifest
    if manifest is None:
        raise UserError("expected trained models, found none")
    return _predictions(str(manifest.folder), name, predictions_sha256(name), part, manifest)


def predictions_sha256(name: str) -> str:
    """Of the file with a model's answers, for keys of caches; empty without one."""
    manifest = registry().manifest
    path = manifest.model(name).files.get("predictions", "") if manifest else ""
    return manifest.files[path].sha256 if path else ""


@st.cache_resource(max_entries=64, show_spinner=False)
def _predictions(folder: str, name: str, sha256: str, part: str | None, _manifest: Manifest) -> Predictions:
    found = read_predictions(_manifest, name)
    return found if part is None else found.part_only(part)


def say_what_is_missing() -> None:
    """Which models are not there, were refused or cannot be used, and the command that makes each."""
    current = registry()
    if current.manifest is None:
        st.error(plain_text(current.state("student").reason or "There are no models."))
    rows = []
    for state in current.states():
        entry = state.entry
        if entry is None:
            what = "not here" if state.absent else f"refused: {state.reason}"
        elif not state.usable:
            what = f"cannot be used: {state.reason}"
        elif not entry.figures.get("test"):
            what = "not evaluated"
        else:
            continue
        command = EVALUATE if state.usable else state.command
        rows.append(
            {"model": title(state.name), "state": what, "command that makes one": command or "not known"}
        )
    if rows:
        with st.expander(f"What is missing ({len(rows)})", icon=":material/inventory_2:"):
            st.dataframe(rows, hide_index=True, key="missing-models")


def plain_text(text: str) -> str:
    """`text` for places that read Markdown, shown as it is."""
    return escape(text)
