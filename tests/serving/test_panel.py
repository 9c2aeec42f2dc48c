"""Several models asked about one upload, through real LiteRT files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from core.artifacts import update_model
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED
from core.serving.classifier import Classifier, Diagnosis
from core.serving.gate import Verdict
from core.serving.overview import overview, overview_csv, thumbnail
from core.serving.panel import FAILED, ask, choose_models, fingerprint, make_ready
from core.serving.quality import WORSE, Quality
from core.serving.registry import ModelUnavailable, Registry
from core.serving.runtime import RuntimeModelError
from core.serving.wording import NOT_CHECKED, UNRELIABLE


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(
    ("usable", "chosen"),
    [
        (["resnet50", "densenet169", "student", "baseline"], ("student", "resnet50", "densenet169")),
        (["baseline", "densenet169"], ("densenet169",)),
        (["baseline", "student-int8"], ("baseline",)),
        ([], ()),
    ],
)
def test_the_student_leads_and_its_teachers_follow(usable: list[str], chosen: tuple[str, ...]) -> None:
    assert choose_models(usable) == chosen


def test_every_model_says_what_it_says_alone(make_artifacts: Callable, images: np.ndarray) -> None:
    registry = Registry.open(make_artifacts("student", "resnet50", "densenet169"))
    names = ("student", "resnet50", "densenet169")
    reading = ask(registry, names, png(images[0]), "lesion.png")
    assert reading.status == OK
    assert [found.model for found in reading.diagnoses] == list(names)
    assert reading.lead is reading.of("student")
    for found in reading.diagnoses:
        alone = registry.get(found.model).classify(images[0])
        np.testing.assert_array_equal(found.probabilities, alone.probabilities)
        np.testing.assert_array_equal(found.maps, alone.maps)


def test_the_members_of_a_leading_ensemble_are_its_own(make_artifacts: Callable, images: np.ndarray) -> None:
    registry = Registry.open(make_artifacts("student", "resnet50", "densenet169", "ensemble"))
    reading = ask(registry, ("ensemble", "student"), png(images[1]))
    assert reading.of("student") is reading.diagnoses[0].members[2]


def test_what_is_ready_is_not_loaded_again(make_artifacts: Callable, images, monkeypatch) -> None:
    registry = Registry.open(make_artifacts("student", "resnet50"))
    make_ready(registry, ("student", "resnet50"))
    monkeypatch.setattr(registry, "_load", None)
    assert ask(registry, ("student", "resnet50"), png(images[0])).status == OK


def test_what_cannot_be_made_ready_is_left_to_who_asks(make_artifacts: Callable, images: np.ndarray) -> None:
    registry = Registry.open(make_artifacts("student"))
    make_ready(registry, ("resnet50", "student"))
    with pytest.raises(ModelUnavailable):
        registry.get("resnet50")
    assert list(ask(registry, ("resnet50", "student"), png(images[0])).failures) == ["resnet50"]
    make_ready(Registry.open(make_artifacts()), ())


def test_the_display_keeps_the_original_s_aspect(make_artifacts: Callable, images: np.ndarray) -> None:
    registry = Registry.open(make_artifacts("student"))
    reading = ask(registry, ("student",), png(images[0]))
    assert reading.display is not None
    assert reading.display.shape == images[0].shape


def test_a_model_that_fails_is_named_and_the_next_leads(make_artifacts: Callable, images: np.ndarray) -> None:
    registry = Registry.open(make_artifacts("nan", "student", "plain"))
    reading = ask(registry, ("nan", "student", "plain", "nobody"), png(images[0]))
    assert reading.status == OK
    assert [found.model for found in reading.diagnoses] == ["student"]
    assert set(reading.failures) == {"nan", "plain", "nobody"}
    assert "finite" in reading.failures["nan"]


def test_a_model_for_which_there_is_no_room_gives_way_to_the_next(
    make_artifacts: Callable, images: np.ndarray, monkeypatch
) -> None:
    """Interpreters are made as they are needed, which can fail when a machine is full."""
    registry = Registry.open(make_artifacts("student", "resnet50"))
    classify = Classifier.classify

    def full(self: Classifier, pixels: np.ndarray, **more: int) -> Diagnosis:
        if self.name == "student":
            raise RuntimeModelError("model student: expected a LiteRT model, found: no memory")
        return classify(self, pixels, **more)

    monkeypatch.setattr(Classifier, "classify", full)
    for models in (("student", "resnet50"), ("resnet50", "student")):
        reading = ask(registry, models, png(images[0]))
        assert [found.model for found in reading.diagnoses] == ["resnet50"]
        assert "no memory" in reading.failures["student"]


@pytest.mark.parametrize("models", [("nan",), ()])
def test_without_any_answer_the_reading_has_failed(make_artifacts: Callable, images, models) -> None:
    reading = ask(Registry.open(make_artifacts("nan")), models, png(images[0]))
    assert reading.status == FAILED
    assert reading.reason
    assert not reading.diagnoses


def test_a_rejected_file_has_a_reason_and_nothing_else(make_artifacts: Callable) -> None:
    reading = ask(Registry.open(make_artifacts("student")), ("student",), b"no image", "a/b/notes.txt")
    assert (reading.status, reading.name) == (REJECTED, "notes.txt")
    assert reading.reason.endswith(".")
    assert reading.display is None
    assert reading.lead is None


def test_what_the_gate_refuses_gets_no_class(make_artifacts: Callable, images, monkeypatch) -> None:
    class Gate:
        model = "student"

        def check(self, embedding, upload) -> Verdict:
            return Verdict(False, "Not a lesion.", 2.0, 1.0)

    monkeypatch.setattr("core.serving.answer.load_gate", lambda registry, model: Gate())
    reading = ask(Registry.open(make_artifacts("student")), ("student",), png(images[0]))
    assert (reading.status, reading.reason) == (OUT_OF_DISTRIBUTION, "Not a lesion.")
    assert reading.display is not None
    assert not reading.diagnoses


def test_the_fingerprint_follows_calibration_and_files(make_artifacts: Callable) -> None:
    folder = make_artifacts("student")
    seen = {fingerprint(Registry.open(folder))}
    update_model(folder, "student", {"calibration": {"temperature": 2.0}})
    seen.add(fingerprint(Registry.open(folder)))
    update_model(folder, "student", {"operating_point": {"malignancy_threshold": 0.3}})
    seen.add(fingerprint(Registry.open(folder)))
    make_artifacts("resnet50")
    seen.add(fingerprint(Registry.open(folder)))
    assert len(seen) == 4
    assert fingerprint(Registry.open(folder)) in seen


def test_the_overview_has_a_row_for_everything_and_numbers_for_what_was_read(
    make_artifacts: Callable, images: np.ndarray
) -> None:
    registry = Registry.open(make_artifacts("student"))
    readings = [
        ask(registry, ("student",), png(images[0]), "=cmd().png"),
        ask(registry, ("student",), b"", "b"),
    ]
    table = overview(readings)
    assert list(table["verdict"]) == ["read", "rejected"]
    lead = readings[0].diagnoses[0]
    assert table["malignancy"][0] == lead.malignancy
    assert table.filter(like="p_").loc[0].sum() == pytest.approx(1)
    assert table["model"][0] == "student", "whose numbers they are"
    assert table.loc[1, ["model", "diagnosis", "confidence", "malignancy", "p_mel"]].isna().all()
    assert table["reason"][1] == readings[1].reason
    poor = overview(
        [dataclasses.replace(readings[0], quality=Quality(("It is blurred.", "It is dark."), True))]
    )
    assert poor["verdict"][0] == "read, poor picture"
    assert poor["reason"][0].startswith(f"{UNRELIABLE} It is blurred. It is dark. {WORSE} {NOT_CHECKED} ")
    assert poor["malignancy"][0] == lead.malignancy
    for suspicious, good, bad in ((True, "yes", "yes"), (False, "no", "unclear"), (None, None, None)):
        judged = (dataclasses.replace(lead, suspicious=suspicious),)
        said = [
            overview([dataclasses.replace(readings[0], diagnoses=judged, quality=quality)])["suspicious"][0]
            for quality in (Quality(("It is blurred.",)), Quality(("It is blurred.",), True))
        ]
        assert said == [good, bad]
    assert overview_csv(readings).splitlines()[1].startswith("'=cmd().png,")


def test_thumbnails_are_small_and_missing_where_there_is_no_picture(images: np.ndarray) -> None:
    assert thumbnail(None) is None
    found = thumbnail(images[0])
    assert found is not None
    assert found.startswith("data:image/jpeg;base64,")
    assert len(found) < 10_000


def test_all_orientations_change_the_probabilities_not_the_gate_and_are_said(
    make_artifacts: Callable, images: np.ndarray
) -> None:
    registry = Registry.open(make_artifacts("student", "resnet50", "densenet169", "ensemble"))
    names, data = ("ensemble", "student", "resnet50"), png(images[2])
    once, turned = (ask(registry, names, data, orientations=n) for n in (1, 8))
    assert not any("orientations" in note for note in once.notes)
    assert any("8 orientations" in note for note in turned.notes)
    for found in turned.diagnoses:
        alone = registry.get(found.model).classify(images[2], orientations=8)
        np.testing.assert_array_equal(found.probabilities, alone.probabilities)
        assert found.probabilities.tolist() != once.of(found.model).probabilities.tolist()
        assert found.maps.shape == once.of(found.model).maps.shape
    assert overview_csv([turned, once]).count("Every model looked at the image in 8 orientations") == 1
    np.testing.assert_array_equal(turned.of("student").embedding, once.of("student").embedding)
