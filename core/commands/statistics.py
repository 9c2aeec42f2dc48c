"""`python -m core statistics`: batch normalisation's statistics of images as they are served."""

from __future__ import annotations

import argparse


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "statistics",
        help="measure a trained model's batch normalisation anew, on training images as they are served",
        description="Training gathers the statistics of batch normalisation from augmented views. This measures them "
        "anew on HAM10000's training images as they are and publishes the weights with them; nothing else changes. "
        "Files and figures that were made of the old ones are dropped: compress and evaluate follow.",
    )
    parser.add_argument(
        "--model", action="append", required=True, metavar="NAME", help="a trained model, repeatable"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, compare on validation, publish."""
    from core.artifacts import load_manifest
    from core.data.ham10000 import open_dataset
    from core.errors import UserError
    from core.evaluation.origin import check_origin
    from core.networks.trained import load_trained, weights_of
    from core.settings import INPUT_SIZE
    from core.training.launch import load_training_data
    from core.training.publish import replace_weights
    from core.training.soup import validation_of
    from core.training.statistics import BATCH, reestimate

    manifest = load_manifest()
    dataset = open_dataset()
    names = list(dict.fromkeys(options.model))
    networks = {name: load_trained(manifest, name) for name in names}
    began = {name: manifest.files[weights_of(manifest, name)].sha256 for name in names}
    for name in names:
        check_origin(manifest, name, dataset)
    for name, network in networks.items():
        data = load_training_data(str(manifest.model(name).recipe.get("split", "lesion")))
        if len(data.train) < BATCH:
            raise UserError(f"expected at least {BATCH} training images, found {len(data.train)}")
        validate = validation_of(network, data)
        before = validate()
        reestimate(network, data.store.pixels, data.train, size=INPUT_SIZE, title=name)
        after = validate()
        images = len(data.train) // BATCH * BATCH
        note = f"of {images:,} training images as they are served, each in one of eight orientations"
        replace_weights(manifest.folder, name, network, {"statistics": note}, made_from=began[name])
        print(f"{name}: statistics {note}; on validation {_text(before)} -> {_text(after)}", flush=True)
    print("next: python -m core compress, then python -m core evaluate")
    return 0


def _text(figures: dict[str, float]) -> str:
    return (
        f"accuracy {figures['val_accuracy']:.3f}, balanced {figures['val_balanced_accuracy']:.3f}, "
        f"log loss {figures['val_loss']:.3f}"
    )
