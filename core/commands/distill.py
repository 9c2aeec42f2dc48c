"""`python -m core distill`: the student, from labels and its teachers' answers."""

from __future__ import annotations

import argparse

from core.commands.train import add_training_options, chosen_recipe, train_and_publish
from core.lab.variants import REPORT_ALPHA, REPORT_TEMPERATURE

REPORT = {"temperature": REPORT_TEMPERATURE, "alpha": REPORT_ALPHA, "average": "probabilities"}
"""How the report distils: the mean of its teachers' outputs, with its T and alpha."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser("distill", help="distil trained teachers into the student")
    parser.add_argument(
        "--network", default="mobilenetv2", help="the network that is taught (default: %(default)s)"
    )
    parser.add_argument(
        "--name", default="student", help="name of the run and of the model (default: %(default)s)"
    )
    parser.add_argument(
        "--teachers", default="resnet50,densenet169", help="trained models, by comma (default: %(default)s)"
    )
    # The defaults are those of `Distillation`, which takes too long to import for a help text; a test compares them.
    parser.add_argument(
        "--temperature",
        type=float,
        help=f"T of the soft labels (default: 2; with --recipe report: {REPORT['temperature']:g})",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        help=f"weight of the soft term, 0 to 1 (default: 0.7; with --recipe report: {REPORT['alpha']:g})",
    )
    parser.add_argument(
        "--average",
        choices=("logits", "probabilities"),
        help=f"what of the teachers is averaged (default: logits; with --recipe report: {REPORT['average']})",
    )
    parser.add_argument(
        "--teacher-size",
        type=int,
        help="side of the teachers' input in pixels where they answer ahead, of as many views as the recipe has "
        "(default: 224); where views never repeat, they see what the student sees",
    )
    parser.add_argument(
        "--teacher-statistics",
        choices=("own", "views"),
        help="of batch normalisation: the teachers' own, or measured anew on augmented views, which those need whose "
        "own were measured on images as they are served (default: own)",
    )
    add_training_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Distil and publish."""
    import sys

    from core.training.recipes import Distillation, distilled, recipe_for
    from core.training.taught_by import load_teachers

    given = {
        key: getattr(options, key)
        for key in ("temperature", "alpha", "average", "teacher_size", "teacher_statistics")
        if getattr(options, key) is not None
    }
    defaults = REPORT if options.recipe == "report" else {}
    distillation = Distillation(teachers=tuple(options.teachers.split(",")), **(defaults | given))
    plain = recipe_for(options.recipe, options.network, taught=True)
    recipe = chosen_recipe(options, distilled(plain, distillation))
    if recipe.views is None and options.teacher_size is not None:
        print("note: --teacher-size decides nothing: views never repeat, and teachers see the student's own",
              file=sys.stderr)  # fmt: skip
    for_trial = bool(options.limit or options.no_publish)
    teachers = load_teachers(distillation.teachers, for_trial=for_trial)
    return train_and_publish(options, options.name, recipe, teachers)
