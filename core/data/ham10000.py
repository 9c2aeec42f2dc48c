"""A HAM10000 dataset in whatever layout it was downloaded or unpacked.

Read are: the Kaggle folder (`HAM10000_images_part_1/`, `HAM10000_images_part_2/` and the metadata), one flat
folder (the images beside the metadata or in a folder of their own), one folder per class (with or without
metadata), and zips of any of these, as Kaggle (`archive.zip`) and Harvard Dataverse serve them, without
unpacking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.files import Entry, Listing, Reader, scan
from core.data.findings import DamagedDatasetError, DatasetError, Finding, Severity, merge
from core.data.layouts import find_metadata, home, name_layout, parent_dataset, stated_class, stated_classes
from core.data.metadata import COLUMNS, UNKNOWN, read_metadata
from core.lesions import CODES
from core.settings import DATA, data_dir

EXPECTED = (
    "a HAM10000 folder (HAM10000_metadata.csv with HAM10000_images_part_1/ and _2/, with one flat folder of "
    f"ISIC_*.jpg, or with zips of these; or one folder per class: {' '.join(CODES)})"
)
SYNTHETIC_PREFIX = "SYN_"
REMEDY = f"set {DATA.variable} to the dataset's folder, or get it with: python -m core data download"


@dataclass(frozen=True, eq=False)
class Dataset:
    """An opened dataset.

    Attributes:
        root: the folder (or zip) that it lies in; not the one asked for when that was too high or too low.
        layout: "image parts", "flat folder" or "class folders", and ", zipped" where the images are in zips.
        records: one row per image, sorted by image_id, columns image_id, lesion_id, dx, dx_type, age (float
            years, NaN where unknown), sex, localization.
        metadata: the metadata file, None where the labels are folder names.
        files: image id in lower case -> its files; the first is read, others are copies in other folders.
        findings: what was noticed on opening, damage first.
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

    @property
    def is_synthetic(self) -> bool:
        """Whether any of its images was drawn by `core.data.synthetic`, not photographed."""
        return bool(self.records["image_id"].str.startswith(SYNTHETIC_PREFIX).any())

    def entries(self, image_id: str) -> tuple[Entry, ...]:
        """The files of an image, the one that is read first.

        Raises:
            DatasetError: the dataset has no such image.
        """
        try:
            return self.files[image_id.casefold()]
        except KeyError:
            raise DatasetError(f"expected an image of {self.root}, found no file for {image_id!r}") from None

    def read_bytes(self, image_id: str) -> bytes:
        """The image file as it is stored, JPEG or PNG. Safe in threads and in worker processes.

        Raises:
            DatasetError: there is no such image, or its file cannot be read.
        """
        return self.reader.read(self.entries(image_id)[0])


def check_lesions(dataset: Dataset, otherwise: str = "") -> None:
    """Refuse images of which nobody knows which are of one lesion: every image would count as a lesion of its own.

    Args:
        dataset: to be split, or to be measured on.
        otherwise: what else could be done.

    Raises:
        DatasetError: it has no metadata file.
    """
    if dataset.metadata is None:
        raise DatasetError(
            f"{dataset.root}: expected a metadata file, which says what images are of one lesion, found class folders "
            f"alone; put HAM10000_metadata.csv beside them{otherwise}"
        )


def open_dataset(folder: Path | str | None = None, strict: bool = True) -> Dataset:
    """Open the HAM10000 dataset in a folder or zip. No image is decoded.

    Args:
        folder: where it lies; the default is the setting DERMDISTILL_DATA. One level too high or too low is
            found and becomes a finding.
        strict: refuse a damaged dataset. Otherwise `records` are the rows whose image file exists and
            `findings` say the rest, which is what `data check` wants.

    Raises:
        DatasetError: there is no such dataset.
        DamagedDatasetError: there is one, but rows, files or whole zips of it are missing or wrong. The split
            is made of all ids, so that carrying on with a part would mix training and test images.
    """
    asked = Path(folder).expanduser() if folder is not None else data_dir()
    _check_place(asked)
    dataset = _find(asked)
    if strict and dataset.findings and dataset.findings[0].severity == "damage":
        damage = dataset.findings[0].sentence()
        raise DamagedDatasetError(
            f"expected a whole HAM10000 dataset, found damage in {dataset.root}: {damage}; "
            "see all of it with: python -m core data check"
        )
    return dataset


def _check_place(asked: Path) -> None:
    try:
        if asked.is_dir() or (asked.is_file() and asked.suffix.lower() == ".zip"):
            return
        found = "a file that is no zip" if asked.exists() else "nothing"
    except OSError as error:
        found = f"a path that cannot be reached ({error.strerror})"
    raise DatasetError(f"expected {EXPECTED}, found {found} at {asked}; {REMEDY}")


