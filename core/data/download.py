"""HAM10000 from where its authors published it: Harvard Dataverse, doi 10.7910/DVN/DBW86T.

Dataverse lists a dataset's files with their MD5 at `/api/datasets/:persistentId/?persistentId=doi:...` and serves
each at `/api/access/datafile/ID` (https://guides.dataverse.org/en/latest/api/dataaccess.html).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.findings import DatasetError
from core.data.transfer import DownloadError, Patience, fetch, get_json, md5_of, part_of, size_of
from core.errors import UserError

SERVER = "https://dataverse.harvard.edu"
DOI = "doi:10.7910/DVN/DBW86T"
TERMS = (
    "HAM10000 is published under CC BY-NC 4.0: no commercial use; cite Tschandl, Rosendahl, Kittler, "
    "Scientific Data 5:180161 (2018)."
)
RESERVE = 100 * 1000 * 1000
"""Bytes to leave free on the disk."""

WANTED: dict[str, re.Pattern[str]] = {
    "HAM10000_metadata": re.compile(r"HAM10000_metadata(\.(csv|tab|tsv|txt))?", re.IGNORECASE),
    "HAM10000_images_part_1.zip": re.compile(r"HAM10000_images_part_1\.zip", re.IGNORECASE),
    "HAM10000_images_part_2.zip": re.compile(r"HAM10000_images_part_2\.zip", re.IGNORECASE),
}
MASKS: dict[str, re.Pattern[str]] = {
    "HAM10000_segmentations_lesion_tschandl.zip": re.compile(r"HAM10000_segmentations\w*\.zip", re.IGNORECASE)
}


@dataclass(frozen=True)
class RemoteFile:
    """A file as Dataverse lists it.

    Attributes:
        name: what it is called here.
        url: where it is.
        size: bytes, None where Dataverse does not say.
        md5: published checksum, None where there is none.
        is_table: whether Dataverse took it in as a table. It then keeps a copy of its own making; the original
            is asked for, but the checksum may be of either (https://github.com/IQSS/dataverse/issues/9501).
    """

    name: str
    url: str
    size: int | None
    md5: str | None
    is_table: bool


def list_files(
    server: str = SERVER, *, masks: bool = False, patience: Patience | None = None
) -> list[RemoteFile]:
    """The files of HAM10000 that are worth having, with their sizes and checksums.

    Args:
        server: Dataverse's address.
        masks: whether the lesion masks are wanted too.
        patience: when to give up.

    Raises:
        DownloadError: the server cannot be reached, or does not list what HAM10000 consists of.
        UserError: the address is none.
    """
    check_address(server)
    server = server.rstrip("/")
    url = f"{server}/api/datasets/:persistentId/?persistentId={DOI}"
    answer = get_json(url, patience or Patience())
    try:
        listed = [(str(item["label"]), item) for item in answer["data"]["latestVersion"]["files"]]
        wanted = WANTED | (MASKS if masks else {})
        return [_choose(name, pattern, listed, server) for name, pattern in wanted.items()]
    except (KeyError, TypeError, ValueError) as error:
        text = f"expected Dataverse's list of files at {url}, found JSON of another shape ({error!r})"
        raise DownloadError(text) from error


def check_address(server: str) -> None:
    """Refuse what is no address of a server.

    Raises:
        UserError: it does not begin as one.
    """
    if not server.startswith(("http://", "https://")):
        raise UserError(f"expected an address that begins with https://, found {server!r}")


def _choose(
    name: str, pattern: re.Pattern[str], listed: list[tuple[str, dict[str, Any]]], server: str
) -> RemoteFile:
    item = next((item for label, item in listed if pattern.fullmatch(label)), None)
    if item is None:
        found = ", ".join(label for label, _ in listed) or "no files"
        raise DownloadError(f"expected {name} in {DOI} on {server}, found {found}")
    if item.get("restricted"):
        raise DownloadError(f"expected {name} to be open, found it restricted; get it in a browser: {server}")
    data = item["dataFile"]
    is_table = bool(data.get("tabularData") or data.get("originalFileFormat"))
    checksum = data.get("checksum") or {}
    md5 = checksum.get("value") if checksum.get("type", "").upper() == "MD5" else data.get("md5")
    size = data.get("originalFileSize") if is_table else data.get("filesize")
    # Only a name of the expected pattern becomes a file's name here.
    original = str(data.get("originalFileName", ""))
    local = original if is_table and pattern.fullmatch(original) else item["label"]
    return RemoteFile(
        name=local,
        url=f"{server}/api/access/datafile/{int(data['id'])}" + ("?format=original" if is_table else ""),
        size=None if size is None else int(size),
        md5=None if md5 is None else str(md5).lower(),
        is_table=is_table,
    )


def download(
    folder: Path,
    files: list[RemoteFile],
    *,
    patience: Patience | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Fetch files into a folder; what is already there and whole stays, what broke off goes on.

    Args:
        folder: where to; made if needed. A file is `NAME.part` until its length and checksum are right.
        files: of `list_files`.
        patience: when to give up.
        say: called with one line per file.

    Returns:
        The files' paths.

    Raises:
        DownloadError: one cannot be fetched or is not what was published, or the disk is too small.
        UserError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"expected a folder to write to, found {folder} ({error.strerror})") from error
    missing = [file for file in files if not _is_there(folder / file.name, file, say)]
    _check_space(folder, missing)
    for file in missing:
        _fetch_verified(folder / file.name, file, patience or Patience(), say)
    return [folder / file.name for file in files]


def _is_there(target: Path, file: RemoteFile, say: Callable[[str], None]) -> bool:
    if not target.is_file():
        return False
    problem = _problem(target, file)
    say(f"{file.name}: already there" if problem is None else f"{file.name}: {problem}, fetched again")
    return problem is None


def _check_space(folder: Path, files: list[RemoteFile]) -> None:
    needed = sum(max((file.size or 0) - size_of(part_of(folder / file.name)), 0) for file in files)
    free = shutil.disk_usage(folder).free
    if files and free < needed + RESERVE:
        raise DownloadError(
            f"expected {(needed + RESERVE) / 1e9:.1f} GB free for {folder}, found {free / 1e9:.1f} GB; "
            "make room or name another folder"
        )


def _fetch_verified(target: Path, file: RemoteFile, patience: Patience, say: Callable[[str], None]) -> None:
    from tqdm import tqdm

    part = part_of(target)
    problem: str | None = None
    # The second round: a part left by an earlier, other download can be wrong without being too long.
    for _ in range(2):
        with tqdm(
            total=file.size, desc=file.name, unit="B", unit_scale=True, initial=size_of(part), leave=False
        ) as bar:
            fetch(file.url, part, file.size, patience, lambda reached, bar=bar: bar.update(reached - bar.n))
        problem = _problem(part, file)
        if problem is None:
            part.replace(target)
            note = "" if not file.is_table or md5_of(target) == file.md5 else ", its rows checked"
            say(f"{file.name}: {size_of(target):,} bytes{note or ', checksum right' if file.md5 else note}")
            return
        part.unlink()
    raise DownloadError(f"expected {file.name} as published, found {problem}, twice; nothing of it was kept")


def _problem(path: Path, file: RemoteFile) -> str | None:
    """What is wrong with a file that should be this one, None when nothing is."""
    if file.size is not None and size_of(path) != file.size:
        return f"{size_of(path):,} bytes instead of {file.size:,}"
    found = md5_of(path)
    if file.is_table and found != file.md5:
        return _table_problem(path)
    if file.md5 is None or found == file.md5:
        return None
    return f"MD5 {found} instead of {file.md5}"


def _table_problem(path: Path) -> str | None:
    """The checksum of a table can be of its other form, so that its content has to answer for itself."""
    from core.data.metadata import read_metadata

    try:
        _, findings = read_metadata(path.read_bytes(), path.name)
    except DatasetError as error:
        return str(error)
    return next((finding.sentence() for finding in findings if finding.severity == "damage"), None)
