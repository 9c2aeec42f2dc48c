"""`python -m core train`: a teacher, or the baseline, from labels alone."""

from __future__ import annotations

import argparse


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("train", help="train a network on HAM10000 from its labels")
    parser.add_argument("--network", required=True, help="resnet50, densenet169 or mobilenetv2")
    parser.add_argument("--name", help="name of the run and of the model (default: the network's)")
    add_training_options(parser)
    parser.set_defaults(run=run)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options that `train` and `distill` share."""
    parser.add_argument("--recipe", default="tuned", help="report or tuned (default: %(default)s)")
    parser.add_argument("--init", help="initial weights: imagenet, or a .weights.h5 file (default: none)")
    parser.add_argument("--init-note", help="where the initial weights come from and under which terms")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a recipe's field")
    parser.add_argument(
        "--stages", metavar="EPOCHSxSIZE,...", help="replace the recipe's stages, e.g. 4x128,2x224 (head4x128: head only)"
    )
    parser.add_argument("--split", choices=("lesion", "report"), help="replace the recipe's split")
    parser.add_argument("--seed", type=int, help="replace the recipe's seed")
    parser.add_argument("--limit", type=int, help="use at most so many images, to try the command out")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment images (default: %(default)s)")
    parser.add_argument("--restart", action="store_true", help="forget the run's checkpoint")
    parser.add_argument("--tensorboard", metavar="DIR", help="write TensorBoard logs there")
    parser.add_argument("--no-publish", action="store_true", help="leave the artifacts folder as it is")


def run(options: argparse.Namespace) -> int:
    """Train and publish."""
    from core.training.launch import run_recipe
    from core.training.recipes import customised, recipe_for

    recipe = customised(recipe_for(options.recipe, options.network), options.set, options.stages, options.split, options.seed)
    finished = run_recipe(
        options.name or options.network,
        recipe,
        init=options.init,
        restart=options.restart,
        limit=options.limit,
        workers=options.workers,
    )
    print(f"best epoch {finished.progress.best_epoch}; weights and history in {finished.folder}")
    return 0
