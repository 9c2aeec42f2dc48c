"""`benchmark models`: what every shipped model costs, and what its Keras network would cost in the report's app."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.benchmark import counting, flat
from core.benchmark.bars import Bar, lost_on_test
from core.benchmark.hardware import Hardware, this_machine
from core.benchmark.latency import (
    BATCH,
    FUNCTION,
    LITERT,
    PREDICT,
    Key,
    alone,
    by_threads,
    choose,
    litert_subjects,
)
from core.benchmark.memory import ChildFailed, peak_bytes
from core.benchmark.rounds import Progress, Subject, Timing, measure, ratio
from core.benchmark.runner import images, litert_file
from core.benchmark.store import stamp
from core.errors import UserError
from core.manifest import Manifest
from core.reported import BY_COUNTERPART
from core.serving.registry import Registry

if TYPE_CHECKING:
    import keras

REFERENCE = "student"
"""Ratios are to its LiteRT file, one image, one thread."""


@dataclass(frozen=True, eq=False)
class ModelCosts:
    """What was measured in one run.

    Attributes:
        hardware: where.
        rounds: how many.
        rows: model -> its figures as `core.benchmark.store` describes them.
        ratios: name -> how many times the student's time; networks in Keras as `resnet50 predict`.
        bars: what was asked for.
        notes: what is missing, and why, in sentences.
    """

    hardware: Hardware
    rounds: int
    rows: Mapping[str, dict[str, Any]]
    ratios: Mapping[str, float]
    bars: Sequence[Bar]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            **stamp(self.hardware),
            "rounds": self.rounds,
            "models": dict(self.rows),
            "ratios": {name: round(value, 4) for name, value in self.ratios.items()},
            "bars": [bar.to_dict() for bar in self.bars],
        }


def measure_models(
    registry: Registry,
    names: Sequence[str] = (),
    *,
    rounds: int,
    with_keras: bool = True,
    progress: Progress | None = None,
) -> ModelCosts:
    """Measure models, all in the same rounds.

    Args:
        registry: the models.
        names: none means all that can be used.
        rounds: see `core.benchmark.rounds.measure`.
        with_keras: also rebuild the networks whose weights are there, and time Keras' `predict` and a `tf.function`.
        progress: see `core.benchmark.rounds.measure`.

    Raises:
        UserError: a name that is not known, or no model that can be used.
    """
    chosen, left_out = choose(registry, names)
    manifest = registry.manifest
    assert manifest is not None  # `choose` found models in it
    notes = [f"{name} is left out: {reason}" for name, reason in left_out.items()]
    networks = keras_networks(manifest, chosen, notes) if with_keras else []
    rows = {name: _costs(manifest, name) for name in chosen}
    for name in chosen:
        rows[name]["peak_memory_bytes"] = _peak(manifest, name, "litert", notes)
    for name in networks:
        rows[name]["keras"] = {"peak_memory_bytes": _peak(manifest, name, "keras", notes)}
    with alone():
        subjects = litert_subjects(manifest, chosen, batch=True)
        for name in networks:
            network = _load(manifest, name)
            rows[name]["keras"]["multiply_adds"] = counting.multiply_adds(network)
            subjects |= keras_subjects(name, network)
        timings = measure(subjects, rounds, progress=progress)
    for name, row in rows.items():
        row["latency_ms"] = by_threads(timings, name)
        row["batch_ms"] = {str(BATCH): by_threads(timings, name, BATCH)}
    for name in networks:
        for how in (PREDICT, FUNCTION):
            rows[name]["keras"][f"{how}_ms"] = timings[Key(name, how, 0)].to_dict()
    return ModelCosts(this_machine(), rounds, rows, _ratios(timings), bars(manifest, rows, timings), notes)


def keras_networks(manifest: Manifest, names: Sequence[str], notes: list[str]) -> list[str]:
    """The models that are rebuilt in Keras: one of each network, with weights, the student before the baseline.

    Serving needs no weights, so that a folder may lack some: `notes` get a sentence for those that cannot be read.
    """
    first: dict[str, str] = {}
    for name in names:
        entry = manifest.models[name]
        if "weights" not in entry.files or entry.role == "variant" or entry.network in first:
            continue
        try:
            manifest.read(entry.files["weights"])
        except UserError as error:
            notes.append(f"{name} is not rebuilt in Keras: {error}")
            continue
        first[entry.network] = name
    return list(first.values())


def keras_subjects(name: str, model: keras.Model) -> dict[Key, Subject]:
    """What an app would do with the network for one image: `predict`, or the graph compiled by `tf.function`."""
    import tensorflow as tf

    batch = images(1).astype(np.float32)
    function = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec((1, *batch.shape[1:]), tf.float32)],
    )
    tensor = tf.constant(batch)
    return {
        Key(name, PREDICT, 0): Subject(f"{name}, Keras predict", lambda: model.predict(batch, verbose=0), 3),
        Key(name, FUNCTION, 0): Subject(f"{name}, tf.function", lambda: function(tensor).numpy(), 3),
    }


def bars(
    manifest: Manifest, rows: Mapping[str, Mapping[str, Any]], timings: Mapping[Key, Timing]
) -> list[Bar]:
    """What was asked of the variants, as far as this run and the manifest's figures can tell.

    Each names every model that it is of: `core.benchmark.bars.read_bars` goes by that.
    """
    int8, pruned = "student-int8", "student-pruned"

    def size(name: str, of: float | None = None) -> float | None:
        return rows[name]["bytes"] / (of or 1) if name in rows and of != 0 else None

    def times(one: Key, other: Key) -> float | None:
        return ratio(timings[one], timings[other]) if one in timings and other in timings else None

    def lost(name: str, figure: str) -> float | None:
        return lost_on_test(manifest, name, REFERENCE, figure)

    reported = BY_COUNTERPART["student"].megabytes * 1e6
    int8_bytes = size(int8)
    return [
        Bar(f"{int8}: size", size(int8, 1e6), 4.2, unit=" MB"),
        Bar(f"{int8}: accuracy lost on test beside {REFERENCE}", lost(int8, "accuracy"), 1.0,
            unit=" points"),
        Bar(f"{int8}: balanced accuracy lost on test beside {REFERENCE}", lost(int8, "balanced_accuracy"), 1.0,
            unit=" points"),
        Bar(f"{int8}: time of {REFERENCE}, one thread", times(Key(int8), Key(REFERENCE)), 0.75),
        Bar(f"{pruned}: time of {int8}, one thread", times(Key(pruned), Key(int8)), 0.65),
        Bar(f"{pruned}: size of {int8}", size(pruned, int8_bytes or 0), 0.65),
        Bar(f"{pruned}: balanced accuracy lost on test beside {REFERENCE}", lost(pruned, "balanced_accuracy"), 1.5,
            unit=" points"),
        Bar(f"{int8}: times smaller than the report's student", int8_bytes and reported / int8_bytes, 8.0,
            at_most=False),
        Bar(f"{REFERENCE}: times faster than resnet50 in Keras predict",
            times(Key("resnet50", PREDICT, 0), Key(REFERENCE)), 10.0, at_most=False),
    ]  # fmt: skip


def _costs(manifest: Manifest, name: str) -> dict[str, Any]:
    """What needs no measuring. An ensemble costs what its members cost."""
    entry = manifest.models[name]
    members = entry.members or (name,)
    contents = [litert_file(manifest, member) for member in members]
    parameters = [manifest.models[member].parameters for member in members]
    return {
        "sha256": None if entry.members else manifest.files[entry.files["litert"]].sha256,
        "bytes": sum(map(len, contents)),
        "compressed_bytes": sum(len(zlib.compress(content, 9)) for content in contents),
        "parameters": sum(parameters) if all(parameters) else None,
        "multiply_adds": sum(flat.multiply_adds(content) for content in contents),
    }


def _peak(manifest: Manifest, name: str, kind: str, notes: list[str]) -> int | None:
    try:
        return peak_bytes(manifest.folder, name, kind)
    except ChildFailed as error:
        notes.append(str(error))
        return None


def _load(manifest: Manifest, name: str) -> keras.Model:
    from core.networks.trained import load_trained

    return load_trained(manifest, name)


def _ratios(timings: Mapping[Key, Timing]) -> dict[str, float]:
    reference = timings.get(Key(REFERENCE))
    if reference is None:
        return {}
    wanted = {
        key.model if key.how == LITERT else f"{key.model} {key.how}": key
        for key in timings
        if key.how != LITERT or key == Key(key.model)
    }
    return {name: ratio(timings[key], reference) for name, key in wanted.items()}
