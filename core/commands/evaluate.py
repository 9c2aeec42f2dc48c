"""`python -m core evaluate`: figures of merit of the trained models, into the manifest."""

from __future__ import annotations

import argparse
import math
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.options import whole_number

if TYPE_CHECKING:
    from core.data.ham10000 import Dataset
    from core.evaluation.assess import Assessment
    from core.evaluation.evaluate import Figures
    from core.evaluation.intervals import Interval
    from core.evaluation.refresh import Refreshed

SOME_REFUSED = 3

LEAST_RESAMPLES = 100
"""Fewer have no 2.5% tail to speak of."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="recompute the figures of the trained models from their predictions",
        description="Asks the shipped files of models that have no predictions yet (with HAM10000 at hand). Then, from "
        "the predictions in the artifacts folder: temperature and operating point on "
        "validation, figures of merit of validation and test with 95% intervals over lesions, cohorts (with "
        "HAM10000 at hand), the ensemble. Writes them into the manifest.",
        epilog="exit status: 0 every model was evaluated, 3 some were refused, 2 misused",
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="only this model, repeatable (default: all)"
    )
    parser.add_argument(
        "--again", action="store_true", help="ask models again that have predictions (needs HAM10000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument(
        "--resamples",
        type=whole_number(LEAST_RESAMPLES),
        default=2000,
        help="of the bootstrap (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, write, print."""
    import sys

    from tqdm import tqdm

    from core.artifacts import load_manifest
    from core.evaluation.origin import drawn_sentence
    from core.evaluation.refresh import refresh
    from core.files import check_json_target, write_json
    from core.settings import artifacts_dir

    folder = artifacts_dir()
    if options.json:
        check_json_target(options.json, [folder])
    dataset, note = _dataset(folder, options.model)
    records = None if dataset is None else dataset.records
    _ask(options, folder, dataset, note)
    with tqdm(desc="evaluating", unit=" models", disable=not sys.stderr.isatty()) as bar:

        def progress(name: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update(done - bar.n)
            bar.refresh()

        refreshed = refresh(
            folder, options.model, records=records, resamples=options.resamples, progress=progress
        )
    for name, reason in refreshed.refused.items():
        print(f"refused: {name}: {reason}", file=sys.stderr)
    for name in _without_answers(folder) if not options.model else ():
        print(
            f"left out: {name}: no predictions and no LiteRT file to ask; python -m core compress --model {name}",
            file=sys.stderr,
        )
    print(report(refreshed))
    if drawn := drawn_sentence(load_manifest(folder)):
        print(f"\n{drawn}")
    if note:
        print(f"\nCohorts were not computed: {note}")
    if options.json:
        write_json(options.json, refreshed.to_dict())
        print(f"\nAll figures are in {options.json}")
    if refreshed.assessments:
        print(f"\nThe figures are in {folder / 'manifest.json'}")
    return SOME_REFUSED if refreshed.refused else 0


def _dataset(folder: Path, names: list[str] | None) -> tuple[Dataset | None, str]:
    """What the models that are asked for (None: all) were made from, or None and why it is not there."""
    from core.artifacts import load_manifest
    from core.data.findings import DatasetError
    from core.data.ham10000 import open_dataset
    from core.evaluation.origin import check_origin

    try:
        dataset = open_dataset()
    except DatasetError as error:
        return None, str(error)
    manifest = load_manifest(folder)
    try:
        for name in manifest.models if names is None else manifest.models.keys() & names:
            check_origin(manifest, name, dataset)
    except UserError as error:
        return None, str(error)
    return dataset, ""


def _ask(options: argparse.Namespace, folder: Path, dataset: Dataset | None, note: str) -> None:
    """Predictions of the models that have none yet, from the very files that are served."""
    from core.artifacts import load_manifest
    from core.evaluation import ensemble
    from core.serving.survey import survey_missing

    if dataset is None:
        if options.again:
            raise UserError(f"--again: expected HAM10000 at hand; {note}")
        return
    names = options.model
    if names and ensemble.NAME in names:  # It says what its members say, who are asked in its place.
        stored = load_manifest(folder).models.get(ensemble.NAME)
        members = stored.members if stored and options.again else ()
        names = list(dict.fromkeys([*(name for name in names if name != ensemble.NAME), *members]))
    for name in survey_missing(folder, dataset, names, again=options.again):
        print(f"{name}: asked about every validation and test image")


def _without_answers(folder: Path) -> list[str]:
    """Trained models that were never converted, which nothing can be said of."""
    from core.artifacts import load_manifest

    models = load_manifest(folder).models
    return [
        name
        for name, entry in models.items()
        if "weights" in entry.files and not {"predictions", "litert"} & set(entry.files)
    ]


def report(refreshed: Refreshed) -> str:
    """The table that people read."""
    assessments = refreshed.assessments.values()
    if not assessments:
        return "No model was evaluated."
    lines = []
    for part in ("validation", "test"):
        # Models of another split have other images, hence a table and a majority of their own.
        tables: dict[tuple[int, int, float], dict[str, Figures]] = {}
        for assessment in assessments:
            figures: Figures = getattr(assessment, part)
            key = (figures.n_images, figures.n_lesions, figures.majority_share)
            tables.setdefault(key, {})[assessment.model] = figures
        for models in tables.values():
            lines += [*_table(part, models), ""]
    lines += [_calibration_line(assessment) for assessment in assessments]
    for c in refreshed.comparisons:
        lines.append(
            f"{c.first} - {c.second} on test: accuracy {_signed(c.differences['accuracy'])}, balanced accuracy "
            f"{_signed(c.differences['balanced_accuracy'])}, McNemar mid-p {c.mcnemar.p_mid:.3g}"
        )
    return "\n".join(lines)


def _table(part: str, models: dict[str, Figures]) -> list[str]:
    columns = {
        "accuracy": lambda f: f.intervals["accuracy"].text(),
        "balanced accuracy": lambda f: f.intervals["balanced_accuracy"].text(),
        "macro F1": lambda f: f.intervals["macro_f1"].text(),
        "macro AUC": lambda f: f.intervals["macro_auc"].text(),
        "mel sensitivity": lambda f: f.classes["mel"].intervals["sensitivity"].text(),
        "ECE": lambda f: f"{f.intervals['ece_before'].value:.3f} -> {f.intervals['ece_after'].text()}",
    }
    first = next(iter(models.values()))
    rows = [["", *columns]]
    for name, figures in models.items():
        mark = ["COLLAPSED"] if figures.collapsed else []
        rows.append([name, *(cell(figures) for cell in columns.values()), *mark])
    rows.append([f"always {first.majority}", f"{first.majority_share:.3f}"])
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    heading = f"{part}: {first.n_images} images of {first.n_lesions} lesions, 95% intervals over lesions"
    body = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return [heading, *(line.rstrip() for line in body)]


def _calibration_line(assessment: Assessment) -> str:
    line = f"{assessment.model}: temperature {assessment.temperature:.3f}"
    point = assessment.operating_point
    if point is None:
        return f"{line}; no malignant image in validation, hence no operating point"
    return (
        f"{line}; malignant at {point.threshold:.3f} or above: sensitivity {point.test.sensitivity.text()}, "
        f"specificity {point.test.specificity.text()} on test"
    )


def _signed(interval: Interval) -> str:
    if math.isnan(interval.low) or math.isnan(interval.high):
        return f"{interval.value:+.3f} [no interval]"
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
