"""What a model was made from, so that figures of HAM10000 are neither measured on nor replaced by drawn lesions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from core.artifacts import load_manifest
from core.data.ham10000 import SYNTHETIC_PREFIX, Dataset, open_dataset
from core.data.splits import assign
from core.errors import UserError
from core.evaluation.contestants import read_predictions
from core.evaluation.predictions import PARTS, Predictions
from core.evaluation.refresh import split_of
from core.manifest import Manifest, ManifestMissing

DATA_NOTE = (
    "HAM10000: Tschandl, Rosendahl, Kittler, Scientific Data 5:180161 (2018), "
    "doi 10.7910/DVN/DBW86T, CC BY-NC 4.0"
)
SYNTHETIC_NOTE = "synthetic lesions drawn by core.data.synthetic: no photographs, nothing to diagnose with"
ELSEWHERE = "set DERMDISTILL_ARTIFACTS to a folder of its own"


def check_origin(manifest: Manifest, name: str, dataset: Dataset) -> None:
    """Refuse to measure a model of photographs on drawn lesions, or on images whose lesions are not known.

    Args:
        manifest: that has the model.
        name: of the model; one that does not say what it was made from is measured on anything.
        dataset: at hand.

    Raises:
        UserError: the model is not synthetic, but the dataset is, has no metadata, or is divided otherwise than the
            one that the model's stored answers are of: images that the model was trained on would be among those for
            test.
    """
    manifest.model(name)  # One that is not there is named so, rather than taken for one that does not say.
    if not is_of_photographs(manifest, name):
        return
    if dataset.metadata is None:
        raise UserError(
            f"{name}: expected HAM10000_metadata.csv in {dataset.root}, found class folders alone: without it nobody "
            "knows which images are of one lesion, and images that the model was trained on would count as test "
            "images; put it beside the folders (python -m core data download fetches it)"
        )
    if dataset.is_synthetic:
        raise UserError(
            f"{name}: expected HAM10000 in {dataset.root}, which it was trained on, found synthetic lesions: what they "
            f"give would stand for it. For models of synthetic lesions {ELSEWHERE}"
        )
    _check_parts(manifest, name, dataset)


def _check_parts(manifest: Manifest, name: str, dataset: Dataset) -> None:
    """Refuse a dataset that is divided otherwise than the one that the model's stored answers are of.

    A part of HAM10000 is such a one: the split is cut through what is there, so that images that the model was trained
    on lie among those for validation and test.
    """
    answers = _answers(manifest, name)
    if answers is None:
        return
    parts = _parts(dataset, split_of(manifest, name))
    ids = dataset.records["image_id"].to_numpy(str)
    for part in PARTS:
        expected, found = set(answers.image_id[answers.part == part]), set(ids[parts == part])
        if expected != found:
            raise UserError(
                f"{name}: expected the dataset that it was evaluated on, with {len(expected):,} images for {part}, "
                f"found one in {dataset.root} with {len(found):,}, {len(found - expected):,} of them others: there "
                f"images that it was trained on may be among those for {part}. For models of this dataset {ELSEWHERE}"
            )


def _answers(manifest: Manifest, name: str) -> Predictions | None:
    """Stored answers of the model, or else of one that was made from the same weights; None without any.

    Damaged ones are passed over, since what checks this makes them anew.
    """
    entry = manifest.model(name)
    trained = entry.parent or name
    variants = [one for one, other in manifest.models.items() if other.parent == trained]
    for one in dict.fromkeys((name, trained, *entry.members, *variants)):
        if one in manifest.models and "predictions" in manifest.models[one].files:
            try:
                return read_predictions(manifest, one)
            except UserError:
                continue
    return None


@lru_cache(maxsize=2)
def _parts(dataset: Dataset, split: str) -> np.ndarray:
    """The parts of a dataset's records: every model is checked against them."""
    return assign(dataset.records, split)


def check_place(manifest: Manifest | None, name: str, dataset: Dataset) -> None:
    """Refuse to publish a model of drawn lesions in the place of one of photographs.

    Args:
        manifest: of the artifacts, None where there is none.
        name: to publish under.
        dataset: that the model is trained on.

    Raises:
        UserError: a model of that name is there and was trained on photographs.
    """
    if manifest is not None and dataset.is_synthetic and is_of_photographs(manifest, name):
        raise UserError(
            f"{name}: expected HAM10000 in {dataset.root}, found synthetic lesions, and {manifest.folder} has a "
            f"{name} of HAM10000, which would be lost; run it with --no-publish, or {ELSEWHERE}"
        )


def check_place_at_hand(name: str) -> None:
    """`check_place` with the artifacts and the dataset of the settings: before a training rather than after it.

    Args:
        name: to publish under.

    Raises:
        UserError: a model of that name is there and was trained on photographs, the dataset is synthetic.
        DatasetError: there is no dataset.
    """
    try:
        manifest = load_manifest()
    except ManifestMissing:
        return
    check_place(manifest, name, open_dataset())


def check_figures(path: Path, dataset: Dataset, remedy: str) -> None:
    """Refuse to put figures of drawn lesions into a file with figures of photographs.

    Args:
        path: of the file, which has figures of HAM10000.
        dataset: that the new figures are of.
        remedy: options that keep the command from writing to the file.

    Raises:
        UserError: the dataset is synthetic.
    """
    if dataset.is_synthetic:
        raise UserError(
            f"{path}: expected HAM10000 in {dataset.root}, which its figures are of, found synthetic lesions, whose "
            f"figures would replace them; run it with {remedy}, or {ELSEWHERE}"
        )


def is_of_photographs(manifest: Manifest, name: str) -> bool:
    """Whether there is a model of that name that says that it was made from anything but drawn lesions."""
    entry = manifest.models.get(name)
    data = entry.provenance.get("data") if entry else None
    return bool(data) and data != SYNTHETIC_NOTE


def drawn_sentence(manifest: Manifest) -> str:
    """Which models are of drawn lesions, and whether their figures are, too; empty where none is."""
    drawn = [
        name for name, entry in manifest.models.items() if entry.provenance.get("data") == SYNTHETIC_NOTE
    ]
    elsewhere = [name for name in drawn if _was_asked_about_photographs(manifest, name)]
    both = [name for name in drawn if name not in elsewhere]
    said = [f"Made from and measured on {SYNTHETIC_NOTE}: {', '.join(both)}."] * bool(both)
    said += [f"Made from {SYNTHETIC_NOTE}, measured on photographs: {', '.join(elsewhere)}."] * bool(
        elsewhere
    )
    return " ".join(said)


def _was_asked_about_photographs(manifest: Manifest, name: str) -> bool:
    """Whether a model's stored answers are of other images than drawn ones."""
    if "predictions" not in manifest.models[name].files:
        return False
    try:
        asked = read_predictions(manifest, name).image_id
    except UserError:
        return False
    return not any(str(one).startswith(SYNTHETIC_PREFIX) for one in asked)