def _find(asked: Path) -> Dataset:
    """Scan the folder, or the one above it where that is the dataset and this only a part of it."""
    reader = Reader()
    listing = scan(asked)
    table = find_metadata(listing, reader)
    is_part = table is None and bool(listing.images) and len(stated_classes(listing.images)) < 2
    above = parent_dataset(asked) if is_part else None
    if above is not None:
        listing = scan(above)
        table = find_metadata(listing, reader)
        text = f"{asked} is too low, only a part of the dataset: reading {above}"
        listing.findings.append(Finding("other_root", "warning", text))
    return _build(above or asked, listing, table, reader)


def _build(root: Path, listing: Listing, table: Entry | None, reader: Reader) -> Dataset:
    files: dict[str, tuple[Entry, ...]] = {}
    for entry in listing.images:
        key = entry.stem.casefold()
        files[key] = (*files.get(key, ()), entry)
    if not files or (table is None and not stated_classes(listing.images)):
        raise _no_dataset(root, listing, table)
    metadata, findings = _records(files, table, reader)
    is_present = metadata["image_id"].str.casefold().isin(list(files))
    if not is_present.any():
        raise _no_dataset(root, listing, table)
    records = metadata[is_present].reset_index(drop=True)
    used = [files[image_id.casefold()][0] for image_id in records["image_id"]]
    root_found = home(root, [*used, table] if table else used)
    if root_found != root:
        text = f"{root} is too high: the dataset lies in {root_found}"
        findings.append(Finding("other_root", "note", text))
    findings += [*listing.findings, *_mismatches(metadata, files, table is not None)]
    return Dataset(root_found, name_layout(used), records, table, files, merge(findings), reader)


def _records(
    files: Mapping[str, tuple[Entry, ...]], table: Entry | None, reader: Reader
) -> tuple[pd.DataFrame, list[Finding]]:
    """The metadata's rows; without metadata a row for every image in a class folder."""
    if table is not None:
        return read_metadata(reader.read(table), str(table))
    labelled = [(copies[0].stem, stated_class(copies[0])) for copies in files.values()]
    rows = sorted((image_id, dx) for image_id, dx in labelled if dx is not None)
    frame = pd.DataFrame(rows, columns=["image_id", "dx"], dtype=str)
    frame = frame.assign(lesion_id=frame["image_id"], age=np.nan)
    frame = frame.assign(dx_type=UNKNOWN, sex=UNKNOWN, localization=UNKNOWN)[list(COLUMNS)]
    text = (
        "no metadata file: the folder names are the labels, and every image counts as a lesion of its own, "
        "so that images of one lesion can come to lie on both sides of a split"
    )
    return frame, [Finding("no_metadata", "warning", text)]


def _mismatches(
    metadata: pd.DataFrame, files: Mapping[str, tuple[Entry, ...]], has_table: bool
) -> list[Finding]:
    """What metadata and files do not agree on."""
    names, labels = list(metadata["image_id"]), list(metadata["dx"])
    found = [files.get(name.casefold(), ()) for name in names]
    known = {name.casefold() for name in names}
    where = "the metadata" if has_table else "any class folder"
    lists: tuple[tuple[str, Severity, str, list[str]], ...] = (
        (
            "missing_files",
            "damage",
            "images named in the metadata have no file",
            [name for name, copies in zip(names, found, strict=True) if not copies],
        ),
        (
            "empty_files",
            "damage",
            "image files are empty",
            [name for name, copies in zip(names, found, strict=True) if copies and copies[0].size == 0],
        ),
        (
            "folder_conflicts",
            "damage",
            "images lie in the folder of another class than their label",
            [n for n, dx, copies in zip(names, labels, found, strict=True) if stated_classes(copies) - {dx}],
        ),
        (
            "no_metadata_row",
            "warning",
            f"image files are not in {where} and are left out",
            [copies[0].stem for key, copies in files.items() if key not in known],
        ),
        (
            "copies",
            "note",
            "images have more than one file, of which the first by depth and alphabet is read",
            [name for name, copies in zip(names, found, strict=True) if len(copies) > 1],
        ),
    )
    return [
        Finding(kind, severity, f"{len(items):,} {text}", tuple(items))
        for kind, severity, text, items in lists
        if items
    ]


def _no_dataset(root: Path, listing: Listing, table: Entry | None) -> DatasetError:
    """The error that says what is there instead of a dataset."""
    said = "".join(f"; {finding.sentence()}" for finding in merge(listing.findings)[:2])
    if listing.seen == 0 and not said:
        found = "an empty folder"
    else:
        labels = f"the metadata {table}" if table else "neither metadata nor class folders"
        found = f"{len(listing.images):,} images and {labels} among {listing.seen:,} files"
        if table and listing.images:
            found += ", of which none belongs to the other"
    is_damaged = any(finding.severity == "damage" for finding in listing.findings)
    error = DamagedDatasetError if is_damaged else DatasetError
    return error(f"expected {EXPECTED}, found {found} at {root}{said}; {REMEDY}")
