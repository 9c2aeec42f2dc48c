"""The training lesions whose embeddings are nearest to an image's: what the model has seen that is like it.

The index is shipped without images and without patients: of each lesion of the training part the `image_id` of one
picture, its diagnosis and 64 numbers from the model. Ids and diagnoses are HAM10000's (CC BY-NC 4.0). Age, sex, site
and the picture itself come from the dataset, where it is at hand, and never from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.artifacts import ArtifactError, Manifest
from core.errors import UserError
from core.lesions import CODES
from core.serving.arrays import Format
from core.serving.intake import Rejection, read_image
from core.serving.subspace import Subspace, normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from core.serving.classifier import Diagnosis
    from core.serving.registry import Registry

MOST = 0.99
"""Beyond, a similarity would be written as 1, which stands for the same picture. Test images of HAM10000 have up to
0.9999 with training images of other lesions."""

DEFAULT_MODEL = "student"
COMMAND = "python -m core gate fit"
_KEY = "similar-"
_FORMAT = Format(
    version=1,
    fields={
        "mean": ("f", 1),
        "components": ("f", 2),
        "image_id": ("U", 1),
        "label": ("i", 1),
        "vectors": ("f", 2),
    },
    command=COMMAND,
    made_for="lesions of",
)


class SimilarUnavailable(UserError):
    """There is an index of lesions, and it cannot be used."""


@dataclass(frozen=True)
class SimilarLesion:
    """One training lesion.

    Attributes:
        image_id: one picture of it.
        dx: its diagnosis, one of `core.lesions.CODES`.
        similarity: cosine between the two pictures' embeddings about the mean of all lesions: 1 for the same
            picture, 0 for one that has nothing in common, never above 1.
        age: in years; sex and site in HAM10000's words. All three None where the dataset is not at hand or says
            nothing.
        sex: see age.
        site: see age.
        model: in whose eyes it is similar.
    """

    image_id: str
    dx: str
    similarity: float
    age: float | None = None
    sex: str | None = None
    site: str | None = None
    model: str = DEFAULT_MODEL

    @property
    def similarity_in_words(self) -> str:
        """With two decimals, `> 0.99` beyond: never that of the same picture."""
        return f"> {MOST}" if self.similarity > MOST else f"{self.similarity:.2f}"


@dataclass(frozen=True, eq=False)
class LesionIndex:
    """One picture of every training lesion, as one model sees it.

    Attributes:
        model, model_sha256: the model, and the file whose embeddings these are.
        subspace: where they are compared.
        image_id: (N,) one picture of each lesion.
        label: (N,) position of its diagnosis in `CODES`.
        vectors: (N, K) float32 of length 1.
    """

    model: str
    model_sha256: str
    subspace: Subspace
    image_id: np.ndarray
    label: np.ndarray
    vectors: np.ndarray

    @classmethod
    def build(
        cls,
        model: str,
        model_sha256: str,
        image_id: np.ndarray,
        label: np.ndarray,
        embeddings: np.ndarray,
        dimensions: int,
    ) -> LesionIndex:
        """From (N, D) embeddings of one picture of each lesion, rounded to what is stored."""
        subspace = Subspace.fit(embeddings, dimensions)
        vectors = normalised(subspace.project(embeddings)).astype(np.float16).astype(np.float32)
        return cls(model, model_sha256, subspace, np.asarray(image_id, str), np.asarray(label), vectors)

    def nearest(self, embedding: np.ndarray, count: int = 5) -> tuple[SimilarLesion, ...]:
        """The lesions most similar to a (D,) embedding of `model`, the most similar first, no lesion twice."""
        vector = normalised(self.subspace.project(embedding))
        if not np.isfinite(vector).all():
            return ()
        similarity = np.clip(self.vectors @ vector, -1, 1)
        order = np.argsort(-similarity, kind="stable")[:count]
        return tuple(
            SimilarLesion(str(self.image_id[i]), CODES[self.label[i]], float(similarity[i]), model=self.model)
            for i in order
        )

    def to_bytes(self) -> bytes:
        """The index's file."""
        return _FORMAT.pack(
            self.model,
            self.model_sha256,
            mean=self.subspace.mean,
            components=self.subspace.components.astype(np.float16),
            image_id=self.image_id,
            label=self.label.astype(np.int8),
            vectors=self.vectors.astype(np.float16),
        )

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> LesionIndex:
        """Read an index's file.

        Raises:
            ArtifactError: it is damaged, of another version, or for other pixels.
        """
        model, model_sha256, arrays = _FORMAT.unpack(data, what)
        label = arrays["label"]
        lengths = {len(label), len(arrays["image_id"]), len(arrays["vectors"])}
        if len(lengths) != 1 or not ((label >= 0) & (label < len(CODES))).all():
            raise ArtifactError(
                f"{what}: expected one diagnosis and one vector for each picture; run {COMMAND}"
            )
        subspace = Subspace(arrays["mean"], arrays["components"].astype(np.float32))
        vectors = arrays["vectors"].astype(np.float32)
        return cls(model, model_sha256, subspace, arrays["image_id"], label, vectors)


