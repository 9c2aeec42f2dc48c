"""Whether a dataset still lies as it lay when it was opened: a look at a few folders, cheap enough for every page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.data.files import MAX_DEPTH
from core.data.ham10000 import Dataset

MAX_PLACES = 200
"""Folders that are looked at where there is no dataset: one that is mended is noticed, somebody's home not searched."""

State = tuple[int, ...] | None


@dataclass(frozen=True)
class Watch:
    """Folders and files, and how they were.

    A file that comes, goes or is renamed changes its folder; one that is written to in place does not, and says so
    itself when it is read.

    Attributes:
        places: the folders of images, the zips, the table of metadata.
        states: of each, None for one that is not there.
    """

    places: tuple[Path, ...]
    states: tuple[State, ...]

    @classmethod
    def on(cls, asked: Path, dataset: Dataset | None) -> Watch:
        """Watch a dataset from now on.

        Args:
            asked: the folder that was to be opened.
            dataset: what was found there; None for nothing that can be used.
        """
        places = _below(asked) if dataset is None else {asked, *_of(dataset)}
        ordered = tuple(sorted(places))
        return cls(ordered, tuple(map(_state, ordered)))

    def has_changed(self) -> bool:
        """Whether anything came, went or was replaced."""
        return self.states != tuple(map(_state, self.places))


def _of(dataset: Dataset) -> set[Path]:
    tables = (dataset.metadata,) if dataset.metadata else ()
    places = {entry.file for entry in tables}
    for copies in dataset.files.values():
        places |= {entry.file.parent if entry.member is None else entry.file for entry in copies}
    return places


def _below(asked: Path) -> set[Path]:
    """The folder itself and those in it, as deep as images are looked for."""
    places = {asked}
    for folder, names, _ in os.walk(asked):
        deep = len(Path(folder).relative_to(asked).parts)
        names[:] = names if deep < MAX_DEPTH else []
        places |= {Path(folder, name) for name in names}
        if len(places) > MAX_PLACES:
            break
    return places


def _state(place: Path) -> State:
    try:
        found = place.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
