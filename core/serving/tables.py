"""Tables for people's spreadsheets: CSV in which no cell is a formula, and Parquet with the values as they are.

A cell that starts with `=`, `+`, `-`, `@`, a tab or a line break can be run as a formula by a spreadsheet (OWASP, "CSV
Injection"). Text cells of that kind get an apostrophe in front, here and nowhere else. So do cells that are apostrophes
followed by one of these, so that no two texts become the same.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def neutralise(value: object) -> object:
    """`value` as a cell that no spreadsheet runs; numbers and other non-texts are returned as they are."""
    if isinstance(value, str) and value.lstrip("'").startswith(_FORMULA):
        return f"'{value}"
    return value


def csv_line(values: Iterable[object]) -> str:
    """One line of CSV, its text cells neutralised, None empty, ended by a newline."""
    buffer = io.StringIO()
    # The writer quotes what its line ending holds: with CRLF a lone carriage return is quoted, too.
    csv.writer(buffer, lineterminator="\r\n").writerow(["" if v is None else neutralise(v) for v in values])
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def to_csv(frame: pd.DataFrame) -> str:
    """A table as CSV without its index; text cells and column names are neutralised."""
    lines = [csv_line(map(str, frame.columns))]
    columns = [
        frame[column].astype(object).where(frame[column].notna(), None).tolist() for column in frame.columns
    ]
    lines.extend(csv_line(row) for row in zip(*columns, strict=True))
    return "".join(lines)


def restore(text: str) -> str:
    """The text that `neutralise` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def valid_text(text: str) -> str:
    """`text` as UTF-8 can hold it: the bytes of a file name that are no UTF-8 become `\\udcff` and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str, longest: int = 200) -> str:
    """`text` for a terminal: valid, control characters as `\\x1b` and the like, shortened in its middle."""
    shown = "".join(
        c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode()
        for c in valid_text(text)
    )
    return shown if len(shown) <= longest else f"{shown[: longest // 2 - 2]}...{shown[-(longest // 2 - 1) :]}"
