"""`python -m core turned`: what asking about all orientations of an image gains and costs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.options import whole_number

if TYPE_CHECKING:
    import pandas as pd

    from core.artifacts import Manifest
    from core.data.pixels import PixelStore
    from core.serving.turned import Gain

FOLDER = "turned"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "turned",
        help="measure what all orientations of an image gain",
        description="Asks a model's shipped file about every validation image of HAM10000 once, and again as the mean "
        "over its eight turns and mirror images; stores the difference, with intervals over lesions, and how many "
        "times as long it takes. The prediction page says it beside the switch. Belongs to one file of a model.",
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="of this model, repeatable (default: student)"
    )
    parser.add_argument(
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="at most so many images, for a trial: nothing is stored",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, store, print."""
    from core.artifacts import load_manifest, update_shared, write_atomically
    from core.data.ham10000 import open_dataset
    from core.data.pixels import PixelStore
    from core.evaluation.origin import check_origin
    from core.serving.turned import to_json, turned_key

    manifest = load_manifest()
    names = [manifest.single(name).name for name in options.model or ["student"]]
    dataset = open_dataset()
    for name in names:
        check_origin(manifest, name, dataset)
    store = PixelStore.open(dataset, list(dataset.records["image_id"]))
    for name in names:
        gain = _measure(manifest, name, dataset.records, store, options.limit)
        print(f"{name}: {gain.sentence()}")
        if options.limit:
            continue
        relative = f"{FOLDER}/{name}.json"
        (manifest.folder / FOLDER).mkdir(parents=True, exist_ok=True)
        write_atomically(manifest.folder / relative, to_json(gain).encode() + b"\n")
        update_shared(manifest.folder, {turned_key(name): relative})
        print(f"  stored in {manifest.folder / relative}")
    return 0


def _measure(
    manifest: Manifest, name: str, records: pd.DataFrame, store: PixelStore, limit: int | None
) -> Gain:
    import numpy as np
    from tqdm import tqdm

    from core.data.splits import assign
    from core.evaluation.refresh import split_of
    from core.lesions import INDEX
    from core.serving.classifier import Classifier
    from core.serving.turned import measure_gain

    part = "validation"
    rows = np.flatnonzero(assign(records, split_of(manifest, name)) == part)[:limit]
    chosen, model = records.iloc[rows], Classifier.load(manifest, name)
    with tqdm(total=len(rows), desc=name, unit="image") as bar:
        return measure_gain(
            model,
            manifest.files[manifest.model(name).files["litert"]].sha256,
            lambda row: np.asarray(store.pixels[rows[row]]),
            chosen["dx"].map(INDEX).to_numpy(int),
            chosen["lesion_id"].to_numpy(str),
            part=part,
            progress=lambda done, total: bar.update(),
        )
