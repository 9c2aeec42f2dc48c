"""The graphs: raw RGB in, each network's own scaling inside, logits out; and their initial weights."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from core.errors import UserError
from core.lesions import N_CLASSES
from core.networks import classifiers as module
from core.networks.classifiers import NETWORKS, Network, WeightsError, backbone, build, feature_layer
from core.networks.weights import COARSE, load_weights, save_weights

SIZE = 64
OWN = {"resnet50": "resnet50", "densenet169": "densenet", "mobilenetv2": "mobilenet_v2"}
"""The module of keras.applications that has a network's own preprocess_input."""

# Quick checks, on an application of three layers ------------------------------------------------------------------


def tiny_application(include_top=False, weights=None, input_tensor=None, input_shape=None) -> keras.Model:
    """As much of a `keras.applications` function as `build` uses, download and errors included."""
    image = input_tensor if input_tensor is not None else keras.Input(input_shape)
    x = keras.layers.Conv2D(6, 3, strides=4, name="tiny_conv")(image)
    x = keras.layers.BatchNormalization(momentum=0.999, name="tiny_bn")(x)
    inputs = keras.utils.get_source_inputs(image) if input_tensor is not None else image
    model = keras.Model(inputs, x)
    if weights == "imagenet":
        raise Exception("URL fetch failure on https://example.org/tiny.h5: 101 -- Network is unreachable")
    if weights is not None and weights.endswith("bug.weights.h5"):
        raise RuntimeError("a mistake of ours")
    if weights is not None:
        model.load_weights(weights)
    return model


