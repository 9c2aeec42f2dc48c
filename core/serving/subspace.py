"""The few directions in which embeddings of lesions differ, and how far an embedding lies outside of them.

Embeddings are first brought to length 1: then a flat picture, whose features are all small, does not lie near
everything. Distance to the principal subspace follows ViM (Wang et al., CVPR 2022), without its logit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import UserError


@dataclass(frozen=True, eq=False)
class Subspace:
    """Principal components of normalised embeddings.

    Attributes:
        mean: (D,) float32 of the normalised embeddings.
        components: (K, D) float32, orthonormal rows, the direction of the largest variance first.
    """

    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, embeddings: np.ndarray, dimensions: int) -> Subspace:
        """The subspace of (N, D) embeddings, rounded to what is stored (float16 components).

        Raises:
            UserError: there are too few embeddings.
        """
        dimensions = min(dimensions, embeddings.shape[1] // 2)
        if len(embeddings) <= dimensions:
            raise UserError(
                f"expected more than {dimensions} images to fit a gate to, found {len(embeddings)}"
            )
        unit = normalised(embeddings)
        mean = unit.mean(axis=0)
        components = np.linalg.eigh(np.cov(unit - mean, rowvar=False))[1].T[::-1][:dimensions]
        return cls(mean.astype(np.float32), components.astype(np.float16).astype(np.float32))

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """(..., D) -> (..., K) float32, the coordinates inside."""
        return (normalised(embeddings) - self.mean) @ self.components.T

    def residual(self, embeddings: np.ndarray) -> np.ndarray:
        """(..., D) -> (...,) the distance from the subspace, 0 to 2; infinite where an embedding has no length."""
        with np.errstate(invalid="ignore"):
            offset = normalised(embeddings) - self.mean
            inside = offset @ self.components.T
            left = (offset**2).sum(axis=-1) - (inside**2).sum(axis=-1)
        return np.where(np.isfinite(left), np.sqrt(np.maximum(left, 1e-12)), np.inf)


def normalised(embeddings: np.ndarray) -> np.ndarray:
    """(..., D) float32 of length 1; NaN where there is no direction."""
    embeddings = np.asarray(embeddings, np.float32)
    length = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return np.divide(embeddings, length, out=np.full_like(embeddings, np.nan), where=length > 0)
