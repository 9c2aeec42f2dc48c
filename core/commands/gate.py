"""`python -m core gate`: fit what refuses foreign pictures and finds similar lesions, and measure how well it does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from core.options import whole_number

if TYPE_CHECKING:
    import numpy as np

    from core.artifacts import Manifest
    from core.data.pixels import PixelStore
    from core.serving.rates import Rates, Share

FOLDER = "gate"
FAMILY = "student"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "gate", help="fit and measure what refuses pictures that are not dermatoscopic"
    )
    commands = parser.add_subparsers(dest="action", required=True)
    fit = commands.add_parser(
        "fit",
        help="fit the gate, the photograph's limits and the index of similar lesions",
        description="From training images (references) and validation images (limits) of HAM10000. Belongs to one "
        "file of a model and has to be run again when that changes; what is up to date is left alone.",
    )
    fit.add_argument(
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="at most so many images of each part, for a trial: nothing is stored",
    )
    fit.add_argument("--again", action="store_true", help="fit also what is up to date")
    report = commands.add_parser(
        "report",
        help="measure what is kept and refused, and store it",
        description="End to end on HAM10000's test images, drawn junk, and photographs that installed packages ship "
        "(scikit-learn, pydicom and, where it is installed, scikit-image).",
    )
    report.add_argument(
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="at most so many test images, for a trial: nothing is stored",
    )
    report.add_argument(
        "--turned",
        type=whole_number(1),
        default=250,
        metavar="N",
        help="test images to be turned (default: %(default)s)",
    )
    report.add_argument(
        "--each", type=whole_number(1), default=6, metavar="N", help="variants of each kind of junk"
    )
    report.add_argument(
        "--synthetic", type=whole_number(1), default=8, metavar="N", help="synthetic lesions of each class"
    )
    report.add_argument("--photographs", type=Path, metavar="DIR", help="more foreign pictures")
    for command, run in ((fit, run_fit), (report, run_report)):
        command.add_argument(
            "--model",
            action="append",
            metavar="NAME",
            help="of this model, repeatable (default: the student and its variants)",
        )
        command.set_defaults(run=run)


def run_fit(options: argparse.Namespace) -> int:
    """Fit and store."""
    from core.artifacts import load_manifest, store_json
    from core.data.ham10000 import open_dataset
    from core.data.pixels import PixelStore
    from core.data.splits import assign
    from core.evaluation.origin import check_origin
    from core.serving.classifier import Classifier
    from core.serving.fitting import fit, fit_quality
    from core.serving.quality import KEY

    manifest = load_manifest()
    names = _models(manifest, options.model)
    todo = [name for name in names if options.again or options.limit or not _up_to_date(manifest, name)]
    dataset = open_dataset()
    for name in names:
        check_origin(manifest, name, dataset)
    parts = assign(dataset.records)
    if options.again or not _has_limits(manifest):
        limits = fit_quality(dataset, dataset.records["image_id"][parts == "validation"][: options.limit])
        print(f"the photograph's limits, from {limits.images} validation images: {FOLDER}/quality.json")
        if not options.limit:
            store_json(manifest.folder, KEY, f"{FOLDER}/quality.json", limits.to_json())
    with_seen = options.again or not _has_seen(manifest)
    store = PixelStore.open(dataset, list(dataset.records["image_id"])) if todo or with_seen else None
    if store is not None and with_seen:
        _fit_seen(manifest.folder, store, parts, options.limit)
    for name in names:
        if store is None or name not in todo:
            print(f"{name}: the gate is up to date (--again fits it anew)")
            continue
        classifier = Classifier.load(manifest, name)
        fitted = fit(classifier, _sha256(manifest, name), dataset.records, parts, store, limit=options.limit)
        if not options.limit:
            _store_fitted(manifest.folder, name, fitted.gate.to_bytes(), fitted.index.to_bytes())
        print(
            f"{name}: {fitted.gate.lesions} lesions, {fitted.references} appearances, limits from "
            f"{fitted.validation} validation images: appearance {fitted.gate.appearance_limit:.3f}, "
            f"embedding {fitted.gate.embedding_limit:.4f}, margin {fitted.gate.margin:.3f}"
        )
    if options.limit:
        print("a trial: nothing was stored")
    else:
        print(f"everything is in {manifest.folder / FOLDER}; next: python -m core gate report")
    return 0


def _has_limits(manifest: Manifest) -> bool:
    """Whether the photograph's limits are there and can be read."""
    from core.errors import UserError
    from core.serving.quality import load_limits
    from core.serving.registry import Registry

    try:
        return load_limits(Registry(manifest)) is not None
    except UserError:
        return False


