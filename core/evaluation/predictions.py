"""The table of logits that every figure of merit comes from, and its Parquet file.

One row per image: `image_id`, `lesion_id`, `part`, `label` (a class code) and seven float32 columns
`logit_akiec` ... `logit_vasc`. The file's metadata names the model and the class order; `part` is
`validation` or `test`, since training images have no place in a figure of merit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.artifacts import write_atomically
from core.errors import UserError
from core.evaluation.calibration import softmax
from core.lesions import CODES, INDEX, N_CLASSES, ClassOrderError, check_class_order

PARTS: tuple[str, ...] = ("validation", "test")
VERSION = 1
METADATA_KEY = b"dermdistill"
SMALLEST_PROBABILITY = 1e-12
"""Floor under a probability before its logarithm, so that a certain model keeps finite logits."""

_LOGIT_COLUMNS = tuple(f"logit_{code}" for code in CODES)
_TEXT_COLUMNS = ("image_id", "lesion_id", "part", "label")


class PredictionsError(UserError):
    """A table of predictions that cannot be trusted: what was expected and what was found."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model answers to N images.

    Attributes:
        model: the model's name, as in the manifest.
        image_id: (N,) str, each once.
        lesion_id: (N,) str; images of one lesion are not independent, intervals resample lesions.
        label: (N,) int64, the true class as an index into `CODES`.
        logits: (N, 7) float32, before temperature and softmax, in the order of `CODES`. A model that
            gives probabilities (the ensemble, a model brought along) has their logarithms here.
        part: (N,) str, `validation` or `test`.

    Raises:
        PredictionsError: shapes, labels, parts or ids do not fit, or a logit is not finite.
    """

    model: str
    image_id: np.ndarray
    lesion_id: np.ndarray
    label: np.ndarray
    logits: np.ndarray
    part: np.ndarray

    def __post_init__(self) -> None:
        for name in ("image_id", "lesion_id", "part"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=str).reshape(-1))
        object.__setattr__(self, "logits", np.asarray(self.logits, dtype=np.float32))
        label = np.asarray(self.label)
        if label.dtype.kind not in "iu" and label.size:
            raise PredictionsError(f"{self.model}: expected integer labels, found {label.dtype}")
        object.__setattr__(self, "label", label.astype(np.int64))
        self._check()

    def __len__(self) -> int:
        return len(self.image_id)

    @classmethod
    def from_probabilities(
        cls,
        model: str,
        *,
        image_id: Sequence[str] | np.ndarray,
        lesion_id: Sequence[str] | np.ndarray,
        label: Sequence[int] | np.ndarray,
        probabilities: np.ndarray,
        part: Sequence[str] | np.ndarray,
    ) -> Predictions:
        """Predictions of a model that gives (N, 7) probabilities, stored as their logarithms.

        Softmax at temperature 1 gives the probabilities back, to float32's precision.

        Raises:
            PredictionsError: a value lies outside [0, 1], or a row does not sum to 1 within 1e-3.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if probabilities.ndim != 2 or probabilities.shape[1] != N_CLASSES:
            raise PredictionsError(
                f"{model}: expected probabilities of shape (N, {N_CLASSES}), found {probabilities.shape}"
            )
        # Negated, so that NaN counts as wrong.
        outside = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
        if outside.any():
            row = int(np.argmax(outside))
            raise PredictionsError(
                f"{model}: expected probabilities between 0 and 1, found {probabilities[row].tolist()} in row {row}"
            )
        total = probabilities.sum(axis=1)
        if (np.abs(total - 1) > 1e-3).any():
            row = int(np.argmax(np.abs(total - 1)))
            raise PredictionsError(
                f"{model}: expected probabilities that sum to 1, found a sum of {total[row]:.4g} in row {row}"
            )
        logits = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
        return cls(
            model, np.asarray(image_id), np.asarray(lesion_id), np.asarray(label), logits, np.asarray(part)
        )

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64, the class with the largest logit; no temperature changes it."""
        return self.logits.argmax(axis=1)

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """(N, 7) float64, softmax of the logits divided by `temperature`."""
        return softmax(self.logits, temperature)

    def take(self, rows: np.ndarray) -> Predictions:
        """The rows of an index array or boolean mask, in that order."""
        return Predictions(
            self.model,
            self.image_id[rows],
            self.lesion_id[rows],
            self.label[rows],
            self.logits[rows],
            self.part[rows],
        )

    def part_only(self, part: str) -> Predictions:
        """The rows of `validation` or of `test`; they may be none."""
        if part not in PARTS:
            raise PredictionsError(f"expected a part among {', '.join(PARTS)}, found {part!r}")
        return self.take(self.part == part)

    def aligned_to(self, other: Predictions) -> Predictions:
        """These rows in the order of `other`, which must hold the same images with the same labels.

        Raises:
            PredictionsError: the images, lesions, labels or parts differ.
        """
        if np.array_equal(self.image_id, other.image_id):
            return self._agreeing_with(other)
        missing = np.setdiff1d(other.image_id, self.image_id)
        extra = np.setdiff1d(self.image_id, other.image_id)
        if len(missing) or len(extra):
            example = str((missing if len(missing) else extra)[0])
            raise PredictionsError(
                f"expected {self.model} and {other.model} to hold the same images, found {len(missing)} only in "
                f"{other.model} and {len(extra)} only in {self.model}, for example {example}; evaluate both on "
                "one split"
            )
        order = np.argsort(self.image_id)
        rows = order[np.searchsorted(self.image_id, other.image_id, sorter=order)]
        return self.take(rows)._agreeing_with(other)

    def _agreeing_with(self, other: Predictions) -> Predictions:
        for name in ("label", "lesion_id", "part"):
            mine, theirs = getattr(self, name), getattr(other, name)
            differing = np.flatnonzero(mine != theirs)
            if len(differing):
                row = differing[0]
                raise PredictionsError(
                    f"expected {self.model} and {other.model} to agree on {name} of every image, found "
                    f"{mine[row]} and {theirs[row]} for {other.image_id[row]}"
                )
        return self

    def save(self, path: Path) -> None:
        """Write the Parquet file; a reader sees the old one or the new one, never half of it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        labels = np.asarray(CODES)[self.label]
        columns: dict[str, np.ndarray] = dict(
            zip(_TEXT_COLUMNS, (self.image_id, self.lesion_id, self.part, labels), strict=True)
        )
        columns |= {name: self.logits[:, i] for i, name in enumerate(_LOGIT_COLUMNS)}
        metadata = {"version": VERSION, "model": self.model, "classes": list(CODES)}
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
        table = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata).encode()})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            PredictionsError: the file is missing, or as in `from_bytes`.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PredictionsError(f"expected predictions at {path}, found: {error.strerror}") from error
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Predictions:
        """Read the bytes of a file that `save` wrote, such as `Manifest.read` gives after its hash was checked.

        Args:
            data: the file.
            path: how errors call it.

        Raises:
            PredictionsError: no Parquet file of predictions, another class order, other columns, or values
                that are not finite.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(io.BytesIO(data))
        except (pa.ArrowException, OSError) as error:
            raise PredictionsError(
                f"{path}: expected a Parquet file, found something unreadable ({error})"
            ) from error
        model = _model_of(table.schema.metadata, path)
        expected = (*_TEXT_COLUMNS, *_LOGIT_COLUMNS)
        if tuple(table.column_names) != expected:
            raise PredictionsError(
                f"{path}: expected the columns {', '.join(expected)}, found {', '.join(table.column_names)}"
            )
        text = {name: np.asarray(table[name].to_pylist(), dtype=str) for name in _TEXT_COLUMNS}
        unknown = sorted(set(text["label"]) - set(CODES))
        if unknown:
            raise PredictionsError(
                f"{path}: expected labels among {' '.join(CODES)}, found {' '.join(unknown)}"
            )
        for name in _LOGIT_COLUMNS:
            if table.schema.field(name).type != pa.float32():
                raise PredictionsError(
                    f"{path}: expected float32 in {name}, found {table.schema.field(name).type}"
                )
        logits = np.stack([table[name].to_numpy() for name in _LOGIT_COLUMNS], axis=1)
        label = np.asarray([INDEX[code] for code in text["label"]], dtype=np.int64)
        return cls(model, text["image_id"], text["lesion_id"], label, logits, text["part"])

    def _check(self) -> None:
        n = len(self.image_id)
        if self.logits.shape != (n, N_CLASSES):
            raise PredictionsError(
                f"{self.model}: expected logits of shape ({n}, {N_CLASSES}), found {self.logits.shape}"
            )
        for name in ("lesion_id", "label", "part"):
            values = getattr(self, name)
            if values.shape != (n,):
                raise PredictionsError(
                    f"{self.model}: expected {n} values of {name}, found shape {values.shape}"
                )
        if n and (self.label.min() < 0 or self.label.max() >= N_CLASSES):
            raise PredictionsError(
                f"{self.model}: expected labels 0 to {N_CLASSES - 1}, found {self.label.min()} to {self.label.max()}"
            )
        others = sorted(set(self.part.tolist()) - set(PARTS))
        if others:
            raise PredictionsError(
                f"{self.model}: expected parts {' and '.join(PARTS)}, found {', '.join(others)}"
            )
        bad = ~np.isfinite(self.logits).all(axis=1)
        if bad.any():
            first = self.image_id[int(np.argmax(bad))]
            raise PredictionsError(
                f"{self.model}: expected finite logits, found NaN or infinity for {int(bad.sum())} images, "
                f"the first is {first}"
            )
        ids, counts = np.unique(self.image_id, return_counts=True)
        if (counts > 1).any():
            raise PredictionsError(
                f"{self.model}: expected each image once, found {ids[counts > 1][0]} {counts.max()} times"
            )


def _model_of(metadata: dict[bytes, bytes] | None, path: str) -> str:
    """The model's name from a Parquet file's metadata, after version and class order are checked."""
    try:
        stored = json.loads((metadata or {})[METADATA_KEY])
        version, model, classes = stored["version"], stored["model"], stored["classes"]
    except (KeyError, TypeError, ValueError) as error:
        raise PredictionsError(
            f"{path}: expected metadata of DermDistill's predictions, found none"
        ) from error
    if version != VERSION:
        raise PredictionsError(f"{path}: expected predictions of version {VERSION}, found {version!r}")
    try:
        check_class_order(classes, path)
    except ClassOrderError as error:
        raise PredictionsError(str(error)) from error
    return str(model)
