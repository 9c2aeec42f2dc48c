"""`python -m core ablate`: the experiments of the distillation lab, short runs on two cores, into one table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.lab.plan import GROUPS
from core.options import SEED_BOUND, amount, whole_number

if TYPE_CHECKING:
    from core.ablation.protocol import Protocol
    from core.ablation.run import Laboratory
    from core.lab.variants import Variant


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "ablate",
        help="run the distillation lab's experiments",
        description="Train what is left of the declared runs, those that matter most first, and enter each into "
        "artifacts/ablation.csv. May be killed at any moment and started again; finished runs are skipped. A run "
        "whose teachers, images or recipe have changed since is made again.",
    )
    parser.add_argument(
        "--group", default="all", help=f"{', '.join(GROUPS)}, several by comma, or all (default)"
    )
    parser.add_argument("--seeds", default="1,2,3", help="seeds by comma (default: %(default)s)")
    parser.add_argument("--limit-minutes", type=amount, help="begin no run that would end later than that")
    parser.add_argument(
        "--list", action="store_true", help="say which runs there are and train none; needs the dataset, too"
    )
    parser.add_argument(
        "--forget", metavar="RUN", nargs="+", help="take runs out of the table, and train none"
    )
    parser.add_argument(
        "--init",
        action="append",
        default=[],
        metavar="NETWORK=FILE",
        help="ImageNet weights of mobilenetv2 or resnet50, for what Keras would download otherwise",
    )
    parser.add_argument("--init-note", help="where these come from and under which terms")
    parser.add_argument(
        "--epochs",
        type=whole_number(1),
        help="another budget, to try the command out; its table is no artifact",
    )
    parser.add_argument("--limit", type=whole_number(1), help="at most so many images of each part, likewise")
    parser.add_argument(
        "--workers", type=whole_number(0), default=1, help="processes that make views (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, list or forget."""
    variants = chosen(options.group, options.seeds)
    # Only now what takes seconds to import.
    from core.ablation.protocol import initial_files
    from core.ablation.run import Laboratory, Place, forget, run_all
    from core.training.batches import ViewMaker

    protocol = _protocol(options)
    if options.forget:
        place = Place.of(protocol)
        gone = forget(place, options.forget)
        print(f"forgotten: {', '.join(gone) or 'only what was under way'}; the table is {place.table}")
        return 0
    with ViewMaker(options.workers) as maker:
        laboratory = Laboratory(protocol, initial_files(options.init), options.init_note, maker)
        if options.list:
            _print_list(laboratory, variants)
            return 0
        left = run_all(laboratory, variants, options.limit_minutes, lambda line: print(line, flush=True))
    _print_end(laboratory, variants, left)
    return 0


def chosen(groups: str, seeds: str) -> list[Variant]:
    """The runs of `--group` and `--seeds`.

    Raises:
        UserError: there is no such group, or a seed is no number that NumPy can begin with.
    """
    from core.errors import UserError
    from core.lab.plan import plan

    names = list(GROUPS) if groups == "all" else groups.split(",")
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise UserError(f"--group: expected some of {', '.join(GROUPS)} or all, found {unknown[0]!r}")
    if not all(seed.isdecimal() and int(seed) < SEED_BOUND for seed in seeds.split(",")):
        raise UserError(f"--seeds: expected whole numbers below {SEED_BOUND:,} by comma, found {seeds!r}")
    numbers = [int(seed) for seed in seeds.split(",")]
    return list(dict.fromkeys(variant for name in names for variant in plan(name, numbers)))


def _protocol(options: argparse.Namespace) -> Protocol:
    from core.ablation.protocol import Protocol

    changes = {"limit": options.limit} | ({"epochs": options.epochs} if options.epochs else {})
    return Protocol(**changes)


def _print_list(laboratory: Laboratory, variants: list[Variant]) -> None:
    from core.ablation.answers import missing_teacher
    from core.ablation.run import OUTDATED
    from core.lab.plan import groups_of
    from core.text import table

    found = {outcome.variant.name: outcome for outcome in laboratory.place.read()}
    rows = []
    for variant in variants:
        outcome, teacher = found.get(variant.name), missing_teacher(variant)
        state = laboratory.state(variant, found) + (f" for {teacher}" if teacher else "")
        accuracy, balanced = "", ""
        if outcome is not None:
            accuracy = f"{outcome.figures['test_accuracy']:.4f}"
            balanced = f"{outcome.figures['test_balanced_accuracy']:.4f}"
        rows.append((variant.name, "+".join(groups_of(variant)), state, accuracy, balanced))
    print(table(("run", "groups", "state", "accuracy", "balanced"), rows, indent=""))
    if any(row[2] == OUTDATED for row in rows):
        print(
            f"{OUTDATED}: made from other initial weights (--init), by teachers that learned further since, or by "
            "another recipe; without --list such a run is made again"
        )


def _print_end(laboratory: Laboratory, variants: list[Variant], left: list[Variant]) -> None:
    from core.ablation.answers import missing_teacher

    teachers = sorted({name for variant in variants if (name := missing_teacher(variant))})
    waiting = sum(missing_teacher(variant) is not None for variant in variants)
    if teachers:
        print(f"{waiting} runs wait for {', '.join(teachers)}; train it and start this command again")
    done = len(variants) - len(left) - waiting
    print(f"{done} of {len(variants)} runs are in {laboratory.place.table}")
