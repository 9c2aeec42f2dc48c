"""The graph in LiteRT gives what Keras gives, whatever its outputs are called and however it is quantised."""

import threading
import time

import numpy as np
import pytest

from core.data.pixels import to_input
from core.serving import runtime
from core.serving.runtime import (
    InterpreterPool,
    RuntimeModelError,
    dequantise,
    find_input,
    find_outputs,
    quantise,
)


@pytest.mark.parametrize("file", ["student", "unnamed"])
def test_equals_the_sums_by_hand(tiny, images, file):
    pool = InterpreterPool(tiny.files[file], file)
    for image in images:
        pixels = to_input(image)
        raw = pool.run(pixels)
        for key, value in tiny.expected(pixels).items():
            assert getattr(raw, key).dtype == np.float32
            np.testing.assert_allclose(getattr(raw, key), value, atol=1e-4, err_msg=key)


def test_integer_input_and_outputs(tiny, images):
    """Each output differs by at most half a step of its scale, and ends where its integers end."""
    pool = InterpreterPool(tiny.files["student-int8"], "student-int8")
    steps = {"logits": (0.02, -2.56, 2.54), "maps": (0.01, 0, 2.55), "embedding": (0.01, 0, 2.55)}
    for image in images:
        pixels = to_input(image)
        raw = pool.run(pixels)
        for key, value in tiny.expected(pixels).items():
            step, low, high = steps[key]
            assert getattr(raw, key).dtype == np.float32
            limited = np.clip(value, low, high)
            np.testing.assert_allclose(getattr(raw, key), limited, atol=step / 2 + 1e-4, err_msg=key)


@pytest.mark.parametrize(
    ("dtype", "quantization", "values", "stored"),
    [
        (np.float32, (0.0, 0), [0, 127, 255], [0, 127, 255]),
        (np.int8, (1.0, -128), [0, 127, 255], [-128, -1, 127]),
        (np.uint8, (1.0, 0), [0, 127, 255], [0, 127, 255]),
        (np.int8, (0.5, 0), [0, 10, 255], [0, 20, 127]),
        (np.uint8, (2.0, 3), [0, 3, 255], [3, 5, 131]),
    ],
)
def test_quantise(dtype, quantization, values, stored):
    found = quantise(np.array(values, np.uint8), {"dtype": dtype, "quantization": quantization})
    assert found.dtype == dtype
    assert found.tolist() == stored


def test_dequantise():
    detail = {"quantization": (0.25, -128)}
    assert dequantise(np.array([-128, -124, 127], np.int8), detail).tolist() == [0.0, 1.0, 63.75]


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 7), (1, 7, 7, 7)],
        [(1, 7), (1, 16)],
        [(1, 7), (1, 6, 7, 7), (1, 16)],
        [(2, 7), (1, 7, 7, 7), (1, 16)],
        [(1, 8), (1, 7, 7, 7), (1, 16)],
        [],
    ],
)
def test_outputs_that_cannot_be_told_apart(shapes):
    named = [(f"output_{k}", {"shape": np.array(shape)}) for k, shape in enumerate(shapes)]
    with pytest.raises(RuntimeModelError, match=r"model x: expected the outputs logits \(1, 7\)"):
        find_outputs(named, "x")


def test_names_win_over_shapes():
    named = [
        ("embedding", {"shape": (1, 7)}),
        ("logits", {"shape": (1, 7)}),
        ("maps", {"shape": (1, 7, 4, 4)}),
    ]
    assert find_outputs(named, "x") == dict(named)


@pytest.mark.parametrize("shapes", [[], [(1, 112, 112, 3)], [(8, 224, 224, 3)], [(1, 224, 224, 3), (1, 1)]])
def test_other_inputs_are_refused(shapes):
    with pytest.raises(
        RuntimeModelError, match=r"model x: expected one input of shape \[1, 224, 224, 3\], found"
    ):
        find_input([{"shape": np.array(shape)} for shape in shapes], "x")


def test_plain_graph_is_refused(tiny):
    with pytest.raises(
        RuntimeModelError, match=r"model plain: expected the outputs .*found {'logits': \[1, 7\]}"
    ):
        InterpreterPool(tiny.files["plain"], "plain")


@pytest.mark.parametrize("content", [b"", b"no model", bytes(4096)])
def test_no_model_is_refused(content):
    with pytest.raises(RuntimeModelError, match="model x: expected a LiteRT model"):
        InterpreterPool(content, "x")


def test_pool_makes_interpreters_when_needed_and_no_more(tiny, images, monkeypatch):
    made, running, most, together = [], [], [], []

    class Counting(runtime.Interpreter):
        def __init__(self, **options):
            made.append(options)
            super().__init__(**options)

        def invoke(self):
            if together:
                together[0].wait()
            running.append(1)
            most.append(len(running))
            time.sleep(0.01)
            super().invoke()
            running.pop()

    monkeypatch.setattr(runtime, "Interpreter", Counting)
    pool = InterpreterPool(tiny.files["student"], "student", size=3)
    pixels = to_input(images[0])
    pool.run(pixels)
    assert len(made) == 1
    together.append(threading.Barrier(3, timeout=60))  # twelve runs are four times three at once
    threads = [threading.Thread(target=pool.run, args=(pixels,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 3
    assert len(made) == 3


def test_interpreter_comes_back_after_an_error(tiny, images, monkeypatch):
    pool = InterpreterPool(tiny.files["student"], "student", size=1)
    for _ in range(3):
        with pytest.raises(ValueError):
            pool.run(to_input(images[0])[:100])
    assert np.isfinite(pool.run(to_input(images[0])).logits).all()
