"""TIFF: read the directory, keep the tags that the pixels need in a directory of our own, decode.

Every tag's values may lie anywhere in a TIFF, so a small file can name the same 20 MB a thousand times, one strip a
pixel or tiles far larger than the picture. All of that is counted here first. Pillow and libtiff then read a copy
whose only directory holds the tags in `KEPT`: no EXIF, GPS, further pages or private tags.

JPEG-compressed parts may have many scans, too; those of all parts together are counted as those of a bare JPEG.

Further directories are allowed where they are smaller copies or masks of the picture (thumbnails, pyramids).
Source: TIFF 6.0 (Adobe, 1992), sections 4 to 22.
"""

from __future__ import annotations

import math
import struct

from PIL import UnidentifiedImageError

from core import settings
from core.serving.intake import ifd, jpeg
from core.serving.intake.raster import DEEP_GREY, Raster, decode
from core.serving.intake.refusal import (
    Refused,
    check_memory,
    check_size,
    damaged,
    several_pictures,
    unsupported,
)

KIND = "TIFF"
KEPT = (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320,
        322, 323, 324, 325, 338, 339, 347, 529, 530, 531, 532)  # fmt: skip
"""Size, bits, compression, colour, strips, tiles, predictor, palette, alpha, sample format, JPEG tables, YCbCr."""
COMPRESSIONS = {1, 5, 7, 8, 32773, 32946}
_METHODS = "LZW, JPEG, Deflate, PackBits"
MAX_PARTS = 32_768
"""Strips or tiles. The largest picture has 8,192 rows in at most four planes."""
MAX_PAGES = 16
MAX_VALUES = {273: MAX_PARTS, 279: MAX_PARTS, 324: MAX_PARTS, 325: MAX_PARTS, 320: 3 * 65536, 347: 65536}
"""Values that a tag may have, where more than 16 make sense: strips, tiles, palette, JPEG tables."""
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _PLANES = 254, 256, 257, 258, 259, 277, 284
_STRIPS, _STRIP_ROWS, _STRIP_SIZES = 273, 278, 279
_TILES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_SIZES = 324, 322, 323, 325
_PHOTOMETRIC, _WHITE_IS_ZERO, _JPEG = 262, 0, 7
_SCAN = b"\xff\xda"
"""Begins a scan of a JPEG; in the data of one, an FF is always followed by 0 or the number of a restart."""
_ICC = 34675
_SMALLER_OR_MASK = 1 | 4
_EXPORT = "Please export it as an ordinary JPEG, PNG or TIFF."


