"""`benchmark serving`: what the explaining graph costs over the plain one, and saves over Keras and tf-keras-vis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.benchmark.bars import Bar
from core.benchmark.flat import plain_graph
from core.benchmark.hardware import Hardware, this_machine
from core.benchmark.latency import PREDICT, Key, alone, choose
from core.benchmark.rounds import Progress, Subject, Timing, measure, ratio
from core.benchmark.runner import Runner, images, litert_file
from core.benchmark.store import stamp
from core.errors import UserError
from core.serving.registry import Registry

if TYPE_CHECKING:
    import keras

EXPLAINING, PLAIN, GRADCAM = "explaining", "plain", "gradcam"
LARGEST_COST = 1.15
FAST, KERAS_PARENT = "student-int8", "student"
TIMES_PREDICT, TIMES_GRADCAM = 20.0, 40.0
CALLS = 7


class PlainDiffers(UserError):
    """The plain graph gives other logits than the explaining one: it would be the wrong thing to compare with."""


@dataclass(frozen=True, eq=False)
class ServingCosts:
    """What was measured in one run.

    Attributes:
        hardware: where.
        rounds: how many.
        timings: one image on one thread (Keras and tf-keras-vis: on as many as they take).
        bars: what was asked for.
        notes: what is missing, and why.
    """

    hardware: Hardware
    rounds: int
    timings: Mapping[Key, Timing]
    bars: Sequence[Bar]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            **stamp(self.hardware),
            "rounds": self.rounds,
            "latency_ms": {f"{key.model} {key.how}": t.to_dict() for key, t in self.timings.items()},
            "bars": [bar.to_dict() for bar in self.bars],
        }


def measure_serving(
    registry: Registry,
    names: Sequence[str] = (),
    *,
    rounds: int,
    with_keras: bool = True,
    progress: Progress | None = None,
) -> ServingCosts:
    """Measure explaining and plain graphs, and with `with_keras` what they replace, all in the same rounds.

    Args:
        registry: the models.
        names: none means all that can be used but ensembles, which have no graph of their own.
        rounds: see `core.benchmark.rounds.measure`.
        with_keras: rebuild the student in Keras.
        progress: see `core.benchmark.rounds.measure`.

    Raises:
        UserError: a name that is not known, that of an ensemble, or no model that can be used.
    """
    chosen, left_out = choose(registry, names)
    notes = [f"{name} is left out: {reason}" for name, reason in left_out.items()]
    manifest = registry.manifest
    assert manifest is not None  # `choose` found models in it
    for name in names:
        if members := manifest.models[name].members:
            raise UserError(
                f"model {name}: expected a model with a graph of its own, found an ensemble; measure its members: "
                f"{', '.join(members)}"
            )
    graphs = [name for name in chosen if not manifest.models[name].members]
    subjects: dict[Key, Subject] = {}
    for name in graphs:
        subjects |= graph_subjects(name, litert_file(manifest, name))
    if with_keras:
        try:
            from core.networks.trained import load_trained

            subjects |= replaced_subjects(KERAS_PARENT, load_trained(manifest, KERAS_PARENT))
        except UserError as error:
            notes.append(f"Keras and tf-keras-vis are not measured: {error}")
    with alone():
        timings = measure(subjects, rounds, progress=progress)
    return ServingCosts(this_machine(), rounds, timings, bars(graphs, timings), notes)


def graph_subjects(name: str, content: bytes) -> dict[Key, Subject]:
    """A model's file as it is, and without what its logits do not need.

    Raises:
        PlainDiffers: the two give different logits.
    """
    pixels = images(1)
    explaining, plain = Runner(content, name), Runner(plain_graph(content), name)
    (logits,) = plain.run(pixels)
    if not any(np.array_equal(logits, output) for output in explaining.run(pixels)):
        raise PlainDiffers(f"model {name}: expected its logits from the plain graph, found others")
    return {
        Key(name, EXPLAINING): Subject(f"{name}, explaining", lambda: explaining.run(pixels), CALLS),
        Key(name, PLAIN): Subject(f"{name}, plain", lambda: plain.run(pixels), CALLS),
    }


def replaced_subjects(name: str, model: keras.Model) -> dict[Key, Subject]:
    """Keras' `predict` of one image, and tf-keras-vis' Grad-CAM of one class, made ready beforehand."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    from core.networks.classifiers import feature_layer

    batch = images(1).astype(np.float32)
    gradcam, layer, score = Gradcam(model, clone=True), feature_layer(model), CategoricalScore([0])

    def one_map() -> np.ndarray:
        # Neither enlarged nor normalised: the graph's maps are not, either.
        return gradcam(
            score, batch, penultimate_layer=layer, seek_penultimate_conv_layer=False, expand_cam=False,
            normalize_cam=False,
        )  # fmt: skip

    return {
        Key(name, PREDICT, 0): Subject(f"{name}, Keras predict", lambda: model.predict(batch, verbose=0), 2),
        Key(name, GRADCAM, 0): Subject(f"{name}, tf-keras-vis", one_map, 1),
    }


def bars(names: Sequence[str], timings: Mapping[Key, Timing]) -> list[Bar]:
    """What was asked for, in ratios of the same rounds."""

    def times(one: Key, other: Key) -> float | None:
        return ratio(timings[one], timings[other]) if one in timings and other in timings else None

    found = [
        Bar(f"{name}: explaining graph, times the plain one", times(Key(name, EXPLAINING), Key(name, PLAIN)),
            LARGEST_COST)
        for name in names
    ]  # fmt: skip
    fast = Key(FAST, EXPLAINING)
    return [
        *found,
        Bar(f"{FAST} with its maps: times faster than Keras predict of one image",
            times(Key(KERAS_PARENT, PREDICT, 0), fast), TIMES_PREDICT, at_most=False),
        Bar(f"{FAST}, all seven maps: times faster than tf-keras-vis' Gradcam of one class",
            times(Key(KERAS_PARENT, GRADCAM, 0), fast), TIMES_GRADCAM, at_most=False),
    ]  # fmt: skip