@pytest.fixture
def tiny_row(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(keras.applications, "Tiny", tiny_application, raising=False)
    for scaling in ("tf", "torch", "caffe"):
        monkeypatch.setitem(
            NETWORKS, f"tiny-{scaling}", Network("Tiny", "Tiny", scaling, hidden=9, dropout=0.3)
        )
    monkeypatch.setitem(NETWORKS, "tiny-linear", Network("Tiny", "Tiny", "tf", bn_momentum=0.8))


def raw(size: int = SIZE) -> np.ndarray:
    """Two images that reach 0 and 255."""
    x = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    x[0, 0, 0], x[0, 0, 1] = 0, 255
    return x


def call(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.mark.parametrize(
    ("scaling", "own"), [("tf", "mobilenet_v2"), ("torch", "densenet"), ("caffe", "resnet50")]
)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_scaling_is_keras_own_in_float32(tiny_row, scaling, own, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build(f"tiny-{scaling}", size=SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    scaled = call(keras.Model(model.input, model.get_layer("scaling").output), raw())
    expected = getattr(keras.applications, own).preprocess_input(raw().copy())
    assert scaled.dtype == np.float32
    assert scaled == pytest.approx(expected, abs=2e-5)


def test_the_head_is_the_reports(tiny_row):
    model = build("tiny-tf")
    names = [layer.name for layer in model.layers]
    assert tuple(names[-6:]) == module.HEAD_LAYERS
    kinds = [type(layer).__name__ for layer in model.layers[-6:]]
    assert kinds == ["GlobalAveragePooling2D", "Dense", "ReLU", "BatchNormalization", "Dropout", "Dense"]
    assert model.get_layer("dropout").rate == 0.3
    assert model.get_layer("hidden").units == 9
    assert [layer.name for layer in backbone(model)] == names[:-6]
    assert feature_layer(model) == "tiny_bn"


def test_a_linear_head_and_the_momentum_of_the_table(tiny_row):
    model = build("tiny-linear")
    assert [layer.name for layer in model.layers[-3:]] == ["pool", "dropout", "logits"]
    assert model.get_layer("tiny_bn").momentum == 0.8


def test_any_size_unless_one_is_given(tiny_row):
    assert build("tiny-tf").input_shape == (None, None, None, 3)
    assert build("tiny-tf", size=96).input_shape == (None, 96, 96, 3)
    assert build("tiny-tf").output_shape == (None, N_CLASSES)


def test_an_unknown_network_is_refused_by_name():
    with pytest.raises(
        UserError, match="network: expected one of resnet50, densenet169, mobilenetv2, found 'vgg16'"
    ):
        build("vgg16")


def test_initial_weights_from_a_file_reach_the_backbone(tiny_row, tmp_path):
    donor = tiny_application(input_shape=(224, 224, 3))
    rng = np.random.default_rng(0)
    donor.set_weights([rng.normal(size=w.shape) for w in donor.get_weights()])
    path = tmp_path / "tiny.weights.h5"
    donor.save_weights(path)
    model = build("tiny-caffe", init=str(path))
    found = [w for name in ("tiny_conv", "tiny_bn") for w in model.get_layer(name).get_weights()]
    assert all(np.allclose(a, b) for a, b in zip(found, donor.get_weights(), strict=True))


def test_a_trained_models_own_weights_go_on_with_head_and_all(tiny_row, tmp_path):
    trained = build("tiny-caffe")
    rng = np.random.default_rng(1)
    trained.set_weights([rng.normal(size=w.shape).astype(np.float16) for w in trained.get_weights()])
    save_weights(trained, tmp_path / "trained.npz", "tiny-caffe")
    model = build("tiny-caffe", init=str(tmp_path / "trained.npz"))
    assert all(np.allclose(a, b) for a, b in zip(model.get_weights(), trained.get_weights(), strict=True))
    with pytest.raises(UserError, match="expected weights of tiny-tf, found tiny-caffe"):
        build("tiny-tf", init=str(tmp_path / "trained.npz"))


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_missing_and_damaged_initial_weights_are_refused(tiny_row, tmp_path, content):
    path = tmp_path / "tiny.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"initial weights: expected 'imagenet' or a \.weights\.h5 file"):
        build("tiny-tf", init=str(path))


def test_initial_weights_of_another_network_are_refused(tiny_row, tmp_path):
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3), keras.layers.Dense(4)])
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    with pytest.raises(WeightsError, match="of tiny_application without its top"):
        build("tiny-tf", init=str(path))


def test_without_a_network_connection_imagenet_is_refused_in_words(tiny_row):
    with pytest.raises(WeightsError, match=r"found 'imagenet' .*URL fetch failure"):
        build("tiny-tf", init="imagenet")


def test_mistakes_of_ours_are_not_called_the_users(tiny_row, tmp_path):
    tiny_application(input_shape=(224, 224, 3)).save_weights(tmp_path / "bug.weights.h5")
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        build("tiny-tf", init=str(tmp_path / "bug.weights.h5"))


# The real networks, each built once -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(OWN))
def real(request) -> tuple[str, keras.Model]:
    """A network with random weights whose batch normalisation does something."""
    keras.utils.set_random_seed(1)
    model = build(request.param, size=SIZE)
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if "moving_mean" in variable.path or variable.path.endswith("beta"):
            variable.assign(rng.normal(0, 0.05, variable.shape).astype(np.float32))
    return request.param, model


@pytest.fixture(scope="module", params=sorted(OWN))
def responsive(request) -> tuple[str, keras.Model]:
    """A network with random weights whose batch normalisation fits them, so that its features tell images apart."""
    keras.utils.set_random_seed(1)
    model = build(request.param, size=SIZE)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(raw(), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return request.param, model


def test_every_row_of_the_table_is_checked_here():
    assert set(OWN) == set(NETWORKS)


@pytest.mark.slow
def test_raw_pixels_give_what_the_plain_network_gives_on_its_own_preprocessing(responsive):
    name, model = responsive
    application = getattr(keras.applications, NETWORKS[name].application)
    plain = application(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    x = raw()
    expected = call(plain, getattr(keras.applications, OWN[name]).preprocess_input(x.copy()))
    features = call(keras.Model(model.input, model.get_layer(feature_layer(model)).output), x)
    scale = np.abs(expected).max()
    assert np.abs(features - expected).max() < 1e-3 * scale
    # Pixels that were scaled before (the report's mistake) give something else.
    assert np.abs(features - call(plain, x / 255)).max() > 0.1 * scale


@pytest.mark.slow
def test_the_graph_is_flat_with_variables_of_one_name_each(real):
    name, model = real
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    paths = [variable.path for variable in model.weights]
    assert len(paths) == len(set(paths))
    momenta = {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {NETWORKS[name].bn_momentum}
    assert max(momenta) <= 0.95
    assert model.input_shape == (None, SIZE, SIZE, 3)
    assert model.output_shape == (None, N_CLASSES)
    features = model.get_layer(feature_layer(model)).output.shape
    assert features[1:3] == (2, 2)
    assert len(backbone(model)) + len(module.HEAD_LAYERS) - (0 if NETWORKS[name].hidden else 3) == len(
        model.layers
    )


@pytest.mark.slow
def test_saved_and_loaded_every_variable_is_itself_within_what_is_stored(real, tmp_path):
    """The outputs of random weights say little here: their batch normalisation makes much of a rounding."""
    name, model = real
    # Half a unit of float16's eleven significant bits, and then of bfloat16's eight; below 6e-5 float16 has fewer.
    bounds = {"rtol": 2**-8 + 2**-11, "atol": 4e-7} if name in COARSE else {"rtol": 2**-11, "atol": 1e-7}
    kept = model.get_weights()
    save_weights(model, tmp_path / "w.npz", name)
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 7, np.float32))
    load_weights(model, tmp_path / "w.npz", name)
    found = model.get_weights()
    model.set_weights(kept)
    for variable, before, after in zip(model.weights, kept, found, strict=True):
        np.testing.assert_allclose(after, before, err_msg=variable.path, **bounds)


@pytest.mark.slow
def test_logits_are_float32_under_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("mobilenetv2", size=SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert call(model, raw()).dtype == np.float32
    assert {str(variable.dtype) for variable in model.weights} == {"float32"}
    assert model.get_layer("Conv1").compute_dtype == "bfloat16"
    assert {model.get_layer(n).compute_dtype for n in ("scaling", *module.HEAD_LAYERS)} == {"float32"}
