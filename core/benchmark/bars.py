"""What was asked for beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


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
        if self.measured is None:
            return None
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {**asdict(self), "met": self.met}

    def text(self) -> str:
        """One line for people."""
        bound = f"at {'most' if self.at_most else 'least'} {self.limit:g}{self.unit}"
        note = f" ({self.note})" if self.note else ""
        if self.measured is None:
            return f"not measured  {self.what}: {bound}{note}"
        verdict = "met         " if self.met else "NOT MET     "
        return f"{verdict}  {self.what}: {self.measured:.3g}{self.unit}, {bound}{note}"


def table(bars: Sequence[Bar]) -> str:
    """All of them, one a line."""
    return "\n".join(bar.text() for bar in bars)
