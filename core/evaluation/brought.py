"""Probabilities of another model for our test images, read from a CSV that anyone may have written.

The file is data, never code: a cell is a number or an error. What is wrong is said by row, counted as a spreadsheet
counts (the header is row 1), so that its owner can mend it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.evaluation.brought_text import (
    MAX_ERRORS,
    BroughtError,
    RowError,
    decode,
    parse,
    shorten,
    to_number,
    whole,
)
from core.evaluation.calibration import fit_temperature
from core.evaluation.predictions import Predictions
from core.lesions import CODES, N_CLASSES
from core.settings import MAX_UPLOAD_BYTES

NAME = "yours"
ID = "image_id"
OTHER_ID = "image"
"""What `python -m core predict` calls the column, taken where there is no `ID`."""
COLUMNS: tuple[str, ...] = (ID, *(f"p_{code}" for code in CODES))
SUM_TOLERANCE = 0.02
"""How far a row's sum may be from 1: with three decimals it always stays within, with two but for rare rows."""

_FLOAT_ROUNDING = N_CLASSES * float(np.finfo(np.float32).eps)
"""How far a sum is from 1 without any rounding by its owner; not worth a note."""
_SUFFIXES = frozenset(("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"))


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
    even = ",".join([f"{1 / N_CLASSES:.9f}"] * N_CLASSES)
    return "".join([",".join(COLUMNS) + "\n", *(f"{one},{even}\n" for one in reference.image_id.tolist())])


def read_brought(data: bytes, reference: Predictions) -> Brought:
    """Read and check a CSV of probabilities.

    Columns `image_id` (or `image`) and `p_akiec` ... `p_vasc` in any order, separated by comma, semicolon or tab;
    others are ignored. An id may have a folder before it and an image's suffix after it. A row may miss a sum of 1 by
    `SUM_TOLERANCE`, and is scaled to it. Every test image must be there once. Validation images are optional; where
    all of them are there, the temperature is fitted on them as for our own models.

    Args:
        data: the file.
        reference: predictions of one of our models on validation and test, for ids, lesions and true classes.

    Raises:
        BroughtError: what is wrong, by row.
    """
    if len(data) > MAX_UPLOAD_BYTES:
        raise whole(f"expected at most {MAX_UPLOAD_BYTES >> 20} MB, found {len(data) / 2**20:.1f} MB")
    text = decode(data)
    lines = max(text.count("\n"), text.count("\r"))
    if lines > 2 * len(reference) + 2:
        raise whole(f"expected at most {len(reference):,} rows of images, found about {lines:,}")
    header, rows, separator = parse(text)
    place, ignored = _columns(header)
    ids, shares = _values(
        rows, place, separator, {one: i for i, one in enumerate(reference.image_id.tolist())}
    )
    shares, scaled = _scale(shares)
    return _assemble(ids, shares, reference, ignored + scaled)


def _columns(header: list[str]) -> tuple[list[int], list[str]]:
    """Where each of `COLUMNS` stands, and notes on the others."""
    names = COLUMNS if ID in header or OTHER_ID not in header else (OTHER_ID, *COLUMNS[1:])
    missing = [name for name in names if name not in header]
    if missing:
        found = ", ".join(shorten(name) or "(no name)" for name in header[:12])
        raise BroughtError(
            [RowError(1, name, f"expected a column {name}, found {found}") for name in missing]
        )
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise BroughtError(
            [RowError(1, name, f"expected one column {name}, found several") for name in twice]
        )
    # pandas writes its index under an empty name.
    others = [shorten(name) or "(no name)" for name in header if name not in names]
    notes = [f"columns that are not needed were ignored: {', '.join(others[:5])}"] if others else []
    return [header.index(name) for name in names], notes


def _values(
    rows: Iterator[tuple[int, list[str]]], place: list[int], separator: str, known: dict[str, int]
) -> tuple[list[int], np.ndarray]:
    """Rows of `known` and their (N, 7) probabilities, each row with a sum of about 1."""
    errors: list[RowError] = []
    total, ids, table, seen = 0, [], [], {}
    for row, cells in rows:
        if len(cells) <= max(place):
            found = [RowError(row, "", f"expected at least {max(place) + 1} cells, found {len(cells)}")]
        else:
            image, *texts = (cells[column].strip() for column in place)
            values = [to_number(text, separator) for text in texts]
            found = _check_image(row, image, known, seen) + _check_values(row, texts, values)
            ids.append(known.get(_bare(image), -1))
            table.append(values)
        total += len(found)
        errors += found[: MAX_ERRORS - len(errors)]
    if errors:
        _refuse_other_scale(table)
        raise BroughtError(errors, total)
    return ids, np.asarray(table, dtype=np.float64).reshape(-1, N_CLASSES)


