"""From raw outputs to a diagnosis: calibration, orientations, ensembles, and no class from NaN."""

import dataclasses

import numpy as np
import pytest

from core.artifacts import ModelEntry, load_manifest
from core.data.pixels import to_input, turn, turn_back
from core.lesions import CODES, INDEX
from core.serving.classifier import Classifier, Ensemble, ModelOutputError, mean_maps
from core.serving.registry import Registry
from core.serving.runtime import RawOutput


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.fixture
def student(make_artifacts):
    return Classifier.load(load_manifest(make_artifacts("student")), "student")


def test_diagnosis(student, tiny, images):
    for image in images:
        diagnosis = student.classify(image)
        expected = softmax(tiny.expected(to_input(image))["logits"] / 1.5)
        np.testing.assert_allclose(diagnosis.probabilities, expected, atol=1e-4)
        assert diagnosis.label == CODES[diagnosis.probabilities.argmax()]
        assert diagnosis.confidence == diagnosis.probabilities.max()
        malignancy = sum(diagnosis.probabilities[INDEX[code]] for code in ("akiec", "bcc", "mel"))
        assert diagnosis.malignancy == pytest.approx(malignancy)
        assert diagnosis.maps.shape == (7, 7, 7)
        assert diagnosis.maps.dtype == np.float32
        assert diagnosis.maps.min() >= 0
        assert diagnosis.embedding.shape == (16,)


def test_suspicious_from_the_operating_point_on(make_artifacts, student, images):
    scores = sorted(student.classify(image).malignancy for image in images)
    point = {"malignancy_threshold": scores[12]}
    classifier = Classifier.load(load_manifest(make_artifacts("student", operating_point=point)), "student")
    assert sum(classifier.classify(image).suspicious for image in images) == 13


def test_without_an_operating_point_nothing_is_called_suspicious(student, images):
    assert student.classify(images[0]).suspicious is None


def test_original_and_its_copy_of_224_are_the_same(student, images):
    for image in images[:5]:
        assert np.array_equal(student.classify(image).logits, student.classify(to_input(image)).logits)


