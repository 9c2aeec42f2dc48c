"""The words of a verdict say no more than its numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from core.lesions import CODES, INDEX
from core.serving.classifier import Diagnosis
from core.serving.quality import WORSE, Quality
from core.serving.wording import (
    UNRELIABLE,
    agreement,
    as_sentence,
    headline,
    malignancy_sentence,
    malignant_sentence,
    quality_sentences,
)


def diagnosis(model: str, label: str, confidence: float = 0.7, suspicious: bool | None = None) -> Diagnosis:
    probabilities = np.full(7, (1 - confidence) / 6)
    probabilities[INDEX[label]] = confidence
    return Diagnosis(
        model=model,
        label=label,
        confidence=confidence,
        malignancy=0.25,
        suspicious=suspicious,
        probabilities=probabilities,
        logits=np.log(probabilities),
        temperature=1.0,
        maps=np.zeros((7, 7, 7), np.float32),
        embedding=None,
    )


def point(threshold: float, chosen_by: float | None = None) -> dict[str, float | None]:
    return {"malignancy_threshold": threshold, "validation_sensitivity": chosen_by}


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(0.5, "Most likely: Melanoma"), (0.99, "Most likely: Melanoma"), (0.49, "Uncertain; leading: Melanoma")],
)
def test_headline_admits_doubt(confidence: float, words: str) -> None:
    assert headline(diagnosis("student", "mel", confidence)) == words


@pytest.mark.parametrize(
    ("suspicious", "point", "parts"),
    [
        (True, point(0.2, 0.95), ["0.250", "at or above the operating point of 0.200", "95%"]),
        (False, point(0.4, 0.95), ["below the operating point of 0.400", "95%", "Below is not harmless"]),
        (True, point(0.2), ["at or above the operating point of 0.200."]),
        (None, None, ["0.250", "not judged"]),
    ],
)
def test_malignancy_in_words(suspicious, point, parts: list[str]) -> None:
    said = malignancy_sentence(diagnosis("student", "nv", suspicious=suspicious), point)
    for part in parts:
        assert part in said


@pytest.mark.parametrize(("threshold", "words"), [(0.2504, "below"), (0.2496, "at or above")])
def test_a_score_close_to_the_operating_point_seems_to_lie_on_its_own_side(
    threshold: float, words: str
) -> None:
    found = diagnosis("student", "nv", suspicious=words != "below")
    said = malignancy_sentence(found, point(threshold))
    assert said.startswith(f"Malignancy score 0.2500: {words} the operating point of {threshold}.")


def test_what_test_images_say_of_the_operating_point_goes_before_what_it_was_chosen_by() -> None:
    test = {"sensitivity": {"value": 0.917, "low": 0.885, "high": 0.947}, "specificity": {"value": 0.737}}
    said = malignancy_sentence(diagnosis("a", "nv", suspicious=False), point(0.4, 0.95) | {"test": test})
    assert said == (
        "Malignancy score 0.250: below the operating point of 0.400. On test images, which had no part in choosing it, "
        "91.7% (95% interval 88.5 to 94.7) of the malignant ones reach it, and 73.7% of the benign ones stay below. "
        "Below is not harmless."
    )


@pytest.mark.parametrize(
    "test", [None, 3, {}, {"sensitivity": None}, {"sensitivity": {"value": float("nan")}}]
)
def test_without_a_figure_on_test_the_one_on_validation_is_said(test: object) -> None:
    said = malignancy_sentence(diagnosis("a", "nv", suspicious=True), point(0.2, 0.95) | {"test": test})
    assert said.endswith("0.200, which 95% of malignant validation images reach.")


def test_unanimous_models() -> None:
    found = agreement([diagnosis(name, "bkl") for name in ("a", "b", "c")])
    assert found.unanimous
    assert found.sentence({}) == "All 3 models lead with Benign keratosis."


def test_two_models_are_both() -> None:
    assert agreement([diagnosis("a", "df"), diagnosis("b", "df")]).sentence({}).startswith("Both models lead")


@pytest.mark.parametrize(
    ("label", "confidence", "said"),
    [
        ("mel", 0.7, "What could be malignant: Melanoma 70%, "),
        ("nv", 0.93, "What could be malignant: Melanoma 1%, "),
        ("nv", 0.97, "Each malignant class has a probability below 1%."),
    ],
)
def test_what_could_be_malignant_is_named_beside_a_benign_leader(label, confidence, said) -> None:
    found = malignant_sentence(diagnosis("student", label, confidence))
    assert found.startswith(said)
    assert "nevus" not in found


def test_the_majority_leads_and_the_others_are_named() -> None:
    found = agreement([diagnosis("a", "nv"), diagnosis("b", "mel"), diagnosis("c", "mel")])
    assert found.label == "mel"
    assert found.agreeing == ("b", "c")
    said = found.sentence({"a": "Model A"})
    assert said == "2 of 3 models lead with Melanoma; Model A with Melanocytic nevus."


def test_models_that_all_differ_are_not_called_a_majority() -> None:
    found = agreement([diagnosis("a", "nv", 0.6), diagnosis("b", "mel", 0.8), diagnosis("c", "df", 0.5)])
    said = found.sentence({"b": "Model B"})
    assert (
        said
        == "No two models agree: Model B leads with Melanoma; a with Melanocytic nevus; c with Dermatofibroma."
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_tie_goes_to_the_larger_probability_whatever_the_order(order: int) -> None:
    pair = [diagnosis("a", "nv", 0.6), diagnosis("b", "mel", 0.8)][::order]
    assert agreement(pair).label == "mel"


@pytest.mark.parametrize(
    ("suspicions", "divided"),
    [((True, False), True), ((True, True), False), ((None, True), False), ((None, None), False)],
)
def test_division_over_suspicion_is_said(suspicions: tuple, divided: bool) -> None:
    pair = [dataclasses.replace(diagnosis(str(i), "nv"), suspicious=s) for i, s in enumerate(suspicions)]
    assert agreement(pair).divided is divided
    assert ("suspicious" in agreement(pair).sentence({})) is divided


def test_who_finds_it_suspicious_is_named() -> None:
    def said(*suspicions: bool) -> str:
        found = [
            dataclasses.replace(diagnosis(n, "nv"), suspicious=s)
            for n, s in zip("abc", suspicions, strict=True)
        ]
        return agreement(found).sentence({"a": "Model A", "b": "Model B", "c": "Model C"})

    assert said(False, True, False).endswith(" To Model B alone it is suspicious.")
    assert said(True, False, True).endswith(" To Model A and Model C it is suspicious, to Model B it is not.")


def test_a_poor_picture_is_said_before_any_diagnosis() -> None:
    assert headline(diagnosis("a", "nv", 0.999), poor=True) == "Poor picture; leading: Melanocytic nevus"


def test_advice_on_a_poor_picture_stands_between_a_warning_and_its_reason() -> None:
    assert quality_sentences(Quality()) == ()
    assert quality_sentences(Quality(("It is dark.",))) == ("It is dark.",)
    assert quality_sentences(Quality(("It is dark.",), poor=True)) == (UNRELIABLE, "It is dark.", WORSE)


@pytest.mark.parametrize(
    ("note", "sentence"),
    [("no gate: a, b", "No gate: a, b."), ("It was turned.", "It was turned."), ("", ""), ("why?", "Why?")],
)
def test_a_note_becomes_a_sentence(note: str, sentence: str) -> None:
    assert as_sentence(note) == sentence


def test_one_model_agrees_with_nobody() -> None:
    with pytest.raises(ValueError, match="at least two diagnoses, found 1"):
        agreement([diagnosis("a", CODES[0])])
