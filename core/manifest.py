"""What the manifest of the artifacts says: its files, its models, and which entries make no sense."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import UserError
from core.lesions import CODES, check_class_order
from core.settings import INPUT_SIZE, named

MANIFEST = "manifest.json"
VERSION = 1
ROLES = ("teacher", "student", "baseline", "variant", "ensemble")
INPUT: Mapping[str, Any] = {"size": INPUT_SIZE, "channels": "RGB", "range": [0, 255]}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ArtifactError(UserError):
    """Something in the artifacts folder is missing, damaged or not what the manifest says."""


class ManifestError(ArtifactError):
    """The manifest as a whole cannot be used."""


class ManifestMissing(ManifestError):
    """There is no manifest: nothing was trained or fetched yet."""


class FileRefused(ArtifactError):
    """One file is missing or differs from its hash; whatever does not need it goes on working."""


@dataclass(frozen=True)
class FileEntry:
    """One file: lower-case hexadecimal sha256, size in bytes, format (`litert-int8`, `history-csv`, ...)."""

    sha256: str
    bytes: int
    format: str


@dataclass(frozen=True)
class ModelEntry:
    """One model as the manifest tells of it.

    Attributes:
        name: `student`, `resnet50`, ...
        title: the name that people read.
        role: one of `ROLES`.
        network: key of `core.networks.classifiers.NETWORKS`; empty for an ensemble.
        parent: the model that a variant was made from.
        members: the models of an ensemble.
        input: `INPUT`; anything else is refused when the model is loaded.
        files: key (`litert`, `weights`, `history`, `predictions`, ...) -> path relative to the folder.
        calibration: `temperature` and the part that it was fitted on; empty before the first evaluation.
        operating_point: `malignancy_threshold` and what it gave on validation, or None.
        recipe: the full recipe.
        commit: the code that made it.
        provenance: initial weights, data, licence.
        parameters: how many; 0 where nobody counted.
        figures: `split` and the figures of merit of each part.
        widths: of a pruned network, outputs of its narrower layers by name, so that it can be built again.
    """

    name: str
    title: str
    role: str
    network: str = ""
    parent: str | None = None
    members: tuple[str, ...] = ()
    input: Mapping[str, Any] = field(default_factory=lambda: dict(INPUT))
    files: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    operating_point: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)

    @property
    def temperature(self) -> float:
        """What logits are divided by before softmax; 1 for a model that was not calibrated yet."""
        return float(self.calibration.get("temperature", 1.0))

    @property
    def malignancy_threshold(self) -> float | None:
        """The operating point of the malignancy score, None where none was chosen."""
        return None if self.operating_point is None else float(self.operating_point["malignancy_threshold"])


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        folder: where it lies.
        files: relative path -> file.
        models: usable entries by name, in the manifest's order.
        problems: name -> why its entry is refused.
        shared: files of no single model (`gate`, `ablation`, ...): key -> relative path.
    """

    folder: Path
    files: Mapping[str, FileEntry]
    models: Mapping[str, ModelEntry]
    problems: Mapping[str, str]
    shared: Mapping[str, str]

    def model(self, name: str) -> ModelEntry:
        """The entry of a model.

        Raises:
            ArtifactError: there is none, or it is refused.
        """
        if name in self.problems:
            raise ArtifactError(
                f"model {name}: its entry in {named(self.folder / MANIFEST)} is refused: {self.problems[name]}"
            )
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            raise ArtifactError(f"expected one of the models {known}, found {name!r}")
        return self.models[name]

    def single(self, name: str) -> ModelEntry:
        """The entry of a model with a file of its own.

        Raises:
            ArtifactError: there is none, it is refused, or it is an ensemble.
        """
        entry = self.model(name)
        if entry.members:
            raise ArtifactError(
                f"model {name}: expected a model with a file of its own, found an ensemble; name its members: "
                f"{', '.join(entry.members)}"
            )
        return entry

    def read(self, relative: str) -> bytes:
        """The bytes of a listed file, read once and checked.

        Raises:
            FileRefused: it is not listed, missing, unreadable, or not the file that was listed.
        """
        path, entry = self.folder / relative, self.files.get(relative)
        if entry is None:
            raise FileRefused(
                f"expected a file that {named(self.folder / MANIFEST)} lists, found {relative!r}"
            )
        try:
            with path.open("rb") as stream:
                data = stream.read(entry.bytes + 1)
        except OSError as error:
            raise FileRefused(f"{named(path)}: expected a readable file, found: {error.strerror}") from error
        if len(data) != entry.bytes:
            found = "more" if len(data) > entry.bytes else f"{len(data)}"
            raise FileRefused(
                f"{named(path)}: expected {entry.bytes} bytes, found {found}; restore it or make it again"
            )
        digest = hashlib.sha256(data).hexdigest()
        if digest != entry.sha256:
            raise FileRefused(
                f"{named(path)}: expected sha256 {entry.sha256[:12]}..., found {digest[:12]}...; "
                "restore it or make it again"
            )
        return data


