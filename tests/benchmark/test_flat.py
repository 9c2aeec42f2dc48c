"""Multiply-adds of LiteRT files, and what is left of one without its maps."""

from __future__ import annotations

import numpy as np
import pytest

from core.benchmark.flat import multiply_adds, plain_graph
from core.benchmark.runner import Runner
from core.serving.flatbuffer import FlatFileError

FEATURES = 7 * 7 * 3 * 16
LOGITS = 7 * 7 * 16 * 7
MAPS = 7 * 7 * 16 * 7
"""Of tests/serving/tiny_litert.py: a 1x1 convolution of 3 channels to 16, a dense layer over all, a 1x1 to 7."""


@pytest.mark.parametrize(
    "form", [{}, {"int8": True}, {"named": False, "outputs": ("maps", "embedding", "logits")}]
)
def test_counts_what_the_logits_need_and_the_whole_file(graphs, form: dict) -> None:
    content = graphs.build(graphs.random_weights(0), **form)
    assert multiply_adds(content) == FEATURES + LOGITS
    assert multiply_adds(content, None) == FEATURES + LOGITS + MAPS
    if form.get("named", True):
        assert multiply_adds(content, "maps") == FEATURES + MAPS
        assert multiply_adds(content, "embedding") == FEATURES


@pytest.mark.parametrize(
    "form", [{}, {"int8": True}, {"named": False, "outputs": ("maps", "embedding", "logits")}]
)
def test_the_plain_graph_gives_the_same_logits_and_nothing_else(
    graphs, pixels: np.ndarray, form: dict
) -> None:
    content = graphs.build(graphs.random_weights(1), **form)
    plain = plain_graph(content)
    (logits,) = Runner(plain, "plain").run(pixels)
    whole = Runner(content, "whole").run(pixels)
    assert logits.shape == (1, 7)
    assert any(np.array_equal(logits, output) for output in whole)
    assert multiply_adds(plain, None) == multiply_adds(content)


def test_a_graph_without_maps_stays_as_it_is(graphs, pixels: np.ndarray) -> None:
    content = graphs.build(graphs.random_weights(1), outputs=("logits",))
    assert np.array_equal(
        Runner(plain_graph(content), "a").run(pixels)[0], Runner(content, "b").run(pixels)[0]
    )


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0XXXX" + bytes(100)])
def test_no_litert_file(content: bytes) -> None:
    with pytest.raises(FlatFileError, match="expected a LiteRT file"):
        multiply_adds(content)


def test_another_output_than_there_is(graphs) -> None:
    with pytest.raises(FlatFileError, match="'maps', found none"):
        multiply_adds(graphs.build(graphs.random_weights(0), outputs=("logits",)), "maps")


@pytest.mark.parametrize("hidden", [None, 24])
def test_a_converted_network_counts_as_its_keras_graph(tiny_network, tmp_path, hidden: int | None) -> None:
    from core.benchmark import counting
    from core.compression.litert import convert
    from core.networks.explaining import explaining_graph

    network = tiny_network(hidden, size=32)
    path = convert(explaining_graph(network, size=32), tmp_path / "tiny.tflite", "float16")
    content = path.read_bytes()
    assert multiply_adds(content) == counting.multiply_adds(network)
    assert multiply_adds(content, None) > multiply_adds(content)
