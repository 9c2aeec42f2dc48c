"""Bytes -> `Answer`: intake, model and gate in the one order that pages, command line and batch share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.serving.classifier import Diagnosis, Model
from core.serving.gate import Gate, Verdict, load_gate
from core.serving.intake import Rejection, Upload, read_image
from core.serving.registry import ModelUnavailable, Registry
from core.settings import MAX_UPLOAD_BYTES

OK, OUT_OF_DISTRIBUTION, REJECTED = STATUSES = ("ok", "out_of_distribution", "rejected")


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one upload.

    Attributes:
        status: one of `STATUSES`.
        reason: why it is not ok, in a sentence; empty when it is.
        upload: the image; None when rejected.
        diagnosis: what the model says; None when rejected. Not for clinicians' eyes when out of distribution.
        verdict: the gate's; None when there is no gate.
    """

    status: str
    reason: str = ""
    upload: Upload | None = None
    diagnosis: Diagnosis | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Diagnoser:
    """A model behind intake and gate. Safe to use from many threads.

    Attributes:
        model: what answers.
        orientations: see `Classifier.classify`.
        gate: None switches the out-of-distribution check off.
        gate_model: gives the embedding where `model` does not contain the gate's model.
        note: why the check is off although it was asked for, or None.
    """

    model: Model
    orientations: int = 1
    gate: Gate | None = None
    gate_model: Model | None = None
    note: str | None = None

    @classmethod
    def open(cls, registry: Registry, name: str, *, orientations: int = 1, gate: bool = True) -> Diagnoser:
        """The named model with the gate that is shipped with it.

        Raises:
            ModelUnavailable: the model cannot be used.
        """
        model = registry.get(name)
        guard = load_gate(registry) if gate else None
        if guard is None:
            note = "this folder has no gate: images are not checked for being dermatoscopic" if gate else None
            return cls(model, orientations, note=note)
        try:
            return cls(model, orientations, guard, registry.get(guard.model))
        except ModelUnavailable as error:
            return cls(model, orientations, note=f"images are not checked for being dermatoscopic: {error}")

    def answer(self, data: bytes, name: str | None = None) -> Answer:
        """Read, classify and judge one file's bytes.

        Raises:
            ModelOutputError: the model answered with NaN or infinity.
        """
        read = read_image(data, name)
        if isinstance(read, Rejection):
            return Answer(REJECTED, read.reason)
        diagnosis = self.model.classify(read.pixels, orientations=self.orientations)
        verdict = self._judge(diagnosis, read)
        if verdict is not None and not verdict.accepted:
            return Answer(OUT_OF_DISTRIBUTION, verdict.reason, read, diagnosis, verdict)
        return Answer(OK, "", read, diagnosis, verdict)

    def answer_file(self, path: Path) -> Answer:
        """`answer` for a file; one that cannot be read is a rejection."""
        try:
            data = read_limited(path)
        except OSError as error:
            return Answer(REJECTED, f"The file cannot be read: {error.strerror or error}.")
        return self.answer(data, path.name)

    def _judge(self, diagnosis: Diagnosis, upload: Upload) -> Verdict | None:
        if self.gate is None or self.gate_model is None:
            return None
        judged = diagnosis.of(self.gate.model) or self.gate_model.classify(upload.pixels)
        return self.gate.check(judged.embedding, upload)


def read_limited(path: Path) -> bytes:
    """The file's bytes, at most one more than intake accepts, so that it can say that there are too many.

    Raises:
        OSError: it cannot be read, or is a folder, pipe or device.
    """
    if not path.is_file():
        path.stat()
        raise OSError(None, "expected a file, found a folder, pipe or device")
    with path.open("rb") as stream:
        return stream.read(MAX_UPLOAD_BYTES + 1)
