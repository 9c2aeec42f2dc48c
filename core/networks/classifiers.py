"""The table of networks, and their graphs: raw RGB 0..255 -> own scaling -> features -> head -> logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from core.errors import UserError
from core.lesions import N_CLASSES
from core.networks.initial import check_file
from core.networks.weights import load_weights


@dataclass(frozen=True)
class Network:
    """One row of the table.

    Attributes:
        title: the name that people know.
        application: name in `keras.applications`.
        scaling: `caffe` (BGR minus the ImageNet mean), `torch` (ImageNet mean and deviation) or `tf` ([-1, 1]):
            what its ImageNet weights expect.
        hidden: width of the head's hidden layer, None for a linear head.
        dropout: share dropped before the logits.
        bn_momentum: momentum of the moving statistics. Keras' MobileNetV2 has 0.999: after a fine-tuning of 500
            steps its statistics would still be ImageNet's.
    """

    title: str
    application: str
    scaling: str
    hidden: int | None = None
    dropout: float = 0.2
    bn_momentum: float = 0.95


NETWORKS: dict[str, Network] = {
    "resnet50": Network("ResNet50", "ResNet50", "caffe"),
    "densenet169": Network("DenseNet169", "DenseNet169", "torch"),
    "mobilenetv2": Network("MobileNetV2", "MobileNetV2", "tf", hidden=512, dropout=0.3),
}

STUDENT_NETWORK = "mobilenetv2"
"""The small network: distilled it is a student, from labels alone a baseline; the others are teachers."""

HEAD_LAYERS = ("pool", "hidden", "hidden_relu", "hidden_bn", "dropout", "logits")
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


class WeightsError(UserError):
    """Initial weights that do not exist or do not fit."""


def build(
    name: str, *, init: str | None = None, size: int | None = None, widths: Mapping[str, int] | None = None
) -> keras.Model:
    """A network as one flat graph.

    Args:
        name: a key of `NETWORKS`.
        init: `imagenet` (Keras' own download), the path of a `.weights.h5` file of the network without its top or of
            an `.npz` of this project, head and all, or None for random weights.
        size: side of the input; None takes any size (training by stages).
        widths: of a pruned network, see `narrowed`; its weights are random, so `init` goes without.

    Returns:
        Model from (batch, size, size, 3) raw RGB 0..255 to (batch, 7) logits, float32.

    Raises:
        UserError: unknown name, or weights or widths that are not there or do not fit.
    """
    if widths and init is not None:
        raise ValueError(
            "init: expected none for a narrower network, whose layers ImageNet's weights do not fit"
        )
    if name not in NETWORKS:
        raise UserError(f"network: expected one of {', '.join(NETWORKS)}, found {name!r}")
    network = NETWORKS[name]
    application = getattr(keras.applications, network.application)
    image = keras.Input((size, size, 3), name="image")
    base = application(include_top=False, weights=None, input_tensor=_scale(image, network.scaling))
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = network.bn_momentum
    model = keras.Model(image, _head(base.output, network), name=name)
    if init is not None and init.endswith(".npz"):
        load_weights(model, Path(init), name)
    elif init is not None:
        _load_initial(base, application, init)
    return narrowed(model, widths) if widths else model


def narrowed(model: keras.Model, widths: Mapping[str, int]) -> keras.Model:
    """The same graph with fewer channels in some layers: same names, fresh weights.

    Args:
        model: a flat graph.
        widths: outputs of convolutions and dense layers by layer's name; what follows them adapts.

    Raises:
        WeightsError: a layer that is not there or has no outputs of its own, more outputs than it has, or widths
            that leave two branches of a sum unequal.
    """
    own = {layer.name: key for layer in model.layers if (key := _width_key(layer))}
    for name, width in widths.items():
        full = getattr(model.get_layer(name), own[name]) if name in own else 0
        if not 1 <= width <= full:
            raise WeightsError(
                f"widths: expected layers of {model.name} with 1 to all of their outputs, found {name} with {width}"
            )

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in widths:
            config[own[layer.name]] = int(widths[layer.name])
        return type(layer).from_config(config)

    try:
        return keras.models.clone_model(model, clone_function=clone)
    except ValueError as error:
        raise WeightsError(
            f"widths: expected such as {model.name} can have, found none ({str(error).splitlines()[0]})"
        ) from error


def _width_key(layer: keras.layers.Layer) -> str | None:
    """Which argument of a layer decides how many outputs it has; None where its input does."""
    if isinstance(layer, keras.layers.Conv2D):
        return "filters"
    return "units" if isinstance(layer, keras.layers.Dense) else None


def feature_layer(model: keras.Model) -> str:
    """Name of the layer whose output the head pools: what the maps are made of."""
    return model.get_layer("pool").input._keras_history.operation.name


def backbone(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers before the head."""
    return [layer for layer in model.layers if layer.name not in HEAD_LAYERS]


def _scale(image: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """The network's own scaling, in float32 whatever the policy: bfloat16 has no room for 0..255 minus a mean."""
    rescale = keras.layers.Rescaling
    if mode == "tf":
        return rescale(1 / 127.5, offset=-1.0, dtype="float32", name="scaling")(image)
    if mode == "torch":
        scale = [1 / (255 * d) for d in _IMAGENET_DEVIATION]
        offset = [-m / d for m, d in zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True)]
        return rescale(scale, offset=offset, dtype="float32", name="scaling")(image)
    if mode == "caffe":
        bgr = keras.ops.flip(image, axis=-1)
        return rescale(1.0, offset=[-m for m in _CAFFE_MEAN_BGR], dtype="float32", name="scaling")(bgr)
    raise ValueError(f"scaling: expected 'caffe', 'torch' or 'tf', found {mode!r}")


def _head(features: keras.KerasTensor, network: Network) -> keras.KerasTensor:
    """Global average, hidden layer where the table has one (Dense, ReLU, batch normalisation: the report's), logits."""
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(features)
    if network.hidden:
        x = layers.Dense(network.hidden, name="hidden", dtype="float32")(x)
        x = layers.ReLU(name="hidden_relu", dtype="float32")(x)
        x = layers.BatchNormalization(momentum=network.bn_momentum, name="hidden_bn", dtype="float32")(x)
    x = layers.Dropout(network.dropout, name="dropout", dtype="float32")(x)
    return layers.Dense(N_CLASSES, name="logits", dtype="float32")(x)


def _load_initial(base: keras.Model, application: Callable[..., keras.Model], init: str) -> None:
    """Copy ImageNet weights in from a donor with Keras' own layout, which the scaling layers do not disturb."""
    try:
        if init != "imagenet":
            check_file(Path(init))
        donor = application(include_top=False, weights=init, input_shape=(224, 224, 3))
    except Exception as error:
        # Keras reports a failed download as a plain Exception.
        if not isinstance(error, (OSError, ValueError, KeyError)) and "URL fetch failure" not in str(error):
            raise
        raise WeightsError(
            f"initial weights: expected 'imagenet' or a .weights.h5 file of {application.__name__} without its top, "
            f"found {init!r} ({str(error).strip().splitlines()[0]})"
        ) from error
    base.set_weights(donor.get_weights())
