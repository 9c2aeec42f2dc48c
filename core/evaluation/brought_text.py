"""The text of a CSV that anyone may have written: bytes to cells, cells to numbers, and what is wrong by row.

Nothing here knows probabilities or images; `core.evaluation.brought` does.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import UserError

MAX_ERRORS = 50
"""Errors that are listed; further ones are only counted."""
SHOWN = 40
"""Characters of a wrong cell that an error repeats."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?[ \t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)


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


def whole(problem: str) -> BroughtError:
    """The error of a file as a whole, to be raised."""
    return BroughtError([RowError(0, "", problem)])


def decode(data: bytes) -> str:
    """The file's text: UTF-16 where a byte order mark says so, otherwise UTF-8 with or without one.

    Raises:
        BroughtError: other bytes, a binary file, or no text at all.
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding, name = ("utf-16", "UTF-16") if utf16 else ("utf-8-sig", "UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].decode(encoding, errors="ignore").count("\n") + 1
        raise BroughtError([RowError(row, "", f"expected text in {name}, found other bytes")]) from error
    if "\0" in text:
        raise whole("expected text, found a binary file")
    if not text.strip():
        raise whole("expected a CSV, found an empty file")
    return text


def parse(text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]], str]:
    """Header in lower case, (row number, cells) of all other rows that are not blank, and the separator.

    Excel's first line `sep=,` names the separator and is no row: Excel does not show it. Otherwise it is the one of
    comma, semicolon and tab that the header has most of.

    Raises:
        BroughtError: no header, or, from the rows as well, text that is no CSV.
    """
    if named := _SEPARATOR_LINE.match(text):
        text, separator = text[named.end() :], named[1]
    else:
        separator = max(",;\t", key=text.lstrip("\r\n").split("\n", 1)[0].count)
    rows = _records(text, separator)
    _, header = next(rows, (0, None))
    if header is None:
        raise whole("expected a CSV, found a file without any text")
    return [cell.strip().lower() for cell in header], rows, separator


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader fails only where it stops making sense, maybe thousands of rows after the mark.
            is_open = reader.line_num > start or "end of data" in str(error)
            found = " a quotation mark that is probably not closed" if is_open else f": {error}"
            raise BroughtError([RowError(start, "", f"expected a row of CSV, found{found}")]) from error
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def to_number(text: str, separator: str) -> float | None:
    """A plain, finite decimal number (a decimal comma where commas do not separate), None for anything else."""
    if separator != ",":
        text = text.replace(",", ".")
    if len(text) > SHOWN or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def shorten(text: str, longest: int = SHOWN) -> str:
    """A stranger's cell for an error message: on one line, printable, not longer than `longest`."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."
