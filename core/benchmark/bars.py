"""What was asked for beside what was measured."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.evaluation.contestants import to_interval
from core.evaluation.latency import COMMAND, KEY, BenchmarkError, outdated, runs_elsewhere
from core.manifest import Manifest

_LOST = re.compile(r"([\w-]+): (accuracy|balanced accuracy) lost on test beside ([\w-]+)")
_ALL_DIGITS = 17
"""That tell any two numbers apart."""


@dataclass(frozen=True)
class Bar:
    """One demand.

    Attributes:
        what: in words.
        measured: None where it could not be.
        limit: the bar.
        at_most: whether more than the limit misses it, rather than less.
        unit: behind both numbers.
        note: why it was not measured, or what else there is to say.
    """

    what: str
    measured: float | None
    limit: float
    at_most: bool = True
    unit: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the measured value, unrounded, keeps to the bar; None where there is none."""
        return None if self.measured is None else self._keeps(self.measured)

    def _keeps(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {**asdict(self), "met": self.met}

    def text(self) -> str:
        """One line for people."""
        note = f" ({self.note})" if self.note else ""
        if self.measured is None:
            return f"not measured  {self.what}: {self.bound}{note}"
        verdict = "met         " if self.met else "NOT MET     "
        return f"{verdict}  {self.what}: {self.sides()}{note}"

    @property
    def bound(self) -> str:
        """`at most 0.65`."""
        unit = self.unit.removesuffix("s") if self.limit == 1 else self.unit
        return f"at {'most' if self.at_most else 'least'} {self.limit:g}{unit}"

    def sides(self) -> str:
        """What was measured and what was asked for: `0.756, at most 0.65`."""
        return f"{self.found}, {self.bound}"

    @property
    def found(self) -> str:
        """`0.756`: three digits, or as many as the verdict on it needs; empty where nothing was measured."""
        if self.measured is None:
            return ""
        # Fewer digits than stand before the point would be written as a power of ten.
        least = max(3, len(f"{abs(self.measured):.0f}"))
        texts = (f"{self.measured:.{digits}g}" for digits in range(least, _ALL_DIGITS + 1))
        return next(text for text in texts if self._keeps(float(text)) is self.met) + self.unit


def read_bars(manifest: Manifest) -> list[Bar]:
    """What the stored benchmark of the models says of them; none of a model whose file is another one by now.

    Where another machine measured something else of the same files, the bar's note says what.

    Raises:
        ArtifactError: the benchmark's file is missing or damaged.
        BenchmarkError: it holds no bars.
    """
    if KEY not in manifest.shared:
        return []
    path = manifest.shared[KEY]
    try:
        raw = json.loads(manifest.read(path))
        bars = _bars_of(manifest, raw)
        # Of a machine's line the processor: the rest would hide what is said.
        others = [
            (str(run.get("hardware")).partition(",")[0], _bars_of(manifest, run))
            for run in runs_elsewhere(raw)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(
            f"{path}: expected a benchmark's JSON, found a damaged file; run {COMMAND}"
        ) from error
    return [_noted(bar, others) for bar in bars]


def lost_on_test(manifest: Manifest, name: str, beside: str, figure: str) -> float | None:
    """Points of 100 that a model loses of a figure beside another, both as they were evaluated; None where one was
    not."""
    found = [_test(manifest, model).get(figure) for model in (beside, name)]
    whole, left = (to_interval(one).value for one in found)
    return 100 * (whole - left) if math.isfinite(whole) and math.isfinite(left) else None


def _test(manifest: Manifest, name: str) -> Mapping[str, Any]:
    entry = manifest.models.get(name)
    found = entry.figures.get("test") if entry else None
    return found if isinstance(found, Mapping) else {}


def _of_now(manifest: Manifest, bar: Bar) -> Bar:
    """A demand on accuracy by the figures as they are: they are evaluated without the benchmark being run again."""
    found = _LOST.fullmatch(bar.what)
    if found is None:
        return bar
    return replace(bar, measured=lost_on_test(manifest, found[1], found[3], found[2].replace(" ", "_")))


def _bars_of(manifest: Manifest, run: Mapping[str, Any]) -> list[Bar]:
    """One run's, of files that are still shipped."""
    old = outdated(manifest, dict(run.get("models", {})))
    bars = [Bar(**{f.name: one[f.name] for f in fields(Bar)}) for one in run.get("bars", [])]
    return [_of_now(manifest, bar) for bar in bars if old.isdisjoint(re.findall(r"[\w-]+", bar.what))]


def _noted(bar: Bar, others: Sequence[tuple[str, Sequence[Bar]]]) -> Bar:
    """The bar with what other machines measured, where that reads differently."""
    said = [
        f"{other.found} on {hardware}"
        for hardware, bars in others
        for other in bars
        if other.what == bar.what and other.found not in ("", bar.found)
    ]
    return replace(bar, note="; ".join(filter(None, [bar.note, *said])))


def table(bars: Sequence[Bar]) -> str:
    """All of them, one a line."""
    return "\n".join(bar.text() for bar in bars)
