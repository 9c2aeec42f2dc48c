"""The research explanations: each gives a map of the image's size, the right one, and the same one twice."""

import keras
import numpy as np
import pytest
from scipy.ndimage import zoom

from core.lesions import N_CLASSES
from core.networks import oracle
from core.networks.explaining import explaining_graph


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.tiny_network(seed=3, channels=80)


@pytest.fixture(scope="module")
def image(tiny):
    return tiny.images(4, np.random.default_rng(8))[3]


@pytest.fixture(scope="module")
def strongest(model, image):
    """The two classes for which most speaks in the image."""
    maps = explaining_graph(model, size=32).predict(image[None].astype(np.float32), verbose=0)["maps"][0]
    return [int(c) for c in np.argsort(maps.max(axis=(1, 2)))[-2:]]


@pytest.mark.parametrize("method", oracle.METHODS)
def test_every_method_gives_a_map_of_the_image(model, image, strongest, method):
    shown = oracle.explain(model, image, strongest[1], method)
    assert shown.shape == (32, 32)
    assert shown.dtype == np.float32
    assert shown.min() >= 0
    assert 0.9 < shown.max() <= 1
    np.testing.assert_array_equal(shown, oracle.explain(model, image, strongest[1], method))


def test_nothing_is_printed_into_the_servers_log(model, image, strongest, capfd):
    keras.config.enable_interactive_logging()
    for method in oracle.METHODS:
        oracle.explain(model, image, strongest[1], method)
    assert "step" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("method", oracle.METHODS)
def test_classes_have_maps_of_their_own(model, image, strongest, method):
    maps = [oracle.explain(model, image, c, method) for c in strongest]
    assert np.abs(maps[0] - maps[1]).max() > 0.01


def test_grad_cam_is_the_explaining_graphs_map(model, image):
    maps = explaining_graph(model, size=32).predict(image[None].astype(np.float32), verbose=0)["maps"][0]
    for c in range(N_CLASSES):
        enlarged = zoom(maps[c], 4, order=1)
        expected = (enlarged - enlarged.min()) / (np.ptp(enlarged) + 1e-7)
        np.testing.assert_allclose(oracle.explain(model, image, c, "grad-cam"), expected, atol=1e-4)


def test_smoothgrad_leaves_the_global_generator_alone(model, image):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    oracle.explain(model, image, 0, "smoothgrad")
    np.testing.assert_array_equal(np.random.rand(3), expected)  # noqa: NPY002


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "lime"}, "expected one of grad-cam, .*'lime'"),
        ({"class_index": 7}, "expected 0 to 6, found 7"),
        ({"class_index": -1}, "expected 0 to 6, found -1"),
        ({"pixels": np.zeros((32, 32, 3), np.float32)}, "found float32"),
        ({"pixels": np.zeros((1, 32, 32, 3), np.uint8)}, r"found uint8 \(1, 32, 32, 3\)"),
    ],
)
def test_wrong_questions_are_refused(model, image, change, message):
    question = {"pixels": image, "class_index": 0, "method": "grad-cam"} | change
    with pytest.raises(ValueError, match=message):
        oracle.explain(model, **question)