def _check_image(row: int, image: str, known: dict[str, int], seen: dict[str, int]) -> list[RowError]:
    """What is wrong with an id; `seen` learns the row of each image."""
    name = _bare(image)
    if name not in known:
        found = repr(shorten(image))
        return [RowError(row, ID, f"expected the id of a test or validation image, found {found}")]
    first = seen.setdefault(name, row)
    if first != row:
        return [RowError(row, ID, f"expected each image once, found {name} in row {first} too")]
    return []


def _bare(image: str) -> str:
    """An id without the folder and the image's suffix that it may have as a path."""
    name = image.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in _SUFFIXES else name


def _check_values(row: int, texts: list[str], values: list[float | None]) -> list[RowError]:
    """What is wrong with the probabilities of a row."""
    errors = [
        RowError(row, name, f"expected a number from 0 to 1, found {shorten(text) or 'nothing'!r}")
        for name, text, value in zip(COLUMNS[1:], texts, values, strict=True)
        if value is None or not 0 <= value <= 1
    ]
    if not errors and abs(sum(values) - 1) > SUM_TOLERANCE + _FLOAT_ROUNDING:
        errors.append(RowError(row, "", f"expected probabilities that sum to 1, found {sum(values):.6g}"))
    return errors


def _refuse_other_scale(table: list[list[float | None]]) -> None:
    """One error where most rows are percentages or logits, in place of several for each row.

    Most, not one: a single negative number among probabilities is better named by its row.
    """
    rows = np.asarray([row for row in table if None not in row], dtype=np.float64).reshape(-1, N_CLASSES)
    if not len(rows):
        return
    with np.errstate(over="ignore", invalid="ignore"):  # anyone's numbers may sum to infinity
        sums = rows.sum(axis=1)
        percent = int((np.abs(sums / 100 - 1) <= SUM_TOLERANCE + _FLOAT_ROUNDING).sum())
        other = int((~(np.abs(sums - 1) <= SUM_TOLERANCE + _FLOAT_ROUNDING)).sum())
    low, high = rows.min(), rows.max()
    expected = "expected probabilities from 0 to 1 that sum to 1 in each row"
    if low >= 0 and high <= 100 and 2 * percent > len(table):
        raise whole(
            f"{expected}, found what looks like percentages: {percent:,} rows sum to about 100; divide by 100"
        )
    if low < 0 and 2 * other > len(table):
        raise whole(
            f"{expected}, found what looks like logits: values from {low:.4g} to {high:.4g}; apply softmax first"
        )


def _scale(shares: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(N, 7) probabilities that sum to 1, and a note where theirs were rounded."""
    sums = shares.sum(axis=1, keepdims=True)
    deviation = np.abs(sums - 1)
    scaled = int((deviation > _FLOAT_ROUNDING).sum())
    if not scaled:
        return shares, []
    rows = "1 row was" if scaled == 1 else f"{scaled:,} rows were"
    return shares / sums, [f"{rows} scaled to sum to 1 (largest deviation {deviation.max():.2g})"]


def _assemble(ids: list[int], shares: np.ndarray, reference: Predictions, notes: list[str]) -> Brought:
    given = np.zeros(len(reference), dtype=bool)
    given[ids] = True
    test, validation = reference.part == "test", reference.part == "validation"
    if (test & ~given).any():
        missing = reference.image_id[test & ~given]
        raise whole(
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
        notes = notes + _none_for_the_truth(shares[found.part == "validation"], fitted.label)
    else:
        notes = [
            *notes,
            "without all validation images its probabilities are taken as they are, not calibrated",
        ]
    return Brought(found.part_only("test"), temperature, calibrated, tuple(notes))


def _none_for_the_truth(shares: np.ndarray, label: np.ndarray) -> list[str]:
    """A note where the true class has a probability of 0, which nearly always is a small one that was rounded."""
    zeros = int((shares[np.arange(len(label)), label] == 0).sum())
    if not zeros:
        return []
    rows = "1 validation row" if zeros == 1 else f"{zeros:,} validation rows"
    return [
        f"in {rows} the true class has a probability of 0, which weighs heavily in the temperature: if it was rounded, "
        "bring more decimals"
    ]
