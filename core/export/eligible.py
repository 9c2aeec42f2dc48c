"""Which models can be exported."""

from __future__ import annotations

from core.manifest import ModelEntry


def refusal(entry: ModelEntry) -> str | None:
    """Why a model cannot be exported, and what would help; None where it can be, if its file is sound."""
    if entry.members:
        return (
            f"model {entry.name}: expected a model with a file of its own, found an ensemble; export its members: "
            f"{', '.join(entry.members)}"
        )
    if "litert" not in entry.files:
        return (
            f"model {entry.name}: expected a LiteRT file, found none; make it: python -m core compress "
            f"--model {entry.name}"
        )
    if "temperature" not in entry.calibration:
        return (
            f"model {entry.name}: expected it to be calibrated, found no temperature; python -m core evaluate "
            f"--model {entry.name} fits one"
        )
    return None
