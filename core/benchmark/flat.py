"""A LiteRT file as a list of operators: its multiply-adds, and the same network without its explaining part.

Only what the wanted output follows from is looked at: for `logits` that is the plain network, whatever else the file
computes from its features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from ai_edge_litert.schema_py_generated import BuiltinOperator as _Operator

from core.lesions import N_CLASSES
from core.serving.flatbuffer import FlatFileError, pack, unpack

LOGITS = "logits"


def multiply_adds(content: bytes, output: str | None = LOGITS) -> int:
    """Products that are summed up in one pass, as they are stored (for a batch of one).

    Convolutions, depthwise convolutions, dense layers and products of two activations; not additions, scalings and
    activation functions, as is usual.

    Args:
        content: a LiteRT file.
        output: the wanted one; None counts the whole file.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    wanted = range(len(graph.operators)) if output is None else _needed(graph, [_index(model, output)])
    count = 0
    for position in wanted:
        operator = graph.operators[position]
        formula = _FORMULAS.get(model.operatorCodes[operator.opcodeIndex].builtinCode)
        if formula is not None:
            shapes = [_shape(graph, index) for index in operator.inputs]
            count += formula(shapes, _shape(graph, operator.outputs[0]))
    return count


def plain_graph(content: bytes) -> bytes:
    """The file without what its logits do not need: maps and embedding are computed no more.

    Args:
        content: an explaining graph.

    Returns:
        A LiteRT file with the same weights and the single output `logits`.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    logits = _index(model, LOGITS)
    graph.operators = [graph.operators[position] for position in _needed(graph, [logits])]
    graph.outputs = [logits]
    for signature in model.signatureDefs or []:
        signature.outputs = [pair for pair in signature.outputs if pair.tensorIndex == logits]
    return pack(model)


def _needed(graph: Any, outputs: Iterable[int]) -> list[int]:
    """Positions of the operators that these tensors follow from, in their order."""
    maker = {index: k for k, operator in enumerate(graph.operators) for index in operator.outputs}
    needed: set[int] = set()
    waiting = list(outputs)
    while waiting:
        position = maker.get(waiting.pop())
        if position is not None and position not in needed:
            needed.add(position)
            waiting += [index for index in graph.operators[position].inputs if index >= 0]
    return sorted(needed)


def _index(model: Any, output: str) -> int:
    """The tensor of an output: by its name in the signature, else the one with a value for each class."""
    for signature in model.signatureDefs or []:
        for pair in signature.outputs:
            if _text(pair.name) == output:
                return pair.tensorIndex
    graph = model.subgraphs[0]
    if output == LOGITS:
        for index in graph.outputs:
            if _shape(graph, index) == (1, N_CLASSES):
                return index
    raise FlatFileError(f"expected a LiteRT file with the output {output!r}, found none")


def _shape(graph: Any, index: int) -> tuple[int, ...]:
    shape = graph.tensors[index].shape if index >= 0 else None
    return () if shape is None else tuple(int(size) for size in shape)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


_Shapes = list[tuple[int, ...]]
_FORMULAS: dict[int, Callable[[_Shapes, tuple[int, ...]], int]] = {
    # Its kernel is (outputs, height, width, inputs): every output value sums over the other three.
    _Operator.CONV_2D: lambda inputs, output: prod(output) * prod(inputs[1][1:]),
    # Its kernel is (1, height, width, channels): over height and width.
    _Operator.DEPTHWISE_CONV_2D: lambda inputs, output: prod(output) * prod(inputs[1][1:3]),
    # Its weights are (outputs, inputs): over the inputs.
    _Operator.FULLY_CONNECTED: lambda inputs, output: prod(output) * inputs[1][-1],
    # The left one is (..., n, m), the right one (..., m, k), whether or not it is stored transposed: over m.
    _Operator.BATCH_MATMUL: lambda inputs, output: prod(output) * inputs[0][-1],
}
