"""Every path, environment variable and limit, declared once with its meaning."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setting:
    """One environment variable: its name, its default and what it does."""

    variable: str
    default: str
    help: str

    def path(self) -> Path:
        """The variable's value as a path; a relative default counts from the project's root.

        Raises:
            UserError: it begins with the home folder (`~name`) of a user who is not known here.
        """
        value = os.environ.get(self.variable)
        try:
            return Path(value).expanduser() if value else ROOT / self.default
        except RuntimeError as error:
            raise UserError(f"{self.variable}: expected a path, found {value!r} ({error})") from error


def named(path: Path) -> str:
    """A path as messages name it: from the project's root where it lies there, since a visitor who reads that a file
    is damaged need not read where the server keeps it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


DATA = Setting("DERMDISTILL_DATA", "data/HAM10000", "the HAM10000 folder, in any of its layouts")
ARTIFACTS = Setting("DERMDISTILL_ARTIFACTS", "artifacts", "trained models, predictions and their manifest")
CACHE = Setting("DERMDISTILL_CACHE", ".cache", "decoded pixels and teachers' logits, safe to delete")
RUNS = Setting("DERMDISTILL_RUNS", "runs", "checkpoints and histories of training runs")
SETTINGS: tuple[Setting, ...] = (DATA, ARTIFACTS, CACHE, RUNS)


def data_dir() -> Path:
    """The HAM10000 folder (it may not exist)."""
    return DATA.path()


def artifacts_dir() -> Path:
    """The folder of `manifest.json` and all that it lists."""
    return ARTIFACTS.path()


def cache_dir() -> Path:
    """The folder of what can be computed again."""
    return CACHE.path()


def runs_dir() -> Path:
    """The folder of training runs."""
    return RUNS.path()


INPUT_SIZE = 224
"""Side of every network's input, in pixels."""

MAX_UPLOAD_BYTES = 20 * 1024 * 1024
MIN_SIDE = 64
MAX_SIDE = 8192
MAX_PIXELS = 40_000_000
MAX_ASPECT = 4.0
MAX_DECODE_BYTES = 300_000_000
"""Working memory that decoding one upload may take; refused from the header beyond that."""
MAX_DISPLAY_SIDE = 1024
"""Longest side of the copy of an upload that pages show."""
MAX_NAME_LENGTH = 60
"""Characters of an upload's file name that are shown."""
WHOLE_NAME_LENGTH = 255
"""Characters of it in tables, whose rows it tells apart; file systems have no longer ones."""
MAX_FILES = 100
"""How many uploads a page reads at once."""
