"""Rounding weights up or down such that sums change least."""

import itertools

import keras
import numpy as np
import pytest

from core.compression import rounding
from core.compression.half import prepare_half
from core.compression.litert import convert
from core.compression.rounding import (
    STEPS,
    absorb,
    covariances,
    eight_bit_steps,
    half_steps,
    round_per_channel,
    round_together,
)
from core.compression.sites import sites
from core.networks.explaining import fixed_size

array = keras.ops.convert_to_numpy


def answers(model, images):
    return model.predict(images.astype(np.float32), verbose=0)


def network(tiny, **options):
    return fixed_size(tiny.tiny_network(**options), 32)


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def named(model, name):
    return next(site for site in sites(model) if site.layer.name == name)


@pytest.mark.parametrize("name", ["stem", "depthwise", "project", "hidden", "logits"])
def test_int8_neighbours_are_one_step_apart_and_the_largest_stays(tiny, name):
    site = named(network(tiny), name)
    below, above = eight_bit_steps(site)
    others = tuple(i for i in range(site.kernel.ndim) if i != site.axis % site.kernel.ndim)
    largest = np.abs(site.kernel).max(axis=others, keepdims=True)
    assert (below <= site.kernel + 1e-9 * largest).all()
    assert (above >= site.kernel - 1e-9 * largest).all()
    assert ((above - below) * STEPS <= largest * (1 + 1e-9)).all()
    at = np.abs(site.kernel) == largest
    np.testing.assert_allclose(below[at], site.kernel[at])
    np.testing.assert_allclose(above[at], site.kernel[at])


def test_float16_neighbours_enclose_a_weight(tiny):
    site = named(network(tiny), "depthwise")
    below, above = half_steps(site)
    assert (below <= site.kernel).all()
    assert (above >= site.kernel).all()
    assert (below < above).any()
    np.testing.assert_array_equal(np.nextafter(below.astype(np.float16), np.float16(np.inf))[below < above],
                                  above[below < above])  # fmt: skip


def cost(errors, matrix):
    return np.einsum("ic,ij,jc->c", errors, matrix, errors)


def drawn(inputs, outputs, seed=0):
    """A kernel, its neighbours on whole numbers, and the covariance of inputs that vary together."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, 20, (inputs, outputs))
    mixed = rng.normal(size=(inputs, inputs)) + 3
    return kernel, np.floor(kernel), np.ceil(kernel), mixed @ mixed.T / inputs


def test_all_choices_of_a_small_kernel_are_tried():
    kernel, below, above, matrix = drawn(4, 6)
    found = rounding._of_all_choices(kernel, below, above, np.stack([matrix] * 6))
    damped = rounding._damped(matrix)
    for channel in range(6):
        choices = itertools.product(*zip(below[:, channel], above[:, channel], strict=True))
        best = min(cost((kernel[:, channel] - np.array(c))[:, None], damped)[0] for c in choices)
        assert cost((kernel - found)[:, [channel]], damped)[0] == pytest.approx(best)


def test_weight_by_weight_is_far_better_than_the_nearest_and_cannot_be_bettered_by_one():
    kernel, below, above, matrix = drawn(40, 5)
    found = rounding._weight_by_weight(kernel, below, above, matrix)
    assert np.isin(found - below, [0, 1]).all()
    damped = rounding._damped(matrix)
    mine, nearest = cost(kernel - found, damped), cost(kernel - np.round(kernel), damped)
    assert mine.sum() < 0.3 * nearest.sum()
    for i in range(40):
        other = found.copy()
        other[i] = np.where(found[i] == below[i], above[i], below[i])
        assert (cost(kernel - other, damped) >= mine * (1 - 1e-9)).all()


@pytest.mark.parametrize("name", ["stem", "depthwise", "project", "hidden", "logits"])
def test_the_covariance_says_what_a_change_of_weights_does(tiny, name):
    """Variance of what a layer's output changes by, over images and positions, by running both networks."""
    model, images = network(tiny), tiny.images(16, np.random.default_rng(1))
    site = named(model, name)
    errors = np.random.default_rng(2).normal(0, np.abs(site.kernel).max() / 50, site.kernel.shape)
    (matrix,) = covariances(model, [site], images)
    flat = errors.reshape(-1, errors.shape[site.axis])
    told = np.einsum("ic,cij,jc->c", flat, matrix, flat) if site.is_depthwise else cost(flat, matrix)
    other = copied(model)
    named(other, name).put(site.kernel + errors)
    # A convolution's scale is the normalisation's behind it; a dense layer's errors are of its own output.
    output = {"hidden": "hidden", "logits": "logits"}.get(name, f"{name}_bn")
    before, after = (
        answers(keras.Model(m.input, m.get_layer(output).output), images) for m in (model, other)
    )
    measured = (after - before).reshape(-1, before.shape[-1]).var(axis=0, dtype=np.float64)
    np.testing.assert_allclose(told, measured, rtol=1e-3)


