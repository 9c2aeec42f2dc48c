"""A HAM10000 dataset in whatever layout it was downloaded or unpacked.

Read are: the Kaggle folder (`HAM10000_images_part_1/`, `HAM10000_images_part_2/` and the metadata), one flat folder
(the images beside the metadata or in a folder of their own), one folder per class (with or without metadata), and
zips of any of these, as Kaggle (`archive.zip`) and Harvard Dataverse serve them, without unpacking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.files import IMAGE_SUFFIXES, METADATA_STEM, Entry, Listing, Reader, scan
from core.data.findings import DamagedDatasetError, DatasetError, Finding
from core.data.metadata import COLUMNS, REQUIRED, UNKNOWN, header, read_metadata
from core.lesions import CODES
from core.settings import DATA, data_dir

EXPECTED = (
    "a HAM10000 folder (HAM10000_metadata.csv with HAM10000_images_part_1/ and _2/, with one flat folder of "
    f"ISIC_*.jpg, or with zips of these; or one folder per class: {' '.join(CODES)})"
)
REMEDY = f"set {DATA.variable} to the dataset's folder, or get it with: python -m core data download"

_PART = re.compile(r"images_part_\d", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Dataset:
    """An opened dataset.

    Attributes:
        root: the folder (or zip) that it lies in; differs from the one asked for when that was too high or too low.
        layout: "image parts", "flat folder" or "class folders", and ", zipped" where the images are in zips.
        records: one row per image, sorted by image_id, columns image_id, lesion_id, dx, dx_type, age (float years,
            NaN where unknown), sex, localization.
        metadata: the metadata file, None where the labels are folder names.
        files: image id in lower case -> its files; the first is read, further ones are copies in other folders.
        findings: what was noticed on opening, from notes to damage.
    """

    root: Path
    layout: str
    records: pd.DataFrame
    metadata: Entry | None
    files: Mapping[str, tuple[Entry, ...]] = field(repr=False)
    findings: tuple[Finding, ...] = field(repr=False)
    reader: Reader = field(default_factory=Reader, repr=False)

    def __len__(self) -> int:
        return len(self.records)

    def entry(self, image_id: str) -> Entry:
        """The file that `image_id` is read from.

        Raises:
            DatasetError: the dataset has no such image.
        """
        try:
            return self.files[image_id.casefold()][0]
        except KeyError:
            raise DatasetError(f"expected an image of {self.root}, found no file for {image_id!r}") from None

    def read_bytes(self, image_id: str) -> bytes:
        """The image file as it is stored, JPEG or PNG. Safe in threads and in worker processes.

        Raises:
            DatasetError: there is no such image, or its file cannot be read.
        """
        return self.reader.read(self.entry(image_id))


def open_dataset(folder: Path | str | None = None, strict: bool = True) -> Dataset:
    """Open the HAM10000 dataset in a folder or zip.

    Args:
        folder: where it lies; the default is the setting DERMDISTILL_DATA. One level too high or too low is found
            and becomes a finding.
        strict: refuse a damaged dataset. Otherwise its `records` are the rows whose image file exists, and the
            rest is in `findings`, which is what `data check` wants. No image is decoded here.

    Raises:
        DatasetError: there is no such dataset.
        DamagedDatasetError: there is one, but rows, files or whole zips of it are missing or wrong. A split is
            made of all ids, so that carrying on with a part would mix training and test images.
    """
    asked = Path(folder).expanduser() if folder is not None else data_dir()
    _check_place(asked)
    dataset = _assemble(asked)
    damage = [finding for finding in dataset.findings if finding.severity == "damage"]
    if strict and damage:
        raise DamagedDatasetError(
            f"expected a whole HAM10000 dataset, found damage in {dataset.root}: {damage[0].sentence()}; "
            "see all of it with: python -m core data check"
        )
    return dataset


def _check_place(asked: Path) -> None:
    try:
        if asked.is_dir() or (asked.is_file() and asked.suffix.lower() == ".zip"):
            return
        found = "a file" if asked.exists() else "nothing"
    except OSError as error:
        found = f"a path that cannot be reached ({error.strerror})"
    raise DatasetError(f"expected {EXPECTED}, found {found} at {asked}; {REMEDY}")


def _assemble(asked: Path) -> Dataset:
    listing = scan(asked)
    reader = Reader()
    table = _metadata_entry(listing, reader)
    if table is None and _folder_classes(listing.images) < 2:
        above = _parent_dataset(asked)
        if above is not None:
            listing = scan(above)
            table = _metadata_entry(listing, reader)
            text = f"{asked} is one level too low: reading {above}"
            listing.findings.append(Finding("other_root", "warning", text))
            asked = above
    return _build(asked, listing, table, reader)


def _parent_dataset(asked: Path) -> Path | None:
    """The folder above, if it is plainly a dataset by its own names; it is not searched any deeper."""
    parent = asked.resolve().parent
    try:
        names = [path.name for path in parent.iterdir()]
    except OSError:
        return None
    classes = {name.lower() for name in names} & set(CODES)
    has_table = any(name.lower().startswith(METADATA_STEM) for name in names)
    return parent if has_table or (asked.resolve().name.lower() in CODES and len(classes) > 1) else None


def _folder_classes(images: list[Entry]) -> int:
    """How many different classes the folder names of the images state."""
    return len({_folder_class(entry) for entry in images} - {None})


def _folder_class(entry: Entry) -> str | None:
    """The class that the nearest folder named like one states."""
    return next((part.lower() for part in reversed(entry.parts[:-1]) if part.lower() in CODES), None)


def _metadata_entry(listing: Listing, reader: Reader) -> Entry | None:
    """The metadata table: the shallowest one with the published name, else with the needed columns."""
    named = [entry for entry in listing.tables if entry.name.lower().startswith(METADATA_STEM)]
    candidates = named or [
        entry for entry in listing.tables if {"image_id", "dx"} <= set(header(reader.read(entry, 65536)))
    ]
    level = [entry for entry in candidates if len(entry.parts) == len(candidates[0].parts)]
    if len({reader.read(entry) for entry in level}) > 1:
        raise DatasetError(
            f"expected one metadata file, found {len(level)} that differ: {', '.join(map(str, level))}; "
            "name the folder of one dataset, or move the other away"
        )
    return level[0] if level else None


def _build(root: Path, listing: Listing, table: Entry | None, reader: Reader) -> Dataset:
    findings = list(listing.findings)
    files = _by_id(listing.images)
    if not files or (table is None and not _folder_classes(listing.images)):
        _refuse(root, listing, table)
    if table is not None:
        metadata, said = read_metadata(reader.read(table), str(table))
        findings += said
    else:
        metadata = _records_from_folders(files)
        findings.append(Finding("no_metadata", "warning", "no metadata file: the folder names are the labels and "
                                "every image counts as a lesion of its own"))  # fmt: skip
    records = _match(metadata, files, findings, table)
    if records.empty:
        _refuse(root, listing, table)
    used = [files[image_id.casefold()][0] for image_id in records["image_id"]]
    home = _home(root, [*used, *([table] if table else [])])
    if home != root:
        findings.append(Finding("other_root", "note", f"{root} is too high: the dataset lies in {home}"))
    order = {"damage": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda finding: order[finding.severity])
    return Dataset(home, _layout(used), records, table, files, tuple(findings), reader)


def _by_id(images: list[Entry]) -> dict[str, tuple[Entry, ...]]:
    files: dict[str, tuple[Entry, ...]] = {}
    for entry in images:
        files[entry.stem.casefold()] = (*files.get(entry.stem.casefold(), ()), entry)
    return files


def _records_from_folders(files: Mapping[str, tuple[Entry, ...]]) -> pd.DataFrame:
    rows = [(copies[0].stem, _folder_class(copies[0])) for copies in files.values()]
    rows = sorted((image_id, dx) for image_id, dx in rows if dx is not None)
    frame = pd.DataFrame({"image_id": [row[0] for row in rows], "dx": [row[1] for row in rows]}, dtype=str)
    frame = frame.assign(lesion_id=frame["image_id"], age=np.nan)
    return frame.assign(dx_type=UNKNOWN, sex=UNKNOWN, localization=UNKNOWN)[list(COLUMNS)]


def _match(
    metadata: pd.DataFrame,
    files: Mapping[str, tuple[Entry, ...]],
    findings: list[Finding],
    table: Entry | None,
) -> pd.DataFrame:
    """The rows that have a file; what has no partner on the other side becomes a finding."""

    def say(kind: str, severity: str, text: str, items: list[str]) -> None:
        if items:
            findings.append(Finding(kind, severity, f"{len(items):,} {text}", tuple(sorted(items))))  # type: ignore[arg-type]

    keys = metadata["image_id"].str.casefold()
    present = keys.isin(list(files))
    say(
        "missing_files", "damage", "images of the metadata have no file", list(metadata["image_id"][~present])
    )
    known = set(keys)
    where = "the metadata" if table is not None else "any class folder"
    say("no_metadata_row", "warning", f"image files are not in {where} and are left out",
        [copies[0].stem for key, copies in files.items() if key not in known])  # fmt: skip
    records = metadata[present].reset_index(drop=True)
    stated = [{_folder_class(e) for e in files[name.casefold()]} - {None} for name in records["image_id"]]
    say("folder_conflicts", "damage", "images lie in the folder of another class than their label",
        [n for n, dx, c in zip(records["image_id"], records["dx"], stated, strict=True) if c - {dx}])  # fmt: skip
    say("copies", "note", "images have a second file, of which the first in the alphabet is read",
        [n for n in records["image_id"] if len(files[n.casefold()]) > 1])  # fmt: skip
    return records


def _home(root: Path, used: list[Entry]) -> Path:
    """The deepest folder that holds every file used, where that is another level than `root`."""
    if root.is_file() or any(len(entry.parts) < 2 for entry in used):
        return root
    first = used[0].parts[0]
    is_parts = _PART.search(first) or first.lower() in CODES
    if is_parts or any(entry.parts[0] != first for entry in used) or not (root / first).is_dir():
        return root
    lower = [Entry(e.file, e.member, e.parts[1:], e.size) for e in used]
    return _home(root / first, lower)


def _layout(used: list[Entry]) -> str:
    zipped = ", zipped" if any(entry.member is not None for entry in used) else ""
    if all(_folder_class(entry) for entry in used):
        return "class folders" + zipped
    if any(_PART.search(part) for entry in used for part in entry.parts[:-1]):
        return "image parts" + zipped
    return "flat folder" + zipped


def _refuse(root: Path, listing: Listing, table: Entry | None) -> None:
    """Say what is there instead of a dataset."""
    if listing.seen == 0 and not listing.findings:
        found = "an empty folder"
    else:
        suffixes = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
        images = f"{len(listing.images):,} images ({suffixes})"
        labels = (
            f"the metadata {table}" if table else f"no metadata with {', '.join(REQUIRED)}, no class folders"
        )
        found = f"{images} and {labels} among {listing.seen:,} files"
        if table and listing.images:
            found += ", none of which belongs to the other"
        found += "".join(f"; {finding.sentence()}" for finding in listing.findings[:2])
    raise DatasetError(f"expected {EXPECTED}, found {found} at {root}; {REMEDY}")
