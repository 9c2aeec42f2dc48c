"""JPEG: walk the markers, keep what the pixels need, decode.

Pillow and libjpeg are given the frame header, the tables, the scans and Adobe's mark of the colour transform; EXIF,
comments, thumbnails, Photoshop's blocks and whatever lies behind the end of the picture never reach them. Phones
save several pictures in one file (MPO): the first is the photograph, the others are previews, depth or the other
eye, so the first is taken and a note says so.

A file that was cut off may still end in an end mark: whoever shows or copies such files adds it, since decoders ask
for it. libjpeg then fills what is missing with grey and warns where nobody hears it. Pixels do not tell (a border
can be the same grey), but the coded data do: a single scan is decoded without an end mark behind it, so that a
decoder which needs more data says so instead of filling (`_BEHIND_SCAN`), and of several scans each coefficient must
be among them to its last bit. An early end inside the last of several scans goes unseen; in a progressive JPEG that
scan refines what is there already.

Source of the markers: ITU-T T.81, table B.1; of Adobe's: libjpeg.txt, "Special color spaces".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from core import settings
from core.serving.intake import ifd
from core.serving.intake.raster import Raster, decode
from core.serving.intake.refusal import Refused, check_memory, check_size, damaged, truncated, unsupported

KIND = "JPEG"
MAX_SEGMENTS = 2000
MAX_SCANS = 200
SCAN_PIXELS = 12 * settings.MAX_PIXELS
"""Scans times pixels. A progressive JPEG has about ten scans; thousands of empty ones cost minutes of decoding."""

_SOI, _EOI, _SOS, _DHT, _DQT, _DRI, _TEM = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD, 0x01
_RESTARTS = range(0xD0, 0xD8)
_READ_FRAMES = {0xC0: "baseline", 0xC1: "sequential", 0xC2: "progressive"}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF}
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_BEHIND_SCAN = b"\xff\0" * 8
"""What stands in place of the end mark behind a single scan. libjpeg fetches up to 64 bits ahead of what it decodes,
and waits where these are not there; ones are what T.81 (F.1.2.3) pads with, and hardly a code begins with so many,
so that of a block that is missing they make no more than two."""
_ALL_COEFFICIENTS = (1 << 64) - 1
_EXPORT = "Please export it as an ordinary (baseline) JPEG."


@dataclass
class Header:
    """What the markers before the first scan say."""

    width: int = 0
    height: int = 0
    progressive: bool = False
    sampling: tuple[tuple[int, int], ...] = ()
    """(horizontal, vertical) factor of each component."""
    components: tuple[int, ...] = ()
    """The number that scans call each of them by."""
    kept: list[bytes] = field(default_factory=list)
    """Segments that the decoder gets."""
    adobe: bool = False
    exif: bytes | None = None
    profile: dict[int, bytes] = field(default_factory=dict)
    several: bool = False
    """Whether an index of further pictures (MPF) is there."""
    scan: int = 0
    """Where the first scan begins."""


@dataclass(frozen=True)
class Scans:
    """What lies between the first scan and the end of the picture."""

    count: int
    first_end: int
    """Where the data of the first scan end."""
    end: int
    """Behind the picture's end mark."""


def read(data: bytes) -> Raster:
    """The picture in a JPEG file; raises `Refused` or one of `refusal.FAILURES`."""
    header = read_header(data)
    scans = find_scans(data, header)
    check_work(header, scans.count)
    orientation, notes = _orientation(header)
    if header.several:
        notes.append("The file holds several pictures; the first was taken.")
    elif len(data[scans.end : scans.end + 4096].strip(b"\0\xff")):
        notes.append("Data behind the end of the picture was left out.")
    raster = decode_scans(data, header, scans)
    return replace(raster, orientation=orientation, notes=(*notes, *raster.notes))


def decode_scans(data: bytes, header: Header, scans: Scans, transform: int | None = None) -> Raster:
    """Decode the scans; raises `Refused` where a single one ends before the picture does.

    `transform` says how colours are stored where something else than the file itself knows (DICOM): 0 as RGB,
    1 as YCbCr; a file's own Adobe mark comes first.
    """
    mark = [] if transform is None or header.adobe else [_ADOBE + bytes([transform])]
    single = scans.count == 1 and not header.progressive
    coded = memoryview(data)[header.scan : scans.first_end if single else scans.end]
    clean = b"".join([b"\xff\xd8", *mark, *header.kept, coded, _BEHIND_SCAN if single else b""])
    image = decode(clean, KIND, (header.width, header.height), KIND)
    parts = header.profile
    whole = parts and sorted(parts) == list(range(1, len(parts) + 1))
    profile = b"".join(parts[number] for number in sorted(parts)) if whole else None
    # Adobe stores CMYK inverted and Pillow assumes that of every file; without Adobe's mark it is not so.
    return Raster(image, profile=profile, inverted=image.mode == "CMYK" and not header.adobe)


def read_header(data: bytes) -> Header:
    """Walk the segments up to the first scan; the limits of `settings` are applied as soon as the size is known."""
    header = Header()
    position = 2
    for _ in range(MAX_SEGMENTS):
        position = data.find(b"\xff", position)
        if position < 0 or position + 2 > len(data):
            raise truncated(KIND)
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in (0, _SOI, _TEM) or marker in _RESTARTS:
            position += 2
            continue
        if marker == _EOI:
            raise damaged(KIND)
        if marker == _SOS:
            if not header.width:
                raise damaged(KIND)
            header.scan = position
            return header
        length = int.from_bytes(data[position + 2 : position + 4])
        segment = data[position : position + 2 + length]
        if length < 2:
            raise damaged(KIND)
        if len(segment) < 2 + length:
            raise truncated(KIND)
        _take(header, marker, segment)
        position += 2 + length
    raise damaged(KIND)


