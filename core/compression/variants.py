"""Which LiteRT files each trained model gets, made, measured and entered in the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.artifacts import Manifest, ModelEntry, load_manifest, update_model, write_atomically
from core.compression.agreement import LayerError, layer_errors, litert_answers, to_csv
from core.compression.litert import KINDS, convert
from core.data.ham10000 import Dataset
from core.data.pixels import decode, to_input
from core.data.splits import assign
from core.errors import UserError
from core.evaluation.agreement import LAYERS, Agreement, agreement
from core.evaluation.stale import UNMEASURED, drop_comparisons, drop_ensembles
from core.lesions import CODES
from core.networks.explaining import explaining_graph
from core.networks.trained import check_weights, load_trained, weights_of

SUFFIXES = {"float32": "fp32", "float16": "fp16", "dynamic": "dynamic", "int8": "int8"}
"""Ends of the names of variants: `student-int8`."""

AUTO = "auto"
"""A teacher's kind: dynamic where that keeps its answers, otherwise float16."""

SMALL_ENOUGH_CHANGE = 0.98
"""Share of top classes that dynamic-range int8 must keep to be chosen for a teacher."""

LAYER_IMAGES = 16
"""Validation images that int8 is compared on layer by layer."""

_HOME = {"teacher": AUTO, "baseline": "float16", "variant": "int8"}
_STUDENT_KINDS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Job:
    """One file to be made: of which model's weights, of which kind (or `AUTO`), under which model's name."""

    source: str
    kind: str
    target: str


@dataclass(frozen=True, eq=False)
class Images:
    """Dataset images for a conversion.

    Attributes:
        calibration: (N, 224, 224, 3) uint8 of the training part, all classes alike.
        check: (M, 224, 224, 3) uint8 of the validation part.
        source: where they come from, in words.
    """

    calibration: np.ndarray
    check: np.ndarray
    source: str


@dataclass(frozen=True)
class Made:
    """One file that was made; `agreement` with the Keras network is None where no images were at hand."""

    job: Job
    kind: str
    path: Path
    bytes: int
    agreement: Agreement | None


def plan(
    manifest: Manifest, names: Sequence[str] = (), kinds: Sequence[str] = (), *, every: bool = False
) -> list[Job]:
    """What to make.

    Args:
        manifest: of the artifacts folder.
        names: models or variants (`student-int8`); none means all with Keras weights.
        kinds: of `KINDS`; none means the usual ones: float32, float16 and int8 of the student, int8 of a pruned
            student, float16 of the baseline, `AUTO` for a teacher. Other models than the student have one file, hence
            one kind.
        every: all of `KINDS` for a student.

    Raises:
        UserError: a name or a kind that is not known, or several kinds for a model with one file.
        ArtifactError: a model that is not in the manifest.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UserError(f"kind: expected one of {', '.join(KINDS)}, found {unknown[0]!r}")
    names = names or [name for name, entry in manifest.models.items() if "weights" in entry.files]
    if not names:
        raise UserError(
            f"expected a trained model in {manifest.folder}, found none; train one: python -m core train --help"
        )
    usual = KINDS if every else _STUDENT_KINDS
    jobs = [job for name in names for job in _jobs(manifest, name, tuple(kinds), usual)]
    return list(dict.fromkeys(jobs))


def _jobs(manifest: Manifest, name: str, kinds: tuple[str, ...], usual: tuple[str, ...]) -> list[Job]:
    known = manifest.models.get(name)
    is_trained = known is not None and "weights" in known.files
    for kind, suffix in SUFFIXES.items():
        parent = name.removesuffix(f"-{suffix}")
        if parent != name and parent in manifest.models and not kinds and not is_trained:
            return [Job(parent, kind, name)]
    entry = manifest.model(name)
    if entry.role == "student":
        files = {kind: name if kind == "float32" else f"{name}-{SUFFIXES[kind]}" for kind in kinds or usual}
        return [Job(name, kind, target) for kind, target in files.items()]
    if len(kinds) > 1:
        raise UserError(f"model {name}: expected one kind, since it has one file, found {', '.join(kinds)}")
    return [Job(name, kinds[0] if kinds else _HOME.get(entry.role, "float16"), name)]


def images_for(dataset: Dataset, split: str, per_class: int, check: int) -> Images:
    """Calibration and check images, the same ones on every machine.

    Args:
        dataset: an opened HAM10000.
        split: the split that the model was trained on.
        per_class: calibration images of each class (fewer where the training part has fewer).
        check: validation images, evenly over their ids.
    """
    parts = assign(dataset.records, split)
    labels, ids = dataset.records["dx"].to_numpy(), dataset.records["image_id"].to_numpy()
    chosen = [_evenly(ids[(parts == "train") & (labels == code)], per_class) for code in CODES]
    kind = "synthetic lesions" if dataset.is_synthetic else "HAM10000"
    return Images(
        calibration=_pixels(dataset, np.concatenate(chosen)),
        check=_pixels(dataset, _evenly(ids[parts == "validation"], check)),
        source=f"{kind}, {split} split",
    )


def check_calibrated(job: Job) -> None:
    """Refuse a job that cannot be done without images, where there are none.

    Raises:
        UserError: it is int8's.
    """
    if job.kind == "int8":
        raise UserError(
            f"{job.target}: expected HAM10000 to calibrate int8 on training images, found none; set "
            "DERMDISTILL_DATA, or choose other kinds (--kind float32 --kind float16)"
        )


def make(manifest: Manifest, job: Job, images: Images | None) -> Made:
    """Convert one model and enter it in the manifest.

    Raises:
        UserError: int8 without images, a model without weights or with others by the end, or a file without images
            that would take the place of one that was evaluated.
    """
    if images is None:
        check_calibrated(job)
    graph = explaining_graph(load_trained(manifest, job.source))
    path = manifest.folder / "models" / f"{job.target}.tflite"
    # Measuring takes minutes, in which the old file has to be the one that the manifest knows.
    new = path.with_name(f".{path.name}.new")
    try:
        kind = _kind_before(manifest, job) if images is None else job.kind
        kind, measured = _convert(graph, new, kind, images)
        if images is None:
            _check_figures(manifest, job, new)
        errors = None
        if kind == "int8" and images is not None:
            errors = layer_errors(graph, new, *_layer_images(images))
        now = load_manifest(manifest.folder)
        check_weights(now, job.source, manifest.files[weights_of(manifest, job.source)].sha256)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    layers = None if errors is None else _write_layers(manifest, job, errors)
    _publish(now, job, kind, images, measured, layers)
    return Made(job, kind, path, path.stat().st_size, measured)


def _check_figures(manifest: Manifest, job: Job, new: Path) -> None:
    """Refuse what would drop figures that cannot be measured again here."""
    entry = manifest.models.get(job.target)
    if entry is None or not entry.figures or "litert" not in entry.files:
        return
    if manifest.files[entry.files["litert"]].sha256 != hashlib.sha256(new.read_bytes()).hexdigest():
        raise UserError(
            f"{job.target}: expected the file that was evaluated, found another one, made without HAM10000; "
            "with it the figures would be lost; set DERMDISTILL_DATA"
        )


def _kind_before(manifest: Manifest, job: Job) -> str:
    """A job's kind where there are no images to try dynamic on: what an earlier trial decided, else float16."""
    if job.kind != AUTO:
        return job.kind
    return "dynamic" if _record(manifest, job.target).get("kind") == "dynamic" else "float16"


