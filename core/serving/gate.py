"""The question before every diagnosis, is this a dermatoscopic image at all, answered by a `Gate`.

Two distances decide, either alone refuses:

- *appearance* (`core.serving.appearance`): colours and texture, by the distance to the nearest training images. It
  refuses nearly all that is foreign, is the same for every orientation, and needs no network.
- *embedding* (`core.serving.subspace`): how far the model's features lie outside of the subspace of those of training
  lesions. It refuses what has a lesion's colours and is none, a recoloured cat for example.

An embedding changes somewhat as the picture turns. So one within `margin` of the limit is looked at in all eight
orientations and judged by their mean: then turning or mirroring a picture all but never changes what becomes of it
(`gate report` counts how often), and few pictures cost more than one look. `core.serving.fitting` chooses limits and
margin on validation images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.artifacts import ArtifactError, Manifest
from core.data.pixels import turn
from core.errors import UserError
from core.serving.appearance import FEATURES, Appearance, features
from core.serving.arrays import Format
from core.serving.classifier import ORIENTATIONS
from core.serving.subspace import Subspace

if TYPE_CHECKING:
    from core.serving.intake import Upload
    from core.serving.registry import Registry

DEFAULT_MODEL = "student"
COMMAND = "python -m core gate fit"
_KEY = "gate-"

_FORMAT = Format(
    version=1,
    fields={
        "lesions": ("i", 0),
        "mean": ("f", 1),
        "components": ("f", 2),
        "embedding_limit": ("f", 0),
        "margin": ("f", 0),
        "appearance_mean": ("f", 1),
        "appearance_scale": ("f", 1),
        "appearance_references": ("f", 2),
        "appearance_neighbours": ("i", 0),
        "appearance_limit": ("f", 0),
    },
    command=COMMAND,
    made_for="gate of",
)


class GateUnavailable(UserError):
    """There is a gate, and it cannot be used: images are not checked."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one image.

    Attributes:
        accepted: False for an image that is out of distribution: no class may be shown for it.
        reason: why not, in a sentence; empty for an accepted image.
        score: the measured distance, larger is stranger.
        threshold: the distance from which images are refused.
    """

    accepted: bool
    reason: str
    score: float
    threshold: float


class Gate(Protocol):
    """Decides on an embedding and the image that it came from.

    Attributes:
        model: the model whose embedding it judges.
    """

    model: str

    def check(self, embedding: np.ndarray, upload: Upload) -> Verdict:
        """The verdict on (D,) float32 of `model` for `upload`; safe to call from many threads."""
        ...


@dataclass(frozen=True, eq=False)
class FittedGate:
    """The gate of one model's file.

    Attributes:
        model, model_sha256: the model, and the file whose embeddings it judges.
        lesions: how many training lesions it knows.
        subspace, embedding_limit: see above; residuals beyond the limit are refused.
        margin: logarithm of a ratio; residuals this close to the limit are taken in all orientations.
        appearance, appearance_limit: see above.
        embed: (224, 224, 3) uint8 -> (D,) embedding, for the other orientations; None judges by one.
    """

    model: str
    model_sha256: str
    lesions: int
    subspace: Subspace
    embedding_limit: float
    margin: float
    appearance: Appearance
    appearance_limit: float
    embed: Callable[[np.ndarray], np.ndarray] | None = None

    def check(self, embedding: np.ndarray, upload: Upload) -> Verdict:
        """The verdict; its score is the larger of both distances as multiples of their limits, threshold 1.

        Raises:
            UserError: the model answered with NaN for another orientation.
        """
        pixels = upload.input
        appearance = self.appearance.distance(features(pixels)) / self.appearance_limit
        residual = self._residual(embedding, pixels, steady=appearance <= 1) / self.embedding_limit
        score = max(appearance, residual)
        if score <= 1:
            return Verdict(True, "", score, 1.0)
        why = (
            f"its colours and texture are unlike those of the {self.lesions:,} lesions that the model learned from"
            if appearance >= residual
            else f"the model finds something in it that none of the {self.lesions:,} lesions it learned from shows"
        )
        return Verdict(False, f"This does not look like a dermatoscopic image: {why}.", score, 1.0)

    def _residual(self, embedding: np.ndarray, pixels: np.ndarray, *, steady: bool) -> float:
        """The residual; `steady` makes it the same for every orientation wherever that can matter."""
        upright = float(self.subspace.residual(embedding))
        if not steady or self.embed is None or abs(math.log(upright / self.embedding_limit)) >= self.margin:
            return upright
        others = (turn(pixels, k) for k in range(1, max(ORIENTATIONS)))
        found = self.subspace.residual(np.stack([self.embed(np.ascontiguousarray(view)) for view in others]))
        return symmetric(np.append(found, upright))

    def to_bytes(self) -> bytes:
        """The gate's file."""
        return _FORMAT.pack(
            self.model,
            self.model_sha256,
            lesions=self.lesions,
            mean=self.subspace.mean,
            components=self.subspace.components.astype(np.float16),
            embedding_limit=self.embedding_limit,
            margin=self.margin,
            appearance_mean=self.appearance.mean,
            appearance_scale=self.appearance.scale,
            appearance_references=self.appearance.references.astype(np.float16),
            appearance_neighbours=self.appearance.neighbours,
            appearance_limit=self.appearance_limit,
        )

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> FittedGate:
        """Read a gate's file.

        Raises:
            ArtifactError: it is damaged, of another version, or for other pixels.
        """
        model, model_sha256, arrays = _FORMAT.unpack(data, what)
        if (found := arrays["appearance_references"].shape[1]) != FEATURES:
            raise ArtifactError(
                f"{what}: expected {FEATURES} features of appearance, found {found}; run {COMMAND}"
            )
        return cls(
            model=model,
            model_sha256=model_sha256,
            lesions=int(arrays["lesions"]),
            subspace=Subspace(arrays["mean"], arrays["components"].astype(np.float32)),
            embedding_limit=float(arrays["embedding_limit"]),
            margin=float(arrays["margin"]),
            appearance=Appearance(
                arrays["appearance_mean"],
                arrays["appearance_scale"],
                arrays["appearance_references"].astype(np.float32),
                int(arrays["appearance_neighbours"]),
            ),
            appearance_limit=float(arrays["appearance_limit"]),
        )


