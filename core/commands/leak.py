"""`python -m core leak`: what the report's split, which tests on trained lesions, adds to a recipe's figures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from core.data.ham10000 import Dataset
    from core.evaluation.leak import Pair


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "leak",
        help="measure what the report's split adds to a recipe's figures",
        description="Takes the finished runs NAME-lesion and NAME-report of one recipe, asks each about the test "
        "images of its own split, and compares them, with 95% intervals over lesions: as a whole, and apart for "
        "lesions of which the dataset has several images, which leak, and for those with one. Needs HAM10000.",
        epilog="the runs: python -m core train --network mobilenetv2 --name NAME-report --split report --no-publish, "
        "and the same with lesion; distilled ones with core distill and the teachers TEACHER-report and "
        "TEACHER-lesion",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of the runs (default: resnet50 and student)"
    )
    parser.add_argument(
        "--save",
        action="store_true",
        help="store the figures in the artifacts folder, in the place of those there",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask, measure, print; with `--save` store."""
    from core.data.ham10000 import check_lesions, open_dataset
    from core.errors import UserError
    from core.evaluation.leak import sentence
    from core.evaluation.leak_file import save_pairs
    from core.settings import artifacts_dir, runs_dir

    dataset = open_dataset()
    if options.save and dataset.is_synthetic:
        raise UserError("--save: expected HAM10000, found synthetic lesions; their leak would stand for it")
    check_lesions(dataset)
    pairs = [_pair(runs_dir(), name, dataset) for name in options.names or ["resnet50", "student"]]
    print(report(pairs))
    print(f"\n{sentence(pairs)}")
    if options.save:
        print(f"The figures are in {save_pairs(artifacts_dir(), pairs)}")
    return 0


def _pair(runs: Path, name: str, dataset: Dataset) -> Pair:
    from core.data.splits import SPLITS, assign
    from core.evaluation.leak import check_pair, measure_pair
    from core.training.tested import answer_test, run_facts

    folders = {split: runs / f"{name}-{split}" for split in SPLITS}
    trained = {split: int((assign(dataset.records, split) == "train").sum()) for split in SPLITS}
    facts = {split: run_facts(folder, trained[split]) for split, folder in folders.items()}
    check_pair(name, facts)  # before the minutes that the answers take
    answers = {split: answer_test(folders[split], facts[split]["recipe"], dataset) for split in SPLITS}
    return measure_pair(name, answers, facts, dataset.records)


def report(pairs: list[Pair]) -> str:
    """The table that people read."""
    from core.evaluation.leak import FIGURES, GROUPS
    from core.text import table

    rows: list[tuple[str, ...]] = []
    for pair in pairs:
        for side in pair.sides.values():
            figures = [side.figures[key].text() for key in FIGURES]
            groups = [side.groups[key].accuracy.text() for key in GROUPS]
            counts = (f"{side.images:,}", f"{side.groups['several'].trained:,}")
            rows.append((side.run, *counts, *figures, *groups))
        rows.append(
            (f"{pair.name}: difference", "", "", *(pair.gain[key].text() for key in (*FIGURES, *GROUPS)))
        )
    header = ("run", "test images", "of trained lesions", *FIGURES.values(), *GROUPS.values())
    return table(header, rows, indent="")
