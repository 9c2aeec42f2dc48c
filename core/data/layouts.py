"""Which layout of HAM10000 a folder has: where its metadata, its classes and its root are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from core.data.files import METADATA_STEM, Entry, Listing, Reader
from core.data.findings import DatasetError, Finding
from core.data.metadata import MAX_TABLE_BYTES, header, read_metadata
from core.lesions import CODES

_PART = re.compile(r"images_part_\d", re.IGNORECASE)


def stated_class(entry: Entry) -> str | None:
    """The class that the nearest folder named like one states, None outside such folders."""
    return next((part.lower() for part in reversed(entry.parts[:-1]) if part.lower() in CODES), None)


def stated_classes(entries: Iterable[Entry]) -> set[str]:
    """The classes that folder names state."""
    return {code for entry in entries if (code := stated_class(entry)) is not None}


def find_metadata(listing: Listing, reader: Reader) -> Entry | None:
    """The metadata table: the shallowest one with the published name, else with the needed columns.

    Raises:
        DatasetError: several at the same depth say different things, so that none is the one.
    """
    candidates = [entry for entry in listing.tables if entry.name.lower().startswith(METADATA_STEM)]
    candidates = candidates or [entry for entry in listing.tables if _has_columns(entry, listing, reader)]
    level = [entry for entry in candidates if len(entry.parts) == len(candidates[0].parts)]
    if len(level) > 1 and not _are_equal(level, reader):
        raise DatasetError(
            f"expected one metadata file, found {len(level)} that differ: {', '.join(map(str, level))}; "
            "name the folder of one dataset, or move the other file away"
        )
    return level[0] if level else None


def _are_equal(tables: list[Entry], reader: Reader) -> bool:
    """Whether tables say the same, such as Dataverse's tab-separated one beside the original."""
    first, *others = (read_metadata(reader.read(entry), str(entry))[0] for entry in tables)
    return all(first.equals(other) for other in others)


def _has_columns(entry: Entry, listing: Listing, reader: Reader) -> bool:
    if entry.size > MAX_TABLE_BYTES:
        return False
    try:
        return {"image_id", "dx"} <= set(header(reader.read(entry, limit=65536)))
    except DatasetError as error:
        listing.findings.append(Finding("unreadable_table", "warning", str(error)))
        return False


def parent_dataset(folder: Path) -> Path | None:
    """The folder above, where its own names show that it is the dataset; it is searched no deeper."""
    folder = folder.resolve()
    try:
        names = {path.name.lower() for path in folder.parent.iterdir()}
    except OSError:
        return None
    has_table = any(name.startswith(METADATA_STEM) for name in names)
    is_class = folder.name.lower() in CODES and len(names & set(CODES)) > 1
    return folder.parent if has_table or is_class else None


def home(root: Path, used: Iterable[Entry]) -> Path:
    """The folder that the dataset lies in: `root`, or the one below it that holds every file used."""
    paths = [entry.parts for entry in used]
    while all(len(path) > 1 for path in paths):
        names = {path[0] for path in paths}
        name = next(iter(names))
        is_inside = _PART.search(name) or name.lower() in CODES
        if len(names) > 1 or is_inside or not (root / name).is_dir():
            break
        root, paths = root / name, [path[1:] for path in paths]
    return root


def name_layout(used: list[Entry]) -> str:
    """ "class folders", "image parts" or "flat folder", and ", zipped" where images are read from zips."""
    zipped = ", zipped" if any(entry.member is not None for entry in used) else ""
    if all(stated_class(entry) for entry in used):
        return "class folders" + zipped
    if any(_PART.search(part) for entry in used for part in entry.parts[:-1]):
        return "image parts" + zipped
    return "flat folder" + zipped
