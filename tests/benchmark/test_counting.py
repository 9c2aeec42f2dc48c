"""Multiply-adds of Keras networks: by hand for single layers, by the literature for known networks."""

from __future__ import annotations

import keras
import pytest

from core.benchmark.counting import multiply_adds
from core.networks.classifiers import build

LAYERS = keras.layers


def network(layers: list[keras.layers.Layer], size: int | None = 8) -> keras.Model:
    x = image = keras.Input((size, size, 4))
    for layer in layers:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("layers", "products"),
    [
        ([LAYERS.Conv2D(5, 3, padding="same")], 8 * 8 * 3 * 3 * 4 * 5),
        ([LAYERS.Conv2D(5, 3)], 6 * 6 * 3 * 3 * 4 * 5),
        ([LAYERS.Conv2D(6, (1, 3), strides=2, padding="same", groups=2)], 4 * 4 * 3 * 2 * 6),
        ([LAYERS.DepthwiseConv2D(3, padding="same")], 8 * 8 * 3 * 3 * 4),
        ([LAYERS.DepthwiseConv2D(3, strides=2, depth_multiplier=2)], 3 * 3 * 3 * 3 * 4 * 2),
        ([LAYERS.GlobalAveragePooling2D(), LAYERS.Dense(7)], 4 * 7),
        ([LAYERS.BatchNormalization(), LAYERS.ReLU(), LAYERS.MaxPooling2D(), LAYERS.Flatten()], 0),
    ],
)
def test_single_layers(layers: list, products: int) -> None:
    assert multiply_adds(network(layers)) == products


@pytest.mark.parametrize(
    ("application", "known"),
    # Sandler et al., CVPR 2018, table 4; He et al., CVPR 2016, table 1; torchvision's documentation.
    [("MobileNetV2", 300e6), ("ResNet50", 3.8e9), ("DenseNet169", 3.36e9)],
)
def test_known_networks_cost_what_is_known_of_them(application: str, known: float) -> None:
    model = getattr(keras.applications, application)(weights=None)
    assert multiply_adds(model) == pytest.approx(known, rel=0.02)


def test_our_head_changes_little() -> None:
    assert multiply_adds(build("mobilenetv2", size=224)) == pytest.approx(300e6, rel=0.005)


def test_a_layer_without_formula_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a layer with a known formula, found Conv2DTranspose"):
        multiply_adds(network([LAYERS.Conv2DTranspose(3, 2)]))


def test_an_input_of_any_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a fixed input size"):
        multiply_adds(network([LAYERS.Conv2D(3, 2)], size=None))
