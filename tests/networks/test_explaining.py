"""The explaining graph: the maps are tf-keras-vis' Grad-CAM, the logits and the embedding are the network's own."""

import keras
import numpy as np
import pytest

from core.lesions import N_CLASSES
from core.networks.classifiers import build, feature_layer
from core.networks.explaining import GatedMaps, explaining_graph, fixed_size
from core.networks.oracle import gradcam_maps

TOLERANCE = 1e-4
"""Largest difference of a map, as a share of its maximum."""


def answer(graph, images, batch=10):
    """The graph's answers computed as tf-keras-vis computes them, operation by operation, so that what differs is the
    maps' arithmetic and not the rounding of one convolution kernel or another."""
    parts = [
        graph(images[i : i + batch].astype(np.float32), training=False) for i in range(0, len(images), batch)
    ]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def reference(model, images, batch=10):
    """tf-keras-vis' Grad-CAM of every class and image."""
    return np.concatenate([gradcam_maps(model, images[i : i + batch]) for i in range(0, len(images), batch)])


def assert_maps_equal(found, expected):
    """Every map of every image within the tolerance of its own maximum; an all-zero map must be all zero."""
    largest = expected.max(axis=(2, 3))
    difference = np.abs(found - expected).max(axis=(2, 3))
    assert (difference <= TOLERANCE * largest).all(), f"{(difference / np.maximum(largest, 1e-30)).max():.1e}"


@pytest.fixture(scope="module")
def student(tiny):
    """The real student's network, any input size, with statistics that are nobody's defaults."""
    keras.utils.set_random_seed(0)
    model = build("mobilenetv2")
    rng = np.random.default_rng(0)
    tiny.liven(model, rng, size=96)
    norm = model.get_layer("hidden_bn")
    for weight, values in (
        (norm.gamma, rng.normal(1, 0.5, norm.gamma.shape)),
        (norm.moving_variance, rng.uniform(0, 4, norm.gamma.shape)),
    ):
        weight.assign(values)
    norm.moving_variance.assign(np.where(np.arange(512) % 10 == 0, 0, norm.moving_variance))
    return model


def test_student_maps_equal_gradcam_at_full_size(student, tiny):
    images = tiny.images(20, np.random.default_rng(1), 224)
    found, expected = answer(explaining_graph(student), images), reference(student, images)
    assert found["maps"].shape == (20, N_CLASSES, 7, 7)
    assert (expected.max(axis=(2, 3)) > 0).sum(axis=0).min() >= 5, "every class needs maps to compare"
    assert_maps_equal(found["maps"], expected)


def speak_for_every_class(model, images):
    """Turn the linear head so that the average image says nothing for or against any class: every class then has
    regions that speak for it. (Features are positive: a random class may otherwise have none anywhere.)"""
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    mean = np.asarray(pooled.predict(images.astype(np.float32), batch_size=10, verbose=0)).mean(axis=0)
    kernel = model.get_layer("logits").kernel
    values = keras.ops.convert_to_numpy(kernel)
    kernel.assign(values - np.outer(mean, mean @ values) / (mean @ mean))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "channels"), [("resnet50", 2048), ("densenet169", 1664)])
def test_teacher_maps_equal_gradcam(network, channels, tiny):
    keras.utils.set_random_seed(0)
    model = build(network)
    tiny.liven(model, np.random.default_rng(2), size=96)
    images = tiny.images(20, np.random.default_rng(3), 96)
    speak_for_every_class(model, images)
    found, expected = answer(explaining_graph(model, size=96), images, 20), reference(model, images, 20)
    assert found["maps"].shape == (20, N_CLASSES, 3, 3)
    assert found["embedding"].shape == (20, channels)
    assert (expected.max(axis=(2, 3)) > 0).sum(axis=0).min() >= 5, "every class needs maps to compare"
    assert_maps_equal(found["maps"], expected)


