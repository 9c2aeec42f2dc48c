"""Getting ready for eight bits: the function stays, and what rounding does to it shrinks."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from core.compression.eight_bits import absorb_rounding, centre_input, prepare_weights, prepare_whole
from core.compression.litert import convert
from core.compression.rounding import round_per_channel
from core.networks.explaining import explaining_graph, fixed_size

array = keras.ops.convert_to_numpy


def answers(model, images):
    return model.predict(images.astype(np.float32), verbose=0)


def round_network(model):
    """What the converter does to all weights; it multiplies the hidden layer's normalisation into the logits first."""
    norm = model.get_layer("hidden_bn")
    scale = (array(norm.gamma) / np.sqrt(array(norm.moving_variance) + norm.epsilon))[:, None]
    for name, axis in (("stem", -1), ("depthwise", 2), ("project", -1), ("hidden", -1)):
        kernel = model.get_layer(name).kernel
        kernel.assign(round_per_channel(array(kernel), axis))
    kernel = model.get_layer("logits").kernel
    kernel.assign(round_per_channel(array(kernel) * scale, -1) / scale)


def test_rounding_is_litert_own(tiny, tmp_path):
    """The weights in an int8 file are those that were chosen, for every kind of layer: the converter's own rounding, to
    the nearest step of each channel, finds them where they are."""
    model = tiny.tiny_network()
    images = tiny.images(8, np.random.default_rng(0))
    prepared, _ = prepare_whole(fixed_size(model, 32), images)
    path = convert(fixed_size(model, 32), tmp_path / "model.tflite", "int8", images)
    stored = int8_kernels(path)
    for name, axis in (("stem", 3), ("depthwise", 2), ("project", 3), ("hidden", 1)):
        layer = prepared.get_layer(name)
        kernel = array(layer.kernel).astype(np.float64)
        if name != "hidden":
            norm = prepared.get_layer(f"{name}_bn")
            scale = array(norm.gamma) / np.sqrt(array(norm.moving_variance) + norm.epsilon)
            kernel = kernel * (scale[:, None] if name == "depthwise" else scale)
        order = {"depthwise": (3, 0, 1, 2), "hidden": (1, 0)}.get(name, (3, 0, 1, 2))
        np.testing.assert_allclose(round_per_channel(kernel, axis), kernel, atol=1e-5 * np.abs(kernel).max())
        expected = kernel.transpose(order)
        assert (
            min(np.abs(expected - found).max() for found in stored[expected.shape])
            < 1e-5 * np.abs(kernel).max()
        )


