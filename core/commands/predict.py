"""`python -m core predict`: images and folders -> a table of diagnoses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

    from core.serving.answer import Diagnoser
    from core.serving.batch import Overlays
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
        "paths", nargs="+", metavar="PATH", help="an image, or a folder to search recursively"
    )
    parser.add_argument(
        "--model", default="student", help="see `python -m core models` (default: %(default)s)"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="FILE.csv or FILE.parquet")
    parser.add_argument(
        "--explain", type=Path, metavar="DIR", help="write each top class's map there, as PNG"
    )
    parser.add_argument("--resume", action="store_true", help="keep FILE's rows and classify what it lacks")
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
    from tqdm import tqdm

    from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED, Diagnoser
    from core.serving.batch import find_files, overlay_names, rows
    from core.serving.heap import keep_freed
    from core.serving.output import RowWriter
    from core.serving.registry import Registry
    from core.serving.runtime import cores
    from core.serving.tables import valid_text

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
    files = find_files(options.paths, skip=_own_files(options))
    overlays = _overlays(options.explain, overlay_names(files)) if options.explain else None

    made_with = _made_with(registry, diagnoser, options)
    with RowWriter(options.output, options.model, made_with, resume=options.resume) as writer:
        todo = [file for file in files if valid_text(file) not in writer.done]
        with tqdm(
            total=len(files),
            initial=len(files) - len(todo),
            desc=f"classifying with {options.model}",
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
    counts = writer.counts
    if overlays is not None:
        print(
            f"overlays in {overlays.folder}"
            + (f"; {len(overlays.notes)} maps are zero" if overlays.notes else "")
        )
        for note in overlays.notes[:_SHOWN]:
            print(note, file=sys.stderr)
    print(
        f"{options.output}: {counts[OK]} ok, {counts[OUT_OF_DISTRIBUTION]} out of distribution, "
        f"{counts[REJECTED]} rejected"
    )
    return REJECTED_STATUS if counts[REJECTED] else 0


def _made_with(registry: Registry, diagnoser: Diagnoser, options: argparse.Namespace) -> str:
    """What decides the rows besides the images, in words."""
    manifest = registry.manifest
    assert manifest is not None  # the model came from it
    parts = []
    for name in (options.model, *manifest.model(options.model).members):
        entry = manifest.model(name)
        file = manifest.files.get(entry.files.get("litert", ""))
        parts.append(f"{name} {file.sha256[:12] if file else ''} at temperature {entry.temperature:g}")
    return f"{', '.join(parts)}; orientations {options.orientations}; gate {bool(diagnoser.gate)}"


def _workers(asked: int) -> int:
    from core.errors import UserError

    if not 0 <= asked <= 256:
        raise UserError(f"expected 1 to 256 workers, found {asked}")
    return asked


def _own_files(options: argparse.Namespace) -> list[Path]:
    """What this run writes, which is no input even when it lies in a searched folder."""
    from core.serving.output import own_files

    return [*own_files(options.output), *([options.explain] if options.explain else [])]


def _overlays(folder: Path, names: dict[str, str]) -> Overlays:
    from core.serving.batch import OverlayError, Overlays

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OverlayError(
            f"{folder}: expected to make this folder, found: {error.strerror or error}"
        ) from error
    return Overlays(folder, names)


def _tell(bar: tqdm, row: tuple[object, ...]) -> None:
    """One line on the terminal for a rejected file, without breaking the bar."""
    from core.serving.tables import printable

    bar.write(f"rejected: {printable(str(row[0]))}: {printable(str(row[-1]), 400)}", file=sys.stderr)