def read(data: bytes) -> Raster:
    """The picture in a TIFF file; raises `Refused` or one of `refusal.FAILURES`."""
    directory = ifd.read(data, ifd.first_offset(data))
    width, height = (directory.number(data, tag, 0) for tag in (_WIDTH, _HEIGHT))
    check_size(width, height, KIND)
    if directory.number(data, _SUBFILE, 0) & 1:
        raise Refused(
            "camera_raw", f"This TIFF begins with a preview, as a camera's raw file does. {_EXPORT}"
        )
    compression = directory.number(data, _COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise unsupported(
            f"Expected a TIFF compressed by {_METHODS} or not at all; this one uses method {compression}",
            _EXPORT,
        )
    notes = _further_pages(data, directory)
    bits = max(directory.numbers(data, _BITS, 16), default=1)
    _check_parts(data, directory, width, height, bits)
    kept = {tag: entry for tag, entry in directory.entries.items() if tag in KEPT}
    for tag, entry in kept.items():
        if entry.offset + entry.size > len(data) or entry.count > MAX_VALUES.get(tag, 16):
            raise damaged(KIND)
    try:
        image = decode(_with_one_directory(data, directory, kept), KIND, (width, height), KIND)
    except UnidentifiedImageError as error:
        # Pillow knows no mode for bits, samples and colours such as these.
        what = "The colours in this TIFF are stored in a way that is not read"
        raise unsupported(what, _EXPORT) from error
    orientation = directory.number(data, ifd.ORIENTATION, 1)
    held = directory.entries.get(_ICC)
    profile = data[held.offset : held.offset + held.size] if held else None
    # Pillow turns grey of up to 8 bits itself where white is zero, but none that is deeper.
    negative = bits > 8 and directory.number(data, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    if negative and image.mode not in DEEP_GREY:
        raise unsupported(f"Expected black to be zero; in this TIFF of {bits} bits white is", _EXPORT)
    return Raster(image, orientation if 1 <= orientation <= 8 else 1, profile, notes, bits, inverted=negative)


def _further_pages(data: bytes, first: ifd.Directory) -> tuple[str, ...]:
    """A note where further directories are copies of the first; `Refused` where they are pages."""
    following, pages = first.following, 0
    while following and pages < MAX_PAGES:
        page = ifd.read(data, following)
        if not page.number(data, _SUBFILE, 0) & _SMALLER_OR_MASK:
            break
        following, pages = page.following, pages + 1
    if following:
        raise several_pictures(KIND, "more than one page")
    return ("The file holds smaller copies of the picture; the full one was taken.",) if pages else ()


def _check_parts(data: bytes, directory: ifd.Directory, width: int, height: int, bits: int) -> None:
    """Refuse strips or tiles that are too many, too large or do not make up the picture."""
    samples = directory.number(data, _SAMPLES, 1)
    planes = samples if directory.number(data, _PLANES, 1) == 2 else 1
    if not 1 <= samples <= 8 or not 1 <= bits <= 64:
        raise unsupported(f"This TIFF has {samples} channels of {bits} bits, which is not read", _EXPORT)
    tiled = _TILES in directory.entries
    if tiled:
        part_width, part_height = (directory.number(data, tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        too_large = part_width * part_height > settings.MAX_PIXELS
        if min(part_width, part_height) < 16 or too_large or _STRIPS in directory.entries:
            raise damaged(KIND)
    else:
        part_width, part_height = width, min(directory.number(data, _STRIP_ROWS, height), height)
        if part_height < 1:
            raise damaged(KIND)
    expected = math.ceil(width / part_width) * math.ceil(height / part_height) * planes
    offsets = directory.numbers(data, _TILES if tiled else _STRIPS, MAX_PARTS)
    if expected > MAX_PARTS or len(offsets) < expected:
        raise damaged(KIND)
    # libtiff unpacks one part into a buffer of its own beside Pillow's image of at most 4 bytes a pixel.
    together = samples if planes == 1 else 1
    buffer = part_width * part_height * bits * together // 8
    check_memory(buffer + 4 * width * height, KIND, _EXPORT)
    if directory.number(data, _COMPRESSION, 1) == _JPEG:
        sizes = directory.numbers(data, _TILE_SIZES if tiled else _STRIP_SIZES, MAX_PARTS)
        if len(sizes) != len(offsets) or not all(sizes):  # libtiff would guess, and read on to the file's end
            raise damaged(KIND)
        most, decoded = _count_scans(data, list(zip(offsets, sizes, strict=True)), part_width * part_height)
        jpeg.check_passes(decoded, width * height, KIND)
        if most > 1:  # libjpeg then holds every coefficient (2 bytes) of a part beside the buffer
            check_memory(buffer + 2 * part_width * part_height * together, KIND, _EXPORT)


def _count_scans(data: bytes, parts: list[tuple[int, int]], pixels: int) -> tuple[int, int]:
    """The most scans that one of the JPEG-compressed parts (offset, size) has, and the pixels that all go through.

    Raises `Refused` where parts lie over each other, so that the same bytes would be looked through again and again;
    copies of one tile may share their place.
    """
    places = set(parts)
    if sum(size for _, size in places) > len(data):
        raise damaged(KIND)
    scans = {(start, size): data.count(_SCAN, start, start + size) for start, size in places}
    return max(scans.values(), default=0), pixels * sum(scans[part] for part in parts)


def _with_one_directory(data: bytes, directory: ifd.Directory, kept: dict[int, ifd.Entry]) -> bytes:
    """The file with a directory of only these entries in the place of its first one, and none after it."""
    counter, pointer = ("Q", "Q") if directory.big else ("H", "I")
    table = b"".join(kept[tag].raw for tag in sorted(kept))
    packed = (
        struct.pack(directory.order + counter, len(kept)) + table + struct.pack(directory.order + pointer, 0)
    )
    copy = bytearray(data)
    start = ifd.first_offset(data)
    copy[start : start + len(packed)] = packed  # never longer than what was there
    return bytes(copy[: len(data)])
