"""Diagnoses in words: what is read first, and so must not say more than the numbers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.held_out import on_test
from core.lesions import BY_CODE, INDEX, LESIONS, MALIGNANT
from core.numbers import percent, told_apart
from core.serving.classifier import Diagnosis
from core.serving.gate import Verdict
from core.serving.quality import WORSE, Quality

LIKELY = 0.5
"""Below this, the leading class is less probable than all others together, and the words say so."""

NAMED = 0.01
"""From this probability on a malignant class is named beside the leading one."""

UNRELIABLE = "Do not rely on what the models say of this picture."
"""Before anything else that is said of a poor picture."""

NOT_CHECKED = "It was not checked whether this is a dermatoscopic image."
"""Of a picture that was judged without a gate."""


def headline(diagnosis: Diagnosis, *, poor: bool = False) -> str:
    """The leading class in a few words; of a `poor` picture no more than that it leads, however probable it is."""
    name = BY_CODE[diagnosis.label].name
    if poor:
        return f"Poor picture; leading: {name}"
    if diagnosis.confidence >= LIKELY:
        return f"Most likely: {name}"
    return f"Uncertain; leading: {name}"


def suspicion_sentence(diagnoses: Sequence[Diagnosis], titles: Mapping[str, str]) -> str:
    """That the lesion should be looked at, and by which models' score if not by the leading one's; empty if by none.

    Args:
        diagnoses: the leading one first.
        titles: the models' names for people.
    """
    if not any(diagnosis.suspicious for diagnosis in diagnoses):
        return ""
    if diagnoses[0].suspicious:
        return "Suspicious: have it looked at"
    who = " and ".join(titles.get(d.model, d.model) for d in diagnoses if d.suspicious)
    return f"Suspicious to {who}: have it looked at"


def accepted_sentence(verdict: Verdict) -> str:
    """What it means that the gate lets a picture pass."""
    return (
        "Looks enough like a dermatoscopic image to be accepted: its distance from those that the models learned from "
        f"is {percent(verdict.score / verdict.threshold)} of the limit. That does not rule out a photograph by a bare "
        "camera."
    )


def quality_sentences(quality: Quality) -> tuple[str, ...]:
    """The advice on a photograph; on a poor one after the warning, and before why it is given."""
    return (UNRELIABLE, *quality.advice, WORSE) if quality.poor else quality.advice


def failure_sentences(failures: Mapping[str, str], titles: Mapping[str, str]) -> list[str]:
    """Which models gave no answer, and why.

    Args:
        failures: model -> why.
        titles: the models' names for people.
    """
    return [as_sentence(f"{titles.get(m, m)} gave no answer: {why}") for m, why in failures.items()]


def as_sentence(note: str) -> str:
    """A note with a capital letter and a full stop, so that another sentence can follow it."""
    stop = "" if not note or note.endswith((".", "!", "?")) else "."
    return f"{note[:1].upper()}{note[1:]}{stop}"


def malignant_sentence(diagnosis: Diagnosis) -> str:
    """Which malignant classes have at least a hundredth of the probability, the likeliest first."""
    found = sorted(((float(diagnosis.probabilities[i]), LESIONS[i].name) for i in MALIGNANT), reverse=True)
    named = [f"{name} {percent(share)}" for share, name in found if share >= NAMED]
    if not named:
        return f"Each malignant class has a probability below {percent(NAMED)}."
    return f"What could be malignant: {', '.join(named)}."


def malignancy_sentence(diagnosis: Diagnosis, point: Mapping[str, Any] | None) -> str:
    """The malignancy score against its operating point.

    Args:
        diagnosis: whose score.
        point: the manifest's `operating_point`, None where the model has none. Its figures on test are said; where
            there are none, the share of malignant validation images that it was chosen by.
    """
    if point is None:
        return (
            f"Malignancy score {diagnosis.malignancy:.3f}. No operating point was chosen for this model, so it is not "
            "judged."
        )
    held_out, chosen_by = on_test(point), point.get("validation_sensitivity")
    known = "."
    if held_out:
        known = f". {held_out}"
    elif chosen_by is not None:
        known = f", which {percent(chosen_by)} of malignant validation images reach."
    score, threshold = told_apart(diagnosis.malignancy, float(point["malignancy_threshold"]))
    if diagnosis.suspicious:
        return f"Malignancy score {score}: at or above the operating point of {threshold}{known}"
    return f"Malignancy score {score}: below the operating point of {threshold}{known} Below is not harmless."


@dataclass(frozen=True)
class Agreement:
    """How far several models say the same of one image.

    Attributes:
        label: the class that most models lead with (ties: the larger mean probability).
        agreeing: models that lead with it.
        dissenting: model -> the class that it leads with instead.
        suspicious, harmless: models for which it is suspicious, and those for which it is not; models without an
            operating point are in neither.
    """

    label: str
    agreeing: tuple[str, ...]
    dissenting: Mapping[str, str]
    suspicious: tuple[str, ...]
    harmless: tuple[str, ...]

    @property
    def divided(self) -> bool:
        """Whether some models find the image suspicious and others do not."""
        return bool(self.suspicious and self.harmless)

    @property
    def unanimous(self) -> bool:
        """Whether all models lead with the same class."""
        return not self.dissenting

    def sentence(self, titles: Mapping[str, str]) -> str:
        """The agreement in words; `titles` are the models' names for people."""
        total = len(self.agreeing) + len(self.dissenting)
        name = BY_CODE[self.label].name
        others = "; ".join(
            f"{titles.get(m, m)} with {BY_CODE[code].name}" for m, code in self.dissenting.items()
        )
        if self.unanimous:
            said = f"{'Both' if total == 2 else f'All {total}'} models lead with {name}."
        elif len(self.agreeing) == 1:
            only = self.agreeing[0]
            who = "The two models do not agree" if total == 2 else "No two models agree"
            said = f"{who}: {titles.get(only, only)} leads with {name}; {others}."
        else:
            said = f"{len(self.agreeing)} of {total} models lead with {name}; {others}."
        if self.divided:
            one = len(self.suspicious) == 1
            who, rest = (
                " and ".join(titles.get(m, m) for m in these) for these in (self.suspicious, self.harmless)
            )
            said += (
                f" To {who} alone it is suspicious."
                if one
                else f" To {who} it is suspicious, to {rest} it is not."
            )
        return said


