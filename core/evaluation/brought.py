"""Probabilities of another model for our test images, read from a CSV that anyone may have written.

The file is data, never code: a cell is a number or an error. What is wrong is said by row, counted as a spreadsheet
counts (the header is row 1), so that its owner can mend it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import UserError
from core.evaluation.calibration import fit_temperature
from core.evaluation.predictions import Predictions
from core.lesions import CODES, N_CLASSES
from core.settings import MAX_UPLOAD_BYTES

NAME = "yours"
ID = "image_id"
COLUMNS: tuple[str, ...] = (ID, *(f"p_{code}" for code in CODES))
SUM_TOLERANCE = 1e-3
MAX_ERRORS = 50
"""Errors that are listed; further ones are only counted."""
SHOWN = 40
"""Characters of a wrong cell that an error repeats."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class RowError:
    """One thing that is wrong.

    Attributes:
        row: of the file, the header being row 1; 0 for the file as a whole.
        column: its name; empty where it is the row as a whole.
        problem: what was expected and what was found.
    """

    row: int
    column: str
    problem: str


class BroughtError(UserError):
    """A file that cannot stand beside our models.

    Attributes:
        errors: at most `MAX_ERRORS`, in the file's order.
        total: how many there are.
    """

    def __init__(self, errors: list[RowError], total: int | None = None) -> None:
        self.errors = tuple(errors[:MAX_ERRORS])
        self.total = total if total is not None else len(errors)
        first = self.errors[0]
        place = f"row {first.row}: " if first.row else ""
        super().__init__(f"{place}{first.problem}" + (f" ({self.total} errors)" if self.total > 1 else ""))


@dataclass(frozen=True, eq=False)
class Brought:
    """A model brought along.

    Attributes:
        predictions: of all test images, named `NAME`.
        temperature: fitted on its validation rows, or 1 where it has none.
        calibrated: whether it was fitted.
        notes: what its owner should know, in sentences.
    """

    predictions: Predictions
    temperature: float
    calibrated: bool
    notes: tuple[str, ...]


def template(reference: Predictions) -> str:
    """A file that `read_brought` takes: every image of `reference`, each with even odds to be overwritten."""
    even = ",".join([f"{1 / N_CLASSES:.6f}"] * N_CLASSES)
    return "".join([",".join(COLUMNS) + "\n", *(f"{one},{even}\n" for one in reference.image_id.tolist())])


def read_brought(data: bytes, reference: Predictions) -> Brought:
    """Read and check a CSV of probabilities.

    Columns `image_id` and `p_akiec` ... `p_vasc` in any order, separated by comma, semicolon or tab; others are
    ignored. Every test image must be there once. Validation images are optional; where all of them are there, the
    temperature is fitted on them as for our own models.

    Args:
        data: the file.
        reference: predictions of one of our models on validation and test, for ids, lesions and true classes.

    Raises:
        BroughtError: what is wrong, by row.
    """
    if len(data) > MAX_UPLOAD_BYTES:
        raise _whole(f"expected at most {MAX_UPLOAD_BYTES >> 20} MB, found {len(data) / 2**20:.1f} MB")
    text = _decode(data)
    lines = max(text.count("\n"), text.count("\r"))
    if lines > 2 * len(reference) + 2:
        raise _whole(f"expected at most {len(reference):,} rows of images, found about {lines:,}")
    header, rows, separator = _parse(text)
    place, notes = _columns(header)
    ids, shares = _values(
        rows, place, separator, {one: i for i, one in enumerate(reference.image_id.tolist())}
    )
    return _assemble(ids, shares, reference, notes)


def _whole(problem: str) -> BroughtError:
    return BroughtError([RowError(0, "", problem)])


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise BroughtError([RowError(row, "", "expected text in UTF-8, found other bytes")]) from error
    if "\0" in text:
        raise _whole("expected text, found a binary file")
    if not text.strip():
        raise _whole("expected a CSV, found an empty file")
    return text