def _take(header: Header, marker: int, segment: bytes) -> None:
    """Keep, read or drop one segment (marker, length and content)."""
    content = segment[4:]
    if marker in _READ_FRAMES:
        _frame(header, marker, content)
        header.kept.append(segment)
    elif marker in _OTHER_FRAMES:
        raise unsupported(
            "This rare kind of JPEG (lossless, arithmetic or hierarchical) is not read", _EXPORT
        )
    elif marker in (_DHT, _DQT, _DRI):
        header.kept.append(segment)
    elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14:
        header.kept.append(segment[:2] + b"\0\x10" + content[:12] + b"\0\0")  # without its thumbnail
    elif marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12 and not header.adobe:
        header.adobe = True
        header.kept.append(_ADOBE + content[11:12])
    elif marker == 0xE1 and content.startswith(b"Exif\0\0") and header.exif is None:
        header.exif = content[6:]
    elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
        header.profile.setdefault(content[12], content[14:])
    elif marker == 0xE2 and content.startswith(b"MPF\0"):
        header.several = True


def _frame(header: Header, marker: int, content: bytes) -> None:
    """Read a start of frame: size, bits and components."""
    if header.width or len(content) < 6:
        raise damaged(KIND)
    bits, components = content[0], content[5]
    height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
    check_size(width, height, KIND)
    if bits != 8:
        raise unsupported(f"Expected a JPEG of 8 bits a channel; this one has {bits}", _EXPORT)
    if components not in (1, 3, 4):
        raise unsupported(f"Expected a JPEG of 1, 3 or 4 channels; this one has {components}", _EXPORT)
    if len(content) != 6 + 3 * components:
        raise damaged(KIND)
    factors = tuple((content[i] >> 4, content[i] & 15) for i in range(7, len(content), 3))
    if not all(1 <= factor <= 4 for pair in factors for factor in pair):
        raise damaged(KIND)
    header.width, header.height, header.sampling = width, height, factors
    header.components = tuple(content[6::3])
    header.progressive = _READ_FRAMES[marker] == "progressive"


def find_scans(data: bytes, header: Header) -> Scans:
    """How many scans there are and where they end; raises `Refused` where they leave something out of the picture."""
    position, count, first_end = header.scan, 0, 0
    sent = dict.fromkeys(header.components, 0)
    for _ in range(MAX_SEGMENTS):
        found = _MARKER_IN_SCAN.search(data, position)
        if found is None:
            raise truncated(KIND)
        marker, position = data[found.start() + 1], found.end()
        if count == 1:
            first_end = first_end or found.start()
        if marker == _EOI:
            if any(bits != _ALL_COEFFICIENTS for bits in sent.values()):
                raise truncated(KIND)
            return Scans(count, first_end, position)
        count += marker == _SOS
        if marker in _READ_FRAMES or marker in _OTHER_FRAMES or marker == _SOI or count > MAX_SCANS:
            raise damaged(KIND)
        if marker != _TEM:
            start, position = position, position + max(2, int.from_bytes(data[position : position + 2]))
            if position > len(data):
                raise truncated(KIND)
            if marker == _SOS:
                _count_sent(sent, data[start + 2 : position], header.progressive)
    raise damaged(KIND)


def _count_sent(sent: dict[int, int], content: bytes, progressive: bool) -> None:
    """Add the coefficients that a scan brings to their last bit to those that each component has: bit k for the k-th.

    Raises IndexError for a scan's header that is too short.
    """
    number = content[0]
    first, last, precision = content[1 + 2 * number], content[2 + 2 * number], content[3 + 2 * number]
    if not progressive:  # the three mean nothing there
        bits = _ALL_COEFFICIENTS
    elif precision & 15:
        bits = 0  # a later scan refines them
    else:
        bits = (1 << min(last, 63) + 1) - (1 << min(first, 63))
    for component in content[1 : 1 + 2 * number : 2]:
        sent[component] = sent.get(component, 0) | bits


def check_work(header: Header, scans: int) -> None:
    """Refuse what would take the decoder too long or too much memory."""
    pixels = header.width * header.height
    check_passes(scans * pixels, pixels, KIND)
    if header.progressive or scans > 1:
        # libjpeg then holds every coefficient (2 bytes) beside Pillow's 4 bytes a pixel.
        widest, tallest = (max(pair[axis] for pair in header.sampling) for axis in (0, 1))
        share = sum(h * v for h, v in header.sampling) / (widest * tallest)
        check_memory(int(pixels * (2 * share + 4)), "progressive JPEG", _EXPORT)


def check_passes(decoded: int, pixels: int, kind: str) -> None:
    """Refuse a picture of so many `pixels` of which the scans go through `decoded` in all."""
    if decoded > SCAN_PIXELS:
        raise Refused(
            "too_heavy",
            f"This {kind} is stored in {decoded // pixels} passes, far more than a photograph has. {_EXPORT}",
        )


def _orientation(header: Header) -> tuple[int, list[str]]:
    """EXIF's orientation, 1 when there is none or it makes no sense, and a note where it cannot be read."""
    if header.exif is None:
        return 1, []
    return exif_orientation(header.exif)


def exif_orientation(block: bytes) -> tuple[int, list[str]]:
    """The orientation (1 to 8) in an EXIF block that starts with its TIFF header; nothing else in it is looked at."""
    try:
        directory = ifd.read(block, ifd.first_offset(block))
        value = directory.number(block, ifd.ORIENTATION, 1)
    except Refused:
        return 1, [
            "The camera's record of how the picture is turned is damaged; it is shown as it is stored."
        ]
    return (value if 1 <= value <= 8 else 1), []
