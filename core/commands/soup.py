"""`python -m core soup`: the mean of the weights of several trainings of one network, published as a model."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from core.commands.train import say_unpublished
from core.options import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import keras

    from core.training.checkpoint import Progress
    from core.training.loop import TrainingData
    from core.training.recipes import Recipe
    from core.training.soup import Ingredient


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "soup",
        help="average the weights of several trainings of one network",
        description="Averages a finished run's weights with those of others, as long as validation images are "
        "recognised no worse, and publishes the mean (or the best run alone where no mean is as good) with the run's "
        "recipe and history, or where that run is left out those of one that is part of it (Wortsman et al., Model "
        "soups, ICML 2022). Test images take no part.",
    )
    parser.add_argument("run_name", metavar="RUN", help="a finished run")
    parser.add_argument(
        "others", metavar="OTHER", nargs="+", help="other runs of the same network, or their .npz files"
    )
    parser.add_argument("--name", required=True, help="name of the model that is published")
    parser.add_argument(
        "--limit",
        type=whole_number(1),
        help="validate on at most so many images and publish nothing, for a trial",
    )
    parser.add_argument(
        "--no-publish",
        action="store_true",
        help="leave the artifacts folder as it is; the mean is a run then",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Average, print, publish."""
    import keras

    from core.settings import runs_dir
    from core.training import launch
    from core.training.recipes import Recipe
    from core.training.scores import shown
    from core.training.soup import cook, keep_mean, settling, validation_of
    from core.training.trials import read_finished

    launch.check_name(options.name)
    folder = runs_dir() / options.run_name
    progress, stored = read_finished(folder)
    recipe = Recipe.from_dict(stored)
    settled = recipe.served_statistics
    files = {options.run_name: folder / "best.npz"} | _others(options.others)
    _check(options, folder, files, recipe.split)
    data = launch.load_training_data(recipe.split)
    _check_same_images(folder, files, data)
    keras.config.set_dtype_policy(recipe.precision)
    network = launch.build(recipe.network)
    validate = validation_of(network, launch.limited(data, options.limit))
    settle = settling(network, data, recipe)
    ingredients, figures = cook(network, recipe.network, files, validate, settle)
    for one in ingredients:
        print(f"{'+' if one.used else ' '} {one.name}: {shown(one.figures)}")
    print(f"= {shown(figures)}")
    if options.limit:
        say_unpublished(options)
        return 0
    used = [one.name for one in ingredients if one.used]
    if len(used) < 2:
        print(f"no mean is as good as its best part: {used[0]} alone is kept")
    if options.run_name not in used:
        folder, progress, recipe = _run_among([files[name] for name in used])
        print(f"{options.run_name} is no part of it: recipe and history are those of {folder.name}")
    if len(used) > 1:
        # As the mean has them, whoever's recipe it is.
        recipe = dataclasses.replace(recipe, served_statistics=settled)
    target = keep_mean(options.name, folder, recipe, network)
    if options.no_publish:
        print(f"{options.name}: weights in {target}")
        return 0
    _publish(options.name, target, recipe, network, ingredients, progress.seconds, progress.best_epoch)
    return 0


def _check(options: argparse.Namespace, folder: Path, files: Mapping[str, Path], split: str) -> None:
    """Before the cooking: whether these may be averaged, and the mean kept where it was asked for.

    Raises:
        UserError: the run lacks its notes, one of the files is of another split or dataset or, where the mean is
            published, of a trial, or the mean's place is another's.
    """
    from core.evaluation.origin import check_place_at_hand
    from core.training.origins import check_no_trial
    from core.training.soup import notes_of, place_of_mean

    publishes = not (options.limit or options.no_publish)
    for path in files.values():
        _check_same_data(folder, path, split)
        if publishes:
            check_no_trial(path.parent)
    _check_different(files)
    if publishes:
        check_place_at_hand(options.name)
    if not options.limit:
        notes_of(folder)
        place_of_mean(options.name, folder)


