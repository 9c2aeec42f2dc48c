"""`python -m core project`: the map of the test images that the dataset page shows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.options import whole_number

if TYPE_CHECKING:
    import pandas as pd

    from core.artifacts import Manifest
    from core.data.pixels import PixelStore

FOLDER = "maps"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "project",
        help="draw the test images as a model's embedding arranges them",
        description="Asks a model's shipped file for its embeddings of the test images of HAM10000 and projects them "
        "into two dimensions (PCA, then t-SNE; the same file gives the same map). Belongs to one file of a model and "
        "has to be run again when that changes; what is up to date is left alone.",
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="of this model, repeatable (default: student)"
    )
    parser.add_argument("--again", action="store_true", help="draw also what is up to date")
    parser.add_argument(
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="at most so many images, for a trial: nothing is stored",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask, project, store."""
    from core.artifacts import load_manifest
    from core.data.ham10000 import open_dataset
    from core.data.pixels import PixelStore
    from core.evaluation.origin import check_origin

    manifest = load_manifest()
    names = [manifest.single(name).name for name in options.model or ["student"]]
    todo = [name for name in names if options.again or options.limit or not _is_up_to_date(manifest, name)]
    for name in names:
        if name not in todo:
            print(f"{name}: the map is up to date (--again draws it anew)")
    if todo:
        dataset = open_dataset()
        for name in todo:
            check_origin(manifest, name, dataset)
        store = PixelStore.open(dataset, list(dataset.records["image_id"]))
        for name in todo:
            _project(manifest, name, dataset.records, store, options.limit)
    if not options.limit:
        print(f"the maps are in {manifest.folder / FOLDER}; the dataset page shows them")
    return 0


def _project(
    manifest: Manifest, name: str, records: pd.DataFrame, store: PixelStore, limit: int | None
) -> None:
    import numpy as np

    from core.artifacts import update_shared, write_atomically
    from core.data.splits import assign
    from core.evaluation.refresh import split_of
    from core.lesions import INDEX
    from core.serving.classifier import Classifier
    from core.serving.projection import Projection, map_key, project
    from core.serving.survey import answers

    classifier = Classifier.load(manifest, name)
    rows = np.flatnonzero(assign(records, split_of(manifest, name)) == "test")[:limit]
    print(f"{name}: asking about {len(rows):,} test images", flush=True)
    _, embeddings = answers(classifier, store, rows)
    print(f"{name}: projecting {len(rows):,} embeddings of {embeddings.shape[1]} numbers", flush=True)
    chosen = records.iloc[rows]
    projection = Projection(
        name,
        manifest.files[manifest.model(name).files["litert"]].sha256,
        chosen["image_id"].to_numpy(str),
        chosen["dx"].map(INDEX).to_numpy(int),
        project(embeddings),
    )
    if limit:
        return
    relative = f"{FOLDER}/{name}.npz"
    (manifest.folder / FOLDER).mkdir(parents=True, exist_ok=True)
    write_atomically(manifest.folder / relative, projection.to_bytes())
    update_shared(manifest.folder, {map_key(name): relative}, formats={map_key(name): "projection-npz"})
    print(f"{name}: {relative}")


def _is_up_to_date(manifest: Manifest, name: str) -> bool:
    """Whether the map is there, sound, and of the model's present file."""
    from core.artifacts import ArtifactError
    from core.serving.projection import read_projection

    try:
        read_projection(manifest, name)
    except ArtifactError:
        return False
    return True
