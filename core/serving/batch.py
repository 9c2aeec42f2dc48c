"""Many files -> rows: found, classified on all cores, in order, in constant memory, a bad file being a row."""

from __future__ import annotations

import csv
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from core.serving.runtime import RuntimeModelError
from core.serving.tables import csv_line, printable, restore, valid_text

In = TypeVar("In")
Out = TypeVar("Out")

DIGITS = 6
OVERLAY_INDEX = "overlays.csv"
INDEX_COLUMNS = ("image", "file")


class NoImagesError(UserError):
    """Nothing to classify."""


class OverlayError(UserError):
    """An overlay cannot be written."""


class OverwriteError(UserError):
    """An output would take the place of an input."""


@dataclass(frozen=True)
class Overlays:
    """Where the maps of a batch go.

    Attributes:
        folder: it exists when the first row is asked for.
        names: image -> file name, of every image, whether it gets an overlay or not.
        indexed: image -> file name, as `OVERLAY_INDEX` in the folder has it or will have it.
        notes: filled with a sentence for every image whose map is zero everywhere.
        drawn: filled with the images that got an overlay in this run.
    """

    folder: Path
    names: dict[str, str]
    indexed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)

    def record(self, file: str) -> None:
        """Write down in the index which image an overlay belongs to.

        Raises:
            OverlayError: the index cannot be written.
        """
        first, image = not self.drawn, valid_text(file)
        new = {} if image in self.indexed else {image: self.names[file]}
        self.drawn.append(file)
        self.indexed.update(new)
        # Only the first overlay starts the index anew: a run without any leaves the folder as it is.
        lines = [INDEX_COLUMNS, *self.indexed.items()] if first else list(new.items())
        path = self.folder / OVERLAY_INDEX
        try:
            with path.open("w" if first else "a", encoding="utf-8", newline="") as stream:
                stream.writelines(map(csv_line, lines))
        except OSError as error:
            raise OverlayError(
                f"{path}: expected to write there, found: {error.strerror or error}"
            ) from error


def find_files(paths: Sequence[str], skip: Iterable[Path] = (), linked: list[str] | None = None) -> list[str]:
    """The files to classify, each once, by the first of its names: folders are searched recursively, in order.

    Every file of a folder counts, whatever its name, since content decides what is an image; only hidden files
    and folders (a leading dot) and `skip` are left out. Links to folders are not followed. A path that cannot be
    looked at is kept, and becomes a rejected row; so is, of several paths, one that does not exist.

    Args:
        paths: files and folders.
        skip: this run's own outputs.
        linked: filled with the links to folders, which were not followed.

    Raises:
        NoImagesError: no path exists, or all folders are empty.
    """
    if all(map(_is_missing, paths)):
        raise NoImagesError(
            f"expected an image or a folder, found nothing at {', '.join(map(printable, paths))}"
        )
    skipped = set(map(_place, skip))
    linked = [] if linked is None else linked
    found: dict[str, str] = {}
    for path in paths:
        for file in _walk(path, skipped, linked) if _is_folder(path) else [path]:
            found.setdefault(_place(Path(file)), file)
    if not found:
        more = "; linked folders are not searched" if linked else ""
        raise NoImagesError(f"expected images, found no file in {', '.join(map(printable, paths))}{more}")
    return list(found.values())


def _place(path: Path) -> str:
    """Where a path lies, its folder's links resolved; it is not followed itself where it is a link."""
    if path.name in ("", ".."):
        return os.path.realpath(path)
    return str(Path(os.path.realpath(path.parent), path.name))


def _is_missing(path: str) -> bool:
    """Whether nothing is there; what may not be looked at may be there."""
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # below a folder without permission, or too long a name: reading it will say so
        return False


def _walk(folder: str, skipped: set[str], linked: list[str]) -> Iterator[str]:
    unreadable: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(error.filename)):
        real = os.path.realpath(root)

        def kept(names: list[str], real: str = real) -> list[str]:
            return sorted(n for n in names if not n.startswith(".") and f"{real}{os.sep}{n}" not in skipped)

        folders[:] = kept(folders)
        linked.extend(str(path) for name in folders if (path := Path(root, name)).is_symlink())
        for name in kept(files):
            yield str(Path(root, name))
    yield from unreadable


