"""The image files and tables below a folder, whether they lie open or inside zips.

Nothing is ever unpacked: a member of a zip is read where it is, and its name is only ever compared, never
used as a path to write to.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.data.findings import DatasetError, Finding

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
TABLE_SUFFIXES = frozenset({".csv", ".tab", ".tsv", ".txt"})
METADATA_STEM = "ham10000_metadata"

MAX_DEPTH = 5
"""How many folders deep files are looked for; the deepest known layout needs three."""

MAX_FILES = 300_000
"""More files than this and the folder is somebody's home, not a dataset."""

MAX_IMAGE_BYTES = 50 * 1024 * 1024
"""A dermatoscopic photograph is below 1 MB; a file that claims more is not read."""

# Published beside the images: lesion masks, and the challenge's own test set, which has other ids.
# The rest is what operating systems leave behind.
IGNORED = re.compile(r"segmentation|isic2018|^__macosx$|^\.|^thumbs\.db$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        file: the file on disk; for a member of a zip, the zip.
        member: its name inside the zip, None for a file on disk.
        parts: its path below the scanned folder; a zip counts as a folder with its name less ".zip".
        size: its length in bytes, unpacked.
    """

    file: Path
    member: str | None
    parts: tuple[str, ...]
    size: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.parts[-1]

    @property
    def stem(self) -> str:
        """Its name without the suffix: for an image of HAM10000 the image id."""
        return PurePosixPath(self.name).stem

    def __str__(self) -> str:
        return str(self.file) if self.member is None else f"{self.file}:{self.member}"


@dataclass
class Listing:
    """What lies below a folder: images and tables, shallow ones first, and what could not be read."""

    images: list[Entry] = field(default_factory=list)
    tables: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seen: int = 0
    """Files of every kind, to tell an empty folder from a wrong one."""


def scan(root: Path) -> Listing:
    """List the images and tables below a folder, or inside one zip.

    Raises:
        DatasetError: `root` cannot be listed, or holds more files than any layout of HAM10000.
    """
    listing = Listing()
    if root.is_file():
        _scan_zip(root, (), listing)
    else:
        _scan_folder(root, (), listing, {os.path.realpath(root)})
    listing.images.sort(key=lambda entry: (len(entry.parts), entry.parts))
    listing.tables.sort(key=lambda entry: (len(entry.parts), entry.parts))
    return listing


def _scan_folder(folder: Path, parts: tuple[str, ...], listing: Listing, visited: set[str]) -> None:
    try:
        found = sorted(os.scandir(folder), key=lambda item: item.name)
    except OSError as error:
        if not parts:
            raise DatasetError(
                f"expected a readable folder, found {folder} ({error.strerror}); check its permissions"
            ) from error
        text = f"the folder cannot be read ({error.strerror})"
        listing.findings.append(Finding("unreadable_folder", "damage", text, (str(folder),)))
        return
    for item in found:
        if IGNORED.search(item.name):
            continue
        try:
            _scan_item(item, (*parts, item.name), listing, visited)
        except OSError as error:
            text = f"the file cannot be reached ({error.strerror})"
            listing.findings.append(Finding("unreadable_file", "warning", text, (item.path,)))


def _scan_item(item: os.DirEntry[str], parts: tuple[str, ...], listing: Listing, visited: set[str]) -> None:
    path = Path(item.path)
    if item.is_dir():
        real = os.path.realpath(path)
        if len(parts) <= MAX_DEPTH and real not in visited:
            visited.add(real)
            _scan_folder(path, parts, listing, visited)
    elif path.suffix.lower() == ".zip":
        _scan_zip(path, (*parts[:-1], path.stem), listing)
    else:
        _add(Entry(path, None, parts, item.stat().st_size), listing)


def _scan_zip(path: Path, parts: tuple[str, ...], listing: Listing) -> None:
    listing.seen += 1
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    # A wrong name is a UnicodeDecodeError, a wrong version a NotImplementedError.
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        text = f"the zip is damaged or was not downloaded to its end ({error})"
        listing.findings.append(Finding("unreadable_zip", "damage", text, (str(path),)))
        return
    for member in members:
        inner = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or any(IGNORED.search(part) for part in inner.parts if part != ".."):
            continue
        if inner.is_absolute() or ".." in inner.parts:
            text = "a member of a zip whose path leads out of it is not read"
            listing.findings.append(Finding("refused_file", "warning", text, (f"{path}:{member.filename}",)))
        elif inner.suffix.lower() == ".zip":
            text = "a zip inside a zip is not read: unpack the outer one once"
            listing.findings.append(Finding("nested_zip", "warning", text, (f"{path}:{member.filename}",)))
        else:
            _add(Entry(path, member.filename, (*parts, *inner.parts), member.file_size), listing)


def _add(entry: Entry, listing: Listing) -> None:
    listing.seen += 1
    if listing.seen > MAX_FILES:
        raise DatasetError(
            f"expected a HAM10000 folder, found more than {MAX_FILES:,} files around {entry.file}; "
            "name the folder of the dataset itself"
        )
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in IMAGE_SUFFIXES and entry.size > MAX_IMAGE_BYTES:
        text = f"an image file of {entry.size:,} bytes is not read"
        listing.findings.append(Finding("refused_file", "warning", text, (str(entry),)))
    elif suffix in IMAGE_SUFFIXES:
        listing.images.append(entry)
    elif suffix in TABLE_SUFFIXES or entry.name.lower() == METADATA_STEM:
        listing.tables.append(entry)


class Reader:
    """Reads entries; keeps zips open, one handle per process.

    It can be pickled, and used after a fork: an open zip is never shared between processes, because they
    would move each other's file position.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._archives: dict[Path, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__()  # type: ignore[misc]

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """The entry's bytes, at most `limit` of them.

        Raises:
            DatasetError: it is gone, may not be read, or is damaged inside its zip.
        """
        count = -1 if limit is None else limit
        try:
            if entry.member is None:
                with entry.file.open("rb") as file:
                    return file.read(count)
            with self._archive(entry.file).open(entry.member) as file:
                return file.read(count)
        # RuntimeError: encrypted or compressed in an unknown way; KeyError: the zip was replaced.
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"expected a readable file, found {entry} ({reason})") from error

    def _archive(self, path: Path) -> zipfile.ZipFile:
        if self._process != os.getpid():
            self.__init__()  # type: ignore[misc]
        if path not in self._archives:
            self._archives[path] = zipfile.ZipFile(path)
        return self._archives[path]
