"""WebP: walk the chunks, keep the one frame and its alpha, decode.

Source: WebP container specification and RFC 6386 (VP8), RFC 9649 (VP8L).
"""

from __future__ import annotations

import struct

from core.serving.intake.jpeg import exif_orientation
from core.serving.intake.raster import Raster, decode
from core.serving.intake.refusal import check_memory, check_size, damaged, several_pictures, truncated

KIND = "WebP"
MAX_CHUNKS = 1000
BYTES_PER_PIXEL = 16
"""What libwebp's canvas (two of 4 bytes), the frame's copy and Pillow's image take together while one is loaded."""
_ALPHA = 0x10


def read(data: bytes) -> Raster:
    """The picture in a WebP file; raises `Refused` or one of `refusal.FAILURES`."""
    chunks, end = _chunks(data)
    if b"ANIM" in chunks or b"ANMF" in chunks:
        raise several_pictures(KIND, "an animation")
    name = b"VP8L" if b"VP8L" in chunks else b"VP8 "
    if name not in chunks:
        raise damaged(KIND)
    frame = chunks[name]
    size = _lossless_size(frame) if name == b"VP8L" else _lossy_size(frame)
    check_size(*size, KIND)
    check_memory(size[0] * size[1] * BYTES_PER_PIXEL, KIND, "Please export it as JPEG or PNG.")
    parts = [(name, frame)]
    if b"VP8X" in chunks:
        header = chunks[b"VP8X"]
        canvas = tuple(int.from_bytes(header[i : i + 3], "little") + 1 for i in (4, 7))
        if len(header) != 10 or canvas != size:
            raise damaged(KIND)
        if name == b"VP8 " and b"ALPH" in chunks and header[0] & _ALPHA:
            parts = [(b"VP8X", bytes([_ALPHA]) + header[1:]), (b"ALPH", chunks[b"ALPH"]), *parts]
    image = decode(_riff(parts), "WEBP", size, KIND)
    orientation, notes = 1, []
    if b"EXIF" in chunks:
        orientation, notes = exif_orientation(chunks[b"EXIF"].removeprefix(b"Exif\0\0"))
    if end < len(data):
        notes.append("Data behind the end of the picture was left out.")
    return Raster(image, orientation, chunks.get(b"ICCP"), tuple(notes))


def _chunks(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The first chunk of each name and where the container ends."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise truncated(KIND)
    chunks: dict[bytes, bytes] = {}
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            return chunks, end
        name, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > end:
            raise truncated(KIND)
        chunks.setdefault(name, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    raise damaged(KIND)


def _riff(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A WebP container of these chunks."""
    body = b"".join(
        struct.pack("<4sI", name, len(part)) + part + b"\0" * (len(part) % 2) for name, part in parts
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _lossy_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a VP8 key frame."""
    if frame[3:6] != b"\x9d\x01\x2a" or len(frame) < 10:
        raise damaged(KIND)
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a VP8L frame."""
    if len(frame) < 5 or frame[0] != 0x2F:
        raise damaged(KIND)
    bits = int.from_bytes(frame[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
