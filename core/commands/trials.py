"""`python -m core trials`: what every finished training run was, and what it gave on validation."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from core.evaluation.trials import Trial

LOCK_TIMEOUT_S = 60.0
LONGEST = 36
"""Characters of the initial weights that the terminal shows; the file has all of them."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "trials",
        help="list the finished training runs with their validation figures",
        description="Lists the finished runs of the runs folder: how each began, its recipe, and the validation "
        "figures of its best epoch. Test images take no part. Unfinished runs are left out and named.",
    )
    parser.add_argument(
        "--save",
        action="store_true",
        help="add them to artifacts/trials.csv, which keeps the runs of other machines; a run is known by its "
        "name, its recipe and what it began with. Runs on synthetic lesions are not added.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print; with `--save` add to the table of the artifacts."""
    from core.evaluation.origin import SYNTHETIC_NOTE
    from core.settings import artifacts_dir, runs_dir
    from core.training.trials import find_trials

    trials, left_out = find_trials(runs_dir())
    print(_table(trials) if trials else f"No finished run in {runs_dir()}.")
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    if options.save:
        kept, path = save(artifacts_dir(), trials)
        from_here = sum(trial in kept for trial in trials)
        drawn = sum(trial.data == SYNTHETIC_NOTE for trial in trials)
        more = f"; {drawn} on synthetic lesions are not added" if drawn else ""
        print(f"{len(kept)} runs in {path}, {from_here} of {len(trials)} found here among them{more}")
    return 0


def save(folder: Path, trials: list[Trial]) -> tuple[list[Trial], Path]:
    """Merge runs into the table of an artifacts folder and list it in the manifest.

    Returns:
        All runs of the table, and where it lies.

    Raises:
        TrialsError: the table that is there is damaged, or another command holds it; it is left alone.
        ArtifactError: the manifest cannot be written.
    """
    from filelock import FileLock, Timeout

    from core.artifacts import update_shared, write_atomically
    from core.evaluation.origin import SYNTHETIC_NOTE
    from core.evaluation.trials import FILE, KEY, TrialsError, merge, parse, to_csv
    from core.settings import runs_dir

    path, runs = folder / FILE, runs_dir()
    for one in (folder, runs):
        one.mkdir(parents=True, exist_ok=True)
    lock = runs / f".{FILE}.lock"
    try:
        with FileLock(lock, timeout=LOCK_TIMEOUT_S):
            old = parse(path.read_text("utf-8", "replace"), str(path)) if path.exists() else []
            kept = merge(old, [trial for trial in trials if trial.data != SYNTHETIC_NOTE])
            write_atomically(path, to_csv(kept).encode())
            update_shared(folder, {KEY: FILE}, formats={KEY: "trials-csv"})
    except Timeout as error:
        raise TrialsError(
            f"expected {lock} free within {LOCK_TIMEOUT_S:g} s, found it held by another command"
        ) from error
    return kept, path


def _table(trials: list[Trial]) -> str:
    from core.evaluation.trials import merge
    from core.text import table

    header = (
        "run", "network", "begun with", "teachers", "stages", "rate", "T", "alpha", "seed", "accuracy", "balanced",
        "macro F1", "seconds", "commit",
    )  # fmt: skip
    rows = [
        (
            t.name,
            t.network,
            _shortly(t.begun),
            t.teachers or "-",
            t.stages,
            f"{t.learning_rate:g}",
            "-" if t.temperature is None else f"{t.temperature:g}",
            "-" if t.alpha is None else f"{t.alpha:g}",
            t.seed,
            *(f"{value:.3f}" for value in (t.val_accuracy, t.val_balanced_accuracy, t.val_macro_f1)),
            round(t.seconds),
            t.commit or "-",
        )
        for t in merge([], trials)
    ]
    return table(header, rows, indent="")


def _shortly(begun: str) -> str:
    """Initial weights in few words: what was said of a file rather than its name and hash."""
    said = begun.partition("...): ")[2] or begun
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."
