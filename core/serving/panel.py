"""Several models asked about one upload: the leading one behind intake and gate, the others beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from core.errors import UserError
from core.serving.answer import OK, REJECTED, Diagnoser
from core.serving.classifier import Diagnosis, ModelOutputError
from core.serving.gate import Verdict
from core.serving.intake import Upload, display_name
from core.serving.overlay import encode_png
from core.serving.quality import GOOD, Quality
from core.serving.registry import ModelUnavailable, Registry
from core.serving.runtime import RuntimeModelError, cores
from core.serving.similar import load_index
from core.settings import INPUT_SIZE, WHOLE_NAME_LENGTH

PREFERRED = ("student", "resnet50", "densenet169")
"""Asked unless somebody chooses others: the student leads, its teachers stand beside it."""

FAILED = "failed"
"""The status of a readable image that no model could answer for, beside those of `core.serving.answer`."""


NO_ANSWER = (ModelUnavailable, ModelOutputError, RuntimeModelError)
"""What a model raises that cannot be used, answers with no numbers, or for which the machine has no room."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What several models say of one upload, without the upload's bytes and full-size pixels.

    Attributes:
        name: the file's name, made safe to show.
        status: one of `core.serving.answer.STATUSES`, or `FAILED`.
        reason: why it is not "ok", in a sentence.
        notes: what was changed on the way in, and which checks are off.
        display: (height, width, 3) uint8 on the original's own aspect; None when rejected.
        diagnoses: one per model that answered, the leading one first. Empty unless the status is "ok": what the
            gate refuses gets no class.
        failures: model -> why it gave no answer.
        quality: what is to be said of the photograph.
        verdict: what the gate measured; None where the image was rejected or there is no gate.
        memory: that the models were made from this very picture, in a sentence; empty for any other.
        gate: the model that the gate was fitted on; empty without one.
        whole_name: the name, made safe to show and not shortened: what tells this row of a table from others.
    """

    name: str
    status: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    display: np.ndarray | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    quality: Quality = GOOD
    verdict: Verdict | None = None
    memory: str = ""
    gate: str = ""
    whole_name: str = ""

    @property
    def lead(self) -> Diagnosis | None:
        """The leading model's diagnosis."""
        return self.diagnoses[0] if self.diagnoses else None

    def of(self, model: str) -> Diagnosis | None:
        """A model's diagnosis, None if it gave none."""
        return next((diagnosis for diagnosis in self.diagnoses if diagnosis.model == model), None)


def choose_models(usable: Sequence[str]) -> tuple[str, ...]:
    """The models to ask by default: the preferred ones that can be used, else the first that can."""
    return tuple(name for name in PREFERRED if name in usable) or tuple(usable[:1])


def fingerprint(registry: Registry) -> str:
    """Changes whenever an answer could: with any file, calibration or operating point. A part of caches' keys."""
    manifest = registry.manifest
    if manifest is None:
        return ""
    models = [
        (e.name, e.files, e.members, e.calibration, e.operating_point) for e in manifest.models.values()
    ]
    return hashlib.sha256(repr((manifest.files, models)).encode()).hexdigest()


def make_ready(registry: Registry, models: Sequence[str]) -> None:
    """Load what an answer needs, and ask once about nothing, so that nobody waits for that with a first upload.

    What cannot be loaded is left to whoever asks for it, who is told why.

    Args:
        registry: where the models are.
        models: as for `ask`.
    """
    blank = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    for name in models:
        with suppress(UserError):
            registry.get(name).classify(blank)
    for lead in models[:1]:
        with suppress(UserError):
            Diagnoser.open(registry, lead, advice=True).answer(encode_png(blank))
        with suppress(UserError):
            load_index(registry, lead)


def ask(
    registry: Registry,
    models: Sequence[str],
    data: bytes,
    name: str | None = None,
    *,
    orientations: int = 1,
) -> Reading:
    """Read one file's bytes and ask the models.

    Args:
        registry: where the models are.
        models: the leading one first; one that cannot answer is named in `failures` and the next one leads.
        data: the file's bytes.
        name: its name.
        orientations: see `Classifier.classify`; more than one is said in the notes.
    """
    reading = _ask(registry, models, data, name, orientations)
    return replace(reading, whole_name=display_name(name, WHOLE_NAME_LENGTH))


def _ask(
    registry: Registry, models: Sequence[str], data: bytes, name: str | None, orientations: int
) -> Reading:
    failures: dict[str, str] = {}
    upload: Upload | None = None
    for position, lead in enumerate(models):
        try:
            diagnoser = Diagnoser.open(registry, lead, orientations=orientations, advice=True)
            answer = diagnoser.answer(data, name)
        except NO_ANSWER as error:
            failures[lead] = str(error)
            continue
        upload = answer.upload
        shown = display_name(name)
        gate = diagnoser.gate.model if diagnoser.gate else ""
        if answer.status == REJECTED or upload is None or answer.diagnosis is None:
            return Reading(shown, answer.status, answer.reason)
        notes = (*upload.notes, *([diagnoser.note] if diagnoser.note else []), *_say(orientations))
        if answer.status != OK:
            return Reading(
                shown, answer.status, answer.reason, notes, upload.display, verdict=answer.verdict, gate=gate
            )
        others, failed = _ask_others(registry, models[position + 1 :], upload, answer.diagnosis, orientations)
        diagnoses = (answer.diagnosis, *others)
        return Reading(
            shown,
            OK,
            "",
            notes,
            upload.display,
            diagnoses,
            {**failures, **failed},
            answer.quality,
            answer.verdict,
            answer.memory,
            gate,
        )
    reason = "No model could answer." if models else "No model was chosen."
    return Reading(display_name(name), FAILED, reason, failures=failures)


def _say(orientations: int) -> tuple[str, ...]:
    if orientations == 1:
        return ()
    return (
        f"every model looked at the image in {orientations} orientations: probabilities and maps are means, the maps "
        "turned back to how the image was given",
    )


def _ask_others(
    registry: Registry, models: Sequence[str], upload: Upload, lead: Diagnosis, orientations: int
) -> tuple[tuple[Diagnosis, ...], dict[str, str]]:
    """The other models' diagnoses in the order asked for; a member of the leading ensemble is not run again."""

    def look(name: str) -> Diagnosis | str:
        try:
            return lead.of(name) or registry.get(name).classify(upload.input, orientations=orientations)
        except NO_ANSWER as error:
            return str(error)

    if not models:
        return (), {}
    # LiteRT lets go of Python's lock, so that two models take as long as the slower one.
    with ThreadPoolExecutor(min(len(models), cores()), thread_name_prefix="panel") as pool:
        answers = dict(zip(models, pool.map(look, models), strict=True))
    failures = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    return tuple(answer for answer in answers.values() if not isinstance(answer, str)), failures