def test_more_positions_than_are_taken_are_drawn_from_all_over_the_image(tiny, monkeypatch):
    model, images = network(tiny), tiny.images(16, np.random.default_rng(1))
    site = named(model, "stem")
    (whole,) = covariances(model, [site], images)
    monkeypatch.setattr(rounding, "_POSITIONS", 500)
    (part,) = covariances(model, [site], images)
    assert 0 < np.abs(part - whole).max() < 0.2 * np.abs(whole).max()


def test_rounding_together_leaves_less_than_a_third_of_the_nearest_steps_error(tiny):
    model = network(tiny)
    tiny.coarsen(model)
    rng = np.random.default_rng(3)
    calibration, images = tiny.images(40, rng), tiny.images(40, rng)
    expected = answers(model, images)
    together, near = copied(model), copied(model)
    round_together(together, calibration, sites(together), eight_bit_steps)
    chosen = sites(near)
    rounded = [round_per_channel(site.kernel, site.axis) for site in chosen]
    absorb(near, calibration, chosen, rounded)
    for site, kernel in zip(chosen, rounded, strict=True):
        site.put(kernel)
    errors = [np.square(answers(m, images) - expected).mean() for m in (together, near)]
    assert errors[0] < errors[1] / 3


def test_a_depthwise_kernel_of_more_taps_than_can_be_tried_is_refused():
    image = keras.Input((16, 16, 3))
    layer = keras.layers.DepthwiseConv2D(5, use_bias=False, name="wide")
    model = keras.Model(image, keras.layers.BatchNormalization()(layer(image)))
    with pytest.raises(ValueError, match="wide: expected at most 9 taps, found 25"):
        round_together(model, np.zeros((2, 16, 16, 3), np.uint8), sites(model), eight_bit_steps)


def test_a_channel_that_a_normalisation_silences_keeps_its_weights(tiny):
    model = network(tiny)
    gamma = model.get_layer("depthwise_bn").gamma
    gamma.assign(np.where(np.arange(8) == 2, 0, gamma))
    before = array(model.get_layer("depthwise").kernel)
    round_together(model, tiny.images(4, np.random.default_rng(4)), sites(model), eight_bit_steps)
    after = array(model.get_layer("depthwise").kernel)
    np.testing.assert_array_equal(after[:, :, 2], before[:, :, 2])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_half_precision_keeps_what_large_weights_cancel_to(tiny, tmp_path):
    """A depthwise kernel whose taps are large and cancel on smooth images, as a file with float16 weights has it."""
    model = network(tiny)
    layer, norm = model.get_layer("depthwise"), model.get_layer("depthwise_bn")
    kernel = array(layer.kernel)
    large = np.random.default_rng(5).normal(0, 60, kernel.shape)
    layer.kernel.assign(kernel + large - large.mean(axis=(0, 1)))
    norm.moving_mean.assign(array(norm.moving_mean) * 0)
    rng = np.random.default_rng(6)
    calibration, images = (tiny.images(40, rng)[1::2] for _ in range(2))  # without the noise
    expected = answers(model, images)
    plain = convert(model, tmp_path / "plain.tflite", "float16")
    prepared = convert(model, tmp_path / "prepared.tflite", "float16", calibration)
    from core.compression.agreement import litert_answers

    errors = [np.square(litert_answers(p, images)["logits"] - expected).mean() for p in (prepared, plain)]
    assert errors[0] < errors[1] / 2
    assert prepared.stat().st_size == plain.stat().st_size
    ready = prepare_half(model, calibration)
    folded = named(ready, "depthwise").kernel
    np.testing.assert_allclose(folded, folded.astype(np.float16), rtol=1e-6)
