"""`python -m core predict`: images and folders -> a table of diagnoses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from tqdm import tqdm

    from core.manifest import Manifest
    from core.serving.answer import Diagnoser
    from core.serving.batch import Overlays
    from core.serving.output import RowWriter
    from core.serving.registry import Registry

REJECTED_STATUS = 3
"""Exit status when some files were rejected."""

_SHOWN = 20  # rejections that are told on the terminal; all are in the table


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "predict",
        help="classify images and folders into a CSV or Parquet table",
        description="Classify every file, one row each. Exit status: 0 every file was classified, 3 some were "
        "rejected, 2 the command was misused. This is no medical device.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image, or a folder to search recursively, without its hidden files and folders (a leading dot) and "
        "without following links to folders",
    )
    parser.add_argument(
        "--model", default="student", help="see `python -m core models` (default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help="FILE.csv or FILE.parquet; for --resume, a hidden file beside it says what the rows were made with",
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="DIR",
        help="write the map of each top class over its image there, as PNG, and DIR/overlays.csv, which says whose it "
        "is; images out of distribution or rejected get none, and what an earlier run drew there gives way unless this "
        "one resumes it",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep FILE's rows and classify what it lacks; refused where they were made otherwise",
    )
    parser.add_argument("--workers", type=int, default=0, help="threads (default: as many as cores)")
    parser.add_argument(
        "--orientations",
        type=int,
        default=1,
        choices=(1, 4, 8),
        help="mean over so many orientations of each image, at so many times the cost (default: %(default)s)",
    )
    parser.add_argument(
        "--no-gate", action="store_true", help="do not check whether images are dermatoscopic"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Classify and write."""
    import cv2

    from core.serving.answer import REJECTED, Diagnoser
    from core.serving.batch import find_files
    from core.serving.heap import keep_freed
    from core.serving.output import RowWriter, check_ending
    from core.serving.overlay_folder import clear
    from core.serving.registry import Registry
    from core.serving.runtime import cores
    from core.serving.tables import valid_text

    check_ending(options.output)
    keep_freed()
    workers = _workers(options.workers) or cores()
    if workers > 1:
        cv2.setNumThreads(1)  # the images are shared out to the cores already
    registry = Registry.open()
    diagnoser = Diagnoser.open(
        registry, options.model, orientations=options.orientations, gate=not options.no_gate
    )
    if diagnoser.note:
        print(f"note: {diagnoser.note}", file=sys.stderr)
    linked: list[str] = []
    files = find_files(_paths(options), skip=_own_files(options), linked=linked)

    made_with, wanted = _made_with(registry, diagnoser, options), map(valid_text, files)
    with (
        _overlays(options, files) as overlays,  # before an earlier table gives way
        RowWriter(options.output, options.model, made_with, resume=options.resume, wanted=wanted) as writer,
    ):
        kept = writer.counts.copy()
        if overlays is not None and not options.resume:
            clear(overlays.folder, files)
        _classify(diagnoser, files, writer, overlays, workers)
    if overlays is not None:
        _tell_overlays(overlays, writer.counts - kept, kept.total())
    if linked:
        were = "folder was" if len(linked) == 1 else "folders were"
        print(f"note: {len(linked)} linked {were} not searched", file=sys.stderr)
    _tell_counts(options.output, writer.counts)
    return REJECTED_STATUS if writer.counts[REJECTED] else 0


def _classify(
    diagnoser: Diagnoser, files: list[str], writer: RowWriter, overlays: Overlays | None, workers: int
) -> None:
    """Write a row for every file that has none yet, behind a bar."""
    from tqdm import tqdm

    from core.serving.answer import REJECTED
    from core.serving.batch import rows
    from core.serving.tables import valid_text

    todo = [file for file in files if valid_text(file) not in writer.done]
    with tqdm(
        total=len(files),
        initial=len(files) - len(todo),
        desc=f"classifying with {diagnoser.model.name}",
        unit="image",
        mininterval=0.2 if sys.stderr.isatty() else 10,
    ) as bar:
        shown = 0
        for row in rows(diagnoser, todo, workers=workers, overlays=overlays):
            writer.write(row)
            bar.update()
            if row[2] == REJECTED and shown < _SHOWN:
                shown += 1
                _tell(bar, row)


def _made_with(registry: Registry, diagnoser: Diagnoser, options: argparse.Namespace) -> str:
    """What decides the rows besides the images, in words."""
    manifest = registry.manifest
    assert manifest is not None  # the model came from it
    parts = []
    for name in (options.model, *manifest.model(options.model).members):
        entry = manifest.model(name)
        file = manifest.files.get(entry.files.get("litert", ""))
        parts.append(f"{name} {file.sha256[:12] if file else ''} at temperature {entry.temperature:g}")
    return f"{', '.join(parts)}; orientations {options.orientations}; gate {_gate_of(manifest, diagnoser)}"


