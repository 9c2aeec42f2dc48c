"""The explaining graph: logits, the Grad-CAM of every class and an embedding from one forward pass.

Grad-CAM of class c weighs each channel k of the last features A (h, w, D) with the mean over the positions of
d logit_c / d A_k, and keeps the positive part of the sum (Selvaraju et al., ICCV 2017). What follows the features is
small here, so the gradient has a closed form that fits into the graph:

    g = mean of A over its h * w positions,  r = relu(W1' g + b1),  logits = W2' BN(r) + b2
    d logit_c / d g = W1 (1[r > 0] * s * W2[:, c])   with s = gamma / sqrt(variance + epsilon)
    d g / d A = 1 / (h * w)  at every position, so that this is also the mean of the gradients
    map_c = relu(sum_k A_k * (d logit_c / d g)_k / (h * w))

and for a linear head W1 (...) is simply W[:, c]. The maps equal those of tf-keras-vis' `Gradcam`
(`core.networks.oracle`) on the same network, unit included.

The embedding is g, the pooled features, for every network, not the 512 values of the student's hidden layer: that
layer was trained to keep what tells the seven classes apart, and two photographs that it cannot tell apart may still
be a lesion and a cat. g costs nothing more, and exists in every network (1,280, 2,048 and 1,664 values). Compare
embeddings by their angle, that is, scaled to unit length: the length follows the image's contrast, and distances that
include it tell photographs from lesions hardly at all.
"""

from __future__ import annotations

import keras
import numpy as np

from core.lesions import N_CLASSES
from core.networks.classifiers import feature_layer
from core.networks.normalisation import unfused
from core.settings import INPUT_SIZE

OUTPUTS = ("logits", "maps", "embedding")
_TINY = 1e-12


@keras.saving.register_keras_serializable("dermdistill")
class GatedMaps(keras.layers.Layer):
    """Grad-CAM of all classes behind a head with one hidden ReLU layer.

    Weights: `slope` (classes, H), the product s * W2 / (h * w) in the formula above, and `kernel` (H, D), which is
    W1 transposed. Plain products and a comparison, so that it converts to LiteRT and to int8.
    """

    def __init__(self, classes: int = N_CLASSES, **kwargs) -> None:
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, features_shape: tuple, hidden_shape: tuple) -> None:
        """Make the weights for features (batch, h, w, D) and hidden values (batch, H)."""
        self.slope = self.add_weight(name="slope", shape=(self.classes, hidden_shape[-1]), trainable=False)
        self.kernel = self.add_weight(
            name="kernel", shape=(hidden_shape[-1], features_shape[-1]), trainable=False
        )

    def call(self, features: keras.KerasTensor, hidden: keras.KerasTensor) -> keras.KerasTensor:
        """(batch, h, w, D) and (batch, H) after the ReLU -> (batch, classes, h, w), zero or more."""
        ops = keras.ops
        _, height, width, channels = features.shape
        # The rectified values tell the gate as well as those before: then LiteRT fuses the ReLU into its layer.
        gate = ops.expand_dims(ops.cast(hidden > 0, self.compute_dtype), 1)
        # Two dimensions for the constant product, so that LiteRT sees a fully connected layer.
        gradient = ops.matmul(ops.reshape(gate * self.slope, (-1, hidden.shape[-1])), self.kernel)
        gradient = ops.reshape(gradient, (-1, self.classes, channels))
        positions = ops.transpose(ops.reshape(features, (-1, height * width, channels)), (0, 2, 1))
        maps = ops.relu(ops.matmul(gradient, positions))
        return ops.reshape(maps, (-1, self.classes, height, width))

    def compute_output_shape(self, features_shape: tuple, hidden_shape: tuple) -> tuple:
        """(batch, classes, h, w)."""
        return (features_shape[0], self.classes, *features_shape[1:3])

    def get_config(self) -> dict:
        """What `from_config` needs."""
        return {**super().get_config(), "classes": self.classes}


