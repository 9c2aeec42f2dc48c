"""From the declared runs to the table: what is left to do, done one after the other, each entered when it is done."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.ablation.answers import (
    Teachers,
    digest_of_init,
    missing_teacher,
    teacher_digests,
    teacher_weights,
)
from core.ablation.cell import Cell, Trained
from core.ablation.images import Images, load_images
from core.ablation.protocol import IMAGENET, Protocol, described, fingerprint
from core.ablation.student import Student
from core.artifacts import load_manifest, update_shared, write_atomically
from core.errors import UserError
from core.evaluation.origin import SYNTHETIC_NOTE, check_figures
from core.lab.table import DATA, FILE, KEY, TEACHER_WEIGHTS, Outcome, TableError, parse, to_csv
from core.lab.variants import BARE_START, STARVED_TEACHER, Variant
from core.manifest import FileRefused, ManifestMissing
from core.settings import artifacts_dir, runs_dir
from core.training.batches import ViewMaker
from core.training.publish import cpu_name, current_commit, describe_init

DONE, OUTDATED, WAITING, OPEN = "done", "outdated", "waits", "to do"
LOCK_TIMEOUT_S = 60.0
NOTE = "run.json"
"""In the folder of a run under way: what it is and at which commit it was begun."""


@dataclass(frozen=True)
class Place:
    """Where the runs and their table lie.

    Attributes:
        table: the CSV.
        runs: folder of the runs under way.
        published: whether the manifest lists the table; a trial's does not.
    """

    table: Path
    runs: Path
    published: bool

    @classmethod
    def of(cls, protocol: Protocol) -> Place:
        """The artifacts, or for a trial a folder beside its runs."""
        if protocol.is_trial:
            runs = runs_dir() / "ablation-trial"
            return cls(runs / FILE, runs, published=False)
        return cls(artifacts_dir() / FILE, runs_dir() / "ablation", published=True)

    def read(self) -> list[Outcome]:
        """The runs in the table; none where there is no table.

        Raises:
            TableError: it is damaged.
        """
        if not self.table.exists():
            return []
        try:
            text = self.table.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:  # replaced letters would be written back
            raise TableError(f"{self.table}: expected UTF-8, found {error}; restore it") from error
        return parse(text, str(self.table))

    def change(self, change: Callable[[list[Outcome]], list[Outcome]]) -> None:
        """Read, change and write the table, alone, and list it.

        Raises:
            UserError: another command holds the table for longer than a minute.
        """
        self.table.parent.mkdir(parents=True, exist_ok=True)
        self.runs.mkdir(parents=True, exist_ok=True)
        lock = self.runs / f".{FILE}.lock"
        try:
            with FileLock(lock, timeout=LOCK_TIMEOUT_S):
                write_atomically(self.table, to_csv(change(self.read())).encode())
                if self.published:
                    update_shared(self.table.parent, {KEY: FILE}, formats={KEY: "ablation-csv"})
        except Timeout as error:
            raise UserError(
                f"expected {lock} free within {LOCK_TIMEOUT_S:g} s, found it held by another command"
            ) from error

    def settle(self) -> bool:
        """List the table as it is, where a command ended after writing it and before that: pages would refuse it.

        Returns:
            Whether that was so.
        """
        unlisted = self.published and self.table.exists() and not self._is_listed()
        if unlisted:
            self.change(lambda rows: rows)
        return unlisted

    def _is_listed(self) -> bool:
        try:
            manifest = load_manifest(self.table.parent)
            manifest.read(manifest.shared.get(KEY, ""))
        except (ManifestMissing, FileRefused):
            return False
        return True


class Laboratory:
    """All runs under one protocol.

    Args:
        protocol: resolution and budget.
        init: network -> initial weights, `imagenet` or a file.
        note: where these come from and under which terms.
        maker: makes the views.

    Raises:
        UserError: an initial weight file is missing, or there is no usable dataset.
    """

    def __init__(self, protocol: Protocol, init: dict[str, str], note: str | None, maker: ViewMaker) -> None:
        self.protocol, self.init, self.place = protocol, init, Place.of(protocol)
        if note and all(path == IMAGENET for path in init.values()):
            raise UserError(
                "--init-note: expected it with a file of initial weights, found none; --init names one"
            )
        notes = {network: None if path == IMAGENET else note for network, path in init.items()}
        self.initial_weights = {
            network: describe_init(path, notes[network]) for network, path in init.items()
        }
        self.digests = {network: digest_of_init(path) for network, path in init.items()}
        self.images: Images = load_images(protocol, maker)
        self.teachers = Teachers(self.images, protocol, init, maker)
        self._students: dict[tuple[int, bool], Student] = {}

    def state(self, variant: Variant, table: dict[str, Outcome]) -> str:
        """`done`, `outdated` (made from other weights or by another recipe), `waits` for a teacher, or `to do`."""
        if missing_teacher(variant) is not None:
            return WAITING
        found = table.get(variant.name)
        if found is None:
            return OPEN
        return DONE if found.fingerprint == self.fingerprint(variant) else OUTDATED

    def fingerprint(self, variant: Variant) -> str:
        """Of all that decides a run's result."""
        starved = STARVED_TEACHER in variant.mistakes
        return fingerprint(
            described(variant, self.protocol),
            teachers=teacher_digests(variant),
            images=self.images.digest(variant.split),
            start=self.digests["mobilenetv2"] if variant.start == "imagenet" else "",
            starved=self.digests["resnet50"] if starved else "",
        )

    def train(self, variant: Variant) -> Outcome:
        """One run, from its checkpoint if there is one, and into the table."""
        recipe, mark = described(variant, self.protocol), self.fingerprint(variant)
        weights = teacher_weights(variant)
        folder = self.place.runs / variant.name
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            commit = _begun_at(folder, mark)
            embeddings = self.teachers.embeddings(variant)
            teachers = self.teachers.answers(variant)
            cell = Cell(
                variant,
                recipe | {"fingerprint": mark},
                self.images,
                self._student(embeddings.width if embeddings else 0, BARE_START in variant.mistakes),
                self.protocol,
                teachers,
                embeddings,
                folder,
            )
            shown = recipe | ({TEACHER_WEIGHTS: weights} if weights else {})
            outcome = self._outcome(variant, cell.run(), commit, mark, shown)
            self.place.change(lambda rows: [o for o in rows if o.variant.name != variant.name] + [outcome])
            shutil.rmtree(folder)
        return outcome

    def _student(self, hint_width: int, unchanged: bool) -> Student:
        key = (hint_width, unchanged)
        if key not in self._students:
            images = min(len(parts["train"]) for parts in self.images.rows.values())
            steps = max(images // self.protocol.batch_size, 1)
            self._students[key] = Student(self.protocol, self.init["mobilenetv2"], steps, *key)
        return self._students[key]

    def _outcome(self, variant: Variant, trained: Trained, commit: str, mark: str, recipe: dict) -> Outcome:
        start = (
            self.initial_weights["mobilenetv2"] if variant.start == "imagenet" else describe_init(None, None)
        )
        if STARVED_TEACHER in variant.mistakes:
            start += f"; starved teacher: {self.initial_weights['resnet50']}"
        return Outcome(
            variant=variant,
            fingerprint=mark,
            commit=commit,
            epochs=trained.progress.epoch,
            best_epoch=trained.progress.best_epoch,
            seconds=round(trained.progress.seconds, 1),
            train_images=trained.train_images,
            size=self.protocol.size,
            validation=trained.validation,
            test=trained.test,
            answers=trained.answers,
            soft_entropy=round(trained.soft_entropy, 5),
            teacher_accuracy=round(trained.teacher_accuracy, 5),
            initial_weights=start,
            machine=cpu_name(),
            recipe=recipe | ({DATA: SYNTHETIC_NOTE} if self.images.dataset.is_synthetic else {}),
            history=tuple(trained.progress.history),
        )


def run_all(
    laboratory: Laboratory, variants: Sequence[Variant], minutes: float | None, say: Callable[[str], None]
) -> list[Variant]:
    """Train what is left of `variants`, in order.

    Args:
        laboratory: in which.
        variants: the runs that are wanted.
        minutes: no run is begun that would, judged by the slowest so far, end later; None is no limit.
        say: told a line for each run.

    Returns:
        The runs that are still to do; those that wait for a teacher are not among them.

    Raises:
        UserError: the dataset is synthetic, and the artifacts' table has rows of HAM10000.
    """
    begun, slowest = time.monotonic(), 0.0
    outcomes = laboratory.place.read()
    if laboratory.place.published and not all(outcome.is_of_drawings for outcome in outcomes):
        check_figures(laboratory.place.table, laboratory.images.dataset, "--limit or --epochs")
    if laboratory.place.settle():
        say(f"{laboratory.place.table} was not listed as it is, and is now")
    table = {outcome.variant.name: outcome for outcome in outcomes}
    left = [v for v in variants if laboratory.state(v, table) in (OPEN, OUTDATED)]
    while left:
        spent = time.monotonic() - begun
        if minutes is not None and spent + slowest > 60 * minutes:
            say(f"{spent / 60:.0f} of {minutes:g} minutes are over; {len(left)} runs are left")
            break
        started, variant = time.monotonic(), left.pop(0)
        # Another process may have made it meanwhile.
        if laboratory.state(variant, {one.variant.name: one for one in laboratory.place.read()}) == DONE:
            say(f"{variant.name}: made by another process; {len(left)} runs left")
            continue
        outcome = laboratory.train(variant)
        slowest = max(slowest, time.monotonic() - started)
        say(told(outcome, len(left)))
    return left


def told(outcome: Outcome, left: int) -> str:
    """A run in a line."""
    figures = outcome.figures
    return (
        f"{outcome.variant.name}: test accuracy {figures['test_accuracy']:.4f} (majority "
        f"{figures['test_majority_share']:.4f}), balanced {figures['test_balanced_accuracy']:.4f}, says the majority "
        f"to {figures['test_says_majority']:.1%}; {outcome.epochs} epochs, {outcome.seconds:.0f} s; {left} runs left"
    )


def forget(place: Place, names: Sequence[str]) -> list[str]:
    """Take runs out of the table, and what is left of them under way; gives those that were there.

    Raises:
        UserError: one is in neither, or another process trains it.
    """
    known = {outcome.variant.name for outcome in place.read()}
    for name in names:
        if name not in known and not _is_under_way(place, name):
            raise UserError(f"--forget: expected a run of {place.table}, found {name!r}; --list shows them")
    folders = [place.runs / name for name in dict.fromkeys(names) if _is_under_way(place, name)]
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(_alone(folder))
        place.change(lambda rows: [outcome for outcome in rows if outcome.variant.name not in names])
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(known & set(names))


def _is_under_way(place: Place, name: str) -> bool:
    """Whether a run of that name lies in its folder: no path, which could lead to anything else."""
    return Path(name).name == name and (place.runs / name / NOTE).is_file()


def _begun_at(folder: Path, mark: str) -> str:
    """The commit at which the run in a folder was begun; whatever another recipe left there is dropped."""
    note = folder / NOTE
    if note.exists():
        found = json.loads(note.read_text(encoding="utf-8"))
        if found.get("fingerprint") == mark:
            return str(found["commit"])
        for path in folder.glob("*.np[yz]"):
            path.unlink()
    commit = current_commit()
    write_atomically(note, json.dumps({"fingerprint": mark, "commit": commit}).encode())
    return commit


class _alone:  # noqa: N801 - used as a function
    """Keep other processes out of a run's folder; the lock of a killed process is free."""

    def __init__(self, folder: Path) -> None:
        self._lock, self._folder = FileLock(folder.with_name(f".{folder.name}.lock")), folder

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self._folder}: expected no other process to train there, found one; wait for it"
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()
