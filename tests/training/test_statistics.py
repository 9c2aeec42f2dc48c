"""Batch normalisation's statistics, measured anew on images as they are served."""

import keras
import numpy as np
import pytest

from core.training import statistics
from core.training.statistics import BATCH, reestimate

array = keras.ops.convert_to_numpy


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="first")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm", momentum=0.9)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization(name="last", momentum=0.99)(keras.layers.Dense(8)(x))
    return keras.Model(image, keras.layers.Dense(7)(keras.layers.Dropout(0.5)(x)))


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (3 * BATCH + 5, 16, 16, 3)).astype(np.uint8)


def test_they_are_those_of_the_images(network, pixels, monkeypatch):
    monkeypatch.setattr(statistics, "_ORIENTATIONS", 1)
    rows = np.arange(BATCH) + 3
    probe = keras.Model(network.input, network.get_layer("first").output)
    found = array(probe(pixels[rows].astype(np.float32)))
    reestimate(network, pixels, rows, size=16)
    norm = network.get_layer("norm")
    np.testing.assert_allclose(array(norm.moving_mean), found.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(array(norm.moving_variance), found.var(axis=(0, 1, 2)), rtol=1e-3)


def test_every_batch_counts_alike_and_what_was_there_before_not_at_all(network, pixels, monkeypatch):
    monkeypatch.setattr(statistics, "_ORIENTATIONS", 1)
    network.get_layer("norm").moving_mean.assign(np.full(4, 1e6))
    probe = keras.Model(network.input, network.get_layer("first").output)
    rows = np.arange(3 * BATCH)
    reestimate(network, pixels, rows, size=16)
    found = array(probe(pixels[rows].astype(np.float32))).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(array(network.get_layer("norm").moving_mean), found, rtol=1e-3)


def test_nothing_else_changes(network, pixels):
    before = [array(v) for v in network.trainable_variables]
    reestimate(network, pixels, np.arange(len(pixels)), size=16)
    for old, new in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, array(new))
    assert (network.get_layer("norm").momentum, network.get_layer("last").momentum) == (0.9, 0.99)


def test_the_same_seed_gives_the_same_and_another_another(network, pixels):
    found = []
    for seed in (0, 0, 1):
        reestimate(network, pixels, np.arange(len(pixels)), size=16, seed=seed)
        found.append(array(network.get_layer("last").moving_mean))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert np.abs(found[0] - found[2]).max() > 0


def test_no_other_image_takes_part(network, pixels):
    rows = np.arange(BATCH)
    reestimate(network, pixels, rows, size=16)
    before = array(network.get_layer("norm").moving_mean)
    others = pixels.copy()
    others[BATCH:] = 0
    reestimate(network, others, rows, size=16)
    np.testing.assert_array_equal(before, array(network.get_layer("norm").moving_mean))


def test_fewer_images_than_a_batch_has_are_a_batch_of_their_own(network, pixels, monkeypatch):
    monkeypatch.setattr(statistics, "_ORIENTATIONS", 1)
    rows = np.arange(10)
    probe = keras.Model(network.input, network.get_layer("first").output)
    found = array(probe(pixels[rows].astype(np.float32))).mean(axis=(0, 1, 2))
    reestimate(network, pixels, rows, size=16)
    np.testing.assert_allclose(array(network.get_layer("norm").moving_mean), found, rtol=1e-4)


def test_too_few_images_are_refused(network, pixels):
    with pytest.raises(ValueError, match="expected at least 2 images, found 1"):
        reestimate(network, pixels, np.arange(1), size=16)