def explaining_graph(model: keras.Model, *, size: int = INPUT_SIZE) -> keras.Model:
    """The explaining graph of a trained network; the network itself stays as it is.

    Args:
        model: a graph of `core.networks.classifiers` (or a narrower one with the same head), of any input size and
            precision: layers `pool`, then `hidden`, `hidden_relu` and `hidden_bn` where there are such, then `logits`.
        size: side of the input.

    Returns:
        Model from `image` (batch, size, size, 3), raw RGB 0..255, to a dict of float32 `logits` (batch, 7), `maps`
        (batch, 7, h, w) >= 0 of the classes in their order, and `embedding` (batch, D).

    Raises:
        ValueError: the network has another head.
    """
    network = fixed_size(model, size)
    names = [layer.name for layer in network.layers]
    features = network.get_layer(feature_layer(network)).output
    outputs = {"logits": network.output, "embedding": network.get_layer("pool").output}
    after = names[names.index("pool") + 1 :]
    if "hidden" in after:
        outputs["maps"] = _gated_maps(network, features)
    elif set(after) <= {"dropout", "logits"}:
        outputs["maps"] = _linear_maps(network, features)
    else:
        raise ValueError(
            f"{model.name}: expected a linear head or one hidden layer after 'pool', found {after}"
        )
    return keras.Model(network.input, {key: outputs[key] for key in OUTPUTS}, name=f"{model.name}_explaining")


def fixed_size(model: keras.Model, size: int = INPUT_SIZE) -> keras.Model:
    """A float32 copy of a network for inference, with one input size: what converts to LiteRT.

    A network is trained with any input size, some of it in bfloat16; both would stay in the graph.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):  # not so for an operation such as a flip
            config["dtype"] = "float32"
        # What makes training faster would only convert to another file.
        return unfused(layer).from_config(config)

    image = keras.Input((size, size, 3), name="image")
    copy = keras.models.clone_model(model, input_tensors=image, clone_function=clone)
    copy.set_weights(model.get_weights())
    copy.trainable = False
    return copy


def _gated_maps(network: keras.Model, features: keras.KerasTensor) -> keras.KerasTensor:
    hidden, norm, logits = (network.get_layer(name) for name in ("hidden", "hidden_bn", "logits"))
    gamma, _, _, variance = (keras.ops.convert_to_numpy(w).astype(np.float64) for w in norm.weights)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    slope = (scale[:, np.newaxis] * _kernel(logits)).T / (features.shape[1] * features.shape[2])
    kernel = _kernel(hidden).T
    # Any factor may move between a unit's slope and its kernel: the same range for both suits int8, where a silent
    # unit's slope, thirty times the others' for its lack of variance, would otherwise set the step size of all.
    share = np.sqrt(np.maximum(abs(slope).max(axis=0), _TINY) / np.maximum(abs(kernel).max(axis=1), _TINY))
    layer = GatedMaps(name="maps", dtype="float32")
    maps = layer(features, network.get_layer("hidden_relu").output)
    layer.set_weights([slope / share, kernel * share[:, np.newaxis]])
    return maps


def _linear_maps(network: keras.Model, features: keras.KerasTensor) -> keras.KerasTensor:
    """A linear head's gradient is the same for every image: its maps are a 1x1 convolution."""
    kernel = _kernel(network.get_layer("logits"))
    layer = keras.layers.Conv2D(
        kernel.shape[1],
        1,
        use_bias=False,
        activation="relu",
        trainable=False,
        dtype="float32",
        name="class_maps",
    )
    by_position = layer(features)
    layer.set_weights([kernel[np.newaxis, np.newaxis] / (features.shape[1] * features.shape[2])])
    return keras.layers.Permute((3, 1, 2), dtype="float32", name="maps")(by_position)


def _kernel(dense: keras.layers.Dense) -> np.ndarray:
    """(inputs, outputs) float64."""
    return keras.ops.convert_to_numpy(dense.kernel).astype(np.float64)