def _record(manifest: Manifest, name: str) -> dict[str, Any]:
    """What the manifest says of the conversion that made a model's file; empty where it says nothing."""
    known = manifest.models.get(name)
    return dict((known.provenance.get("compression") if known else None) or {})


def _layer_images(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """What layers are compared on, and what the file was calibrated with."""
    return images.check[:: max(len(images.check) // LAYER_IMAGES, 1)][:LAYER_IMAGES], images.calibration


def _write_layers(manifest: Manifest, job: Job, errors: Sequence[LayerError]) -> str:
    """Where the table lies, relative to the artifacts folder."""
    relative = f"compression/{job.target}-layers.csv"
    path = manifest.folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_csv(errors))
    return relative


def _convert(
    graph: keras.Model, path: Path, kind: str, images: Images | None
) -> tuple[str, Agreement | None]:
    """Write the file; what kind it became, and its agreement with the graph."""
    if kind == AUTO:
        trial = path.with_name(f".{path.name}.trial")
        try:
            _, measured = _convert(graph, trial, "dynamic", images)
            if measured is not None and measured.same_class >= SMALL_ENOUGH_CHANGE:
                trial.replace(path)
                return "dynamic", measured
        finally:
            trial.unlink(missing_ok=True)
        return _convert(graph, path, "float16", images)
    convert(graph, path, kind, images.calibration if images is not None else None)
    if images is None:
        return kind, None
    reference = graph.predict(images.check.astype(np.float32), batch_size=16, verbose=0)["logits"]
    return kind, agreement(reference, litert_answers(path, images.check)["logits"])


def _publish(
    manifest: Manifest,
    job: Job,
    kind: str,
    images: Images | None,
    measured: Agreement | None,
    layers: str | None,
) -> None:
    entry = manifest.model(job.source)
    is_other = _other_file(manifest, job.target)
    # What was measured of this very file stays true of it.
    record: dict[str, Any] = {**({} if is_other else _record(manifest, job.target)), "kind": kind}
    if images is not None:
        record["images"] = images.source
        if kind in ("dynamic", "int8"):
            record["calibration_images"] = len(images.calibration)
    if measured is not None:
        record["agreement_with_keras_on_validation"] = asdict(measured)
    changes: dict[str, Any] = {"provenance": {**entry.provenance, "compression": record}}
    files: dict[str, str | None] = {"litert": f"models/{job.target}.tflite", LAYERS: layers}
    if job.target != job.source:
        changes |= _as_variant(entry, kind)
    if is_other:
        # What was measured belonged to it.
        changes |= UNMEASURED
        files["predictions"] = None
    formats = {"litert": f"litert-{kind}", LAYERS: "layer-error-csv"}
    manifest = update_model(manifest.folder, job.target, changes, files, formats=formats)
    if is_other:
        drop_comparisons(drop_ensembles(manifest, job.target), job.target)


def _as_variant(entry: ModelEntry, kind: str) -> dict[str, Any]:
    return {
        "title": f"{entry.title}, {kind}",
        "role": "variant",
        "network": entry.network,
        "parent": entry.name,
        "recipe": entry.recipe,
        "commit": entry.commit,
        "parameters": entry.parameters,
    }


def _other_file(manifest: Manifest, target: str) -> bool:
    """Whether the manifest lists another file for a model than the one that lies there now."""
    entry = manifest.models.get(target)
    listed = manifest.files.get(entry.files.get("litert", "")) if entry else None
    path = manifest.folder / "models" / f"{target}.tflite"
    return listed is None or listed.sha256 != hashlib.sha256(path.read_bytes()).hexdigest()


def _evenly(ids: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the ids, evenly over their order."""
    if len(ids) <= count:
        return ids
    return ids[np.linspace(0, len(ids) - 1, count).astype(int)]


def _pixels(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    return np.stack([to_input(decode(dataset.read_bytes(image_id), image_id)) for image_id in ids])