def agreement(diagnoses: Sequence[Diagnosis]) -> Agreement:
    """Compare the leading classes of several models.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(diagnoses) < 2:
        raise ValueError(f"expected at least two diagnoses, found {len(diagnoses)}")

    def support(label: str) -> tuple[int, float]:
        votes = sum(diagnosis.label == label for diagnosis in diagnoses)
        return votes, sum(float(diagnosis.probabilities[INDEX[label]]) for diagnosis in diagnoses)

    label = max({diagnosis.label for diagnosis in diagnoses}, key=support)
    return Agreement(
        label=label,
        agreeing=tuple(d.model for d in diagnoses if d.label == label),
        dissenting={d.model: d.label for d in diagnoses if d.label != label},
        suspicious=tuple(d.model for d in diagnoses if d.suspicious),
        harmless=tuple(d.model for d in diagnoses if d.suspicious is False),
    )


@dataclass(frozen=True)
class Said:
    """What models say of one image, in the words that page and report share.

    Attributes:
        headline: the leading class and its probability.
        warning: as `suspicion_sentence`.
        malignant: as `malignant_sentence`.
        score: as `malignancy_sentence`.
        agreement: of several models; None for one alone.
        together: the agreement in words; empty for one alone.
    """

    headline: str
    warning: str
    malignant: str
    score: str
    agreement: Agreement | None
    together: str


def say(
    diagnoses: Sequence[Diagnosis], titles: Mapping[str, str], point: Mapping[str, Any] | None, *, poor: bool
) -> Said:
    """All of it.

    Args:
        diagnoses: one or more, the leading one first.
        titles: the models' names for people.
        point: the leading model's `operating_point` in the manifest.
        poor: whether the picture is too poor to rely on what is said.
    """
    lead = diagnoses[0]
    found = agreement(diagnoses) if len(diagnoses) > 1 else None
    return Said(
        headline=f"{headline(lead, poor=poor)}, {percent(lead.confidence)}",
        warning=suspicion_sentence(diagnoses, titles),
        malignant=malignant_sentence(lead),
        score=malignancy_sentence(lead, point),
        agreement=found,
        together=found.sentence(titles) if found else "",
    )
