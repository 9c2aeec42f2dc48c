"""DICOM: the one picture of a visible-light or secondary-capture object, and nothing about the patient.

`elements` steps over every element but those in `WANTED`; none of them identifies anybody. pydicom takes the frames
out of encapsulated pixel data and knows the names of the standard's objects.

Pixels: uncompressed, RLE Lossless and JPEG Baseline (by `jpeg`, with its limits); RGB, YBR_FULL, YBR_FULL_422,
palette and monochrome as grey over the whole range of its stored bits.
Source: DICOM PS3.3 C.7.6.3, PS3.5 section 8 and annexes A and G.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from core.serving.intake import jpeg
from core.serving.intake.elements import IMPLICIT, transfer_syntax
from core.serving.intake.elements import read as read_elements
from core.serving.intake.raster import Raster
from core.serving.intake.refusal import (
    Refused,
    check_memory,
    check_size,
    damaged,
    several_pictures,
    truncated,
    unsupported,
)

KIND = "DICOM"
EXPLICIT = "1.2.840.10008.1.2.1"
RLE, JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
UNREADABLE = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")  # deflated, big endian
SYNTAXES = (IMPLICIT, EXPLICIT, RLE, JPEG_BASELINE, JPEG_EXTENDED)
_VISIBLE_LIGHT, _SECONDARY = "1.2.840.10008.5.1.4.1.1.77.1.", "1.2.840.10008.5.1.4.1.1.7"
OBJECTS = (
    *(_SECONDARY + end for end in ("", ".2", ".3", ".4")),  # secondary capture, and its multi-frame kin
    *(_VISIBLE_LIGHT + end for end in ("1", "2", "3", "4", "5.1", "5.2", "7")),
)
"""Secondary capture; visible-light endoscopic, microscopic, photographic, ophthalmic and dermoscopic photography."""

_CLASS, _SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00080016, 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_DESCRIPTORS, _TABLES = (0x00281101, 0x00281102, 0x00281103), (0x00281201, 0x00281202, 0x00281203)
_ICC, _PIXELS = 0x00282000, 0x7FE00010
WANTED = (_CLASS, _SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT, _SIGNED,
          *_DESCRIPTORS, *_TABLES, _ICC, _PIXELS)  # fmt: skip
_CHANNELS = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
}
_EXPORT = "Please export the photograph as JPEG or PNG."
_STEP = 1 << 20
"""Samples that are turned into others at once: numpy's indices and products are several times as large."""
_COMPRESSED = "The picture in this DICOM file is stored in a way that is not read"


@dataclass(frozen=True)
class Depth:
    """Which bits of a sample are its value: `stored` ones from bit `shift` on; other things may lie in the others."""

    stored: int
    shift: int = 0
    signed: bool = False

    def values(self, samples: np.ndarray) -> np.ndarray:
        """The values of some samples as uint32, the two's complement where they are signed."""
        return samples.astype(np.uint32) >> self.shift & (1 << self.stored) - 1


def read(data: bytes) -> Raster:
    """The picture in a DICOM file; raises `Refused` or one of `refusal.FAILURES`."""
    syntax, start = transfer_syntax(data)
    if syntax in UNREADABLE:
        raise unsupported(_COMPRESSED, _EXPORT)
    elements = read_elements(data, start, syntax, WANTED)
    _check_object(elements)
    if syntax not in SYNTAXES:
        raise unsupported(_COMPRESSED, _EXPORT)
    width, height = (_number(elements, tag) for tag in (_COLUMNS, _ROWS))
    if width is None or height is None or _PIXELS not in elements:
        raise Refused("no_image", f"This DICOM file holds no picture; expected a photograph. {_EXPORT}")
    check_size(width, height, KIND)
    frames = _text(elements, _FRAMES)
    if frames not in ("", "1"):
        raise several_pictures(KIND, "several frames")
    if syntax in (JPEG_BASELINE, JPEG_EXTENDED):
        raster = _from_jpeg(elements, width, height)
    else:
        raster = _from_samples(elements, width, height, syntax == RLE)
    return replace(raster, profile=elements.get(_ICC) or raster.profile)


