"""Which models can be used now, why the others cannot, and which command makes them; each loaded once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.artifacts import ArtifactError, Manifest, ManifestError, ManifestMissing, ModelEntry, load_manifest
from core.errors import UserError
from core.manifest import MANIFEST
from core.settings import artifacts_dir

if TYPE_CHECKING:
    from core.serving.classifier import Model


@dataclass(frozen=True)
class Known:
    """A model that this project ships: its title, its role, and the command that makes one of its kind.

    The shipped ones went through several rounds (`make models`); one command gives a plainer model, in a fraction of
    the time.
    """

    title: str
    role: str
    command: str


Part = TypeVar("Part")

KNOWN: dict[str, Known] = {
    "resnet50": Known("ResNet50", "teacher", "python -m core train --network resnet50 --init imagenet"),
    "densenet169": Known(
        "DenseNet169", "teacher", "python -m core train --network densenet169 --init imagenet"
    ),
    "student": Known("Student", "student", "python -m core distill --init imagenet"),
    "student-fp16": Known("Student, float16", "variant", "python -m core compress"),
    "student-dynamic": Known(
        "Student, dynamic int8", "variant", "python -m core compress --model student --all"
    ),
    "student-int8": Known("Student, int8", "variant", "python -m core compress"),
    "student-pruned": Known(
        "Student, pruned", "variant", "python -m core prune --ship 0.5 --teachers student"
    ),
    "baseline": Known("Baseline", "baseline", "python -m core train --network mobilenetv2 --init imagenet"),
    "ensemble": Known("Ensemble", "ensemble", "python -m core evaluate"),
}
"""In the order of every table."""


class ModelUnavailable(UserError):
    """A model that cannot be used, with the reason and the command that makes it."""


MAKE_IT = "make it with: "


@dataclass(frozen=True)
class ModelState:
    """One row of the table of models.

    Attributes:
        name, title, role: who it is.
        reason: why it cannot be used; None for a usable model.
        absent: whether it is merely not there, rather than damaged.
        command: what makes one of its kind, or the LiteRT file that it lacks; None where this project knows neither.
        entry: its manifest entry, where there is a sound one.
    """

    name: str
    title: str
    role: str
    reason: str | None
    absent: bool
    command: str | None
    entry: ModelEntry | None

    @property
    def usable(self) -> bool:
        """Whether `Registry.get` will give it."""
        return self.reason is None


class Registry:
    """The models of one manifest. Safe to use from many threads: under a concurrent first use each loads once."""

    def __init__(
        self, manifest: Manifest | None, problem: str | None = None, *, damaged: bool = False
    ) -> None:
        """
        Args:
            manifest: what is there; None when it cannot be read.
            problem: why it cannot be read.
            damaged: whether it is there nevertheless: then models are to be restored, and not made again.
        """
        self.manifest = manifest
        self._damaged = damaged
        self._problem = problem
        self._loaded: dict[str, Model] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._parts: dict[str, object] = {}
        self._lock = threading.Lock()
        self._checked: dict[str, tuple[tuple[int, ...], str | None]] = {}

    @classmethod
    def open(cls, folder: Path | None = None) -> Registry:
        """The models of `folder` (default: `settings.artifacts_dir()`), also where that is empty or damaged."""
        try:
            return cls(load_manifest(folder))
        except ManifestMissing as error:
            return cls(None, str(error))
        except ManifestError as error:
            return cls(None, str(error), damaged=True)

    def get(self, name: str) -> Model:
        """A model, loaded on its first use.

        A refusal is not remembered: a file that was restored works at the next call.

        Raises:
            ModelUnavailable: it is not there, damaged, or LiteRT refuses it; other models are not affected.
        """
        with self._lock_of(f"model {name}"):
            if name not in self._loaded:
                try:
                    self._loaded[name] = self._load(name)
                except UserError as error:
                    raise ModelUnavailable(_with_command(self.state(name), str(error))) from error
            return self._loaded[name]

    def part(self, key: str, make: Callable[[], Part]) -> Part:
        """What `make` gives, made on the first use of `key`; as with `get` a refusal is not remembered.

        For what belongs to these models without being one: a gate, an index of lesions.
        """
        with self._lock_of(f"part {key}"):
            if key not in self._parts:
                self._parts[key] = make()
            return self._parts[key]  # type: ignore[return-value]

    def shared(self, key: str, parse: Callable[[bytes, str], Part]) -> Part | None:
        """A file of no single model, parsed on its first use; None where these artifacts have none.

        Args:
            key: of the manifest's shared files.
            parse: (bytes, where they are from) -> what they hold.

        Raises:
            ArtifactError: it is damaged, or what `parse` raises.
        """
        manifest = self.manifest
        relative = manifest.shared.get(key) if manifest is not None else None
        if manifest is None or relative is None:
            return None
        return self.part(key, lambda: parse(manifest.read(relative), relative))

    def states(self) -> tuple[ModelState, ...]:
        """Every known model and every other one of the manifest; files that changed are hashed again."""
        listed = [*self.manifest.models, *self.manifest.problems] if self.manifest else []
        return tuple(self.state(name) for name in dict.fromkeys([*KNOWN, *listed]))

    def state(self, name: str) -> ModelState:
        """One model's row; any name has one."""
        entry = self.manifest.models.get(name) if self.manifest else None
        known = KNOWN.get(name)
        absent = self.manifest is None or (entry is None and name not in self.manifest.problems)
        return ModelState(
            name=name,
            title=entry.title if entry else known.title if known else name,
            role=entry.role if entry else known.role if known else "",
            reason=self._reason(name),
            absent=absent,
            command=None if self._damaged else _command(name, entry, self.manifest),
            entry=entry,
        )

    def short_title(self, name: str) -> str:
        """A model's short name for people: ours where this project knows it, else the manifest's."""
        return KNOWN[name].title if name in KNOWN else self.state(name).title

    def usable(self) -> tuple[str, ...]:
        """Names of the models that can be used now."""
        return tuple(state.name for state in self.states() if state.usable)

    def _lock_of(self, what: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(what, threading.Lock())

    def _entry(self, name: str) -> ModelEntry:
        if self.manifest is None:
            raise ArtifactError(self._problem or f"expected a {MANIFEST}, found none")
        if name in KNOWN and name not in self.manifest.models and name not in self.manifest.problems:
            raise ArtifactError(f"model {name} is not in {self.manifest.folder}")
        return self.manifest.model(name)

    def _load(self, name: str) -> Model:
        from core.serving.classifier import Classifier, Ensemble  # with OpenCV and LiteRT

        entry = self._entry(name)
        if not entry.members:
            assert self.manifest is not None
            return Classifier.load(self.manifest, name)
        self._check_members(entry)
        return Ensemble(entry, [self.get(member) for member in entry.members])

    def _check_members(self, entry: ModelEntry) -> None:
        for member in entry.members:
            if self._entry(member).members:
                raise ArtifactError(
                    f"model {entry.name}: expected members that are no ensembles, found {member}"
                )

    def _reason(self, name: str) -> str | None:
        if name in self._loaded:
            return None
        try:
            entry = self._entry(name)
            if entry.members:
                self._check_members(entry)
        except ArtifactError as error:
            return str(error)
        if entry.members:
            reasons = (self._reason(member) for member in entry.members)
            return next(
                (f"needs a member that cannot be used: {reason}" for reason in reasons if reason), None
            )
        return self._file_reason(entry)

    def _file_reason(self, entry: ModelEntry) -> str | None:
        """Why the LiteRT file cannot be used; hashed again only when its time, size or inode changed."""
        assert self.manifest is not None
        relative = entry.files.get("litert")
        if relative is None:
            return f"model {entry.name} has no LiteRT file yet"
        try:
            stat = (self.manifest.folder / relative).stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            stamp = ()
        with self._lock_of(f"file {relative}"):  # a crowd at the door of a cold server hashes each file once
            known = self._checked.get(relative)
            if known is None or known[0] != stamp:
                try:
                    self.manifest.read(relative)
                    known = (stamp, None)
                except ArtifactError as error:
                    known = (stamp, str(error))
                self._checked[relative] = known
        return known[1]


_shared: dict[Path, tuple[tuple[int, ...], Registry]] = {}
_shared_lock = threading.Lock()


def shared_registry(folder: Path | None = None) -> Registry:
    """The process's registry of `folder`; a new one after its manifest was written anew."""
    folder = (Path(folder) if folder is not None else artifacts_dir()).absolute()
    try:
        stat = (folder / MANIFEST).stat()
        stamp: tuple[int, ...] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except OSError:
        stamp = ()
    with _shared_lock:
        known = _shared.get(folder)
        if known is None or known[0] != stamp:
            known = _shared[folder] = (stamp, Registry.open(folder))
        return known[1]


def _command(name: str, entry: ModelEntry | None, manifest: Manifest | None) -> str | None:
    """What makes a model, or what a trained one still lacks."""
    weights = entry.files.get("weights") if entry else None
    if manifest and weights and (manifest.folder / weights).is_file():
        return f"python -m core compress --model {name}"
    return KNOWN[name].command if name in KNOWN else None


def _with_command(state: ModelState, reason: str) -> str:
    # An ensemble's reason is a member's, and says already what makes that.
    return f"{reason}; {MAKE_IT}{state.command}" if state.command and MAKE_IT not in reason else reason