def _check_different(files: Mapping[str, Path]) -> None:
    """Refuse one file under two names, which would weigh double, and one alone, of which there is no mean.

    Raises:
        UserError: there is one of either.
    """
    import hashlib

    from core.errors import UserError

    known: dict[str, str] = {}
    for name, path in files.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if (other := known.setdefault(digest, name)) != name:
            raise UserError(f"expected files that differ, found the same weights as {other} and as {name}")
    if len(files) < 2:
        raise UserError(f"expected at least two trainings, found {', '.join(files)} alone")


def _run_among(weights: Sequence[Path]) -> tuple[Path, Progress, Recipe]:
    """The first run whose weights are among these, since a model goes with the recipe and history of a part of it.

    Raises:
        UserError: they are those of no finished run.
    """
    from core.errors import UserError
    from core.training.recipes import Recipe
    from core.training.soup import notes_of
    from core.training.trials import read_finished

    said = []
    for path in weights:
        try:
            progress, stored = read_finished(path.parent)
            notes_of(path.parent)
        except UserError as error:
            said.append(str(error))
            continue
        return path.parent, progress, Recipe.from_dict(stored)
    alone = (
        "alone is better than any mean, but" if len(weights) == 1 else "are better without the run, but each"
    )
    raise UserError(
        f"{' and '.join(map(str, weights))} {alone} is no finished run, with a recipe and a history: "
        f"{'; '.join(said)}; leave out what is none"
    )


def _others(texts: Sequence[str]) -> dict[str, Path]:
    from pathlib import Path

    from core.errors import UserError
    from core.settings import runs_dir
    from core.training.checkpoint import CHECKPOINT
    from core.training.trials import read_finished

    found = {}
    for text in texts:
        path = Path(text) if text.endswith(".npz") else runs_dir() / text / "best.npz"
        if not path.is_file():
            raise UserError(f"expected a finished run or a file of weights, found no {path}")
        if (path.parent / CHECKPOINT).exists():  # a mean of several runs has none
            read_finished(path.parent)
        name = (
            f"{path.parent.name}/{path.name}" if text.endswith(".npz") else text
        )  # all runs have a best.npz
        if found.setdefault(name, path) != path:
            raise UserError(f"expected files that their folders tell apart, found two called {name}")
    return found


def _check_same_data(run: Path, weights: Path, split: str) -> None:
    """Refuse what was trained on other images: a mean has seen what any of its parts has seen.

    Raises:
        UserError: the weights are known to be of another split or dataset.
    """
    from core.errors import UserError
    from core.training.origins import facts_of, split_of_weights

    data, found = (facts_of(path).get("data") for path in (run, weights))
    if (theirs := split_of_weights(weights)) not in (None, split) or (found and data and found != data):
        raise UserError(
            f"{weights}: expected a run on the {split} split of {data}, as {run.name} is, found one on the "
            f"{theirs or split} split of {found or data}: the mean would be measured on images that it has seen"
        )


def _check_same_images(run: Path, files: Mapping[str, Path], data: TrainingData) -> None:
    """Refuse weights that learned from other images than those at hand, whose validation part judges the mean.

    Raises:
        UserError: the notes beside them, or of the model that they are listed of, say so; older ones may say nothing.
    """
    from core.errors import UserError
    from core.training.launch import images_of
    from core.training.origins import counts, images_seen

    # A trial's images are those of its limit: two trials may be averaged, a trial and a whole run may not.
    here = images_of(data, images_seen(run).get("limit"))
    for path in files.values():
        found = images_seen(path)
        if found.get("digest") not in (None, here["digest"]):
            raise UserError(
                f"{path}: expected a run on the images at hand ({counts(here)}), found one on others "
                f"({counts(found)}): the mean would be judged by images that it may have learned from; average it with "
                "runs on the same images, and with the dataset that they were trained on"
            )


def _publish(
    name: str,
    target: Path,
    recipe: Recipe,
    network: keras.Model,
    ingredients: Sequence[Ingredient],
    seconds: float,
    best_epoch: int,
) -> None:
    """Enter the mean in the manifest: the run's recipe, history and notes, and what it was averaged with."""
    from core.training.publish import publish
    from core.training.soup import parts_of

    changes = {"provenance": {"mean_of": parts_of(ingredients)}}
    manifest = publish(target, name, recipe, network, seconds, best_epoch, changes)
    print(f"published as {name} in {manifest.folder}; next: python -m core compress --model {name}")
