"""`python -m core prune`: smaller networks out of the student, and the curves of what that costs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.commands.train import add_running_options, say_unpublished, tensorboard
from core.options import whole_number

if TYPE_CHECKING:
    from core.artifacts import Manifest
    from core.compression.pruning import Target
    from core.compression.variants import Images
    from core.data.ham10000 import Dataset
    from core.evaluation.compressed import Point
    from core.training.launch import Run
    from core.training.loop import TrainingData
    from core.training.recipes import Recipe
    from core.training.teachers import Teacher

NAME, SCORE = "student-pruned", "taylor"
CALIBRATION, CHECK = 30, 256
"""Images of each class, and validation images, as `compress` takes them."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "prune",
        help="prune the student: whole channels, which makes it faster, and single weights",
        description="Takes channels out (or sets weights to zero) where the loss minds least, fine-tunes what is left "
        "as the student was trained, with its teachers, converts it to int8, and enters accuracy on validation, size "
        "and time of each target in the compression curves. Killed runs go on where they were; finished ones are not "
        "repeated, so that --ship can follow later.",
    )
    parser.add_argument("--model", default="student", help="what is pruned (default: %(default)s)")
    parser.add_argument("--multiply-adds", type=float, action="append", default=[], metavar="SHARE",
                        help="take channels out until this share of the multiply-adds is left, repeatable")  # fmt: skip
    parser.add_argument("--sparsity", type=float, action="append", default=[], metavar="SHARE",
                        help="set this share of the weights to zero, repeatable")  # fmt: skip
    parser.add_argument("--ship", type=float, metavar="SHARE",
                        help="publish the network with this share of the multiply-adds, in int8")  # fmt: skip
    parser.add_argument("--name", help=f"of what is shipped (default: {NAME})")
    parser.add_argument("--size", type=float, metavar="SHARE",
                        help="share of the int8 weights that may be left (default: the same share)")  # fmt: skip
    parser.add_argument("--score", help=f"how channels are judged: taylor or scale (default: {SCORE})")
    parser.add_argument("--images", type=whole_number(1), default=64, metavar="N",
                        help="training images of each class to judge by (default: %(default)s)")  # fmt: skip
    parser.add_argument("--further", action="store_true",
                        help="with --ship: go on with the pruned network that is published under --name, its channels "
                        "and weights; what it was stays part of the mean where validation gains by it")  # fmt: skip
    parser.add_argument("--teachers", metavar="NAME,...",
                        help="trained models that teach, such as the network itself "
                        "(default: its teachers)")  # fmt: skip
    parser.add_argument("--alpha", type=float, action="append", default=[],
                        help="weight of the soft term, 0 to 1 (default: as the model was trained); repeated, a "
                        "fine-tuning with each, whose mean is kept where it is as good on validation")  # fmt: skip
    add_running_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prune, fine-tune, measure, store, publish."""
    from core.artifacts import load_manifest
    from core.compression.measuring import Measuring
    from core.compression.pruning import recipe_for_tuning
    from core.compression.variants import images_for
    from core.data.ham10000 import open_dataset
    from core.errors import UserError
    from core.evaluation.compressed import add_points
    from core.training.launch import check_name, load_training_data
    from core.training.origins import check_split
    from core.training.recipes import customised

    targets = _targets(options)
    if not targets:
        raise UserError("expected what to prune to, found nothing: --multiply-adds 0.5 or --sparsity 0.8")
    check_name(options.name)
    manifest = load_manifest()
    entry = manifest.model(options.model)
    options.alpha = list(dict.fromkeys(options.alpha))
    recipes = [
        customised(recipe_for_tuning(entry, options.teachers, alpha), options.set, options.stages)
        for alpha in options.alpha or [None]
    ]
    recipe = recipes[0]
    check_split(f"model {options.model}", entry.recipe.get("split"), recipe.split)
    dataset = open_dataset()
    publishes = not (options.limit or options.no_publish)
    if publishes:
        _check_origins(manifest, options, dataset)
    teachers = _teachers(manifest, options, recipe)
    data = load_training_data(recipe.split, options.limit)
    images = images_for(dataset, recipe.split, CALIBRATION, CHECK)
    measuring = Measuring(manifest, options.model, data, images)
    for target in targets:
        finished = _fine_tuned(manifest, options, target, recipes, teachers, data)
        curves = measuring.curves(target, finished)
        print(f"{finished.folder.name}: {_text(curves.points[-1])}; in {finished.folder}", flush=True)
        if not publishes:
            continue
        print(f"entered in {add_points(manifest.folder, curves)}", flush=True)
        if options.ship is not None and (target.method, target.share) == ("channels", options.ship):
            _ship(manifest, options, finished, images)
    say_unpublished(options)
    return 0


def _targets(options: argparse.Namespace) -> list[Target]:
    from core.compression.pruning import Target
    from core.errors import UserError

    shares = [*options.multiply_adds, *([] if options.ship is None else [options.ship])]
    if shares or options.sparsity:
        _settle_options(options, channels=bool(shares))
    channels = [
        Target(
            "channels", share, share if options.size is None else options.size, options.score, options.images
        )
        for share in dict.fromkeys(shares)
    ]
    if options.further and (options.ship is None or options.multiply_adds or options.sparsity):
        raise UserError("--further: expected it with --ship alone, found another target or none")
    if options.sparsity and len(options.alpha) > 1:
        # Each has zeros of its own, of which the mean of several has few.
        raise UserError(f"--alpha: expected one with --sparsity, found {len(options.alpha)}")
    return channels + [Target("magnitude", share) for share in dict.fromkeys(options.sparsity)]


def _settle_options(options: argparse.Namespace, *, channels: bool) -> None:
    """Refuse options that what is asked for has no use for, before hours of training go by without them; the others
    get their defaults, which is why argparse leaves them open.

    Raises:
        UserError: there is one.
    """
    from core.errors import UserError

    of_channels = {"--size": options.size, "--score": options.score}
    given = [name for name, value in of_channels.items() if value is not None]
    if given and not channels:
        raise UserError(f"{given[0]}: expected it with --multiply-adds or --ship, found single weights alone")
    if options.name is not None and options.ship is None:
        raise UserError("--name: expected it with --ship, found nothing to publish under it")
    options.score = options.score or SCORE
    options.name = options.name or NAME


def _check_origins(manifest: Manifest, options: argparse.Namespace, dataset: Dataset) -> None:
    """Before the training: curves and a shipped model of photographs are not replaced by those of drawn lesions."""
    from core.errors import UserError
    from core.evaluation.compressed import FILE, read_curves
    from core.evaluation.origin import check_figures, check_origin, check_place, is_of_photographs

    check_origin(manifest, options.model, dataset)
    if options.ship is not None:
        check_place(manifest, options.name, dataset)
        _check_name_is_free(manifest, options.name)
    try:
        curves = read_curves(manifest)
    except UserError:
        return  # A damaged file may be replaced, as `add_points` does.
    if curves is None:
        return
    place = manifest.folder / FILE
    if is_of_photographs(manifest, curves.parent):
        check_figures(place, dataset, "--no-publish")
    if curves.parent != options.model:
        raise UserError(
            f"{place}: expected curves of {options.model}, found those of {curves.parent}, which would be lost; try "
            "with --no-publish, or remove the file"
        )


def _check_name_is_free(manifest: Manifest, name: str) -> None:
    """What is shipped takes the place of nothing but an earlier pruned network: its parent's files least of all."""
    from core.errors import UserError

    known = manifest.models.get(name)
    if known is not None and "pruning" not in known.provenance:
        raise UserError(
            f"--name: expected a new name or that of a pruned network, found {name}, a {known.role} in "
            f"{manifest.folder}"
        )


