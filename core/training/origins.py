"""What weights have learned from, as far as is known, and what is refused because of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.artifacts import load_manifest
from core.errors import UserError
from core.evaluation.origin import SYNTHETIC_NOTE
from core.manifest import ManifestMissing, ModelEntry
from core.training.trials import NOTES, read_notes, split_of


def split_of_weights(path: Path) -> str | None:
    """The split that weights were trained on, None where nobody knows: that of the run they lie with, else of a model.

    A file of the artifacts folder has no notes beside it, and a copy of one may lie anywhere: it is known by its hash.

    Args:
        path: of the file; of what is none, nothing is known.

    Raises:
        ManifestError: the folder says nothing, and the manifest is damaged.
    """
    if not path.is_file():
        return None
    if split := split_of(path.parent):
        return split
    entry = _listed(path)
    return entry.recipe.get("split") if entry else None


def _listed(path: Path) -> ModelEntry | None:
    """The model that a file is listed of."""
    try:
        manifest = load_manifest()
    except ManifestMissing:
        return None
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    for entry in manifest.models.values():
        if any(manifest.files[file].sha256 == digest for file in entry.files.values()):
            return entry
    return None


def facts_of(path: Path) -> Mapping[str, Any]:
    """What is written down of the `data` and the `images` that weights have learned from; empty where nothing is.

    Args:
        path: of a run's folder, or of a file: known by the notes of the run that it lies with, else as a model's.

    Raises:
        UserError: the notes are damaged.
        ManifestError: the folder says nothing, and the manifest is damaged.
    """
    if path.is_dir():
        return read_notes(path / NOTES)
    if notes := read_notes(path.parent / NOTES):
        return notes
    entry = _listed(path) if path.is_file() else None
    return entry.provenance if entry else {}


def check_split(what: str, found: str | None, split: str) -> None:
    """Refuse what was trained on another split: it has seen images that this run's figures are to be of.

    Args:
        what: it is, for people.
        found: the split that it was trained on, None where that is not known.
        split: of this run.

    Raises:
        UserError: it is another one.
    """
    if found not in (None, split):
        raise UserError(
            f"{what}: expected one trained on the {split} split, as this run is, found one of the {found} "
            "split: it has seen images that are for validation and test here"
        )


def images_seen(path: Path) -> dict[str, Any]:
    """Which images a run or weights saw (see `core.training.launch.images_of`); empty where nobody wrote it down.

    Args:
        path: as of `facts_of`, which says what is raised.
    """
    images = facts_of(path).get("images")
    return dict(images) if isinstance(images, Mapping) else {}


def check_no_trial(folder: Path) -> None:
    """Refuse a run that was to try a command out, as part of what is published.

    Raises:
        UserError: it is one, or its notes are damaged.
    """
    if limit := images_seen(folder).get("limit"):
        raise UserError(
            f"{folder}: expected a run on all images, found one on at most {limit} of each part (--limit), to try the "
            "command out: it has no part in what is published; train it without --limit"
        )


def check_same_photographs(what: str, weights: Path, source: str, here: dict[str, Any]) -> None:
    """Refuse weights to begin with, or a teacher, known to have seen other photographs of the same source.

    The split is cut through the images that are there. Of a part of HAM10000 it is another one than of the whole, so
    that training images of the one are for validation and test in the other. What comes from another source has no
    image in common and may begin a run; nor have two sets of drawn lesions with different seeds.

    Args:
        what: it is, for people.
        weights: its file, or the folder of its run.
        source: of the images at hand, in the words of a run's notes.
        here: which images they are, by `core.training.launch.images_of` under the limit of its run.

    Raises:
        UserError: it saw others, or its notes are damaged.
    """
    if source == SYNTHETIC_NOTE or facts_of(weights).get("data") != source:
        return
    found = images_seen(weights)
    if found.get("digest") not in (None, here["digest"]):
        raise UserError(
            f"{what}: expected one trained on the images at hand ({counts(here)}) or on another source's, found one "
            f"trained on others of the same source ({counts(found)}): images that it was trained on may be for "
            "validation and test here; begin with other weights, or use the dataset that it was trained on"
        )


def counts(images: dict[str, Any]) -> str:
    """How many images a run saw, for people."""
    return f"{images['train']} for training, {images['validation']} for validation"
