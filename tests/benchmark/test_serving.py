"""`benchmark serving`: the right pairs are compared, and only equal answers are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.benchmark import serving
from core.benchmark.latency import Key
from core.benchmark.rounds import Timing
from core.benchmark.serving import PlainDiffers, bars, graph_subjects, measure_serving, replaced_subjects
from core.serving.registry import Registry


def test_every_file_against_its_plain_graph(make_artifacts) -> None:
    folder = make_artifacts("resnet50", "student", "student-int8", "ensemble")
    found = measure_serving(Registry.open(folder), rounds=2, with_keras=False)
    names = ("resnet50", "student", "student-int8")
    assert list(found.timings) == [Key(n, how) for n in names for how in ("explaining", "plain")]
    assert [bar.what.split(":")[0] for bar in found.bars[:3]] == list(names)
    assert all(bar.measured > 0 for bar in found.bars[:3])
    assert [bar.measured for bar in found.bars[3:]] == [None, None]
    assert (
        json.loads(json.dumps(found.to_dict(), allow_nan=False))["latency_ms"]["student plain"]["median"] > 0
    )


def test_without_weights_keras_is_left_out_with_the_reason(make_artifacts) -> None:
    found = measure_serving(Registry.open(make_artifacts("student")), rounds=1)
    assert any("Keras and tf-keras-vis are not measured: model student" in note for note in found.notes)


def test_a_plain_graph_with_other_logits_is_refused(graphs, monkeypatch) -> None:
    other = graphs.build(graphs.random_weights(5), outputs=("logits",))
    monkeypatch.setattr(serving, "plain_graph", lambda content: other)
    with pytest.raises(PlainDiffers, match="model student"):
        graph_subjects("student", graphs.build(graphs.random_weights(0)))


def test_bars_compare_what_they_say() -> None:
    times = {("student-int8", "explaining"): 4.0, ("student-int8", "plain"): 3.9, ("student", "explaining"): 9.0,
             ("student", "plain"): 7.0}  # fmt: skip
    timings = {Key(*key): Timing(np.full((3, 4), value)) for key, value in times.items()}
    timings[Key("student", "predict", 0)] = Timing(np.full((3, 2), 100.0))
    timings[Key("student", "gradcam", 0)] = Timing(np.full((3, 1), 120.0))
    found = bars(["student", "student-int8"], timings)
    assert [bar.measured for bar in found] == pytest.approx([9 / 7, 4 / 3.9, 25.0, 30.0])
    assert [bar.met for bar in found] == [False, True, True, False]


def test_what_is_replaced_works_on_a_network_of_ours(tiny_network) -> None:
    from core.benchmark.runner import images
    from core.networks import oracle

    network = tiny_network(24, size=224)
    subjects = replaced_subjects("student", network)
    assert set(subjects) == {Key("student", "predict", 0), Key("student", "gradcam", 0)}
    assert subjects[Key("student", "predict", 0)].call().shape == (1, 7)
    one = np.asarray(subjects[Key("student", "gradcam", 0)].call())
    np.testing.assert_allclose(one[0], oracle.gradcam_maps(network, images(1))[0, 0], rtol=1e-4, atol=1e-6)
