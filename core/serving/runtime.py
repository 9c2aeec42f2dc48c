"""A LiteRT explaining graph: verified bytes in, logits, maps and embedding out, from any thread.

What is known here about LiteRT: an interpreter serves one thread at a time and lets go of Python's lock while it
computes, so a model keeps as many interpreters as there are cores, each on one thread of its own. One thread each
also makes every answer bit-equal, whoever else is computing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from core.errors import UserError
from core.lesions import N_CLASSES
from core.settings import INPUT_SIZE

OUTPUTS = ("logits", "maps", "embedding")


class RuntimeModelError(UserError):
    """A file that LiteRT cannot run, or whose inputs and outputs are not those of an explaining graph."""


@dataclass(frozen=True, eq=False)
class RawOutput:
    """What the graph gives for one image, dequantised.

    Attributes:
        logits: (7,) float32, not calibrated, not checked for NaN.
        maps: (7, h, w) float32, class by class.
        embedding: (D,) float32.
    """

    logits: np.ndarray
    maps: np.ndarray
    embedding: np.ndarray


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InterpreterPool:
    """At most `size` interpreters over the same bytes; the first is made at once, the others when needed."""

    def __init__(self, content: bytes, name: str, size: int | None = None) -> None:
        """
        Args:
            content: a LiteRT file.
            name: the model, for errors.
            size: default: the cores.

        Raises:
            RuntimeModelError: LiteRT refuses the file, or it is no explaining graph.
        """
        self.name = name
        self.size = size or cores()
        self._content = content
        self._idle: list[Interpreter] = []
        self._slots = threading.BoundedSemaphore(self.size)
        first = self._make()
        self._input = find_input(first.get_input_details(), name)
        # Pixels are bytes, so what becomes of each of the 256 values is worked out once.
        self._values = quantise(np.arange(256, dtype=np.uint8), self._input)
        self._outputs = find_outputs(_named_outputs(first), name)
        self._idle.append(first)

    def run(self, pixels: np.ndarray) -> RawOutput:
        """One image through the graph; waits while all interpreters are busy.

        Args:
            pixels: (224, 224, 3) uint8 of `core.data.pixels.to_input`.
        """
        values = look_up(self._values, pixels[np.newaxis])
        with self._borrow() as interpreter:
            interpreter.set_tensor(self._input["index"], values)
            interpreter.invoke()
            raw = {key: interpreter.get_tensor(detail["index"]) for key, detail in self._outputs.items()}
        return RawOutput(**{key: dequantise(value[0], self._outputs[key]) for key, value in raw.items()})

    @contextmanager
    def _borrow(self) -> Iterator[Interpreter]:
        with self._slots:
            try:
                interpreter = self._idle.pop()
            except IndexError:
                interpreter = self._make()
            try:
                yield interpreter
            finally:
                self._idle.append(interpreter)

    def _make(self) -> Interpreter:
        try:
            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RuntimeModelError(f"model {self.name}: expected a LiteRT model, found: {error}") from error
        return interpreter


def find_input(details: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one input, (1, 224, 224, 3).

    Raises:
        RuntimeModelError: it is another.
    """
    expected = [1, INPUT_SIZE, INPUT_SIZE, 3]
    found = [list(map(int, detail["shape"])) for detail in details]
    if found != [expected]:
        raise RuntimeModelError(f"model {name}: expected one input of shape {expected}, found {found}")
    return details[0]


def find_outputs(named: Sequence[tuple[str, dict[str, Any]]], name: str) -> dict[str, dict[str, Any]]:
    """Which output is which: by its name in the signature, else by its shape.

    Args:
        named: (name, tensor detail) of every output.
        name: the model, for errors.

    Raises:
        RuntimeModelError: logits (1, 7), maps (1, 7, h, w) and embedding (1, D) cannot be told apart.
    """
    by_name = dict(named)
    if not set(OUTPUTS) <= set(by_name):
        by_name = {}
        for _, detail in named:
            by_name.setdefault(_kind(detail["shape"]), detail)
    chosen = {key: by_name[key] for key in OUTPUTS if key in by_name and _fits(key, by_name[key]["shape"])}
    if len(chosen) != len(OUTPUTS):
        found = {key: list(map(int, detail["shape"])) for key, detail in named}
        raise RuntimeModelError(
            f"model {name}: expected the outputs logits (1, {N_CLASSES}), maps (1, {N_CLASSES}, h, w) and "
            f"embedding (1, D), found {found}; convert its explaining graph"
        )
    return chosen


def quantise(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Raw pixels as the input tensor wants them: round(x / scale) + zero point, clipped, for integer types."""
    dtype, (scale, zero) = detail["dtype"], detail["quantization"]
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    steps = np.rint(values.astype(np.float32) / np.float32(scale or 1.0)) + zero
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def look_up(values: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels (...) uint8 as the input tensor wants them, by the (256,) values of `quantise`.

    Our own files take pixels as they are, and looking each of them up would be a tenth of int8's time.
    """
    if np.array_equal(values, np.arange(256)):
        return pixels.astype(values.dtype)
    return np.take(values, pixels)


def dequantise(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """An output tensor as float32: (q - zero point) * scale for integer types."""
    scale, zero = detail["quantization"]
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32, copy=False)
    return (values.astype(np.float32) - zero) * np.float32(scale or 1.0)


def _named_outputs(interpreter: Interpreter) -> list[tuple[str, dict[str, Any]]]:
    if not interpreter.get_signature_list():
        return [(detail["name"], detail) for detail in interpreter.get_output_details()]
    return list(interpreter.get_signature_runner().get_output_details().items())


def _kind(shape: Sequence[int]) -> str:
    if len(shape) == 4:
        return "maps"
    return "logits" if shape[-1] == N_CLASSES else "embedding"


def _fits(key: str, shape: Sequence[int]) -> bool:
    if shape[0] != 1:
        return False
    if key == "maps":
        return len(shape) == 4 and shape[1] == N_CLASSES
    return len(shape) == 2 and (key != "logits" or shape[1] == N_CLASSES)
