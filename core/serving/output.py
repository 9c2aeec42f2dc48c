"""The table of a batch, written row by row: CSV at once, Parquet from a journal that a killed run leaves behind."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from core.errors import UserError
from core.files import alone
from core.lesions import CODES
from core.serving.tables import csv_line, restore

if TYPE_CHECKING:
    import pyarrow as pa

PROBABILITIES = tuple(f"p_{code}" for code in CODES)
COLUMNS = ("image", "model", "status", "label", "confidence", *PROBABILITIES, "reason")
NUMBERS = frozenset(("confidence", *PROBABILITIES))
ENDINGS = (".csv", ".parquet")

_CHUNK = 4096  # rows that a conversion holds at once


class OutputError(UserError):
    """The table cannot be written, or what is there is no table of this command."""


class RowWriter:
    """Appends rows to a table; a context, whose clean end makes the Parquet file.

    What the rows were made with stands in a hidden file beside the table. It stays there, so that rows of two makings
    never mix, however often a table is resumed.

    Attributes:
        path: the table.
        done: images of the rows that an earlier run left.
        counts: how many rows have each status, of this run and an earlier one.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        made_with: str = "",
        *,
        resume: bool = False,
        wanted: Iterable[str] = (),
    ) -> None:
        """
        Args:
            path: ends with `.csv` or `.parquet`.
            model: the model of all rows.
            made_with: what else decides the rows, such as the model's file; without it nothing is written beside the
                table.
            resume: keep the rows of an earlier run instead of starting anew.
            wanted: images that the table shall have in the end.

        Raises:
            OutputError: another ending; what is there cannot be written, or is no such table; another process writes
                it; its rows are of another model or made with something else, or it is unknown with what, and
                something that is wanted is lacking.
        """
        check_ending(path)
        self.path = path
        self.done: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._parquet = path.suffix.lower() == ".parquet"
        self._rows = path.with_name(f"{path.name}.part") if self._parquet else path
        self._making = making_of(path)
        with ExitStack() as held:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(alone(_lock_of(path), path, OutputError))
                if not (resume and self._recover(model, made_with, wanted)):
                    for standing in {path, self._rows}:
                        _check_own(standing)
                    self._rows.write_text(csv_line(COLUMNS), encoding="utf-8")
                self._keep_making(made_with)
                self._stream = self._rows.open("a", encoding="utf-8", newline="")
            except OSError as error:
                raise OutputError(
                    f"{path}: expected to write there, found: {error.strerror or error}"
                ) from error
            self._alone = held.pop_all()  # until the table is closed

    def write(self, row: Sequence[object]) -> None:
        """Append one row of `COLUMNS`; it is in the file when this returns."""
        try:
            self._stream.write(csv_line(row))
            self._stream.flush()
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(
                f"{self._rows}: {reason}; run again with --resume to go on from here"
            ) from error
        self.counts[str(row[COLUMNS.index("status")])] += 1

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._alone:
            # What could not be written is still in the stream, so that closing it fails again, and would be told
            # instead.
            with suppress(OSError) if error else nullcontext():
                self._stream.close()
            if kind is None and self._parquet:
                to_parquet(self._rows, self.path)
                self._rows.unlink()

    def _found_making(self) -> str:
        """What the rows that are there were made with; empty where it is unknown."""
        try:
            return self._making.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _keep_making(self, made_with: str) -> None:
        if not made_with:
            self._making.unlink(missing_ok=True)
        elif not self.done or self._found_making():  # rows of an unknown making stay so
            self._making.write_text(made_with, encoding="utf-8")

    def _check_making(self, made_with: str, wanted: Iterable[str]) -> None:
        found = self._found_making()
        if found == made_with or not self.done:
            return
        anew = "start anew without --resume, or choose another output"
        if found:
            raise OutputError(
                f"{self.path}: expected rows made with {made_with} to resume, found rows made with {found[:200]}; "
                f"{anew}"
            )
        lacking = len(set(wanted) - self.done)
        if lacking:
            raise OutputError(
                f"{self.path}: expected {self._making.name} beside it, to tell whether its rows were made with "
                f"{made_with}, found none, and images without a row: {lacking}; {anew}"
            )

    def _recover(self, model: str, made_with: str, wanted: Iterable[str]) -> bool:
        """Keep the complete rows of an earlier run; False where there was none."""
        found = self._rows if self._rows.exists() else self.path
        if not found.exists():
            return False
        kept = self._rows.with_name(f"{self._rows.name}.kept")
        for replaced in {kept, self.path} - {found}:  # what is found is judged as it is read
            _check_own(replaced)
        try:
            self._copy(csv_rows(found) if found == self._rows else parquet_rows(found), kept, model)
            self._check_making(made_with, wanted)
            os.replace(kept, self._rows)
        except csv.Error as error:
            raise OutputError(f"{found}: expected a table of this command, found: {error}") from error
        finally:
            kept.unlink(missing_ok=True)
        return True

    def _copy(self, source: Iterator[Sequence[object]], kept: Path, model: str) -> None:
        with kept.open("w", encoding="utf-8", newline="") as stream:
            stream.write(csv_line(COLUMNS))
            for row in source:
                image, made_by, status = row[:3]
                if made_by != model:
                    raise OutputError(
                        f"{self.path}: expected rows of {model} to resume, found rows of {made_by}"
                    )
                self.done.add(str(image))
                self.counts[str(status)] += 1
                stream.write(csv_line(row))