def int8_kernels(path):
    """Shape -> dequantised weights of that shape."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    found = {}
    for detail in interpreter.get_tensor_details():
        parameters = detail["quantization_parameters"]
        if detail["dtype"] == np.int8 and len(parameters["scales"]) > 1:
            values = interpreter.get_tensor(detail["index"]).astype(np.float64)
            shape = [1] * values.ndim
            shape[parameters["quantized_dimension"]] = -1
            found.setdefault(values.shape, []).append(values * parameters["scales"].reshape(shape))
    return found


@pytest.mark.parametrize(("axis", "steps"), [(0, [1.0, 2.0]), (1, [2.0, 0.5, 1.0])])
def test_each_channel_has_its_own_step(axis, steps):
    kernel = np.array([[127.0, 12.4, -63.6], [-254.0, 63.5, 127.0]])
    found = round_per_channel(kernel, axis)
    shape = [1, 1]
    shape[axis] = -1
    step = np.array(steps).reshape(shape)
    np.testing.assert_allclose(found, np.round(kernel / step) * step)


def test_a_kernel_of_zeros_stays(tiny):
    assert (round_per_channel(np.zeros((3, 3, 2, 4)), -1) == 0).all()


@pytest.mark.parametrize("layer", ["stem", "depthwise", "project"])
def test_the_mean_of_a_rounded_convolution_is_exact_on_flat_images(tiny, layer):
    """On images of one colour every input of the first layer is its mean, padding apart: there the correction is
    exact, and with it the account of how often a tap lies on the padding. Later layers see nearly flat inputs."""
    model = fixed_size(tiny.tiny_network(), 32)
    tiny.coarsen(model)
    images = np.repeat(tiny.images(2, np.random.default_rng(1))[1:], 2, axis=0)
    pooled = keras.layers.GlobalAveragePooling2D()
    norm = model.get_layer(f"{layer}_bn")
    before = answers(keras.Model(model.input, pooled(norm.output)), images)

    def rounded(network):
        kernel = network.get_layer(layer).kernel
        kernel.assign(round_per_channel(array(kernel), 2 if layer == "depthwise" else -1))
        return answers(keras.Model(network.input, pooled(network.get_layer(f"{layer}_bn").output)), images)

    corrected = keras.models.clone_model(model)
    corrected.set_weights(model.get_weights())
    absorb_rounding(corrected, images)
    only = keras.models.clone_model(model)
    only.set_weights(model.get_weights())
    only.get_layer(f"{layer}_bn").beta.assign(corrected.get_layer(f"{layer}_bn").beta)
    error, plain = (np.abs(rounded(network) - before).max() for network in (only, model))
    assert plain > 1e-2, "rounding must do harm for this to mean anything"
    assert error < (1e-4 if layer == "stem" else 0.3 * plain)


def test_absorbing_takes_the_shift_out_of_a_rounded_networks_answers(tiny):
    model = fixed_size(tiny.tiny_network(), 32)
    tiny.coarsen(model)
    rng = np.random.default_rng(2)
    calibration, images = tiny.images(40, rng), tiny.images(40, rng)
    expected = answers(model, images)
    corrected = keras.models.clone_model(model)
    corrected.set_weights(model.get_weights())
    absorb_rounding(corrected, calibration)
    for network in (model, corrected):
        round_network(network)
    shifts = [
        np.abs((answers(network, images) - expected).mean(axis=0)).max() for network in (corrected, model)
    ]
    assert shifts[1] > 0.1, "rounding must do harm for this to mean anything"
    assert shifts[0] < 0.3 * shifts[1]


def test_small_kernels_are_left_alone(tiny):
    model = fixed_size(tiny.tiny_network(), 32)
    images = tiny.images(4, np.random.default_rng(3))
    biases = {name: array(model.get_layer(name).beta) for name in ("stem_bn", "depthwise_bn", "project_bn")}
    absorb_rounding(model, images, smallest=1024)  # the kernels have 216, 72 and 1,152 elements
    changed = {name: not np.array_equal(bias, model.get_layer(name).beta) for name, bias in biases.items()}
    assert changed == {"stem_bn": False, "depthwise_bn": False, "project_bn": True}


def test_centring_the_input_changes_next_to_nothing(tiny):
    graph = explaining_graph(tiny.tiny_network(), size=32)
    images = tiny.images(12, np.random.default_rng(6))
    centred = centre_input(graph)
    scaling = centred.get_layer("scaling")
    assert (scaling.scale, scaling.offset) == (1.0, -128.0)
    for name, values in answers(centred, images).items():
        np.testing.assert_allclose(values, answers(graph, images)[name], atol=0.02, err_msg=name)
    assert graph.get_layer("scaling").offset == -1.0


def test_another_beginning_is_copied_as_it_is(tiny):
    model = tiny.tiny_network()
    image = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling([0.1, 0.2, 0.3], offset=[0.0, 1.0, 2.0], name="by_channel")(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, use_bias=False)(scaled))
    other = keras.Model(image, x)
    images = tiny.images(4, np.random.default_rng(7))
    assert centre_input(other).get_layer("by_channel").get_config()["offset"] == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(answers(centre_input(other), images), answers(other, images))
    assert centre_input(model).get_layer("scaling").scale == 1.0


@pytest.mark.parametrize("prepare", [prepare_whole, lambda m, i: (prepare_weights(m, i, smallest=0), i)])
def test_preparing_leaves_network_and_images_alone(tiny, prepare):
    graph = explaining_graph(tiny.tiny_network(), size=32)
    images = tiny.images(4, np.random.default_rng(8))
    weights, pixels = [np.array(w) for w in graph.get_weights()], images.copy()
    copy, calibration = prepare(graph, images)
    assert all((a == b).all() for a, b in zip(weights, graph.get_weights(), strict=True))
    np.testing.assert_array_equal(images, pixels)
    assert copy is not graph
    assert calibration.shape == images.shape
