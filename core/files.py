"""Files that are whole or not there, also when the disk is full or somebody pulls the plug."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import UserError
from core.settings import named

MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
)
"""Errors that say something of the disk and of permissions, nothing of the code."""

PLACES = {
    errno.EEXIST: "a folder",
    errno.ENOTDIR: "a folder",
    errno.EISDIR: "a file",
    errno.ENAMETOOLONG: "a shorter name",
}
"""What was expected where a path names another kind of thing."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once all of it is on the disk.

    If writing fails the old file stays and nothing else does. A process that is killed in the middle leaves a file
    beside it, always under the same name, so that the next one writes over it: one process at a time writes a `path`.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """One process makes what is to lie at `path`; others wait for it here, and then look whether it is there.

    The lock of a killed process is free. The folder is made.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        yield


@contextmanager
def alone(lock: Path, place: Path, refused: type[UserError]) -> Iterator[None]:
    """Keep other processes from a place while this one writes there; the lock of a killed process is free.

    Args:
        lock: a file beside it or in it, removed in the end.
        place: what errors name.
        refused: what is raised.

    Raises:
        UserError: `refused`, since another process holds the lock.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise refused(
            f"{place}: expected no other process to write there, found one; wait for it, or choose another output"
        ) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        held.release()


def check_json_target(path: Path, kept: Iterable[Path]) -> None:
    """Refuse to write JSON where something else lies, before the work is done whose result it is.

    Args:
        path: what was asked for. An earlier `.json` file there gives way.
        kept: folders of which no file is replaced.

    Raises:
        UserError: another ending, or a place in one of these folders.
    """
    if path.suffix.lower() != ".json":
        raise UserError(f"--json: expected a name ending with .json, found {path}")
    for folder in kept:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"--json: expected a place outside of {folder}, whose files are kept, found {path}"
            )


def write_json(path: Path, content: object) -> None:
    """Write what `--json` asked for, its folder made where there is none.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise UserError(f"--json: expected to write {path}, found: {error.strerror or error}") from error


def reserve(path: Path) -> None:
    """Take the disk's room for a file of its present length that was never written to.

    Otherwise a disk that is full kills whoever writes through a memory map, without an error to tell of it.

    Raises:
        OSError: there is no room.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(1, path.stat().st_size))


def explain(error: OSError) -> str | None:
    """What the command line says of an error of the machine; None for one that may be a mistake of ours."""
    where = f"{named(Path(str(error.filename)))}: " if error.filename else ""
    if error.errno in PLACES:
        return f"{where}expected {PLACES[error.errno]}, found: {error.strerror}"
    if error.errno not in MACHINE:
        return None
    return f"{where}expected room and permission to read and write, found: {error.strerror}"
