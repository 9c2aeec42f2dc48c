"""`python -m core compress`: LiteRT files of the trained models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.options import whole_number

if TYPE_CHECKING:
    from core.artifacts import Manifest
    from core.compression.variants import Images, Job
    from core.data.ham10000 import Dataset


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "compress",
        help="convert trained models to LiteRT, with their maps and embedding",
        description="Turns Keras weights of the artifacts folder into LiteRT explaining graphs and enters them in the "
        "manifest: the student as float32, float16 (student-fp16) and int8 (student-int8), the baseline as float16, a "
        "teacher as dynamic-range int8 where that keeps its answers and as float16 otherwise. Full int8 is calibrated "
        "on training images of all classes and needs HAM10000; the agreement with Keras is measured on validation "
        "images where it is at hand.",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="only this model, repeatable (default: all)",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--kind",
        action="append",
        default=[],
        help="float32, float16, dynamic or int8, repeatable (default: see above)",
    )
    kinds.add_argument("--all", action="store_true", help="all four kinds of the student")
    parser.add_argument(
        "--calibration",
        type=whole_number(1),
        default=30,
        metavar="N",
        help="images of each class (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        type=whole_number(1),
        default=256,
        metavar="N",
        help="validation images (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert, measure, publish, print."""
    from tqdm import tqdm

    from core.artifacts import load_manifest
    from core.compression.variants import check_calibrated, make, plan
    from core.evaluation.origin import check_origin
    from core.networks.trained import weights_of

    manifest = load_manifest()
    jobs = plan(manifest, options.model, options.kind, every=options.all)
    dataset = _dataset()
    # All of them before the first file is replaced.
    for job in jobs:
        if dataset is None:
            check_calibrated(job)
        else:
            check_origin(manifest, job.source, dataset)
    for job in jobs:
        weights_of(manifest, job.source)
    shelf: dict[str, Images] = {}
    with tqdm(jobs, "compressing", unit="file") as bar:
        for job in bar:
            bar.set_postfix_str(f"{job.target}: {job.kind}")
            made = make(manifest, job, _images(manifest, job, options, dataset, shelf))
            line = f"{job.target}: {made.kind}, {made.bytes / 1e6:.2f} MB, {made.path}"
            bar.write(line + (f"; {made.agreement.text()}" if made.agreement else "; agreement not measured"))
    print(f"{len(jobs)} files are in {manifest.folder / 'models'}; next: python -m core evaluate")
    return 0


def _dataset() -> Dataset | None:
    """The dataset at hand; None where there is none, while a damaged one is to be mended first."""
    from core.data.findings import DamagedDatasetError, DatasetError
    from core.data.ham10000 import open_dataset

    try:
        return open_dataset()
    except DamagedDatasetError:
        raise
    except DatasetError:
        return None


def _images(
    manifest: Manifest,
    job: Job,
    options: argparse.Namespace,
    dataset: Dataset | None,
    shelf: dict[str, Images],
) -> Images | None:
    """Images of the split that the model was trained on, read once; None without a dataset."""
    from core.compression.variants import images_for

    if dataset is None:
        return None
    split = str(manifest.model(job.source).recipe.get("split", "lesion"))
    if split not in shelf:
        shelf[split] = images_for(dataset, split, options.calibration, options.check)
    return shelf[split]