def index_key(model: str) -> str:
    """The manifest's key, among its shared files, of a model's index."""
    return _KEY + model


def load_index(registry: Registry, model: str | None = None) -> LesionIndex | None:
    """The index in `model`'s own eyes, else in the student's; None where these artifacts have none.

    Query it with the embedding of `LesionIndex.model`, whichever model was asked for.

    Raises:
        SimilarUnavailable: there is an index, and it is damaged or was made with another file of its model.
    """
    manifest = registry.manifest
    if manifest is None:
        return None
    name = next((n for n in (model, DEFAULT_MODEL) if n and index_key(n) in manifest.shared), None)
    if name is None:
        return None
    try:
        return registry.part(index_key(name), lambda: _load(manifest, name))
    except UserError as error:
        raise SimilarUnavailable(str(error)) from error


def _load(manifest: Manifest, name: str) -> LesionIndex:
    relative = manifest.shared[index_key(name)]
    index = LesionIndex.from_bytes(manifest.read(relative), relative)
    _FORMAT.check_model(manifest, name, relative, (index.model, index.model_sha256))
    return index


def similar_to(
    registry: Registry, diagnoses: Sequence[Diagnosis], data: bytes, count: int = 5
) -> tuple[SimilarLesion, ...] | None:
    """The lesions nearest to an image that was diagnosed already; None where these artifacts have no index.

    Args:
        registry: the models.
        diagnoses: of the image, the leading one first.
        data: its file, read again where none of the diagnoses has the embedding of the index' model.
        count: how many.

    Raises:
        SimilarUnavailable: the index or its model cannot be used.
    """
    index = load_index(registry, diagnoses[0].model if diagnoses else None)
    if index is None:
        return None
    found = next((d for each in diagnoses if (d := each.of(index.model)) is not None), None)
    if found is None:
        upload = read_image(data)
        if isinstance(upload, Rejection):
            return ()
        try:
            found = registry.get(index.model).classify(upload.pixels)
        except UserError as error:
            raise SimilarUnavailable(str(error)) from error
    return index.nearest(found.embedding, count)


def describe(lesions: tuple[SimilarLesion, ...], records: pd.DataFrame) -> tuple[SimilarLesion, ...]:
    """The same lesions with age, sex and site from the dataset's records, where these have them."""
    meant = records["image_id"].isin([lesion.image_id for lesion in lesions])
    known = records[meant].drop_duplicates("image_id").set_index("image_id")
    return tuple(_described(lesion, known) for lesion in lesions)


def _described(lesion: SimilarLesion, known: pd.DataFrame) -> SimilarLesion:
    if lesion.image_id not in known.index:
        return lesion
    record = known.loc[lesion.image_id]
    age = float(record["age"])
    return replace(
        lesion,
        age=None if np.isnan(age) else age,
        sex=_known(record["sex"]),
        site=_known(record["localization"]),
    )


def _known(value: object) -> str | None:
    return value if isinstance(value, str) and value not in ("", "unknown") else None
