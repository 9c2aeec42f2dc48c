"""`python -m core distill`: the student, from labels and its teachers' answers."""

from __future__ import annotations

import argparse

from core.commands.train import add_training_options, chosen_recipe, train_and_publish


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
    parser.add_argument("--temperature", type=float, help="T of the soft labels")
    parser.add_argument("--alpha", type=float, help="weight of the soft term, 0 to 1")
    parser.add_argument(
        "--average", choices=("logits", "probabilities"), help="what of the teachers is averaged"
    )
    parser.add_argument("--teacher-size", type=int, help="side of the teachers' input in pixels")
    add_training_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Distil and publish."""
    from core.training.recipes import Distillation, distilled, recipe_for
    from core.training.taught_by import load_teachers

    given = {
        key: getattr(options, key)
        for key in ("temperature", "alpha", "average", "teacher_size")
        if getattr(options, key) is not None
    }
    distillation = Distillation(teachers=tuple(options.teachers.split(",")), **given)
    plain = recipe_for(options.recipe, options.network, taught=True)
    recipe = chosen_recipe(options, distilled(plain, distillation))
    return train_and_publish(options, options.name, recipe, load_teachers(distillation.teachers))