def symmetric(residuals: np.ndarray) -> float:
    """One number for the residuals of all orientations: their geometric mean."""
    return float(np.exp(np.log(residuals).mean()))


def gate_key(model: str) -> str:
    """The manifest's key, among its shared files, of a model's gate."""
    return _KEY + model


def load_gate(registry: Registry, model: str | None = None) -> Gate | None:
    """The gate to stand before a model, None where these artifacts have none.

    Its own gate costs nothing more, since the model's embedding is there already; then a member's, the student's or
    any other's, whose model has to look at the image as well.

    Raises:
        GateUnavailable: there are gates, and none can be used; says why for the first of them.
    """
    manifest = registry.manifest
    names = _candidates(manifest, model) if manifest is not None else []
    reasons: list[str] = []
    for name in names:
        try:
            return registry.part(gate_key(name), lambda name=name: _load(registry, manifest, name))
        except UserError as error:
            reasons.append(str(error))
    if reasons:
        raise GateUnavailable(reasons[0])
    return None


def _candidates(manifest: Manifest, model: str | None) -> list[str]:
    fitted = sorted(key.removeprefix(_KEY) for key in manifest.shared if key.startswith(_KEY))
    entry = manifest.models.get(model) if model else None
    wanted = (model, *(entry.members if entry else ()), DEFAULT_MODEL, *fitted)
    return [name for name in dict.fromkeys(wanted) if name in fitted]


def _load(registry: Registry, manifest: Manifest, name: str) -> FittedGate:
    relative = manifest.shared[gate_key(name)]
    gate = FittedGate.from_bytes(manifest.read(relative), relative)
    _FORMAT.check_model(manifest, name, relative, (gate.model, gate.model_sha256))
    classifier = registry.get(name)

    def embed(pixels: np.ndarray) -> np.ndarray:
        return classifier.classify(pixels).embedding

    return FittedGate(**{**vars(gate), "embed": embed})