def test_maps_of_dermatoscopic_images(student, ham10000):
    from core.data.pixels import decode, to_input

    ids = ham10000.records["image_id"].iloc[::500]
    images = np.stack([to_input(decode(ham10000.read_bytes(i), i)) for i in ids])
    assert len(images) >= 20
    assert_maps_equal(answer(explaining_graph(student), images)["maps"], reference(student, images))


@pytest.mark.parametrize("hidden", [24, None])
def test_logits_and_embedding_are_the_networks_own(tiny, hidden):
    model = tiny.tiny_network(hidden)
    images = tiny.images(9, np.random.default_rng(4)).astype(np.float32)
    found = answer(explaining_graph(model, size=32), images)
    pooled = (
        keras.Model(model.input, model.get_layer(feature_layer(model)).output)(images)
        .numpy()
        .mean(axis=(1, 2))
    )
    np.testing.assert_allclose(found["logits"], model.predict(images, verbose=0), atol=1e-5)
    np.testing.assert_allclose(found["embedding"], pooled, atol=1e-5)
    assert_maps_equal(found["maps"], reference(model, images))


@pytest.mark.parametrize("hidden", [24, None])
def test_maps_have_gradcams_own_unit(tiny, hidden):
    """A logit moves with the features as its map says: the sum of a map that nothing cuts off is g . dlogit / dg."""
    model = tiny.tiny_network(hidden)
    image = tiny.images(2, np.random.default_rng(5))[1:].astype(
        np.float32
    )  # of one colour: few maps are cut off
    head = keras.Model(model.get_layer("pool").output, model.output)
    found = explaining_graph(model, size=32).predict(image, verbose=0)
    step = 1e-3
    slope = (head.predict(found["embedding"] * (1 + step), verbose=0) - found["logits"])[0] / step
    features = keras.Model(model.input, model.get_layer(feature_layer(model)).output)(image).numpy()[0]
    whole = features.reshape(-1, features.shape[-1]).mean(axis=0)
    np.testing.assert_allclose(whole, found["embedding"][0], atol=1e-5)
    uncut = found["maps"][0].min(axis=(1, 2)) > 0
    assert uncut.any()
    np.testing.assert_allclose(found["maps"][0].sum(axis=(1, 2))[uncut], slope[uncut], rtol=2e-2)


def test_save_and_reload_gives_the_same(tiny, tmp_path):
    graph = explaining_graph(tiny.tiny_network(), size=32)
    images = tiny.images(4, np.random.default_rng(6)).astype(np.float32)
    graph.save(tmp_path / "graph.keras")
    again = keras.models.load_model(tmp_path / "graph.keras")
    assert isinstance(again.get_layer("maps"), GatedMaps)
    for name, values in graph.predict(images, verbose=0).items():
        np.testing.assert_array_equal(again.predict(images, verbose=0)[name], values)


def test_any_size_and_precision_become_fixed_float32(tiny):
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        half = tiny.tiny_network(size=None)
    finally:
        keras.config.set_dtype_policy(policy)
    whole = fixed_size(half, 32)
    assert whole.input.shape == (None, 32, 32, 3)
    assert {layer.compute_dtype for layer in whole.layers} == {"float32"}
    for mine, theirs in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_network_itself_stays_as_it_is(tiny):
    model = tiny.tiny_network()
    before = [np.array(w) for w in model.get_weights()]
    graph = explaining_graph(model, size=32)
    graph.get_layer("logits").bias.assign(np.full(N_CLASSES, 9.0))
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.get_layer("logits").trainable


def test_another_head_is_refused(tiny):
    model = tiny.tiny_network(None)
    x = keras.layers.Dense(N_CLASSES, name="logits2")(
        keras.layers.Dense(4, name="more")(model.get_layer("pool").output)
    )
    with pytest.raises(ValueError, match=r"expected a linear head or one hidden layer.*'more'"):
        explaining_graph(keras.Model(model.input, x), size=32)
