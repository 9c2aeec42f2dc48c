"""Taking channels out: the narrower network is the wide one that does not listen to them."""

import keras
import numpy as np
import pytest

from core.compression.channels import find_channels, masked, narrow
from core.compression.scores import scale_scores, taylor_scores
from core.networks.classifiers import WeightsError, build, narrowed

array = keras.ops.convert_to_numpy


def answers(model, images):
    return np.asarray(model.predict(images.astype(np.float32), verbose=0))


def residual_network():
    """An inverted residual as MobileNetV2 has it, its weights and statistics far from those of a fresh one."""
    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 3), name="image")
    x = stream = layers.Conv2D(8, 3, strides=2, use_bias=False, name="stem")(image)
    for name, make in (("expand", lambda: layers.Conv2D(16, 1, use_bias=False, name="expand")),
                       ("depthwise", lambda: layers.DepthwiseConv2D(3, padding="same", name="depthwise"))):  # fmt: skip
        x = layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(make()(x)))
    x = layers.BatchNormalization(name="project_bn")(layers.Conv2D(8, 1, use_bias=False, name="project")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([stream, x]))
    x = layers.BatchNormalization(name="hidden_bn")(layers.Dense(12, activation="relu", name="hidden")(x))
    model = keras.Model(image, layers.Dense(7, name="logits")(x), name="residual")
    rng = np.random.default_rng(4)
    for variable in model.weights:
        low, high = (0.4, 1.6) if "variance" in variable.path or "gamma" in variable.path else (-0.5, 0.5)
        variable.assign(rng.uniform(low, high, variable.shape).astype(np.float32))
    return model


def some_channels(model, seed=0):
    rng = np.random.default_rng(seed)
    return {
        group.producer: np.sort(rng.choice(group.width, group.width // 2, replace=False))
        for group in find_channels(model)
    }


def test_channels_of_a_sum_stay():
    found = {(g.producer, g.carriers, g.consumer, g.width) for g in find_channels(residual_network())}
    assert found == {
        (
            "expand",
            ("expand_bn", "expand_relu", "depthwise", "depthwise_bn", "depthwise_relu"),
            "project",
            16,
        ),
        ("hidden", ("hidden_bn",), "logits", 12),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_a_narrow_network_answers_as_the_masked_wide_one(tiny, seed):
    for model in (residual_network(), tiny.tiny_network()):
        images = tiny.images(6, np.random.default_rng(seed))
        kept = some_channels(model, seed)
        small, wide = narrow(model, kept), masked(model, kept)
        np.testing.assert_allclose(answers(small, images), answers(wide, images), atol=1e-4)
        assert np.abs(answers(wide, images) - answers(model, images)).max() > 1e-2, "the mask must matter"
        assert small.count_params() < 0.7 * model.count_params()
        assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]


@pytest.mark.slow
def test_mobilenetv2_narrow_equals_masked_and_can_be_built_from_its_widths_alone(tiny):
    model = build("mobilenetv2", size=64)
    tiny.liven(model, np.random.default_rng(0))
    kept = some_channels(model)
    assert {"Conv1", "block_1_expand", "block_16_expand", "block_16_project", "Conv_1", "hidden"} <= set(kept)
    assert "block_2_project" not in kept, "part of the residual stream"
    images = tiny.images(4, np.random.default_rng(1), size=64)
    small = narrow(model, kept)
    expected = answers(masked(model, kept), images)
    np.testing.assert_allclose(answers(small, images), expected, atol=1e-4 * np.abs(expected).max())
    again = build("mobilenetv2", widths={name: len(rows) for name, rows in kept.items()})
    again.set_weights(small.get_weights())
    np.testing.assert_allclose(answers(again, images), answers(small, images), atol=1e-6)
    assert again.input.shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"expand": 17}, "found expand with 17"),
        ({"expand": 0}, "found expand with 0"),
        ({"nowhere": 3}, "found nowhere with 3"),
        ({"depthwise": 8}, "found depthwise with 8"),
        ({"project": 4}, "expected such as residual can have"),
    ],
)
def test_widths_that_do_not_fit_are_refused(widths, message):
    with pytest.raises(WeightsError, match=message):
        narrowed(residual_network(), widths)


def test_taylor_scores_are_what_a_gate_would_feel(tiny):
    """|dL/dgate| by finite differences: a channel's values are scaled where they are listened to."""
    model = residual_network()
    groups = find_channels(model)
    rng = np.random.default_rng(3)
    images, labels = tiny.images(20, rng), rng.integers(0, 7, 20)
    found = taylor_scores(model, groups, images, labels)

    def losses(consumer, channel, gate):
        kernel = model.get_layer(consumer).kernel
        before = array(kernel.value)
        changed = before.copy()
        changed[..., channel, :] *= gate
        kernel.assign(changed)
        logits = answers(model, images).astype(np.float64)
        kernel.assign(before)
        return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(20), labels]

    for group, channel in ((groups[0], 5), (groups[0], 11), (groups[1], 2)):
        slope = (losses(group.consumer, channel, 1.02) - losses(group.consumer, channel, 0.98)) / 0.04
        expected = np.abs(slope).mean()
        assert found[group.producer][channel] == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_a_channel_without_effect_scores_nothing(tiny):
    model = residual_network()
    model.get_layer("expand_bn").gamma.assign(np.r_[np.zeros(3), np.ones(13)])
    model.get_layer("expand_bn").beta.assign(np.r_[np.zeros(3), np.full(13, 0.5)])
    model.get_layer("depthwise").bias.assign(np.zeros(16))
    model.get_layer("depthwise_bn").moving_mean.assign(np.zeros(16))
    model.get_layer("depthwise_bn").beta.assign(np.zeros(16))
    rng = np.random.default_rng(3)
    scores = taylor_scores(model, find_channels(model), tiny.images(8, rng), rng.integers(0, 7, 8))["expand"]
    assert (scores[:3] == 0).all()
    assert (scores[3:] > 0).any()


def test_scale_scores_are_the_last_normalisation_s(tiny):
    model = tiny.tiny_network()
    groups = [g for g in find_channels(model) if g.producer in ("stem", "hidden")]
    found = scale_scores(model, groups, np.empty(0), np.empty(0))
    np.testing.assert_allclose(found["stem"], np.abs(array(model.get_layer("depthwise_bn").gamma)))
    np.testing.assert_allclose(found["hidden"], np.abs(array(model.get_layer("hidden_bn").gamma)))