def _check_object(elements: dict[int, bytes]) -> None:
    """Refuse what is neither a photograph nor a screen capture; only names of the standard's own list are told."""
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    found = UID(_text(elements, _CLASS), IGNORE)  # its checks would quote a damaged one in a warning
    if found not in OBJECTS:
        name = found.name.removesuffix(" Storage") if found.name != found else "something else"
        raise unsupported(f"Expected a DICOM photograph or screen capture; this file holds: {name}", _EXPORT)


def _number(elements: dict[int, bytes], tag: int, default: int | None = None) -> int | None:
    """An element of type US."""
    raw = elements.get(tag, b"")
    return int.from_bytes(raw[:2], "little") if len(raw) >= 2 else default


def _text(elements: dict[int, bytes], tag: int) -> str:
    """An element of type CS, IS or UI, without its padding."""
    return elements.get(tag, b"")[:64].decode("ascii", "replace").strip("\0 ")


def _colour_model(elements: dict[int, bytes]) -> str:
    """The photometric interpretation, one that is read."""
    name = _text(elements, _PHOTOMETRIC)
    if name not in _CHANNELS or _number(elements, _SAMPLES, 1) != _CHANNELS[name]:
        raise unsupported("The colours in this DICOM file are stored in a way that is not read", _EXPORT)
    return name


def _from_jpeg(elements: dict[int, bytes], width: int, height: int) -> Raster:
    """The JPEG in encapsulated pixel data; its colours are what the DICOM elements say."""
    from pydicom.encaps import generate_fragments

    model = _colour_model(elements)
    if model == "PALETTE COLOR":  # whose indices a JPEG changes, so that any other colour may come of them
        raise unsupported("The colours in this DICOM file are stored in a way that is not read", _EXPORT)
    _, *fragments = generate_fragments(elements[_PIXELS])  # the first is the table of offsets
    stream = b"".join(fragments)
    if not stream.startswith(b"\xff\xd8"):
        raise damaged(KIND)
    header = jpeg.read_header(stream)
    if (header.width, header.height) != (width, height):
        raise damaged(KIND)
    scans = jpeg.find_scans(stream, header)
    if stream.startswith(b"\xff\xd8", scans.end + scans.end % 2):  # fragments are padded to even lengths
        raise several_pictures(KIND, "several frames")
    jpeg.check_work(header, scans.count)
    raster = jpeg.decode_scans(stream, header, scans, transform=0 if model == "RGB" else 1)
    if model == "MONOCHROME1":
        raster = replace(raster, image=raster.image.point(lambda value: 255 - value))
    return raster


def _from_samples(elements: dict[int, bytes], width: int, height: int, rle: bool) -> Raster:
    """The picture in plain or run-length coded samples."""
    model = _colour_model(elements)
    channels, allocated = _CHANNELS[model], _number(elements, _ALLOCATED, 8)
    depth = _depth(elements, allocated, rle)
    halved = model == "YBR_FULL_422" and not rle
    samples = width * height * (2 if halved else channels)
    # Run-length coded samples of 20 MB are any number; beside them lie their eight bits, the pixels and the picture.
    unpacked, colours = rle * samples, 1 if channels == 1 and model != "PALETTE COLOR" else 3
    check_memory(
        unpacked + samples + (2 * colours + (4 if colours == 3 else 1)) * width * height, KIND, _EXPORT
    )
    if rle:
        flat = _unpack_runs(elements[_PIXELS], width, height, channels)
    else:
        raw = elements[_PIXELS]
        if len(raw) < samples * allocated // 8:
            raise truncated(KIND)
        flat = np.frombuffer(raw, np.uint8 if allocated == 8 else "<u2", samples)
    if model == "PALETTE COLOR":
        return Raster(Image.fromarray(_look_up(elements, flat.reshape(height, width), depth)))
    grey = _eight_bits(flat, depth)
    if channels == 1:
        grey = 255 - grey if model == "MONOCHROME1" else grey
        return Raster(Image.fromarray(grey.reshape(height, width)))
    if halved:
        pixels = _double_colours(grey, width, height)
    elif rle or _number(elements, _PLANAR, 0) == 1:
        pixels = np.ascontiguousarray(grey.reshape(3, height, width).transpose(1, 2, 0))
    else:
        pixels = grey.reshape(height, width, 3)
    image = Image.frombytes("RGB" if model == "RGB" else "YCbCr", (width, height), pixels.tobytes())
    return Raster(image)


