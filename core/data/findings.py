"""What is said about a dataset: notes, warnings and damage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
        severity: a "note" informs, a "warning" deserves a look, "damage" makes the dataset unusable.
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


def merge(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that say the same of different items become one; damage comes first, then warnings."""
    items: dict[Finding, set[str]] = {}
    for finding in findings:
        items.setdefault(replace(finding, items=()), set()).update(finding.items)
    merged = [replace(finding, items=tuple(sorted(names))) for finding, names in items.items()]
    return tuple(sorted(merged, key=lambda finding: ("damage", "warning", "note").index(finding.severity)))
