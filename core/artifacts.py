"""The artifacts folder: everything that training made, under one `manifest.json`.

Readers get bytes whose hash was checked (`load_manifest`, `open_verified`); writers add files and models
through `update_model` and `update_shared`, so that the manifest is whole at every moment, whoever is killed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.lesions import CODES, ClassOrderError, check_class_order
from core.manifest import (
    MANIFEST,
    VERSION,
    ArtifactError,
    FileEntry,
    FileRefused,
    Manifest,
    ManifestError,
    ManifestMissing,
    ModelEntry,
    parse_manifest,
    safe_relative,
)
from core.settings import artifacts_dir, named

__all__ = [
    "ArtifactError",
    "FileEntry",
    "FileRefused",
    "Manifest",
    "ManifestError",
    "ManifestMissing",
    "ModelEntry",
    "load_manifest",
    "open_verified",
    "store_json",
    "update_model",
    "update_shared",
    "write_atomically",
]

LOCK = ".manifest.lock"
LOCK_TIMEOUT_S = 60.0

_FORMATS = {
    "history": "history-csv",
    "weights": "weights-float16",
    "predictions": "predictions-parquet",
    "embeddings": "embeddings-npz",
}
"""Formats that follow from a file's key; others are named by the writer or by the file's ending."""


def load_manifest(folder: Path | None = None) -> Manifest:
    """Read the manifest of `folder` (default: `settings.artifacts_dir()`).

    A model entry that makes no sense goes to `problems`; the others are usable.

    Raises:
        ManifestMissing: there is none.
        ManifestError: it is damaged, of another version, or has another class order.
    """
    folder = Path(folder) if folder is not None else artifacts_dir()
    return parse_manifest(_read_raw(folder), folder)


def open_verified(folder: Path | None, relative: str) -> bytes:
    """`load_manifest(folder).read(relative)`, for callers that need one file."""
    return load_manifest(folder).read(relative)


def _read_raw(folder: Path) -> dict[str, Any]:
    """The manifest's JSON as it lies there, its version and class order checked."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes(), parse_constant=lambda _: None)  # NaN is no JSON
    except FileNotFoundError as error:
        raise ManifestMissing(
            f"expected trained models under {named(folder)}, found no {MANIFEST}; "
            "set DERMDISTILL_ARTIFACTS or train them (python -m core train --help)"
        ) from error
    except OSError as error:
        raise ManifestError(f"{named(path)}: expected a readable file, found: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{named(path)}: expected JSON, found a damaged file ({error}); restore it"
        ) from error
    if not isinstance(raw, dict):
        raise ManifestError(f"{named(path)}: expected a JSON object, found {type(raw).__name__}; restore it")
    if raw.get("version") != VERSION:
        raise ManifestError(
            f"{named(path)}: expected version {VERSION}, found {raw.get('version')!r}; update the code or it"
        )
    try:
        check_class_order(raw.get("classes"), named(path))
    except ClassOrderError as error:
        raise ManifestError(str(error)) from error
    for key in ("files", "models", "shared"):
        if not isinstance(raw.setdefault(key, {}), dict):
            raise ManifestError(
                f"{named(path)}: expected {key!r} to be an object, found {type(raw[key]).__name__}; restore it"
            )
    return raw


def update_model(
    folder: Path | None,
    name: str,
    entry: ModelEntry | Mapping[str, Any],
    files: Mapping[str, str | Path | None] | None = None,
    *,
    formats: Mapping[str, str] | None = None,
) -> Manifest:
    """Add a model or change some of it, under the folder's lock.

    Args:
        folder: the artifacts folder, made where it does not exist; default `settings.artifacts_dir()`.
        name: the model.
        entry: a whole `ModelEntry`, or the keys to change (`figures`, `calibration`, ...), each replaced as a
            whole. Numpy values and dataclasses become JSON; NaN and infinity become null.
        files: key -> path relative to the folder, hashed now; None takes a file out. Keys not named stay as
            they are.
        formats: key -> format, where the key's usual one does not fit: `{"litert": "litert-int8"}`.

    Returns:
        The manifest as written. Files that nothing refers to any more are left out of it (they stay on disk).

    Raises:
        ManifestError: the manifest that is there is damaged; it is left alone.
        ArtifactError: the entry makes no sense, or a file is missing.
    """

    def change(raw: dict[str, Any], folder: Path) -> None:
        if not isinstance(raw["models"].get(name), dict):  # nor is what is no entry mended by keys of one
            raw["models"][name] = {}
        model = raw["models"][name]
        whole = isinstance(entry, ModelEntry)
        changes = dataclasses.asdict(entry) if isinstance(entry, ModelEntry) else dict(entry)
        changes.pop("name", None)
        kept = {} if whole else dict(model.get("files") or {})
        listed = {**kept, **(changes.pop("files", None) or {})}
        unknown = {key: path for key, path in listed.items() if path not in raw["files"]}
        if whole:
            model.clear()
        model.update(_plain({**changes, "version": VERSION, "classes": CODES}))
        model["files"] = _list_files(raw, folder, listed, {**unknown, **(files or {})}, formats or {})

    return _update(folder, change, lambda manifest: manifest.problems.get(name))


