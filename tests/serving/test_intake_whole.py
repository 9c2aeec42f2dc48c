"""Pictures that end early although their file has an end: refused as incomplete, and no whole one is."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from core.serving.intake import Rejection, Upload, read_image

END = b"\xff\xd9"
WIDTH, HEIGHT = 150, 106


def photo() -> Image.Image:
    """Smooth colours with some grain."""
    rng = np.random.default_rng(4)
    coarse = Image.fromarray(rng.integers(30, 230, (4, 5, 3), np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8))


def framed(grey: int) -> Image.Image:
    """A small photograph above and left of a flat border: half of the picture is border."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (grey, grey, grey))
    canvas.paste(photo().crop((0, 0, WIDTH - 50, HEIGHT // 2)))
    return canvas


def encode(image: Image.Image, **options: object) -> bytes:
    """The bytes of a JPEG file; `mode` converts before."""
    target = io.BytesIO()
    image.convert(options.pop("mode", "RGB")).save(target, "JPEG", **options)
    return target.getvalue()


def in_three_scans(image: Image.Image) -> bytes:
    """A sequential JPEG whose three components follow one another instead of lying side by side."""
    channels = [encode(Image.fromarray(band), mode="L") for band in np.asarray(image).transpose(2, 0, 1)]
    frame, scan = (channels[0].index(marker) for marker in (b"\xff\xc0", b"\xff\xda"))
    tables = channels[0][channels[0].index(b"\xff\xc4") : scan]
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    whole = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, image.height, image.width, 3) + components
    scans = (
        b"\xff\xda"
        + struct.pack(">HBBBBBB", 8, 1, number, 0, 0, 63, 0)
        + data[data.index(b"\xff\xda") + 10 : -2]
        for number, data in enumerate(channels, 1)
    )
    return channels[0][:frame] + whole + tables + b"".join(scans) + END


CODINGS = {
    "4:2:0": {},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "own tables": {"optimize": True},
    "fine": {"quality": 100, "subsampling": 0},
    "coarse": {"quality": 5},
    "restart markers": {"restart_marker_blocks": 3},
    "restart marker a row": {"restart_marker_rows": 1, "mode": "L"},
    "progressive": {"progressive": True},
    "progressive grey": {"progressive": True, "mode": "L", "restart_marker_rows": 1},
}


def is_truncated(data: bytes) -> bool:
    """Whether a file is refused as incomplete."""
    result = read_image(data)
    return isinstance(result, Rejection) and result.code == "truncated"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_jpeg_cut_off_and_given_an_end_mark_is_incomplete(coding):
    """Up to the last scan of a progressive one, which refines what is there; up to the last bytes of the others."""
    data = encode(photo(), **CODINGS[coding])
    start, last = data.index(b"\xff\xda") + 14, data.rindex(b"\xff\xda")
    stop = last if "progressive" in coding else len(data) - 60
    cuts = {*range(start, stop, max(1, (stop - start) // 40)), stop}
    assert len(cuts) > 30
    assert {at for at in cuts if not is_truncated(data[:at] + END)} == set()


@pytest.mark.parametrize("coding", ["4:2:0", "fine", "coarse", "own tables"])
def test_of_a_jpeg_no_more_than_a_row_of_blocks_can_be_missing_unseen(coding):
    """What stands in for the end mark may make up a block or two; upsampled colours reach one row above theirs."""
    data = encode(photo(), **CODINGS[coding])
    whole, last = read_image(data).pixels, HEIGHT // 16 * 16
    for cut in range(1, 60):
        result = read_image(data[: -2 - cut] + END)
        if isinstance(result, Upload):
            np.testing.assert_array_equal(result.pixels[: last - 1], whole[: last - 1])
        else:
            assert result.code == "truncated"


def test_a_jpeg_cut_off_at_a_restart_marker_is_incomplete():
    data = encode(photo(), restart_marker_blocks=3)
    cuts = [at for at in range(len(data)) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert len(cuts) > 15
    for at in cuts:
        assert is_truncated(data[:at] + END)
        assert is_truncated(data[: at + 2] + END)


def test_a_jpeg_whose_header_says_twice_the_rows_is_incomplete():
    size, taller = struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 2 * HEIGHT, WIDTH)
    assert is_truncated(encode(photo()).replace(size, taller))


def test_what_stands_between_a_scan_and_the_end_mark_hides_no_early_end():
    data = encode(photo())
    comment = b"\xff\xfe\0\x06text"
    assert isinstance(read_image(data[:-2] + comment + END), Upload)
    assert is_truncated(data[: len(data) // 2] + comment + END)


def test_a_jpeg_without_one_of_its_scans_is_incomplete():
    data = in_three_scans(photo())
    np.testing.assert_array_equal(
        read_image(data).pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    )
    assert is_truncated(data[: data.rindex(b"\xff\xda")] + END)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("image", ["photo", "grey border", "black border", "all grey"])
def test_whole_jpegs_are_read_whatever_their_last_rows_show(coding, image):
    """Flat grey of 128 is what libjpeg puts where nothing is, and as good a border as any."""
    pictures = {"photo": photo, "grey border": lambda: framed(128), "black border": lambda: framed(0)}
    picture = pictures.get(image, lambda: Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)))()
    data = encode(picture, **CODINGS[coding])
    result = read_image(data)
    assert isinstance(result, Upload), result
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(result.pixels, np.asarray(expected))


def test_every_size_of_a_jpeg_ends_where_it_ends():
    """The last block begins and ends at any bit of a byte."""
    for width in range(64, 100):
        for mode in ("L", "RGB"):
            image = photo().crop((0, 0, width, 64 + width % 9)).convert(mode)
            assert isinstance(read_image(encode(image, mode=mode)), Upload), width


@pytest.mark.ham10000
@pytest.mark.slow
def test_of_the_real_images_all_are_whole_and_all_halves_are_not(ham10000):
    ids = ham10000.records["image_id"].iloc[::5]
    assert len(ids) > 2000
    refused, read = [], []
    for name in ids:
        data = ham10000.read_bytes(name)
        if not isinstance(read_image(data), Upload):
            refused.append(name)
        if not is_truncated(data[: len(data) // 2] + END):
            read.append(name)
    assert refused == read == []


PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
SIZE = (97, 69)
"""Width and height that no pass divides."""


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rows_of(samples: np.ndarray, bits: int) -> bytes:
    """The rows of a (height, width, channels) picture, unfiltered, each sample in so many bits."""
    if bits < 8:
        flat = np.unpackbits(samples.astype(np.uint8).reshape(len(samples), -1, 1), axis=2)[..., -bits:]
        packed = np.packbits(flat.reshape(len(samples), -1), axis=1)
    else:
        packed = samples.astype(f">u{bits // 8}").reshape(len(samples), -1).view(np.uint8)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def png(
    samples: np.ndarray, depth: int, colour: int, *, interlaced: bool, missing: int = 0, parts: int = 1
) -> bytes:
    """A PNG of these samples, whose stream lacks the last `missing` bytes and ends as it should."""
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    stream = b"".join(rows_of(samples[top::down, left::right], depth) for left, top, right, down in passes)
    packed = zlib.compress(stream[: len(stream) - missing])
    edges = np.linspace(0, len(packed), parts + 1).astype(int)
    data = b"".join(chunk(b"IDAT", packed[start:stop]) for start, stop in pairwise(edges))
    header = struct.pack(">IIBBBBB", *SIZE, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(48))) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "colour", "channels"),
    [(1, 0, 1), (2, 0, 1), (4, 3, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (8, 4, 2), (8, 6, 4)],
)
def test_a_png_has_all_of_its_bytes_or_is_incomplete(depth, colour, channels, interlaced):
    rng = np.random.default_rng(2)
    samples = rng.integers(0, 1 << min(depth, 4), (*SIZE[::-1], channels))
    whole = png(samples, depth, colour, interlaced=interlaced)
    result = read_image(whole)
    assert isinstance(result, Upload), result
    assert result.pixels.shape == (*SIZE[::-1], 3)
    assert isinstance(read_image(png(samples, depth, colour, interlaced=interlaced, parts=50)), Upload)
    for missing in (1, 40, 3000 * depth * channels // 8):
        assert is_truncated(png(samples, depth, colour, interlaced=interlaced, missing=missing)), missing


def test_a_png_of_which_rows_are_missing_is_incomplete():
    """Its last rows may well be black: they are there."""
    samples = np.asarray(photo().crop((0, 0, *SIZE))).copy()
    samples[40:] = 0
    assert isinstance(read_image(png(samples, 8, 2, interlaced=False)), Upload)
    row = 1 + 3 * SIZE[0]
    assert is_truncated(png(samples, 8, 2, interlaced=False, missing=29 * row))
    assert is_truncated(png(samples, 8, 2, interlaced=False, missing=row))