def parse_manifest(raw: Mapping[str, Any], folder: Path) -> Manifest:
    """Turn checked JSON into a `Manifest`; entries that make no sense become problems."""
    files = {path: entry for path, data in raw["files"].items() if (entry := _file(path, data)) is not None}
    models: dict[str, ModelEntry] = {}
    problems: dict[str, str] = {}
    for name, data in raw["models"].items():
        try:
            models[name] = _model(name, data, files)
        except ValueError as error:
            problems[name] = str(error)
    shared = {key: path for key, path in raw["shared"].items() if isinstance(path, str) and path in files}
    return Manifest(folder, files, models, problems, shared)


def safe_relative(path: object) -> str:
    """`path` if it is relative, forward and inside the folder.

    Raises:
        ValueError: it is not.
    """
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    if not parts or parts[0] == "/" or ".." in parts or any(c in str(path) for c in "\\:\0"):
        raise ValueError(f"expected a relative path inside the artifacts folder, found {path!r}")
    return "/".join(parts)


def _file(path: str, data: object) -> FileEntry | None:
    """One row of `files`; None for one that makes no sense, which refuses the models that need it."""
    try:
        safe_relative(path)
        digest, size = _take(data, "sha256", str), _take(data, "bytes", int)
        if not re.fullmatch("[0-9a-f]{64}", digest) or size < 0:
            raise ValueError(f"expected a sha256 and a size, found {digest!r} and {size!r}")
        return FileEntry(digest, size, _take(data, "format", str))
    except ValueError:
        return None


def _model(name: str, data: object, files: Mapping[str, FileEntry]) -> ModelEntry:
    """One row of `models`.

    Raises:
        ValueError: what was expected and what came.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of a-z, 0-9, '.', '_' and '-', found {name!r}")
    # An entry repeats version and classes because entries get copied from one folder to another.
    if _take(data, "version", int, VERSION) != VERSION:
        raise ValueError(f"expected version {VERSION}, found {data['version']!r}")
    check_class_order(_take(data, "classes", list, list(CODES)), name)
    entry = ModelEntry(
        name=name,
        title=_take(data, "title", str),
        role=_take(data, "role", str),
        network=_take(data, "network", str, ""),
        parent=_take(data, "parent", str, None),
        members=tuple(_take(data, "members", list, [])),
        input=_take(data, "input", dict, dict(INPUT)),
        files=_take(data, "files", dict, {}),
        calibration=_take(data, "calibration", dict, {}),
        operating_point=_take(data, "operating_point", dict, None),
        recipe=_take(data, "recipe", dict, {}),
        commit=_take(data, "commit", str, ""),
        provenance=_take(data, "provenance", dict, {}),
        parameters=_take(data, "parameters", int, 0),
        figures=_take(data, "figures", dict, {}),
        widths=_take(data, "widths", dict, {}),
    )
    _check(entry, files)
    return entry


def _check(entry: ModelEntry, files: Mapping[str, FileEntry]) -> None:
    if entry.role not in ROLES:
        raise ValueError(f"expected a role of {', '.join(ROLES)}, found {entry.role!r}")
    if dict(entry.input) != INPUT:
        raise ValueError(f"expected the input {INPUT}, found {entry.input}")
    if entry.role == "ensemble" and not entry.members:
        raise ValueError("expected an ensemble to have members, found none")
    if any(not isinstance(member, str) or member == entry.name for member in entry.members):
        raise ValueError(f"expected names of other models as members, found {list(entry.members)}")
    for key, path in entry.files.items():
        if not isinstance(path, str) or path not in files:
            raise ValueError(f"expected its file {key!r} among the manifest's files, found {path!r}")
    if any(not isinstance(w, int) or isinstance(w, bool) or w < 1 for w in entry.widths.values()):
        raise ValueError(f"expected widths of 1 and more, found {dict(entry.widths)}")
    temperature = entry.calibration.get("temperature", 1.0)
    if not _is_number(temperature) or temperature <= 0:
        raise ValueError(f"expected a temperature above 0, found {temperature!r}")
    if entry.operating_point is not None:
        threshold = entry.operating_point.get("malignancy_threshold")
        if not _is_number(threshold) or not 0 <= threshold <= 1:
            raise ValueError(f"expected a malignancy threshold from 0 to 1, found {threshold!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_REQUIRED = object()


def _take(data: object, key: str, kind: type, default: Any = _REQUIRED) -> Any:
    """`data[key]`, which must be of `kind`; null and absent give the default where there is one."""
    if not isinstance(data, dict):
        raise ValueError(f"expected an object, found {type(data).__name__}")
    value = data.get(key)
    if value is None and default is not _REQUIRED:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"expected {key!r} to be {kind.__name__}, found {value!r}")
    return value
