"""A map of the test images: where a model's embeddings of them lie, drawn into two dimensions once, by a command.

The file holds image ids, diagnoses and positions: no image and nothing of a patient. Neighbours on the map were
neighbours in the embedding; distances between groups mean nothing (van der Maaten and Hinton, JMLR 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.artifacts import ArtifactError, Manifest
from core.lesions import CODES
from core.manifest import FileRefused
from core.serving.arrays import Format
from core.serving.subspace import Subspace

COMMAND = "python -m core project"
DIMENSIONS = 50
PERPLEXITY = 30.0
LEAST = 10
"""Fewer images than this are no map."""

_KEY = "map-"
_FORMAT = Format(
    version=1,
    fields={"image_id": ("U", 1), "label": ("i", 1), "position": ("f", 2)},
    command=COMMAND,
    made_for="map of",
)


@dataclass(frozen=True, eq=False)
class Projection:
    """Where N images lie on one model's map.

    Attributes:
        model, model_sha256: the model, and the file whose embeddings these are.
        image_id: (N,) str.
        label: (N,) position of the true class in `CODES`.
        position: (N, 2) float32, to the right and upwards, the larger span from 0 to 1.
    """

    model: str
    model_sha256: str
    image_id: np.ndarray
    label: np.ndarray
    position: np.ndarray

    def to_bytes(self) -> bytes:
        """The map's file."""
        return _FORMAT.pack(
            self.model,
            self.model_sha256,
            image_id=np.asarray(self.image_id, str),
            label=np.asarray(self.label, np.int8),
            position=np.asarray(self.position, np.float32),
        )

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Projection:
        """Read a map's file.

        Raises:
            ArtifactError: it is damaged, of another version, or for other pixels.
        """
        model, model_sha256, arrays = _FORMAT.unpack(data, what)
        image_id, label, position = (arrays[name] for name in ("image_id", "label", "position"))
        in_range = ((label >= 0) & (label < len(CODES))).all()
        if not (len(image_id) == len(label) == len(position) and position.shape[1] == 2 and in_range):
            raise ArtifactError(
                f"{what}: expected one diagnosis and one position for each image; run {COMMAND}"
            )
        return cls(model, model_sha256, image_id, label, position)


def project(embeddings: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(N, D) embeddings -> (N, 2) float32 positions, the larger span from 0 to 1.

    The 50 directions of largest variance of the normalised embeddings, then scikit-learn's t-SNE from their first two.
    On one thread, since several add up in another order each time: the same embeddings give the same map.

    Raises:
        ArtifactError: there are too few embeddings.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(embeddings) < LEAST:
        raise ArtifactError(f"expected at least {LEAST} images for a map, found {len(embeddings)}")
    with threadpool_limits(1):
        inside = Subspace.fit(embeddings, min(DIMENSIONS, len(embeddings) - 1)).project(embeddings)
        # An eigenvector's sign is the linear algebra library's choice; this makes it ours.
        inside *= np.sign(inside[np.abs(inside).argmax(axis=0), np.arange(inside.shape[1])])
        start = inside[:, :2] / inside[:, 0].std() * 1e-4
        perplexity = min(PERPLEXITY, (len(inside) - 1) / 3)
        found = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(inside)
    found = found - found.min(axis=0)
    return (found / found.max()).astype(np.float32)


def map_key(model: str) -> str:
    """The manifest's key, among its shared files, of a model's map."""
    return _KEY + model


def mapped_models(manifest: Manifest | None) -> list[str]:
    """The models that have a map, whether or not it can be used."""
    if manifest is None:
        return []
    return [key.removeprefix(_KEY) for key in manifest.shared if key.startswith(_KEY)]


def read_projection(manifest: Manifest, model: str) -> Projection:
    """A model's map.

    Raises:
        ArtifactError: there is none, it is damaged, or it was made with another file of the model.
    """
    relative = manifest.shared.get(map_key(model))
    if relative is None:
        raise FileRefused(f"expected a map of {model}, found none; run {COMMAND}")
    projection = Projection.from_bytes(manifest.read(relative), relative)
    _FORMAT.check_model(manifest, model, relative, (projection.model, projection.model_sha256))
    return projection