def _has_seen(manifest: Manifest) -> bool:
    """Whether the fingerprints of the models' own images are there and can be read."""
    from core.errors import UserError
    from core.serving.registry import Registry
    from core.serving.seen import load_seen

    try:
        return load_seen(Registry(manifest)) is not None
    except UserError:
        return False


def run_report(options: argparse.Namespace) -> int:
    """Measure, store, print."""
    from itertools import chain

    from core.artifacts import load_manifest, store_json
    from core.data.foreign import drawn, photographs
    from core.data.ham10000 import open_dataset
    from core.data.samples import synthetic_sample
    from core.data.splits import assign
    from core.errors import UserError
    from core.evaluation.origin import check_origin
    from core.evaluation.refusals import refusals_key
    from core.lesions import CODES
    from core.serving.answer import Diagnoser
    from core.serving.rates import measure_rates
    from core.serving.registry import Registry

    if options.photographs and not options.photographs.is_dir():
        raise UserError(f"--photographs: expected a folder of pictures, found none at {options.photographs}")
    manifest = load_manifest()
    registry = Registry(manifest)
    dataset = open_dataset()
    for name in _models(manifest, options.model):
        check_origin(manifest, name, dataset)
    records = dataset.records[assign(dataset.records) == "test"][: options.limit]
    test = dict(zip(records["image_id"], records["lesion_id"], strict=True))
    for name in _models(manifest, options.model):
        diagnoser = Diagnoser.open(registry, name, advice=True)
        if diagnoser.gate is None or diagnoser.gate.model != name:
            print(f"{name}: no gate of its own: {diagnoser.note or 'run python -m core gate fit'}")
            continue
        rates = measure_rates(
            diagnoser,
            test,
            dataset.read_bytes,
            chain(drawn(options.each), photographs(options.photographs)),
            (
                (code, number, synthetic_sample(code, number).data)
                for code in CODES
                for number in range(1, options.synthetic + 1)
            ),
            turned=options.turned,
        )
        print(describe(rates))
        if options.limit:
            continue
        relative = f"{FOLDER}/{name}-rates.json"
        about = {"model_sha256": _sha256(manifest, name), "packages": _packages(), **rates.to_json()}
        store_json(manifest.folder, refusals_key(name), relative, about)
        print(f"  stored in {manifest.folder / relative}")
    return 0


def describe(rates: Rates) -> str:
    """The rates as lines of text."""
    worst = ", ".join(f"{name} {share.count}/{share.images}" for name, share in rates.foreign.items())
    lines = [
        f"{rates.model}: test images kept {_text(rates.test)}",
        f"  refused: drawn {_text(rates.drawn)}, photographs {_text(rates.photographs)}",
        f"  refused by a limit that keeps 98% of the test images: {_text(rates.at_98)}",
        f"  by kind: {worst}",
        f"  accepted though foreign: {', '.join(rates.missed) or 'none'}",
        f"  same status in all eight orientations, saved as PNG: {_text(rates.turned)}; changed: "
        f"{', '.join(rates.changed) or 'none'}",
        f"  synthetic lesions kept {_text(rates.synthetic)}",
        *(f"  advice to {_text(share)}: {sentence}" for sentence, share in rates.advice.items()),
    ]
    if rates.unread:
        lines.append(f"  rejected by intake already, not counted: {', '.join(rates.unread)}")
    return "\n".join(lines)