def _depth(elements: dict[int, bytes], allocated: int, rle: bool) -> Depth:
    """Where the values lie in samples of so many bits; raises `Refused` where that makes no sense or is not read."""
    stored = _number(elements, _STORED, allocated)
    if allocated not in (8, 16) or not 1 <= stored <= allocated or (rle and allocated != 8):
        raise unsupported(
            "Expected 8 or 16 bits a sample; the picture in this DICOM file has another number", _EXPORT
        )
    shift = _number(elements, _HIGH_BIT, stored - 1) + 1 - stored
    if not 0 <= shift <= allocated - stored:
        raise damaged(KIND)
    return Depth(stored, shift, _number(elements, _SIGNED, 0) == 1)


def _eight_bits(samples: np.ndarray, depth: Depth) -> np.ndarray:
    """Samples -> uint8 over the whole range of their values; signed ones are moved so that none is negative."""
    if depth == Depth(8):
        return samples.astype(np.uint8, copy=False)
    largest, sign = (1 << depth.stored) - 1, (1 << (depth.stored - 1)) if depth.signed else 0
    result = np.empty(len(samples), np.uint8)
    for at in range(0, len(samples), _STEP):
        result[at : at + _STEP] = (depth.values(samples[at : at + _STEP]) ^ sign) * 255 // largest
    return result


def _double_colours(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    """YBR_FULL_422 (two luminances, one pair of colours) -> (height, width, 3)."""
    if width % 2:
        raise damaged(KIND)
    pairs = samples.reshape(height, width // 2, 4)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, 0::2, 0], pixels[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    pixels[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=1)
    return pixels


def _look_up(elements: dict[int, bytes], indices: np.ndarray, depth: Depth) -> np.ndarray:
    """A palette picture's (height, width, 3) colours."""
    result = np.empty((*indices.shape, 3), np.uint8)
    flat, coloured = indices.reshape(-1), result.reshape(-1, 3)
    for channel, (described, table) in enumerate(zip(_DESCRIPTORS, _TABLES, strict=True)):
        descriptor, raw = elements.get(described, b""), elements.get(table, b"")
        if len(descriptor) != 6:
            raise damaged(KIND)
        count, first, bits = np.frombuffer(descriptor, "<u2").astype(int)
        count = count or 65536
        wide = len(raw) >= 2 * count
        colours = np.frombuffer(raw, "<u2" if wide else np.uint8)[:count]
        if len(colours) != count:
            raise damaged(KIND)
        if bits == 16 and wide:
            colours = colours >> 8
        colours = colours.astype(np.uint8)
        for at in range(0, len(flat), _STEP):
            part = np.clip(depth.values(flat[at : at + _STEP]).astype(int) - first, 0, count - 1)
            coloured[at : at + _STEP, channel] = colours[part]
    return result


def _unpack_runs(encapsulated: bytes, width: int, height: int, channels: int) -> np.ndarray:
    """RLE Lossless, 8 bits: `channels` planes, one behind the other. PackBits by Pillow, row by row."""
    from pydicom.encaps import generate_fragments

    _, *fragments = generate_fragments(encapsulated)
    frame = b"".join(fragments)
    count, *offsets = np.frombuffer(frame[:64], "<u4").tolist()
    if len(offsets) != 15 or count != channels:
        raise damaged(KIND)
    ends = [*offsets[1:count], len(frame)]
    planes = []
    for start, end in zip(offsets[:count], ends, strict=True):
        plane = Image.frombytes("L", (width, height), frame[start:end], "packbits", "L")
        planes.append(np.asarray(plane).reshape(-1))
    return np.concatenate(planes)
