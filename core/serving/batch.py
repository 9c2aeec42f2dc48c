"""Many files -> rows: found, classified on all cores, in order, in constant memory, a bad file being a row."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from core.errors import UserError
from core.lesions import BY_CODE, INDEX
from core.serving.answer import OK, REJECTED, Answer, Diagnoser
from core.serving.classifier import ModelOutputError
from core.serving.overlay import draw_overlay, encode_png
from core.serving.tables import printable, valid_text

In = TypeVar("In")
Out = TypeVar("Out")

DIGITS = 6


class NoImagesError(UserError):
    """Nothing to classify."""


class OverlayError(UserError):
    """An overlay cannot be written."""


@dataclass(frozen=True)
class Overlays:
    """Where the maps of a batch go.

    Attributes:
        folder: it exists.
        names: image -> file name.
        notes: filled with a sentence for every image whose map is zero everywhere.
    """

    folder: Path
    names: dict[str, str]
    notes: list[str] = field(default_factory=list)


def find_files(paths: Sequence[str], skip: Iterable[Path] = ()) -> list[str]:
    """The files to classify, each once: folders are searched recursively, in the order of their names.

    Every file of a folder counts, whatever its name, since content decides what is an image; only hidden files
    and folders (a leading dot) and `skip` are left out. Links to folders are not followed. Of several paths one that
    does not exist is kept, and becomes a rejected row.

    Args:
        paths: files and folders.
        skip: this run's own outputs.

    Raises:
        NoImagesError: no path exists, or all folders are empty.
    """
    if not any(os.path.lexists(path) for path in paths):
        raise NoImagesError(
            f"expected an image or a folder, found nothing at {', '.join(map(printable, paths))}"
        )
    skipped = {path.absolute() for path in skip}
    found: dict[str, None] = {}
    for path in paths:
        walk = _walk(path, skipped) if Path(path).is_dir() else [path]
        found.update(dict.fromkeys(walk))
    if not found:
        raise NoImagesError(f"expected images, found no file in {', '.join(map(printable, paths))}")
    return list(found)


def _walk(folder: str, skipped: set[Path]) -> Iterator[str]:
    unreadable: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(error.filename)):
        kept = (
            name
            for name in folders
            if not name.startswith(".") and Path(root, name).absolute() not in skipped
        )
        folders[:] = sorted(kept)
        for name in sorted(files):
            if not name.startswith(".") and Path(root, name).absolute() not in skipped:
                yield str(Path(root, name))
    yield from unreadable


def overlay_names(files: Iterable[str]) -> dict[str, str]:
    """A file name for every image's overlay: its stem, numbered where several images have the same."""
    names: dict[str, str] = {}
    uses: Counter[str] = Counter()
    for file in files:
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(file).stem)[:80] or "image"
        uses[stem.lower()] += 1
        # A dot cannot come from a stem, so a numbered name is nobody else's.
        names[file] = f"{stem}.png" if uses[stem.lower()] == 1 else f"{stem}.{uses[stem.lower()]}.png"
    return names


def rows(
    diagnoser: Diagnoser, files: Iterable[str], *, workers: int, overlays: Overlays | None = None
) -> Iterator[tuple[object, ...]]:
    """One row of `core.serving.output.COLUMNS` for every file, in order, as they get ready."""

    def row(file: str) -> tuple[object, ...]:
        try:
            answer = diagnoser.answer_file(Path(file))
        except ModelOutputError as error:
            answer = Answer(REJECTED, str(error))
        if overlays is not None:
            _explain(answer, file, overlays)
        return as_row(file, diagnoser.model.name, answer)

    return map_bounded(row, files, workers)


def as_row(file: str, model: str, answer: Answer) -> tuple[object, ...]:
    """The row of one answer; a rejected file has neither label nor probabilities."""
    diagnosis, reason = answer.diagnosis, valid_text(" ".join(answer.reason.split()))
    if diagnosis is None:
        return (valid_text(file), model, answer.status, *[None] * 9, reason)
    numbers = [round(float(value), DIGITS) for value in (diagnosis.confidence, *diagnosis.probabilities)]
    return (valid_text(file), model, answer.status, diagnosis.label, *numbers, reason)


def map_bounded(function: Callable[[In], Out], items: Iterable[In], workers: int) -> Iterator[Out]:
    """`map` on threads, in order, with so few results waiting that memory does not grow with the items."""
    waiting = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="batch") as pool:
        queue: deque[Future[Out]] = deque(
            pool.submit(function, item) for item in islice(waiting, 4 * workers)
        )
        try:
            while queue:
                yield queue.popleft().result()
                queue.extend(pool.submit(function, item) for item in islice(waiting, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _explain(answer: Answer, file: str, overlays: Overlays) -> None:
    """Write the overlay of the top class, for an accepted image."""
    if answer.status != OK or answer.upload is None or answer.diagnosis is None:
        return
    label = answer.diagnosis.label
    layer = answer.diagnosis.maps[INDEX[label]]
    overlay = draw_overlay(answer.upload.pixels, layer, label=BY_CODE[label].name)
    if overlay.image is None:
        overlays.notes.append(f"{printable(file)}: {overlay.note}")
        return
    path = overlays.folder / overlays.names[file]
    try:
        path.write_bytes(encode_png(overlay.image))
    except OSError as error:
        raise OverlayError(f"{path}: expected to write there, found: {error.strerror or error}") from error