def _parse(text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]], str]:
    """Header, (row number, cells) of all other rows that are not blank, and the separator."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)

    def numbered() -> Iterator[tuple[int, list[str]]]:
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise BroughtError(
                    [RowError(reader.line_num, "", f"expected a row of CSV, found: {error}")]
                ) from error
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells

    rows = numbered()
    _, header = next(rows, (0, None))
    if header is None:
        raise _whole("expected a CSV, found a file without any text")
    return [cell.strip().lower() for cell in header], rows, separator


def _columns(header: list[str]) -> tuple[list[int], list[str]]:
    """Where each of `COLUMNS` stands, and notes on the others."""
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise BroughtError(
            [
                RowError(1, name, f"expected a column {name}, found {', '.join(map(shorten, header[:12]))}")
                for name in missing
            ]
        )
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise BroughtError(
            [RowError(1, name, f"expected one column {name}, found several") for name in twice]
        )
    others = [shorten(name) for name in header if name not in COLUMNS]
    notes = [f"columns that are not needed were ignored: {', '.join(others[:5])}"] if others else []
    return [header.index(name) for name in COLUMNS], notes


def _values(
    rows: Iterator[tuple[int, list[str]]], place: list[int], separator: str, known: dict[str, int]
) -> tuple[list[int], np.ndarray]:
    """Rows of `known` and their (N, 7) probabilities."""
    errors: list[RowError] = []
    total, ids, shares, seen = 0, [], [], {}
    for number, cells in rows:
        found = _check_row(number, cells, place, separator, known, seen)
        if isinstance(found, list):
            total += len(found)
            errors += found[: MAX_ERRORS - len(errors)]
        else:
            ids.append(found[0])
            shares.append(found[1])
    if errors:
        raise BroughtError(errors, total)
    return ids, np.asarray(shares, dtype=np.float64).reshape(-1, N_CLASSES)


def _check_row(
    number: int,
    cells: list[str],
    place: list[int],
    separator: str,
    known: dict[str, int],
    seen: dict[str, int],
) -> tuple[int, list[float]] | list[RowError]:
    """The image and its probabilities, or what is wrong with the row."""
    if len(cells) <= max(place):
        return [RowError(number, "", f"expected at least {max(place) + 1} cells, found {len(cells)}")]
    image = cells[place[0]].strip()
    errors = []
    if image not in known:
        errors.append(
            RowError(number, ID, f"expected the id of a test or validation image, found {shorten(image)!r}")
        )
    elif image in seen:
        errors.append(
            RowError(number, ID, f"expected each image once, found {image} in row {seen[image]} too")
        )
    seen.setdefault(image, number)
    shares = []
    for name, column in zip(COLUMNS[1:], place[1:], strict=True):
        value = _number(cells[column], separator)
        if value is None or not 0 <= value <= 1:
            problem = f"expected a number from 0 to 1, found {shorten(cells[column].strip()) or 'nothing'!r}"
            errors.append(RowError(number, name, problem))
        else:
            shares.append(value)
    if len(shares) == N_CLASSES and abs(sum(shares) - 1) > SUM_TOLERANCE:
        errors.append(RowError(number, "", f"expected probabilities that sum to 1, found {sum(shares):.4g}"))
    return errors or (known[image], shares)


def _number(cell: str, separator: str) -> float | None:
    """A plain decimal number (a decimal comma where commas do not separate), None for anything else."""
    text = cell.strip()
    if separator != ",":
        text = text.replace(",", ".")
    return float(text) if len(text) <= SHOWN and _NUMBER.fullmatch(text) else None


def _assemble(ids: list[int], shares: np.ndarray, reference: Predictions, notes: list[str]) -> Brought:
    given = np.zeros(len(reference), dtype=bool)
    given[ids] = True
    test, validation = reference.part == "test", reference.part == "validation"
    if (test & ~given).any():
        missing = reference.image_id[test & ~given]
        raise _whole(
            f"expected all {int(test.sum()):,} test images, found {int((test & given).sum()):,}; "
            f"the first that is missing is {missing[0]}"
        )
    rows = np.asarray(ids, dtype=np.int64)
    found = Predictions.from_probabilities(
        NAME,
        image_id=reference.image_id[rows],
        lesion_id=reference.lesion_id[rows],
        label=reference.label[rows],
        probabilities=shares,
        part=reference.part[rows],
    )
    calibrated = bool(validation.any()) and bool(given[validation].all())
    temperature = 1.0
    if calibrated:
        fitted = found.part_only("validation")
        temperature = fit_temperature(fitted.logits, fitted.label)
    else:
        notes = [
            *notes,
            "without all validation images its probabilities are taken as they are, not calibrated",
        ]
    return Brought(found.part_only("test"), temperature, calibrated, tuple(notes))


def shorten(text: str, longest: int = SHOWN) -> str:
    """A stranger's cell for an error message: on one line, printable, not longer than `longest`."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."
