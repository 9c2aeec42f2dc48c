"""Named arrays in an artifact: numpy's own file format, without pickle, checked before anything uses it.

What is made of a model's embeddings (gate, lesions, map) says in its file whose they are and for which pixels: with
another file of the model it must be made again, and is refused until then.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.artifacts import ArtifactError, Manifest
from core.data.pixels import PREPROCESSING

_HEADER = {"version": ("i", 0), "model": ("U", 0), "model_sha256": ("U", 0), "preprocessing": ("U", 0)}


@dataclass(frozen=True)
class Format:
    """A kind of file that is made of one model's embeddings.

    Attributes:
        version: of the format.
        fields: name -> kind and number of dimensions, as for `unpack`.
        command: what makes it, for errors.
        made_for: what it is to a model, for errors.
    """

    version: int
    fields: Mapping[str, tuple[str, int]]
    command: str
    made_for: str

    def pack(self, model: str, model_sha256: str, **arrays: Any) -> bytes:
        """The file's bytes.

        Args:
            model, model_sha256: the model, and the file whose embeddings these are.
            arrays: one for each of `fields`.
        """
        header = {
            "version": self.version,
            "model": model,
            "model_sha256": model_sha256,
            "preprocessing": PREPROCESSING,
        }
        return pack({name: np.asarray(value) for name, value in (header | arrays).items()})

    def unpack(self, data: bytes, what: str) -> tuple[str, str, dict[str, np.ndarray]]:
        """The model, the hash of its file, and the arrays.

        Raises:
            ArtifactError: the file is damaged, of another version, or for other pixels.
        """
        arrays = unpack(data, _HEADER | self.fields, what)
        found = (int(arrays["version"]), str(arrays["preprocessing"]))
        if found != (self.version, PREPROCESSING):
            raise ArtifactError(
                f"{what}: expected version and pixels {(self.version, PREPROCESSING)}, found {found}; "
                f"run {self.command}"
            )
        return str(arrays["model"]), str(arrays["model_sha256"]), {name: arrays[name] for name in self.fields}

    def check_model(self, manifest: Manifest, name: str, what: str, found: tuple[str, str]) -> None:
        """Refuse a file that was made of another model, or of another file of it.

        Args:
            manifest: of the artifacts.
            name: the model that it is to be used with.
            what: the file, for errors.
            found: model and hash of `unpack`.

        Raises:
            ArtifactError: they differ.
        """
        path = manifest.model(name).files.get("litert")
        expected = (name, manifest.files[path].sha256 if path else "no file")
        if found != expected:
            (model, digest), (other, others) = expected, found
            raise ArtifactError(
                f"{what}: expected the {self.made_for} {model}, sha256 {digest[:12]}..., found the {self.made_for} "
                f"{other}, sha256 {others[:12]}...; run {self.command}"
            )


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes, expected: Mapping[str, tuple[str, int]], what: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file.

    Args:
        data: its bytes.
        expected: name -> kind of the elements ("f", "i", "U", as in `numpy.dtype.kind`) and number of dimensions.
        what: the file, for errors.

    Raises:
        ArtifactError: it is no such file, or an array is missing, of another kind or not finite.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in expected}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{what}: expected the arrays {', '.join(expected)}, found: {error}") from error
    for name, (kind, dimensions) in expected.items():
        array = arrays[name]
        if (array.dtype.kind, array.ndim) != (kind, dimensions):
            raise ArtifactError(
                f"{what}: expected {name} of kind {kind} with {dimensions} dimensions, "
                f"found {array.dtype} {array.shape}"
            )
        if kind == "f" and not np.isfinite(array).all():
            raise ArtifactError(f"{what}: expected finite numbers in {name}, found NaN or infinity")
    return arrays
