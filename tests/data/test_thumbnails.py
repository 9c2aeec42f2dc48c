"""Thumbnails: small, of the right picture, made once, bounded, and a sentence where there is none."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from core.data.pixels import PixelError
from core.data.thumbnails import HEIGHT, WIDTH, Thumbnails, of_pixels, thumbnail


def jpeg(width: int, height: int, colour: tuple[int, int, int] = (200, 120, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((600, 450), (268, 201)),
        ((1200, 450), (268, 100)),
        ((450, 900), (100, 201)),
        ((300, 220), (268, 197)),
        ((96, 72), (96, 72)),
    ],
)
def test_it_fits_the_box_keeps_its_aspect_and_is_never_enlarged(size, expected):
    image = Image.open(io.BytesIO(thumbnail(jpeg(*size), "x")))
    assert image.format == "JPEG"
    assert image.size == expected
    assert image.width <= WIDTH
    assert image.height <= HEIGHT


def test_colours_stay_what_they_are():
    for data in (
        thumbnail(jpeg(600, 450), "x"),
        of_pixels(np.full((201, 268, 3), (200, 120, 40), np.uint8), "x"),
    ):
        pixel = np.asarray(Image.open(io.BytesIO(data)))[50, 50].astype(int)
        assert np.abs(pixel - (200, 120, 40)).max() < 6


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_what_is_no_image_is_named(data):
    with pytest.raises(PixelError, match="ISIC_1: expected a readable image"):
        thumbnail(data, "ISIC_1")


def test_each_is_made_once_and_the_oldest_go():
    made = []

    def make(name: str) -> bytes:
        made.append(name)
        return name.encode()

    pictures = Thumbnails(make, kept=3)
    assert pictures.get(["a", "b", "a"]) == [b"a", b"b", b"a"]
    assert sorted(made) == ["a", "b"]
    assert pictures.get(["b", "c"]) == [b"b", b"c"]
    assert made.count("b") == 1
    pictures.get(["d"])  # out goes a, which was shown longest ago
    assert len(pictures) == 3
    pictures.get(["b"])
    assert made.count("b") == 1
    pictures.get(["a"])
    assert made.count("a") == 2


def test_more_than_are_kept_come_all_the_same():
    names = [str(n) for n in range(20)]
    assert Thumbnails(str.encode, kept=5).get(names) == [name.encode() for name in names]


def test_one_that_cannot_be_made_is_a_sentence_beside_the_others():
    def make(name: str) -> bytes:
        if name == "bad":
            raise PixelError("bad: expected a readable image, found 0 bytes")
        return b"good"

    assert Thumbnails(make).get(["x", "bad"]) == [b"good", "bad: expected a readable image, found 0 bytes"]


def test_a_fault_of_ours_is_not_swallowed():
    def make(name: str) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Thumbnails(make).get(["x"])


def test_the_next_page_is_made_in_the_background_once():
    made, go = [], threading.Event()

    def make(name: str) -> bytes:
        go.wait(60)
        made.append(name)
        return name.encode()

    pictures = Thumbnails(make)
    pictures.prepare(["a", "b"])
    pictures.prepare(["c"])  # while the first errand runs
    pictures.prepare([])
    go.set()
    deadline = time.monotonic() + 60
    while len(pictures) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pictures.get(["a", "b"]) == [b"a", b"b"]
    assert sorted(made) == ["a", "b"]