def check_ending(path: Path) -> None:
    """Make sure that a table of this name can be written.

    Raises:
        OutputError: it does not end with one of `ENDINGS`.
    """
    if path.suffix.lower() not in ENDINGS:
        found = f"no file name in '{path}'" if path.name.lower() in ("", *ENDINGS) else path
        raise OutputError(f"expected an output ending with {' or '.join(ENDINGS)}, found {found}")


def own_files(path: Path) -> list[Path]:
    """The table, every file that stands for it while it is written, its lock, and what says how it was made."""
    standing_in = [path.with_name(path.name + end) for end in ("", ".kept", ".part", ".part.kept", ".new")]
    return [*standing_in, _lock_of(path), making_of(path)]


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def is_table(path: Path) -> bool:
    """Whether a file has the columns of `RowWriter`'s tables; False where it cannot be read."""
    header = csv_line(COLUMNS).encode()
    try:
        with path.open("rb") as stream:
            begins = stream.read(len(header))
    except OSError:
        return False
    return begins == header or (begins.startswith(b"PAR1") and _has_our_columns(path))


def _has_our_columns(path: Path) -> bool:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_schema(path).names == list(COLUMNS)
    except (OSError, pa.ArrowException):
        return False


def _check_own(path: Path) -> None:
    """Nothing but an earlier table, or an empty file, gives way to a new one."""
    if path.is_file() and path.stat().st_size and not is_table(path):
        raise OutputError(
            f"{path}: expected a new file or an earlier table of this command, found another file; "
            "choose another output"
        )


def making_of(path: Path) -> Path:
    """The file that says how a table was made; hidden, since it is of use to `--resume` alone."""
    return path.with_name(f".{path.name}.run")


def csv_rows(path: Path) -> Iterator[list[str]]:
    """The complete rows of a table that `RowWriter` wrote, texts restored; a torn last one is left out.

    Raises:
        OutputError: it is another table, or no table at all.
    """
    ours = csv_line(COLUMNS).encode()
    with path.open("rb") as raw:
        begins = raw.read(len(ours) + 1)
        raw.seek(max(0, path.stat().st_size - 1))
        torn = raw.read(1) != b"\n"
    if ours.startswith(begins):  # nothing but the header, or what a killed run wrote of it
        return
    with path.open(encoding="utf-8", newline="", errors="replace") as stream:
        rows = csv.reader(stream)
        header = next(rows, [])
        if header != list(COLUMNS):
            raise OutputError(
                f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(header)[:200]!r}"
            )
        waiting: list[str] | None = None
        for row in rows:
            if waiting is not None:
                yield _complete(waiting, path)
            waiting = row
        if waiting is not None and not torn and len(waiting) == len(COLUMNS):
            yield _complete(waiting, path)


def parquet_rows(path: Path) -> Iterator[list[object]]:
    """The rows of a Parquet table that `RowWriter` wrote.

    Raises:
        OutputError: it is another table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            if table.schema_arrow.names != list(COLUMNS):
                raise OutputError(f"{path}: expected the columns {', '.join(COLUMNS)}, found others")
            for batch in table.iter_batches(_CHUNK):
                for row in batch.to_pylist():
                    yield [row[column] for column in COLUMNS]
    except pa.ArrowInvalid as error:
        raise OutputError(f"{path}: expected a Parquet table, found: {error}") from error


def to_parquet(source: Path, path: Path) -> None:
    """Turn the rows of a CSV journal into a Parquet file, a chunk at a time, visible only when it is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column, pa.float64() if column in NUMBERS else pa.string()) for column in COLUMNS])
    partial = path.with_name(f"{path.name}.new")
    rows = csv_rows(source)
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            while chunk := list(islice(rows, _CHUNK)):
                writer.write_table(_table(chunk, schema))
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: expected to write there, found: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _table(rows: list[list[str]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = []
    for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        columns.append([float(v) if v else None for v in values] if name in NUMBERS else list(values))
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _complete(row: list[str], path: Path) -> list[str]:
    if len(row) != len(COLUMNS):
        raise OutputError(f"{path}: expected {len(COLUMNS)} cells in every row, found {len(row)}: {row[:1]}")
    return [restore(cell) for cell in row]
