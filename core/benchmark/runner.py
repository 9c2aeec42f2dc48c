"""One LiteRT file on an interpreter of its own, with any number of threads and any batch: what gets timed.

Serving (`core.serving.runtime`) keeps one thread for each interpreter; here more are tried, which is why this is
not its pool. From pixels to arrays it does the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from core.data.pixels import decode, to_input
from core.data.samples import synthetic_sample
from core.errors import UserError
from core.lesions import CODES
from core.manifest import Manifest
from core.serving.runtime import find_input, look_up, quantise


class BatchRefused(UserError):
    """A model that LiteRT cannot run with several images at once."""


class Runs(Protocol):
    """What `Runner` and `Chain` have in common."""

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """All outputs for (batch, 224, 224, 3) uint8."""
        ...


class Runner:
    """One file, ready to run; for one thread of the caller's at a time."""

    def __init__(self, content: bytes, name: str, *, threads: int = 1, batch: int = 1) -> None:
        """
        Args:
            content: a LiteRT file, explaining or plain.
            name: the model, for errors.
            threads: of the interpreter.
            batch: images in each run.

        Raises:
            BatchRefused: it has a fixed batch.
            UserError: it is no LiteRT model of ours.
        """
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._input = find_input(self._interpreter.get_input_details(), name)
            if batch > 1:
                shape = [batch, *self._input["shape"][1:]]
                self._interpreter.resize_tensor_input(self._input["index"], shape)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            kind = BatchRefused if batch > 1 else UserError
            raise kind(f"model {name}: expected to run with batches of {batch}, found: {error}") from error
        self._values = quantise(np.arange(256, dtype=np.uint8), self._input)
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """All outputs for (batch, 224, 224, 3) uint8."""
        self._interpreter.set_tensor(self._input["index"], look_up(self._values, pixels))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class Chain:
    """The members of an ensemble, one after the other."""

    def __init__(self, members: Sequence[Runs]) -> None:
        self._members = tuple(members)

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """All members' outputs."""
        return [output for member in self._members for output in member.run(pixels)]


def open_runner(manifest: Manifest, name: str, *, threads: int = 1, batch: int = 1) -> Runs:
    """A model of the manifest, its files checked; an ensemble is the chain of its members.

    Raises:
        ArtifactError: it is not there, or damaged.
        BatchRefused: see `Runner`.
    """
    entry = manifest.model(name)
    if entry.members:
        members = (open_runner(manifest, member, threads=threads, batch=batch) for member in entry.members)
        return Chain(list(members))
    return Runner(litert_file(manifest, name), name, threads=threads, batch=batch)


def litert_file(manifest: Manifest, name: str) -> bytes:
    """The checked bytes of a model's LiteRT file.

    Raises:
        ArtifactError: it is not there, or damaged.
        UserError: the model has none.
    """
    entry = manifest.model(name)
    if "litert" not in entry.files:
        raise UserError(f"model {name}: expected a LiteRT file in the manifest, found {sorted(entry.files)}")
    return manifest.read(entry.files["litert"])


def images(count: int) -> np.ndarray:
    """(count, 224, 224, 3) uint8: synthetic lesions of all classes in turn, the same ones every time."""
    drawn = [synthetic_sample(CODES[k % len(CODES)], 1 + k // len(CODES)) for k in range(min(count, 7))]
    pixels = np.stack([to_input(decode(sample.data, sample.name)) for sample in drawn])
    return np.resize(pixels, (count, *pixels.shape[1:]))
