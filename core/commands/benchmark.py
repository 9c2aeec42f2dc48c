"""`python -m core benchmark`: what the models and the tools cost on this machine, beside the shipped figures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

from core.options import whole_number

if TYPE_CHECKING:
    from core.benchmark.rounds import Progress

SUBJECTS = {
    "models": "every model: parameters, multiply-adds, size, memory, latency; its network in Keras",
    "serving": "explaining graphs against plain ones, Keras and tf-keras-vis",
    "batch": "`predict` on 1,000 JPEGs against a loop of Keras",
    "app": "what people wait for in the dashboard",
}
ROUNDS = {"models": 30, "serving": 30, "batch": 3, "app": 3}
MOST_ROUNDS = 10_000


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    listed = "\n".join(
        fill(f"{name:<9}{what}; {ROUNDS[name]} rounds", 78, initial_indent="  ", subsequent_indent=" " * 11)
        for name, what in SUBJECTS.items()
    )
    parser = subparsers.add_parser(
        "benchmark",
        help="measure time, memory and size on this machine, beside the shipped figures",
        description="Measures in interleaved rounds on this machine. Ratios within one run are what\n"
        "counts: they are nearly the same on a slower machine, times are not. Close other\nprograms first.",
        epilog=f"subjects:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subject", nargs="?", default="models", choices=SUBJECTS, metavar="SUBJECT",
                        help=f"one of {', '.join(SUBJECTS)} (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="only this model, repeatable (models and serving: default all; batch: default student-int8)",
    )
    parser.add_argument("--rounds", type=whole_number(1, MOST_ROUNDS), metavar="N", help="default: see below")
    parser.add_argument(
        "--images", type=int, metavar="N", help="batch: so many as well (below 1,000: instead)"
    )
    parser.add_argument("--no-keras", action="store_true", help="leave out what needs tensorflow")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--save", action="store_true", help="store the figures in the artifacts, as the shipped ones"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, and with `--save` store."""
    from core.benchmark.bars import table
    from core.benchmark.hardware import busy
    from core.settings import artifacts_dir

    _check(options)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # tensorflow's notes would tear the progress bar apart
    if said := busy():
        print(f"note: {said}", file=sys.stderr)
    with _bar() as progress:
        found, text, bars, notes = _MEASURE[options.subject](options, progress)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if options.json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(f"{found['hardware']}\n\n{text}\n\n{table(bars)}".replace("\n\n\n\n", "\n\n"))
    if options.save:
        from core.benchmark.store import save

        path = save(artifacts_dir(), options.subject, found)
        print(f"stored in {path}", file=sys.stderr if options.json else sys.stdout)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that the subject has no use for, and storing half of the models.

    Raises:
        UserError: what is misused.
    """
    from core.errors import UserError

    if options.images is not None and options.subject != "batch":
        raise UserError(f"expected --images with the subject batch, found it with {options.subject}")
    if options.model and options.subject == "app":
        raise UserError("expected no --model with the subject app, which asks the dashboard's own choice")
    if options.no_keras and options.subject == "app":
        raise UserError("expected no --no-keras with the subject app, which runs without Keras")
    if len(options.model) > 1 and options.subject == "batch":
        raise UserError(f"expected one --model with the subject batch, found {len(options.model)}")
    if options.save and (options.model or options.no_keras) and options.subject in ("models", "serving"):
        raise UserError(
            "expected --save with all that there is to measure, found it with --model or --no-keras: "
            "figures of different runs do not belong together"
        )
    if options.save and options.subject == "batch":
        _check_whole_batch(options)
    if options.save and options.subject == "app":
        _check_browser()


def _check_browser() -> None:
    """Refuse to replace what a browser measured by what is measured without one, which leaves out half of the wait."""
    from core.benchmark.by_apptest import HOW
    from core.benchmark.by_browser import find
    from core.benchmark.store import stored
    from core.errors import UserError
    from core.serving.registry import Registry

    manifest = Registry.open().manifest
    section = stored(manifest).get("app") if manifest else None
    how = section.get("how") if isinstance(section, dict) else None
    if how and how != HOW and find() is None:
        raise UserError(
            f"expected a browser with --save, since the stored figures were measured with {how}, found none: they "
            "would be lost; install requirements-dev.txt and Chromium, or measure without --save"
        )


def _check_whole_batch(options: argparse.Namespace) -> None:
    from core.benchmark.batch import IMAGES, MODEL
    from core.errors import UserError

    if options.model not in ([], [MODEL]):
        raise UserError(
            f"expected --save with {MODEL}, which the stored figures are of, found it with --model "
            f"{options.model[0]}: they would be lost"
        )
    if options.no_keras or (options.images is not None and options.images < IMAGES):
        raise UserError(
            f"expected --save with {IMAGES:,} images or more, and Keras' loop beside them, found it with "
            f"{'--no-keras' if options.no_keras else f'--images {options.images}'}: the stored figures would be lost"
        )


_Measured = tuple[dict[str, Any], str, list, list]
"""JSON, table, bars, notes."""


def _models(options: argparse.Namespace, progress: Progress) -> _Measured:
    from dataclasses import replace

    from core.benchmark.models import measure_models
    from core.benchmark.report import models_table
    from core.benchmark.store import stored
    from core.evaluation.latency import outdated
    from core.serving.registry import Registry

    registry = Registry.open()
    found = measure_models(registry, options.model, rounds=_of(options), with_keras=not options.no_keras,
                           progress=progress)  # fmt: skip
    shipped = stored(registry.manifest) if registry.manifest else {}
    # Where another subject alone was stored, the file has a machine for it and none for the models.
    head = f"shipped: {shipped.get('hardware') or 'nothing was stored yet'}\n\n"
    # Bars on some of the models would say of the others that they were not measured.
    if options.model:
        found = replace(found, bars=())
    others = outdated(registry.manifest, shipped.get("models", {})) if registry.manifest else ()
    table = models_table(found, shipped, others)
    return found.to_dict(), head + table, list(found.bars), list(found.notes)


def _serving(options: argparse.Namespace, progress: Progress) -> _Measured:
    from core.benchmark.report import serving_table
    from core.benchmark.serving import measure_serving
    from core.serving.registry import Registry

    found = measure_serving(Registry.open(), options.model, rounds=_of(options),
                            with_keras=not options.no_keras, progress=progress)  # fmt: skip
    return found.to_dict(), serving_table(found), list(found.bars), list(found.notes)


def _batch(options: argparse.Namespace, progress: Progress) -> _Measured:
    from core.artifacts import load_manifest
    from core.benchmark.batch import MODEL, counts, measure_batch
    from core.benchmark.report import batch_table

    found = measure_batch(load_manifest(), model=options.model[0] if options.model else MODEL,
                          images=counts(options.images), rounds=_of(options),
                          with_keras=not options.no_keras, progress=progress)  # fmt: skip
    return found.to_dict(), batch_table(found), found.bars(), list(found.notes)


def _app(options: argparse.Namespace, progress: Progress) -> _Measured:
    from core.benchmark.app import measure_app

    found = measure_app(rounds=_of(options), progress=progress)
    return found.to_dict(), f"measured with {found.how}", found.bars(), []


_MEASURE = {"models": _models, "serving": _serving, "batch": _batch, "app": _app}


def _of(options: argparse.Namespace) -> int:
    return options.rounds or ROUNDS[options.subject]


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar on the terminal, as a callback."""
    from tqdm import tqdm

    with tqdm(desc="measuring", unit="step", mininterval=0.2 if sys.stderr.isatty() else 10) as bar:

        def progress(done: int, total: int, what: str) -> None:
            bar.total = total
            bar.n = done
            bar.set_postfix_str(what, refresh=False)
            bar.refresh() if sys.stderr.isatty() or done == total else bar.update(0)

        yield progress
