"""`python -m core train`: a teacher, or the baseline, from labels alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.options import whole_number

if TYPE_CHECKING:
    from core.training.recipes import Recipe
    from core.training.teachers import Teacher


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser("train", help="train a network on HAM10000 from its labels")
    parser.add_argument("--network", required=True, help="resnet50, densenet169 or mobilenetv2")
    parser.add_argument(
        "--name", help="name of the run and of the model (default: the network's; baseline for mobilenetv2)"
    )
    add_training_options(parser)
    parser.set_defaults(run=run)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options that `train` and `distill` share."""
    parser.add_argument("--recipe", default="tuned", help="report or tuned (default: %(default)s)")
    parser.add_argument(
        "--init",
        help="initial weights: imagenet, a .weights.h5 file, or a trained model's .npz (default: none)",
    )
    parser.add_argument("--init-note", help="where the initial weights come from and under which terms")
    parser.add_argument("--split", choices=("lesion", "report"), help="replace the recipe's split")
    parser.add_argument("--seed", type=int, help="replace the recipe's seed")
    add_running_options(parser)


def add_running_options(parser: argparse.ArgumentParser) -> None:
    """The options that these and `prune` share."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a recipe's field"
    )
    parser.add_argument(
        "--stages",
        metavar="EPOCHSxSIZE,...",
        help="replace the recipe's stages, e.g. 4x128,2x224 (head4x128: head only)",
    )
    parser.add_argument(
        "--limit",
        type=whole_number(1),
        help="use at most so many images and publish nothing, to try the command out",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(0),
        default=1,
        help="processes that augment images (default: %(default)s)",
    )
    parser.add_argument("--restart", action="store_true", help="forget the run's checkpoint")
    parser.add_argument("--tensorboard", metavar="DIR", help="write TensorBoard logs there")
    parser.add_argument("--no-publish", action="store_true", help="leave the artifacts folder as it is")


def run(options: argparse.Namespace) -> int:
    """Train from labels and publish: a teacher, or `baseline` for the student's network."""
    from core.training.recipes import recipe_for

    recipe = chosen_recipe(options, recipe_for(options.recipe, options.network))
    name = options.name
    if name is None:
        name = "baseline" if options.network == "mobilenetv2" else options.network
    return train_and_publish(options, name, recipe)


def chosen_recipe(options: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe with what the command line replaces."""
    from core.training.recipes import customised

    return customised(recipe, options.set, options.stages, options.split, options.seed)


def train_and_publish(
    options: argparse.Namespace, name: str, recipe: Recipe, teachers: list[Teacher] | None = None
) -> int:
    """Run the recipe to its end and enter the model in the manifest."""
    from core.evaluation.origin import check_place_at_hand
    from core.training.launch import run_recipe
    from core.training.publish import publish

    if not (options.no_publish or options.limit):
        check_place_at_hand(name)
    finished = run_recipe(
        name,
        recipe,
        init=options.init,
        init_note=options.init_note,
        teachers=teachers,
        restart=options.restart,
        limit=options.limit,
        workers=options.workers,
        on_epoch=tensorboard(options.tensorboard, name),
    )
    progress = finished.progress
    print(
        f"{name}: best epoch {progress.best_epoch} of {progress.epoch}; weights and history in {finished.folder}"
    )
    if options.no_publish or options.limit:
        say_unpublished(options)
        return 0
    manifest = publish(finished.folder, name, recipe, finished.network, progress.seconds, progress.best_epoch)
    print(f"published as {name} in {manifest.folder}; next: python -m core compress --model {name}")
    return 0


def say_unpublished(options: argparse.Namespace) -> None:
    """That a trial changed nothing, where nobody asked for that by name."""
    if options.limit and not options.no_publish:
        print("not published: --limit is for a trial")


def tensorboard(folder: str | None, name: str) -> Callable[[dict], None] | None:
    """A writer of each epoch's figures, on request; TensorBoard's own, which works without tensorflow too."""
    if folder is None:
        return None
    from tensorboard.summary import Writer

    place = Path(folder, name)
    place.mkdir(parents=True, exist_ok=True)
    writer = Writer(str(place))

    def write(row: dict) -> None:
        for key, value in row.items():
            if isinstance(value, float):
                writer.add_scalar(key, value, row["epoch"])
        writer.flush()

    return write
