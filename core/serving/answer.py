"""Bytes -> `Answer`: intake, model and gate in the one order that pages, command line and batch share."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from core.artifacts import ArtifactError
from core.serving.classifier import Diagnosis, Model
from core.serving.gate import COMMAND, Gate, GateUnavailable, Verdict, load_gate
from core.serving.intake import Rejection, Upload, read_image
from core.serving.intake.refusal import too_large
from core.serving.quality import GOOD, PhotoLimits, Quality, judge, load_limits
from core.serving.registry import ModelUnavailable, Registry
from core.serving.seen import Seen, load_seen
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
        quality: of the photograph; nothing to be said of it where not asked for.
        memory: that the models were made from this very picture, in a sentence; empty for others or if not asked for.
    """

    status: str
    reason: str = ""
    upload: Upload | None = None
    diagnosis: Diagnosis | None = None
    verdict: Verdict | None = None
    quality: Quality = GOOD
    memory: str = ""


@dataclass(frozen=True)
class Diagnoser:
    """A model behind intake and gate. Safe to use from many threads.

    Attributes:
        model: what answers.
        orientations: see `Classifier.classify`.
        gate: None switches the out-of-distribution check off.
        gate_model: gives the embedding where `model` does not contain the gate's model.
        note: which checks are off although they were asked for, and why; or None.
        limits: of the photograph's quality; None gives no advice.
        seen: the pictures that the models were made from; None recognises none.
    """

    model: Model
    orientations: int = 1
    gate: Gate | None = None
    gate_model: Model | None = None
    note: str | None = None
    limits: PhotoLimits | None = None
    seen: Seen | None = None

    @classmethod
    def open(
        cls,
        registry: Registry,
        name: str,
        *,
        orientations: int = 1,
        gate: bool = True,
        advice: bool = False,
    ) -> Diagnoser:
        """The named model with the gate that is shipped with it.

        Args:
            registry: the models.
            name: which of them.
            orientations: see `Classifier.classify`.
            gate: whether images are checked for being dermatoscopic.
            advice: whether the photograph's quality is looked at as well, and whether the models were made from it.

        Raises:
            ModelUnavailable: the model cannot be used.
        """
        opened = cls(registry.get(name), orientations)
        notes: list[str] = []
        if advice:
            try:
                opened = replace(opened, limits=load_limits(registry))
            except ArtifactError as error:
                notes.append(f"the photograph's quality is not looked at: {error}")
            try:
                opened = replace(opened, seen=load_seen(registry))
            except ArtifactError as error:
                notes.append(f"pictures that the models were made from are not recognised: {error}")
        if gate:
            try:
                guard = load_gate(registry, name)
                if guard is None:
                    notes.append("this folder has no gate: images are not checked for being dermatoscopic")
                else:
                    opened = replace(opened, gate=guard, gate_model=registry.get(guard.model))
            except (GateUnavailable, ModelUnavailable) as error:
                notes.append(f"images are not checked for being dermatoscopic: {_with_command(error)}")
        return replace(opened, note="; ".join(notes) or None)

    def answer(self, data: bytes, name: str | None = None) -> Answer:
        """Read, classify and judge one file's bytes.

        Raises:
            ModelOutputError: the model answered with NaN or infinity.
        """
        read = read_image(data, name)
        if isinstance(read, Rejection):
            return Answer(REJECTED, read.reason)
        diagnosis = self.model.classify(read.input, orientations=self.orientations)
        verdict = self._judge(diagnosis, read)
        if verdict is not None and not verdict.accepted:
            return Answer(OUT_OF_DISTRIBUTION, verdict.reason, read, diagnosis, verdict)
        quality = judge(read.pixels, self.limits) if self.limits else GOOD
        memory = self.seen.sentence(read.input) if self.seen else ""
        return Answer(OK, "", read, diagnosis, verdict, quality, memory)

    def answer_file(self, path: Path) -> Answer:
        """`answer` for a file; one that cannot be read is a rejection."""
        try:
            data, size = read_limited(path), path.stat().st_size
        except OSError as error:
            return Answer(REJECTED, f"The file cannot be read: {error.strerror or error}.")
        if len(data) > MAX_UPLOAD_BYTES:  # and not read on: how much there is, the system knows
            return Answer(REJECTED, too_large(max(size, len(data))).reason)
        return self.answer(data, path.name)

    def _judge(self, diagnosis: Diagnosis, upload: Upload) -> Verdict | None:
        if self.gate is None or self.gate_model is None:
            return None
        judged = diagnosis.of(self.gate.model) or self.gate_model.classify(upload.input)
        return self.gate.check(judged.embedding, upload)


def _with_command(error: Exception) -> str:
    """The error, with the command that makes a gate where it names none."""
    return str(error) if COMMAND in str(error) else f"{error}; {COMMAND} makes a gate"


def read_limited(path: Path) -> bytes:
    """The file's bytes, at most one more than intake accepts, which shows that there are too many.

    Raises:
        OSError: it cannot be read, or is a folder, pipe or device.
    """
    if not path.is_file():
        path.stat()
        if path.is_dir():
            os.scandir(path).close()  # a folder that cannot be searched has the system's reason
        raise OSError(None, "expected a file, found a folder, pipe or device")
    with path.open("rb") as stream:
        return stream.read(MAX_UPLOAD_BYTES + 1)
