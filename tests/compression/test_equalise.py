"""Scaling channels to one range: no answer changes, and the ranges do."""

import keras
import numpy as np
import pytest

from core.compression.equalise import equalise, equalise_head, equalise_streams
from core.networks.explaining import explaining_graph

array = keras.ops.convert_to_numpy


def answers(model, images):
    return model.predict(images.astype(np.float32), verbose=0)


def test_equalising_changes_no_answer_and_gives_units_and_rows_one_range(tiny):
    model = tiny.tiny_network()
    norm = model.get_layer("hidden_bn")
    norm.moving_variance.assign(
        np.where(np.arange(24) % 6 == 0, 0, norm.moving_variance)
    )  # silent in training
    model.get_layer("hidden").bias.assign(
        np.where(np.arange(24) % 6 == 0, -50, model.get_layer("hidden").bias)
    )
    graph = explaining_graph(model, size=32)
    images = tiny.images(12, np.random.default_rng(4))
    before = answers(graph, images)
    hidden = keras.Model(graph.input, graph.get_layer("hidden_relu").output)
    values = answers(hidden, images).max(axis=0)
    awake = values > 0.1 * values.max()
    equalise_head(graph, images)
    for name, values in answers(graph, images).items():
        np.testing.assert_allclose(values, before[name], atol=2e-5, err_msg=name)
    values = answers(hidden, images).max(axis=0)
    scale = array(norm_of(graph).gamma) / np.sqrt(array(norm_of(graph).moving_variance) + norm.epsilon)
    rows = np.abs(scale[:, None] * array(graph.get_layer("logits").kernel)).max(axis=1)
    assert awake.sum() >= 5
    np.testing.assert_allclose(values[awake], rows[awake], rtol=1e-3)


def norm_of(graph):
    return graph.get_layer("hidden_bn")


def test_a_linear_head_has_nothing_to_equalise(tiny):
    graph = explaining_graph(tiny.tiny_network(None), size=32)
    before = [np.array(w) for w in graph.get_weights()]
    equalise_head(graph, tiny.images(2, np.random.default_rng(5)))
    assert all((a == b).all() for a, b in zip(before, graph.get_weights(), strict=True))


def bottlenecks(tiny, *, stranger=False, ending="convolution"):
    """Two linear bottlenecks that are added, the channels of very different ranges, and what reads them.

    Args:
        stranger: whether something that is no batch normalisation is added as well.
        ending: what reads the sum: a convolution, a ReLU, or nobody.
    """
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    wide = layers.ReLU(6.0)(
        layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(image))
    )
    first = layers.BatchNormalization(name="first")(layers.Conv2D(4, 1, use_bias=False)(wide))
    inner = layers.Conv2D(8, 1, use_bias=False, name="expand")(first)
    inner = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(
        layers.ReLU(6.0)(layers.BatchNormalization()(inner))
    )
    second = layers.BatchNormalization(name="second")(layers.Conv2D(4, 1, use_bias=False)(inner))
    total = layers.Add(name="total")([first, second])
    if stranger:
        total = layers.Add(name="more")([total, layers.Conv2D(4, 1)(wide)])
    if ending != "nobody":
        read = layers.ReLU(name="cut")(total) if ending == "relu" else total
        total = layers.Conv2D(5, 3, padding="same", name="reader")(read)
    model = keras.Model(image, total)
    tiny.liven(model, np.random.default_rng(1), 16)
    for name in ("first", "second"):
        norm = model.get_layer(name)
        spread = np.array([8.0, 1.0, 0.25, 2.0])
        norm.gamma.assign(array(norm.gamma) * spread)
        norm.beta.assign(array(norm.beta) * spread)
    return model


def shares(model, images):
    """(channels,) which share of a layer's range a channel takes, where in the stream it takes most."""
    found = []
    for name in ("first", "second", "total"):
        values = np.abs(answers(keras.Model(model.input, model.get_layer(name).output), images))
        found.append(values.max(axis=(0, 1, 2)) / values.max())
    return np.max(found, axis=0)


def test_a_stream_gets_one_range_and_what_reads_it_takes_it_back(tiny):
    model, images = bottlenecks(tiny), tiny.images(12, np.random.default_rng(2), 16)
    before = answers(model, images)
    assert shares(model, images).min() < 0.1, "ranges must differ for this to mean anything"
    equalise_streams(model, images)
    np.testing.assert_allclose(answers(model, images), before, rtol=1e-4, atol=1e-4 * np.abs(before).max())
    assert shares(model, images).min() > 0.5
    kernel = array(model.get_layer("expand").kernel)
    assert np.isfinite(kernel).all()


@pytest.mark.parametrize("changes", [{"stranger": True}, {"ending": "relu"}, {"ending": "nobody"}])
def test_what_cannot_be_scaled_stays(tiny, changes):
    """A sum with a part that cannot be scaled, one that something nonlinear reads, and one that is an answer."""
    model, images = bottlenecks(tiny, **changes), tiny.images(8, np.random.default_rng(3), 16)
    before = [np.array(w) for w in model.get_weights()]
    equalise_streams(model, images)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_channel_that_never_wakes_stays_finite(tiny):
    model, images = bottlenecks(tiny), tiny.images(8, np.random.default_rng(4), 16)
    for name in ("first", "second"):
        for variable in (model.get_layer(name).gamma, model.get_layer(name).beta):
            variable.assign(array(variable) * np.array([1.0, 0.0, 1.0, 1.0]))
    before = answers(model, images)
    equalise(model, images)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    np.testing.assert_allclose(answers(model, images), before, rtol=1e-4, atol=1e-4 * np.abs(before).max())
