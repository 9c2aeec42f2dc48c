"""Pictures with maps: which, in what order, and what happens to those that cannot be drawn."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.serving.looked import SIDE, look


def picture(size: tuple[int, int] = (600, 450)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (120, 90, 80)).save(buffer, "PNG")
    return buffer.getvalue()


def model(empty: int | None = None) -> SimpleNamespace:
    maps = np.zeros((7, 7, 7), np.float32)
    maps[:, 3, 3] = 1
    if empty is not None:
        maps[empty] = 0
    probabilities = np.array([0.02, 0.03, 0.05, 0.1, 0.6, 0.2, 0])
    return SimpleNamespace(classify=lambda rgb: SimpleNamespace(maps=maps, probabilities=probabilities))


def test_the_picture_then_a_map_of_each_class_once() -> None:
    panels = look(model(), picture(), ("nv", "mel", "nv"))
    assert [panel.caption for panel in panels] == [
        "Image",
        "Melanocytic nevus: 20%",
        "Melanoma: 60%",
    ]
    assert {panel.image.shape for panel in panels} == {(SIDE * 3 // 4, SIDE, 3)}
    assert not np.array_equal(panels[0].image, panels[1].image)


def test_a_class_for_which_nothing_speaks_says_so() -> None:
    panels = look(model(empty=4), picture(), ("mel",))
    assert panels[1].caption == "Melanoma: 60%; nothing speaks for it"
    assert np.array_equal(panels[0].image, panels[1].image)


def test_without_a_model_the_picture_alone() -> None:
    assert len(look(None, picture(), ("mel",))) == 1


@pytest.mark.parametrize("data", [b"", b"nothing"])
def test_what_is_no_picture_is_a_sentence(data: bytes) -> None:
    assert str(look(model(), data, ("mel",))).endswith(".")
