"""`benchmark app`: how long people wait for the dashboard, from a cold start to the last widget.

With Playwright and a browser it is the real server and what the browser has painted. Without, Streamlit's AppTest runs
the pages in a fresh process each: that leaves out the server's start, the network and the painting, and says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core.benchmark.bars import Bar
from core.benchmark.hardware import Hardware, this_machine
from core.benchmark.process import machine_of_commands
from core.benchmark.store import stamp
from core.data.samples import synthetic_sample
from core.errors import UserError
from core.lesions import CODES
from core.serving.answer import OK
from core.serving.panel import PREFERRED, ask, choose_models
from core.serving.registry import Registry

COLD_S, FIRST_S, NEXT_S, RERUN_S = 4.0, 1.5, 0.4, 0.3
SIDE_BY_SIDE = "side-by-side"
"""Of the prediction page's address: with it every model's map is drawn, not the leading one's alone."""
MODELS = len(PREFERRED)
"""So many models answer an upload by default, where they are shipped."""

TRIES = 20
"""Synthetic lesions of each class that the gate is asked about, until it keeps enough."""


@dataclass(frozen=True)
class AppTimes:
    """What one visit to a fresh server took.

    Attributes:
        cold_s: from the server's start to the painted overview.
        first_s: from the first upload to its verdict and maps.
        next_s: the same for every further upload.
        reruns_s: from a click to the end of the rerun that it causes, for every click.
        tensorflow: whether the server had loaded tensorflow in the end; None where nobody could look.
    """

    cold_s: float
    first_s: float
    next_s: tuple[float, ...]
    reruns_s: tuple[float, ...]
    tensorflow: bool | None


@dataclass(frozen=True, eq=False)
class AppCosts:
    """What was measured.

    Attributes:
        hardware: where.
        how: with what, in words.
        models: how many models answered each upload.
        visits: one for each round.
    """

    hardware: Hardware
    how: str
    models: int
    visits: Sequence[AppTimes]

    def bars(self) -> list[Bar]:
        """What was asked for: medians over the visits, and the 95th percentile over all reruns."""
        from core.benchmark.by_apptest import HOW

        cold, first = (float(np.median([getattr(v, f) for v in self.visits])) for f in ("cold_s", "first_s"))
        later = [seconds for visit in self.visits for seconds in visit.next_s]
        reruns = [seconds for visit in self.visits for seconds in visit.reruns_s]
        note = "" if self.models >= MODELS else f"with {self.models} of {MODELS} models"
        loaded = [visit.tensorflow for visit in self.visits]
        known = None if None in loaded else float(any(loaded))
        found = [
            Bar("cold start to the painted overview", cold, COLD_S, unit=" s"),
            Bar("tensorflow in the server's memory (0: no)", known, 0.0),
            Bar("first prediction after an upload", first, FIRST_S, unit=" s", note=note),
            Bar("next prediction, with all models' maps side by side",
                float(np.median(later)) if later else None, NEXT_S, unit=" s", note=note),
            Bar(f"rerun after a click, 95th percentile of {len(reruns)}",
                float(np.percentile(reruns, 95)) if reruns else None, RERUN_S, unit=" s"),
        ]  # fmt: skip
        return [_by_less_than_people_wait(bar) for bar in found] if self.how == HOW else found

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            **stamp(self.hardware),
            "how": self.how,
            "models": self.models,
            "visits": [vars(visit) | {} for visit in self.visits],
            "bars": [bar.to_dict() for bar in self.bars()],
        }


def _by_less_than_people_wait(bar: Bar) -> Bar:
    """A bar on seconds without server and browser: what they miss is missed, what they keep to may not be met."""
    if not bar.unit or not bar.met:
        return bar
    notes = (f"{bar.found} without server and browser", bar.note)
    return replace(bar, measured=None, note=", ".join(filter(None, notes)))


def measure_app(*, rounds: int = 3, progress: Callable[[int, int, str], None] | None = None) -> AppCosts:
    """Visit a fresh server, `rounds` times.

    Raises:
        UserError: the server or the browser does not start, or a page does not come.
    """
    from core.benchmark import by_apptest, by_browser

    browser = by_browser.find()
    how = f"Playwright, {browser.name}" if browser else by_apptest.HOW
    visits = []
    with tempfile.TemporaryDirectory(prefix="dermdistill-") as folder:
        uploads = write_uploads(Path(folder), 4)
        for number in range(rounds):
            if progress is not None:
                progress(number, rounds, f"visiting with {how}")
            visits.append(by_browser.visit(browser, uploads) if browser else by_apptest.visit(uploads))
    if progress is not None:
        progress(rounds, rounds, "")
    models = choose_models(Registry.open().usable())
    machine = this_machine() if browser else machine_of_commands()
    return AppCosts(machine, how, len(models), visits)


def write_uploads(folder: Path, count: int) -> list[Path]:
    """Different pictures to upload, none of which the gate refuses: a refused one is shown without verdict and maps.

    Raises:
        UserError: it refuses too many of them.
    """
    registry = Registry.open()
    leading = choose_models(registry.usable())[:1]
    drawn = (synthetic_sample(code, number) for number in range(1, TRIES + 1) for code in CODES)
    judged = (sample for sample in drawn if not leading or ask(registry, leading, sample.data).status == OK)
    samples = list(islice(judged, count))
    if len(samples) < count:
        raise UserError(
            f"expected {count} synthetic lesions that the gate keeps, found {len(samples)} of {TRIES * len(CODES)}"
        )
    for sample in samples:
        (folder / sample.name).write_bytes(sample.data)
    return [folder / sample.name for sample in samples]