def _teachers(manifest: Manifest, options: argparse.Namespace, recipe: Recipe) -> list[Teacher] | None:
    """Those that were asked for, else the model's own, which a fresh clone may lack: runs are not part of it."""
    from core.errors import UserError
    from core.settings import runs_dir
    from core.training.taught_by import TeacherMissing, load_teachers

    if recipe.distillation is None:
        return None
    try:
        for_trial = bool(options.limit or options.no_publish)
        return load_teachers(recipe.distillation.teachers, for_trial=for_trial)
    except TeacherMissing as error:
        if options.teachers:
            raise
        raise UserError(
            f"{options.model} was taught by {error.name}: expected it in {manifest.folder} or as a finished run in "
            f"{runs_dir()}, found it in neither; name teachers with --teachers, for example --teachers {options.model}"
        ) from error


def _fine_tuned(
    manifest: Manifest,
    options: argparse.Namespace,
    target: Target,
    recipes: list[Recipe],
    teachers: list[Teacher] | None,
    data: TrainingData,
) -> Run:
    """The run to a target, or the mean of one run for each alpha and of what they went on from."""
    from core.compression.pruning import mean_of
    from core.networks.trained import weights_of

    several, begun = len(recipes) > 1, None
    if options.further and not options.limit:  # A few images cannot say which of them is better.
        begun = {options.name: manifest.folder / weights_of(manifest, options.name)}
    runs = [
        _train(
            manifest, options, target, recipe, teachers,
            target.run_name(options.model, alpha if several else None, options.further),
        )
        for recipe, alpha in zip(recipes, options.alpha or [None], strict=True)
    ]  # fmt: skip
    if not several and begun is None:
        return runs[0]
    return mean_of(runs, target.run_name(options.model, further=options.further), data, begun)


def _train(
    manifest: Manifest,
    options: argparse.Namespace,
    target: Target,
    recipe: Recipe,
    teachers: list[Teacher] | None,
    name: str,
) -> Run:
    from core.compression.pruning import further, start
    from core.settings import runs_dir
    from core.training.launch import run_recipe

    going_on = None if options.restart else runs_dir() / name
    begin = (
        further(manifest, options.model, options.name, target, going_on)
        if options.further
        else start(manifest, options.model, target, recipe)
    )
    return run_recipe(
        name,
        recipe,
        teachers=teachers,
        restart=options.restart,
        limit=options.limit,
        workers=options.workers,
        on_epoch=tensorboard(options.tensorboard, name),
        start=begin,
    )


def _ship(manifest: Manifest, options: argparse.Namespace, finished: Run, images: Images) -> None:
    """Publish the weights, and the int8 file as `compress` makes it."""
    from core.compression.pruning import publish_pruned
    from core.compression.variants import Job, make

    published = publish_pruned(manifest, options.model, options.name, finished)
    made = make(published, Job(options.name, "int8", options.name), images)
    print(
        f"published as {options.name}: {made.bytes / 1e6:.2f} MB, {made.path}; next: python -m core evaluate"
    )


def _text(point: Point) -> str:
    return (
        f"accuracy {point.accuracy:.3f} and balanced accuracy {point.balanced_accuracy:.3f} on validation, "
        f"{point.bytes / 1e6:.2f} MB ({point.compressed_bytes / 1e6:.2f} zipped), "
        f"{point.multiply_adds / 1e6:.1f} M multiply-adds, {point.times:.2f} times as long as the whole network"
    )