def keep_apart(inputs: Iterable[str | Path], outputs: Iterable[Path], option: str) -> None:
    """Make sure that no output takes the place of an input, under whatever name or through whatever link.

    Args:
        inputs: files that are read.
        outputs: files that will be written; they need not exist.
        option: of the command line, that decides the outputs.

    Raises:
        OverwriteError: an output is an input.
    """
    read = {identity(path): path for path in inputs}
    for path in outputs:
        found = read.get(identity(path))
        if found is not None:
            raise OverwriteError(
                f"expected {option} to write over no input, found that {printable(str(path))} would take the place "
                f"of {printable(str(found))}; choose another {option}"
            )


def identity(path: str | Path) -> object:
    """Of a file: the same for all names and links of one file."""
    try:
        status = Path(path).stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def overlay_names(
    files: Iterable[str], known: Mapping[str, str] | None = None, others: Iterable[str] = ()
) -> dict[str, str]:
    """A file name for every image's overlay: its stem, numbered where several images have the same.

    Args:
        files: the images.
        known: image -> file name, of an earlier run that is resumed; these names are kept.
        others: names of files that are nobody's overlay, and stay.
    """
    known = known or {}
    taken = {name.lower() for name in (*known.values(), *others)}
    names: dict[str, str] = {}
    uses: Counter[str] = Counter()
    for file in files:
        if name := known.get(valid_text(file)):
            names[file] = name
            continue
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(file).stem)[:80] or "image"
        while not name or name.lower() in taken:
            uses[stem.lower()] += 1
            # A dot cannot come from a stem, so a numbered name is nobody else's.
            name = f"{stem}.png" if uses[stem.lower()] == 1 else f"{stem}.{uses[stem.lower()]}.png"
        taken.add(name.lower())
        names[file] = name
    return names


def read_index(folder: Path) -> dict[str, str]:
    """image -> file name, from the index of an earlier run; empty where there is none.

    Raises:
        OverlayError: a file of that name is no index, or cannot be read.
    """
    path = folder / OVERLAY_INDEX
    try:
        with path.open(encoding="utf-8", newline="", errors="replace") as stream:
            lines = list(csv.reader(stream))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise OverlayError(f"{path}: expected an index of overlays, found: {reason}") from error
    if lines and lines[0] != list(INDEX_COLUMNS):
        raise OverlayError(
            f"{path}: expected the columns {', '.join(INDEX_COLUMNS)}, found {', '.join(lines[0])[:200]!r}"
        )
    # A killed run may have torn the last line; a name with a folder in it was not written by this command.
    whole = [line for line in lines[1:] if len(line) == 2 and line[1].endswith(".png")]
    return {restore(image): restore(name) for image, name in whole if Path(name).name == name}


def rows(
    diagnoser: Diagnoser, files: Iterable[str], *, workers: int, overlays: Overlays | None = None
) -> Iterator[tuple[object, ...]]:
    """One row of `core.serving.output.COLUMNS` for every file, in order, as they get ready.

    Raises:
        OverlayError: an overlay, or the index of them, cannot be written.
    """

    def row(file: str) -> tuple[tuple[object, ...], str | None]:
        try:
            answer = diagnoser.answer_file(Path(file))
        except (ModelOutputError, RuntimeModelError) as error:
            answer = Answer(REJECTED, str(error))
        drawn = overlays is not None and _explain(answer, file, overlays)
        return as_row(file, diagnoser.model.name, answer), file if drawn else None

    for line, drawn in map_bounded(row, files, workers):
        if overlays is not None and drawn is not None:
            overlays.record(drawn)
        yield line


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


def _explain(answer: Answer, file: str, overlays: Overlays) -> bool:
    """Write the overlay of the top class, for an accepted image; False where there is none."""
    if answer.status != OK or answer.upload is None or answer.diagnosis is None:
        return False
    label = answer.diagnosis.label
    layer = answer.diagnosis.maps[INDEX[label]]
    overlay = draw_overlay(answer.upload.pixels, layer, label=BY_CODE[label].name)
    if overlay.image is None:
        overlays.notes.append(f"{printable(file)}: {overlay.note}")
        return False
    path = overlays.folder / overlays.names[file]
    try:
        path.write_bytes(encode_png(overlay.image))
    except OSError as error:
        raise OverlayError(f"{path}: expected to write there, found: {error.strerror or error}") from error
    return True