def _gate_of(manifest: Manifest, diagnoser: Diagnoser) -> str:
    """The gate's file, which decides what is judged at all."""
    from core.serving.gate import gate_key

    if diagnoser.gate is None:
        return "none"
    file = manifest.files.get(manifest.shared.get(gate_key(diagnoser.gate.model), ""))
    return f"{diagnoser.gate.model} {file.sha256[:12] if file else ''}"


def _workers(asked: int) -> int:
    from core.errors import UserError

    if not 0 <= asked <= 256:
        raise UserError(f"expected 1 to 256 workers, found {asked}")
    return asked


def _paths(options: argparse.Namespace) -> list[str]:
    """What is asked for, without the table of an earlier run or its journal, which a shell's `*` names as well.

    Raises:
        UserError: a path is empty, as a variable that is not set leaves it.
    """
    from core.errors import UserError
    from core.serving.output import is_table, own_files

    if "" in options.paths:
        raise UserError("expected an image or a folder, found an empty path")
    own = {os.path.realpath(path) for path in own_files(options.output)}
    others = [path for path in options.paths if os.path.realpath(path) not in own or not is_table(Path(path))]
    return others or options.paths


def _own_files(options: argparse.Namespace) -> list[Path]:
    """What this run writes, which is no input even when it lies in a searched folder.

    Of a folder of overlays that is itself to be searched, as a shell's `*` has it, what an earlier run left there.
    """
    from core.serving.output import own_files
    from core.serving.overlay_folder import left_in

    own, folder = own_files(options.output), options.explain
    return [*own, folder, *(folder / name for name in left_in(folder))] if folder else own


@contextmanager
def _overlays(options: argparse.Namespace, files: list[str]) -> Iterator[Overlays | None]:
    """The overlays that are asked for, once it is sure that no output takes the place of an input; their folder is
    this process's until the end."""
    from core.serving.batch import OVERLAY_INDEX, Overlays, keep_apart, overlay_names, read_index
    from core.serving.output import own_files
    from core.serving.overlay_folder import alone_in, left_in, planned

    keep_apart(files, own_files(options.output), "--output")
    folder = options.explain
    if folder is None:
        yield None
        return
    keep_apart(own_files(options.output), [folder / OVERLAY_INDEX], "--explain")
    known = read_index(folder) if options.resume else {}
    outputs = [folder / name for name in (OVERLAY_INDEX, *overlay_names(files, known).values())]
    keep_apart(files, outputs, "--explain")
    with alone_in(folder):
        known = read_index(folder) if options.resume else {}
        others = {path.name for path in folder.iterdir()} - left_in(folder)
        overlays = Overlays(folder, overlay_names(files, known, others), known)
        with planned(overlays):
            yield overlays


def _tell_overlays(overlays: Overlays, made: Counter[str], kept: int) -> None:
    """How many overlays there are, and who has none.

    Args:
        overlays: of this run.
        made: how many rows of this run have each status.
        kept: how many rows are of an earlier run.
    """
    from core.serving.answer import OUT_OF_DISTRIBUTION, REJECTED

    none = made[OUT_OF_DISTRIBUTION] + made[REJECTED]
    parts = [f"{_counted(len(overlays.drawn), 'overlay')} in {overlays.folder}"]
    if overlays.notes:
        parts.append(
            f"{_counted(len(overlays.notes), 'map')} {'is' if len(overlays.notes) == 1 else 'are'} zero"
        )
    if none:
        parts.append(f"none for {_counted(none, 'image')} out of distribution or rejected")
    if kept:
        parts.append(f"none drawn anew for {_counted(kept, 'row')} of an earlier run")
    print("; ".join(parts))
    for note in overlays.notes[:_SHOWN]:
        print(note, file=sys.stderr)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _tell_counts(output: Path, counts: Counter[str]) -> None:
    from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED

    print(
        f"{output}: {counts[OK]} ok, {counts[OUT_OF_DISTRIBUTION]} out of distribution, "
        f"{counts[REJECTED]} rejected"
    )


def _tell(bar: tqdm, row: tuple[object, ...]) -> None:
    """One line on the terminal for a rejected file, without breaking the bar."""
    from core.serving.tables import printable

    bar.write(f"rejected: {printable(str(row[0]))}: {printable(str(row[-1]), 400)}", file=sys.stderr)