@pytest.mark.parametrize("shape", [(224, 224), (224, 224, 4), (224, 224, 1)])
def test_other_arrays_are_errors(student, shape):
    with pytest.raises(ValueError, match="expected an RGB uint8 array"):
        student.classify(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("orientation", range(8))
def test_turn_back_undoes_turn(orientation):
    marks = np.arange(7 * 5 * 5).reshape(7, 5, 5)
    turned = np.stack([turn(layer, orientation) for layer in marks])
    assert np.array_equal(turn_back(turned, orientation), marks)


def test_orientations_are_eight_different_views():
    mark = np.arange(9).reshape(3, 3)
    assert len({turn(mark, k).tobytes() for k in range(8)}) == 8


@pytest.mark.parametrize("orientations", [4, 8])
def test_orientations_take_the_mean(student, images, orientations):
    pixels = to_input(images[0])
    views = [student.classify(np.ascontiguousarray(turn(pixels, k))) for k in range(orientations)]
    found = student.classify(images[0], orientations=orientations)
    np.testing.assert_allclose(
        found.probabilities, np.mean([v.probabilities for v in views], axis=0), atol=1e-12
    )
    np.testing.assert_allclose(softmax(found.logits / found.temperature), found.probabilities, atol=1e-12)
    # This model's maps turn with the image, so turned back they are all the upright one.
    np.testing.assert_allclose(found.maps, views[0].maps, atol=1e-4)
    assert np.array_equal(found.embedding, views[0].embedding)
    assert not np.allclose(found.probabilities, views[0].probabilities, atol=1e-3)


@pytest.mark.parametrize("orientations", [0, 2, 16])
def test_other_numbers_of_orientations_are_errors(student, images, orientations):
    with pytest.raises(ValueError, match="orientations"):
        student.classify(images[0], orientations=orientations)


def test_nan_of_a_real_graph_is_an_error(make_artifacts, images):
    classifier = Classifier.load(load_manifest(make_artifacts("nan")), "nan")
    for orientations in (1, 8):
        with pytest.raises(ModelOutputError, match="model nan: expected finite logits, found"):
            classifier.classify(images[0], orientations=orientations)


@dataclasses.dataclass
class Canned:
    """A pool that always gives the same."""

    logits: np.ndarray
    maps: np.ndarray

    def run(self, _):
        return RawOutput(self.logits, self.maps, np.zeros(4, np.float32))


def canned(logits, maps):
    entry = ModelEntry("canned", "Canned", "variant")
    return Classifier(entry, Canned(np.array(logits, np.float32), np.asarray(maps, np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_one_bad_logit_is_an_error_and_never_a_class(images, bad, place):
    logits = [0.0, 1, 2, 3, 4, 5, 6]
    logits[place] = bad
    with pytest.raises(ModelOutputError, match="expected finite logits"):
        canned(logits, np.ones((7, 7, 7))).classify(images[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_zero_and_the_class_stays(images, bad):
    maps = np.ones((7, 7, 7))
    maps[4, 2, 2] = bad
    maps[5, 0, 0] = -1
    diagnosis = canned(range(7), maps).classify(images[0])
    assert diagnosis.label == "vasc"
    assert not diagnosis.maps[4].any()
    assert diagnosis.maps[5, 0, :2].tolist() == [0, 1]
    assert (diagnosis.maps[[0, 1, 2, 3, 6]] == 1).all()


@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_huge_logits_stay_probabilities(images, scale):
    diagnosis = canned(np.arange(7) * scale, np.ones((7, 7, 7))).classify(images[0])
    assert diagnosis.probabilities.sum() == pytest.approx(1)
    assert 0 <= diagnosis.malignancy <= 1


def test_maps_that_show_nothing_are_zero(make_artifacts, images):
    diagnosis = Classifier.load(load_manifest(make_artifacts("nomaps")), "nomaps").classify(images[0])
    assert np.array_equal(diagnosis.maps, np.zeros((7, 7, 7), np.float32))


def test_ensemble_is_the_mean_of_calibrated_probabilities(make_artifacts, images):
    registry = Registry.open(make_artifacts("resnet50", "densenet169", "student", "ensemble"))
    single = [registry.get(name).classify(images[0]) for name in ("resnet50", "densenet169", "student")]
    found = registry.get("ensemble").classify(images[0])
    np.testing.assert_allclose(
        found.probabilities, np.mean([d.probabilities for d in single], axis=0), atol=1e-12
    )
    np.testing.assert_allclose(softmax(found.logits), found.probabilities, atol=1e-12)
    assert [member.model for member in found.members] == ["resnet50", "densenet169", "student"]
    assert found.of("student").probabilities.tolist() == single[2].probabilities.tolist()
    assert found.of("ensemble") is found
    assert found.of("baseline") is None


def test_ensemble_has_a_temperature_of_its_own(make_artifacts, images):
    registry = Registry.open(make_artifacts("resnet50", "student"))
    members = [registry.get(name) for name in ("resnet50", "student")]
    entry = ModelEntry("ensemble", "Ensemble", "ensemble", members=("resnet50", "student"))
    plain = Ensemble(entry, members).classify(images[0])
    warmer = dataclasses.replace(entry, calibration={"temperature": 2.0})
    warm = Ensemble(warmer, members).classify(images[0])
    np.testing.assert_allclose(warm.probabilities, softmax(np.log(plain.probabilities) / 2), atol=1e-12)
    assert warm.label == plain.label


def test_mean_maps_weigh_networks_alike():
    one, two = np.zeros((2, 7, 2, 2), np.float32)
    one[0, 0, 0] = 1000
    two[0, 1, 1] = 0.001
    assert mean_maps([one, two])[0].tolist() == [[0.5, 0], [0, 0.5]]
    assert not mean_maps([one, two])[1:].any()
    assert mean_maps([one, np.ones((7, 4, 4), np.float32)])[1].tolist() == [[0.5, 0.5], [0.5, 0.5]]
