"""The teachers' part of a run: their answers to the fixed views, their embeddings, and what they are made from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.ablation.features import pooled_features, request_for
from core.ablation.images import Images
from core.ablation.protocol import Protocol, recipe_of
from core.ablation.starved import StarvedTeacher
from core.artifacts import load_manifest
from core.lab.variants import STARVED_TEACHER, Variant
from core.lesions import N_CLASSES
from core.manifest import ManifestMissing
from core.settings import cache_dir
from core.training.batches import ViewMaker
from core.training.loop import TeacherAnswers
from core.training.origins import check_split
from core.training.taught_by import load_teachers
from core.training.teachers import CachedTeachers, Teacher

HINT_SIZE = 128
"""Side of the teacher's view for its embeddings, which no other run has cached."""


class Teachers:
    """What every run asks of its teachers, computed once and shared.

    Args:
        images: at low resolution.
        protocol: of the runs.
        init: network -> initial weights, for the starved teacher.
        maker: makes the views.
    """

    def __init__(self, images: Images, protocol: Protocol, init: dict[str, str], maker: ViewMaker) -> None:
        self._images, self._protocol, self._init, self._maker = images, protocol, init, maker
        self._known: dict[tuple, TeacherAnswers] = {}
        self._embeddings: dict[tuple, Embeddings] = {}

    def answers(self, variant: Variant) -> TeacherAnswers | None:
        """The (averaged) logits of a run's teachers; None without teachers."""
        if not variant.teachers:
            return None
        # A teacher that is trained again while the runs go on is asked again.
        key = (variant.split, variant.teachers, teacher_digests(variant))
        if key not in self._known:
            starved = STARVED_TEACHER in variant.mistakes
            self._known[key] = self._starved(variant.split) if starved else self._cached(variant)
        return self._known[key]

    def embeddings(self, variant: Variant) -> Embeddings | None:
        """The first teacher's embeddings, for a run with a hint."""
        if not variant.hint:
            return None
        key = (variant.split, teacher_digests(variant))
        if key not in self._embeddings:
            teacher = _teachers(variant, variant.teachers[:1])[0]
            rows = self._images.rows[variant.split]["train"]
            self._embeddings[key] = Embeddings(teacher, self._images, rows, self._protocol, self._maker)
        return self._embeddings[key]

    def _cached(self, variant: Variant) -> TeacherAnswers:
        # The views' seed is the protocol's, whatever the run's own.
        whole = dataclasses.replace(variant, seed=self._protocol.view_seed, share=1.0)
        recipe = recipe_of(whole, self._protocol)
        known = self._images.rows["lesion"]["train"]
        rest = np.setdiff1d(self._images.rows[variant.split]["train"], known)
        teachers = _teachers(variant, variant.teachers)
        parts = [
            (rows, CachedTeachers(teachers, recipe, self._images.store, rows, cache_dir(), self._maker))
            for rows in (known, rest)
            if len(rows)
        ]
        return parts[0][1] if len(parts) == 1 else _together(parts)

    def _starved(self, split: str) -> StarvedTeacher:
        init = self._init["resnet50"]
        return StarvedTeacher(self._images, split, self._protocol, init, digest_of_init(init), self._maker)


class Embeddings:
    """A teacher's pooled features of the training views, each dimension with mean 0 and deviation 1.

    Attributes:
        width: D.
    """

    def __init__(
        self, teacher: Teacher, images: Images, rows: np.ndarray, protocol: Protocol, maker: ViewMaker
    ) -> None:
        self._position = {int(row): i for i, row in enumerate(rows)}
        self._features = [
            pooled_features(
                teacher.name,
                teacher.sha256,
                lambda: teacher.network,
                request_for(images.store, rows, view, seed=protocol.view_seed, size=HINT_SIZE),
                maker,
            )
            for view in range(protocol.views)
        ]
        first = self._features[0].astype(np.float32)
        self._mean, self._deviation = first.mean(axis=0), first.std(axis=0) + 1e-3
        self.width = first.shape[1]

    def __call__(self, rows: Sequence[int], view: int) -> np.ndarray:
        """(B, D) float32 of these rows' view."""
        taken = self._features[view][[self._position[int(row)] for row in rows]]
        return (taken.astype(np.float32) - self._mean) / self._deviation


def _teachers(variant: Variant, names: Sequence[str]) -> list[Teacher]:
    """Trained teachers of a run, none of which has learned from images that it is measured on.

    The run that splits by image for its mistake is taught by what teaches all others, by lesion: there the student
    alone makes the mistake.

    Raises:
        UserError: one was trained on another split.
    """
    teachers = load_teachers(names)
    for teacher in teachers:
        if teacher.split != "lesion":
            check_split(f"teacher {teacher.name}", teacher.split, variant.split)
    return teachers


def _together(parts: list[tuple[np.ndarray, TeacherAnswers]]) -> TeacherAnswers:
    """Answers to the rows of several parts, each from its own; so no image is asked about for two splits."""

    def answers(rows: Sequence[int], view: int, x: np.ndarray) -> np.ndarray:
        asked = np.asarray(rows)
        found = np.zeros((len(asked), N_CLASSES), np.float32)
        for known, of_part in parts:
            mine = np.isin(asked, known)
            if mine.any():
                found[mine] = of_part([int(row) for row in asked[mine]], view, x)
        return found

    return answers


def missing_teacher(variant: Variant) -> str | None:
    """The first of a run's teachers that is not there yet; the starved one is made on the way."""
    if STARVED_TEACHER in variant.mistakes:
        return None
    known = _weights_of()
    return next((name for name in variant.teachers if name not in known), None)


def teacher_digests(variant: Variant) -> str:
    """Hashes of the weights that a run learns from, in order; of the starved teacher its name alone."""
    if STARVED_TEACHER in variant.mistakes:
        return "starved"
    return ",".join(teacher_weights(variant).values())


def teacher_weights(variant: Variant) -> dict[str, str]:
    """Teacher -> sha256 of its weights, in order; nothing for the starved one, which is made on the way."""
    if STARVED_TEACHER in variant.mistakes:
        return {}
    known = _weights_of()
    return {name: known[name] for name in variant.teachers}


def digest_of_init(init: str) -> str:
    """What initial weights are: `imagenet`, or a file's sha256."""
    return init if init == "imagenet" else hashlib.sha256(Path(init).read_bytes()).hexdigest()


def _weights_of() -> dict[str, str]:
    """Model -> sha256 of its weights, of those in the artifacts."""
    try:
        manifest = load_manifest()
    except ManifestMissing:
        return {}
    return {
        name: manifest.files[entry.files["weights"]].sha256
        for name, entry in manifest.models.items()
        if "weights" in entry.files
    }
