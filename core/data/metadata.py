"""HAM10000's metadata table, as Kaggle, Dataverse or a spreadsheet wrote it."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from core.data.files import IMAGE_SUFFIXES
from core.data.findings import DatasetError, Finding
from core.lesions import CODES

COLUMNS: tuple[str, ...] = ("image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization")
REQUIRED: tuple[str, ...] = ("image_id", "lesion_id", "dx")
UNKNOWN = "unknown"
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})

MAX_TABLE_BYTES = 20 * 1024 * 1024
"""HAM10000's table is below 1 MB; Kaggle ships tables of pixels beside it that are larger."""


def header(data: bytes) -> list[str]:
    """The column names in the first line of a table, in lower case; `data` may be only its beginning."""
    line = (_decode(data, "replace").splitlines() or [""])[0]
    return [name.strip().strip('"').strip().lower() for name in line.split(_separator(line))]


def read_metadata(data: bytes, source: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Read the table and say what is odd about it.

    Args:
        data: the file's bytes; separated by commas, tabs or semicolons; with or without a byte order mark.
        source: what errors call it.

    Returns:
        A frame with exactly `COLUMNS`, sorted by image_id, one row per image: strings, except age (float
        years, NaN where unknown); and the findings. Rows that cannot be used are left out and are findings.

    Raises:
        DatasetError: it is no table, has no rows, or lacks a required column.
    """
    frame = _parse(data, source)
    findings: list[Finding] = []
    absent = [name for name in COLUMNS if name not in frame]
    if absent:
        findings.append(Finding("missing_columns", "warning", f"{source} lacks columns", tuple(absent)))
    frame = frame.reindex(columns=list(COLUMNS), fill_value="")
    frame["image_id"] = [_without_suffix(name) for name in frame["image_id"]]
    for name in ("dx", "dx_type", "sex", "localization"):
        frame[name] = frame[name].str.lower()
    for name in ("dx_type", "sex", "localization"):
        frame[name] = frame[name].where(~frame[name].isin(MISSING), UNKNOWN)
    frame["age"] = _ages(frame, findings)
    frame = _usable_rows(frame, findings, source)
    return frame.sort_values("image_id", kind="stable").reset_index(drop=True), findings


def _decode(data: bytes, errors: str = "strict") -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, errors)


def _separator(line: str) -> str:
    return max(",\t;", key=line.count)


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else name


def _parse(data: bytes, source: str) -> pd.DataFrame:
    try:
        text = _decode(data)
        separator = _separator(text.splitlines()[0] if text.strip() else "")
        _check_cells(text, separator, source)
        _check_columns(text, separator, source)
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
        )
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DatasetError(
            f"expected a table with the columns {', '.join(COLUMNS)}, found {source}, which is none ({error})"
        ) from error
    frame.columns = [str(name).strip().lower() for name in frame.columns]
    lacking = [name for name in REQUIRED if name not in frame]
    if lacking:
        raise DatasetError(
            f"expected the columns {', '.join(COLUMNS)} in {source}, found {', '.join(frame.columns)}; "
            f"{', '.join(lacking)} cannot be done without"
        )
    if frame.empty:
        raise DatasetError(f"expected one row per image in {source}, found only the header")
    return frame.fillna("").apply(lambda column: column.str.strip())


def _check_columns(text: str, separator: str, source: str) -> None:
    """Refuse a header that names one of our columns twice: nobody knows which of the two is meant.

    Raises:
        DatasetError: it does, in whatever case.
    """
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    names = [name.strip().lower() for name in header]
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise DatasetError(f"expected one column {twice[0]} in {source}, found {names.count(twice[0])}")


def _check_cells(text: str, separator: str, source: str) -> None:
    """Refuse rows with more cells than columns: pandas drops those at the end, where 45,0 has moved the others along.

    Raises:
        DatasetError: one has more; blank ones at its end do not count.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = len(next(rows, []))
    for row in rows:
        if len(row) > columns and any(cell.strip() for cell in row[columns:]):
            raise DatasetError(
                f"expected {columns} cells in every row of {source}, found {len(row)} in line {rows.line_num}: "
                f"{separator.join(row)[:80]!r}; a number with a decimal comma needs quotation marks around it"
            )


def _ages(frame: pd.DataFrame, findings: list[Finding]) -> pd.Series:
    # A spreadsheet set to another language writes 45,0.
    text = frame["age"].str.lower().str.replace(",", ".", regex=False)
    ages = pd.to_numeric(text, errors="coerce").astype(float)
    odd = (ages.isna() & ~text.isin({*MISSING, UNKNOWN})) | (ages < 0) | (ages > 120)
    if odd.any():
        items = tuple(sorted(frame["image_id"][odd]))
        findings.append(Finding("odd_ages", "warning", "ages that are none count as unknown", items))
    return ages.mask(odd, np.nan)


def _usable_rows(frame: pd.DataFrame, findings: list[Finding], source: str) -> pd.DataFrame:
    def drop(rows: pd.Series, kind: str, text: str, column: str = "image_id") -> None:
        nonlocal frame
        if rows.any():
            items = tuple(sorted(set(frame[column][rows])))
            findings.append(Finding(kind, "damage", text, items))
            frame = frame[~rows]

    repeated = frame.duplicated()
    if repeated.any():
        items = tuple(sorted(set(frame["image_id"][repeated])))
        findings.append(Finding("repeated_rows", "warning", f"{source} repeats rows word for word", items))
        frame = frame[~repeated]
    # Rows without one are of no lesion that is known, and not all of one that is called NA.
    no_lesion = frame["lesion_id"].str.lower().isin({*MISSING, UNKNOWN})
    blank = (frame["image_id"] == "") | no_lesion
    drop(blank, "blank_ids", f"{blank.sum():,} rows of {source} have no image_id or no lesion_id")
    drop(~frame["dx"].isin(CODES), "unknown_dx", f"{source} has diagnoses other than {' '.join(CODES)}", "dx")
    twice = frame["image_id"].str.casefold().duplicated(keep=False)
    drop(twice, "duplicate_ids", f"{source} has several different rows for one image")
    return frame
