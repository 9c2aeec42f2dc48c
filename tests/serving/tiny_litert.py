"""Explaining graphs of a few kilobytes in LiteRT's own format, written without tensorflow, and what they must give.

image -> mean of 32 x 32 patches -> 16 channels, ReLU; from these: logits (one dense layer over all of them), maps (7
channels, ReLU, channels first) and embedding (mean over the patches). The maps see their own patch alone, so they turn
with the image; the logits depend on where things lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OUTPUTS = ("logits", "maps", "embedding")
SCALES = {"image": (1.0, -128), "logits": (0.02, 0), "maps": (0.01, -128), "embedding": (0.01, -128)}
"""Scale and zero point of the integer form's input and outputs."""

_CHANNELS = 16
_RELU = schema.ActivationFunctionType.RELU
_OPERATORS = schema.BuiltinOperator
_OPTIONS = schema.BuiltinOptions
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclass(frozen=True)
class Weights:
    """The constants; `features` takes raw RGB 0..255."""

    features: np.ndarray
    features_bias: np.ndarray
    logits: np.ndarray
    logits_bias: np.ndarray
    maps: np.ndarray
    maps_bias: np.ndarray


def random_weights(seed: int, *, logits_bias: float | None = None, maps_bias: float | None = None) -> Weights:
    """Weights that give logits between about -3 and 3 and maps between 0 and about 2."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> np.ndarray:
        return random.normal(scale=scale, size=shape).astype(np.float32)

    def bias(value: float | None) -> np.ndarray:
        return normal(7, scale=0.1) if value is None else np.full(7, value, np.float32)

    features = normal(_CHANNELS, 3, scale=0.8 / 127.5)
    return Weights(
        features,
        (normal(_CHANNELS, scale=0.1) - 127.5 * features.sum(axis=1)).astype(np.float32),
        normal(7, 49 * _CHANNELS, scale=0.07),
        bias(logits_bias),
        normal(7, _CHANNELS, scale=0.3),
        bias(maps_bias),
    )


def expected(weights: Weights, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph gives for (224, 224, 3) uint8, in numpy."""
    patches = pixels.reshape(7, 32, 7, 32, 3).astype(np.float64).mean(axis=(1, 3))
    channels = np.maximum(patches @ weights.features.T + weights.features_bias, 0)
    return {
        "logits": weights.logits @ channels.ravel() + weights.logits_bias,
        "maps": np.maximum(channels @ weights.maps.T + weights.maps_bias, 0).transpose(2, 0, 1),
        "embedding": channels.mean(axis=(0, 1)),
    }


def build(
    weights: Weights, *, int8: bool = False, named: bool = True, outputs: tuple[str, ...] = OUTPUTS
) -> bytes:
    """The graph as a LiteRT file.

    Args:
        weights: its constants.
        int8: input and outputs are integers with `SCALES`; what is between stays float.
        named: whether a signature names the outputs; otherwise only their shapes tell.
        outputs: which of them the graph has, in its order.
    """
    graph = _Graph()
    image = graph.tensor("image", (1, 224, 224, 3), int8=int8)
    pixels = graph.add(_OPERATORS.DEQUANTIZE, [image], (1, 224, 224, 3)) if int8 else image
    pool = schema.Pool2DOptionsT()
    pool.padding, pool.strideW, pool.strideH = schema.Padding.VALID, 32, 32
    pool.filterWidth = pool.filterHeight = 32
    patches = graph.add(_OPERATORS.AVERAGE_POOL_2D, [pixels], (1, 7, 7, 3), _OPTIONS.Pool2DOptions, pool)
    channels = graph.convolve(patches, weights.features, weights.features_bias)
    maps = graph.convolve(channels, weights.maps, weights.maps_bias)
    dense = [channels, graph.constant(weights.logits), graph.constant(weights.logits_bias)]
    made = {
        "logits": graph.add(
            _OPERATORS.FULLY_CONNECTED,
            dense,
            (1, 7),
            _OPTIONS.FullyConnectedOptions,
            schema.FullyConnectedOptionsT(),
        ),
        "maps": graph.add(
            _OPERATORS.TRANSPOSE,
            [maps, graph.constant(np.array([0, 3, 1, 2], np.int32))],
            (1, 7, 7, 7),
            _OPTIONS.TransposeOptions,
            schema.TransposeOptionsT(),
        ),
        "embedding": graph.add(
            _OPERATORS.MEAN,
            [channels, graph.constant(np.array([1, 2], np.int32))],
            (1, _CHANNELS),
            _OPTIONS.ReducerOptions,
            schema.ReducerOptionsT(),
        ),
    }
    if int8:
        made = {
            key: graph.add(_OPERATORS.QUANTIZE, [made[key]], graph.shape(made[key]), name=key, int8=True)
            for key in made
        }
    return graph.finish(image, {key: made[key] for key in outputs}, named)


class _Graph:
    """A model under construction, in the flatbuffer's object form."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []

    def tensor(self, name: str, shape: tuple[int, ...], *, int8: bool = False) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        tensor.type = schema.TensorType.INT8 if int8 else schema.TensorType.FLOAT32
        if int8:
            scale, zero = SCALES[name]
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._graph.tensors[tensor].shape)

    def constant(self, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        index = self.tensor(f"constant_{len(self._graph.tensors)}", values.shape)
        self._graph.tensors[index].type = _TYPES[values.dtype]
        self._graph.tensors[index].buffer = len(self._model.buffers) - 1
        return index

    def add(
        self,
        operator: int,
        inputs: list[int],
        shape: tuple[int, ...],
        kind: int = 0,
        options: object = None,
        *,
        name: str | None = None,
        int8: bool = False,
    ) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = operator, min(operator, 127), 1
        self._model.operatorCodes.append(code)
        layer = schema.OperatorT()
        layer.opcodeIndex = len(self._model.operatorCodes) - 1
        layer.inputs = inputs
        layer.outputs = [self.tensor(name or f"tensor_{len(self._graph.tensors)}", shape, int8=int8)]
        layer.builtinOptionsType, layer.builtinOptions = kind, options
        self._graph.operators.append(layer)
        return layer.outputs[0]

    def convolve(self, tensor: int, kernel: np.ndarray, bias: np.ndarray) -> int:
        options = schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = _RELU
        inputs = [tensor, self.constant(kernel[:, np.newaxis, np.newaxis]), self.constant(bias)]
        return self.add(_OPERATORS.CONV_2D, inputs, (1, 7, 7, len(bias)), _OPTIONS.Conv2DOptions, options)

    def finish(self, image: int, outputs: dict[str, int], named: bool) -> bytes:
        self._graph.inputs, self._graph.outputs = [image], list(outputs.values())
        self._model.subgraphs = [self._graph]
        if named:
            signature = schema.SignatureDefT()
            signature.signatureKey = "serving_default"
            signature.inputs = [_name("image", image)]
            signature.outputs = [_name(key, index) for key, index in outputs.items()]
            self._model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _name(name: str, tensor: int) -> schema.TensorMapT:
    pair = schema.TensorMapT()
    pair.name, pair.tensorIndex = name, tensor
    return pair