def update_shared(
    folder: Path | None, files: Mapping[str, str | Path | None], *, formats: Mapping[str, str] | None = None
) -> Manifest:
    """Add or take out (None) files of no single model, such as `gate` or `ablation`. See `update_model`."""

    def change(raw: dict[str, Any], folder: Path) -> None:
        raw["shared"] = _list_files(raw, folder, raw["shared"], files, formats or {})

    return _update(folder, change, lambda _: None)


def store_json(folder: Path | None, key: str, relative: str, content: Mapping[str, Any]) -> Path:
    """Write a file of no single model as JSON and list it.

    Args:
        folder: the artifacts folder, made where it does not exist; default `settings.artifacts_dir()`.
        key: under which the manifest lists it.
        relative: where it lies in the folder.
        content: JSON-ready; NaN and infinity are an error.

    Raises:
        ArtifactError: it, or the manifest, cannot be written.
    """
    path = (Path(folder) if folder is not None else artifacts_dir()) / relative
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise ArtifactError(f"{path}: expected to write there, found: {error.strerror or error}") from error
    update_shared(folder, {key: relative})
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write so that `path` holds the old bytes or all of the new ones, whatever happens meanwhile."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _update(
    folder: Path | None,
    change: Callable[[dict[str, Any], Path], None],
    problem: Callable[[Manifest], str | None],
) -> Manifest:
    from filelock import FileLock, Timeout

    folder = Path(folder) if folder is not None else artifacts_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=LOCK_TIMEOUT_S):
            raw = _read_or_start(folder)
            change(raw, folder)
            _drop_unused(raw)
            manifest = parse_manifest(raw, folder)
            if (reason := problem(manifest)) is not None:
                raise ArtifactError(f"nothing was written to {folder / MANIFEST}: {reason}")
            text = json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False)
            write_atomically(folder / MANIFEST, text.encode() + b"\n")
            return manifest
    except Timeout as error:
        raise ArtifactError(
            f"expected {folder / LOCK} free within {LOCK_TIMEOUT_S:g} s, found it held by another command"
        ) from error
    except OSError as error:
        raise ArtifactError(
            f"{folder}: expected to write the manifest, found: {error.strerror or error}"
        ) from error


def _read_or_start(folder: Path) -> dict[str, Any]:
    try:
        return _read_raw(folder)
    except ManifestMissing:
        return {"version": VERSION, "classes": list(CODES), "files": {}, "models": {}, "shared": {}}


def _list_files(
    raw: dict[str, Any],
    folder: Path,
    listed: Mapping[str, str],
    files: Mapping[str, str | Path | None],
    formats: Mapping[str, str],
) -> dict[str, str]:
    """Hash `files` into `raw["files"]`; return key -> path of those listed before and now."""
    result = dict(listed)
    for key, path in files.items():
        if path is None:
            result.pop(key, None)
            continue
        relative = _relative(folder, path)
        result[key] = relative
        raw["files"][relative] = _hashed(folder / relative, formats.get(key) or _format(key, relative))
    return result


def _relative(folder: Path, path: str | Path) -> str:
    path = Path(path)
    try:
        inside = path.resolve().relative_to(folder.resolve()) if path.is_absolute() else path
        return safe_relative(inside.as_posix())
    except ValueError as error:
        raise ArtifactError(f"expected a file inside {folder}, found {path}") from error


def _hashed(path: Path, file_format: str) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return {"sha256": digest, "bytes": stream.tell(), "format": file_format}
    except OSError as error:
        raise FileRefused(f"{path}: expected a file to list, found: {error.strerror}") from error


def _format(key: str, relative: str) -> str:
    ending = relative.rpartition(".")[2]
    return _FORMATS.get(key) or {"tflite": "litert", "csv": "csv"}.get(ending, ending)


def _drop_unused(raw: dict[str, Any]) -> None:
    owners = [*raw["models"].values(), {"files": raw["shared"]}]
    tables = [owner.get("files") for owner in owners if isinstance(owner, dict)]
    used = {
        path
        for table in tables
        if isinstance(table, dict)
        for path in table.values()
        if isinstance(path, str)
    }
    raw["files"] = {path: entry for path, entry in sorted(raw["files"].items()) if path in used}


def _plain(value: Any) -> Any:
    """`value` as JSON knows it; figures that are not finite become null, as JSON has no word for them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
