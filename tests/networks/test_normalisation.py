"""Fused batch normalisation gives what Keras' own gives, forwards, backwards and in its statistics."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.networks.classifiers import build
from core.networks.explaining import fixed_size
from core.networks.normalisation import FusedBatchNormalization, fused
from core.networks.weights import load_weights, save_weights

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the fused operation is TensorFlow's"
)


def _small() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(6, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(x))
    return keras.Model(image, keras.layers.Dense(7, name="logits")(x), name="small")


def _trained(model: keras.Model, *, frozen: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.normal(3, 4, (8, 9, 9, 3)).astype(np.float32)
    y = np.eye(7, dtype=np.float32)[rng.integers(0, 7, 8)]
    model.get_layer("norm").trainable = not frozen
    model.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        model.train_on_batch(x, y)
    return model.get_weights(), model.predict_on_batch(x)


@pytest.mark.parametrize("frozen", [False, True])
def test_training_step_equals_keras(frozen: bool) -> None:
    plain = _small()
    twin = fused(plain)
    assert isinstance(twin.get_layer("norm"), FusedBatchNormalization)
    expected, expected_logits = _trained(plain, frozen=frozen)
    found, found_logits = _trained(twin, frozen=frozen)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, atol=2e-5, rtol=1e-4)
    np.testing.assert_allclose(found_logits, expected_logits, atol=1e-4)


def test_trained_statistics_move() -> None:
    twin = fused(_small())
    before = twin.get_layer("norm").moving_variance.numpy().copy()
    _trained(twin)
    assert np.abs(twin.get_layer("norm").moving_variance.numpy() - before).max() > 0.1


def test_weights_go_from_one_kind_to_the_other(tmp_path) -> None:
    network = build("mobilenetv2")
    twin = fused(network)
    assert [v.path for v in twin.weights] == [v.path for v in network.weights]
    save_weights(twin, tmp_path / "w.npz", "mobilenetv2")
    load_weights(network, tmp_path / "w.npz", "mobilenetv2")
    x = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(
        network(x, training=False), load_and_run(twin, tmp_path / "w.npz", x), atol=1e-3
    )


def load_and_run(model: keras.Model, path, x: np.ndarray) -> np.ndarray:
    load_weights(model, path, "mobilenetv2")
    return np.asarray(model(x, training=False))


def test_takes_bfloat16() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        twin = fused(_small())
        weights, logits = _trained(twin)
    finally:
        keras.config.set_dtype_policy("float32")
    assert twin.get_layer("norm").compute_dtype == "bfloat16"
    assert all(np.isfinite(w).all() for w in weights)
    assert np.isfinite(logits).all()


def test_every_map_normalisation_of_the_networks_is_fused() -> None:
    kinds = {type(layer) for layer in fused(build("densenet169")).layers if "bn" in layer.name}
    assert kinds == {FusedBatchNormalization}


def test_what_is_converted_is_keras_own_whoever_trained_it() -> None:
    network = fixed_size(fused(build("mobilenetv2")), 64)
    assert FusedBatchNormalization not in {type(layer) for layer in network.layers}