def _text(share: Share) -> str:
    return f"{share.count}/{share.images} = {share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _models(manifest: Manifest, asked: list[str] | None) -> list[str]:
    """The models to do: those asked for, or the student and its variants."""
    from core.errors import UserError
    from core.evaluation.refresh import split_of

    found = [manifest.single(name).name for name in asked or ()] or [
        name
        for name, entry in manifest.models.items()
        if "litert" in entry.files and FAMILY in (entry.name, entry.parent)
    ]
    if not found:
        raise UserError(
            f"expected the student in {manifest.folder}, found {', '.join(manifest.models) or 'no model'}; "
            "name another with --model"
        )
    for name in found:
        if (split := split_of(manifest, name)) != "lesion":
            raise UserError(
                f"{name}: expected a model of the lesion split, by which gates are fitted and measured, found one of "
                f"the {split} split"
            )
    return found


def _sha256(manifest: Manifest, name: str) -> str:
    from core.errors import UserError

    path = manifest.model(name).files.get("litert")
    if path is None:
        raise UserError(f"model {name}: expected a LiteRT file, found none; run python -m core compress")
    return manifest.files[path].sha256


def _up_to_date(manifest: Manifest, name: str) -> bool:
    """Whether gate and index are there, sound, and belong to the model's file."""
    from core.errors import UserError
    from core.serving.gate import load_gate
    from core.serving.registry import Registry
    from core.serving.similar import load_index

    registry = Registry(manifest)
    try:
        gate, index = load_gate(registry, name), load_index(registry, name)
    except UserError:
        return False
    return gate is not None and index is not None and gate.model == name == index.model


def _fit_seen(folder: Path, store: PixelStore, parts: np.ndarray, limit: int | None) -> None:
    """The fingerprints of every picture that models are made from."""
    import numpy as np

    from core.artifacts import update_shared, write_atomically
    from core.serving import seen

    rows = np.flatnonzero(np.isin(parts, [seen.TRAIN, seen.VALIDATION]))[:limit]
    found = seen.Seen.of((store.pixels[row] for row in rows), parts[rows] == seen.TRAIN)
    relative = f"{FOLDER}/{seen.KEY}.npz"
    print(f"fingerprints of {len(rows):,} images that models are made from: {relative}")
    if not limit:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / relative, found.to_bytes())
        update_shared(folder, {seen.KEY: relative}, formats={seen.KEY: "fingerprints-npz"})


def _store_fitted(folder: Path, name: str, gate: bytes, index: bytes) -> None:
    """Write both; what was measured of another gate goes, since nothing in it is true of this one."""
    from core.artifacts import update_shared, write_atomically
    from core.evaluation.refusals import refusals_key
    from core.serving.gate import gate_key
    from core.serving.similar import index_key

    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    if not _is_stored(folder, gate_key(name), gate):
        update_shared(folder, {refusals_key(name): None})
    paths = {gate_key(name): f"{FOLDER}/{name}.npz", index_key(name): f"{FOLDER}/{name}-lesions.npz"}
    for key, data in zip(paths, (gate, index), strict=True):
        write_atomically(folder / paths[key], data)
    formats = dict(zip(paths, ("gate-npz", "embeddings-npz"), strict=True))
    update_shared(folder, paths, formats=formats)


def _is_stored(folder: Path, key: str, data: bytes) -> bool:
    """Whether the artifacts have this very file under a key."""
    import hashlib

    from core.artifacts import load_manifest

    manifest = load_manifest(folder)
    entry = manifest.files.get(manifest.shared.get(key, ""))
    return entry is not None and entry.sha256 == hashlib.sha256(data).hexdigest()


def _packages() -> dict[str, str | None]:
    """The packages whose photographs were used; None for one that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    def found(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {name: found(name) for name in ("scikit-learn", "scikit-image", "pydicom")}
