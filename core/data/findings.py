"""What is said about a dataset: notes, warnings and damage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import UserError

Severity = Literal["note", "warning", "damage"]


class DatasetError(UserError):
    """No HAM10000 dataset where one was expected."""


class DamagedDatasetError(DatasetError):
    """A HAM10000 dataset, but one that training or evaluation must not be run on."""

    exit_status = 3


@dataclass(frozen=True)
class Finding:
    """One thing worth saying about a dataset.

    Attributes:
        kind: a stable key for programs, such as "missing_files".
        severity: a "note" is for information, a "warning" deserves a look, "damage" makes the dataset unusable.
        text: one sentence for people.
        items: what it concerns, such as image ids or file names, sorted.
    """

    kind: str
    severity: Severity
    text: str
    items: tuple[str, ...] = ()

    def sentence(self, examples: int = 3) -> str:
        """The text, followed by the first `examples` of the items."""
        if not self.items:
            return self.text
        rest = len(self.items) - examples
        listed = ", ".join(self.items[:examples])
        return f"{self.text}: {listed}" + (f" and {rest:,} more" if rest > 0 else "")
