"""PNG: walk the chunks, check every checksum, keep what the pixels need, decode.

Text, times, EXIF and private chunks never reach the decoder, so compressed text cannot expand; the colour profile is
inflated here, up to `icc.MAX_BYTES`.

The pixels are inflated once before, in small pieces that are only counted: where a stream ends well but early, Pillow
leaves the rows that are missing black and says nothing.

Source: PNG specification, third edition, sections 5, 7, 8 and 11.
"""

from __future__ import annotations

import math
import struct
import zlib

from core.serving.intake import icc
from core.serving.intake.jpeg import exif_orientation
from core.serving.intake.raster import Raster, decode
from core.serving.intake.refusal import check_size, damaged, several_pictures, truncated, unsupported

KIND = "PNG"
MAX_CHUNKS = 50_000
_MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME = 12
"""Bytes of a chunk around its content: length, name, checksum."""
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GREY = 0
_CHANNELS = {_GREY: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
               (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip
_WHOLE = ((0, 0, 1, 1),)
"""Passes over the picture: first column and row, steps to the next ones."""
_PIECE, _STEP = 1 << 16, 1 << 20
"""Bytes that are inflated, and at most come out of it, at once."""


def read(data: bytes) -> Raster:
    """The picture in a PNG file; raises `Refused` or one of `refusal.FAILURES`."""
    chunks, end = _chunks(data)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", _content(chunks[b"IHDR"][0]))
    notes = []
    orientation = 1
    if b"acTL" in chunks and _content(chunks[b"acTL"][0])[:4] not in (b"\0\0\0\0", b"\0\0\0\1"):
        raise several_pictures(KIND, "an animation")
    if b"eXIf" in chunks:
        orientation, turned = exif_orientation(_content(chunks[b"eXIf"][0]))
        notes += turned
    if b"tRNS" in chunks and depth == 16:
        # Pillow keeps the upper byte of a 16-bit channel, with which a 16-bit colour can no longer be compared.
        del chunks[b"tRNS"]
        notes.append("One colour that the file calls transparent was left as it is.")
    if b"tRNS" in chunks and colour == _GREY and depth < 8:
        chunks[b"tRNS"] = [_scaled(chunks[b"tRNS"][0], depth)]
    if end < len(data):
        notes.append("Data behind the end of the picture was left out.")
    bits = depth * _CHANNELS.get(colour, 1)
    if _ends_early(chunks.get(b"IDAT", []), _stream_length(width, height, bits, interlaced)):
        raise truncated(KIND)
    wanted = (chunk for name in _NEEDED for chunk in chunks.get(name, [])[: None if name == b"IDAT" else 1])
    image = decode(b"".join([_MAGIC, *wanted]), KIND, (width, height), KIND)
    return Raster(image, orientation, _profile(chunks, notes), tuple(notes))


def _scaled(chunk: memoryview, depth: int) -> memoryview:
    """A transparent grey of few bits as one of 8: Pillow spreads the pixels over 0..255 and leaves this as it is."""
    grey = int.from_bytes(_content(chunk)[:2]) * 255 // ((1 << depth) - 1)
    named = b"tRNS" + min(grey, 255).to_bytes(2)
    return memoryview(struct.pack(">I", 2) + named + struct.pack(">I", zlib.crc32(named)))


def _content(chunk: memoryview) -> bytes:
    """What is between a chunk's name and its checksum."""
    return bytes(chunk[8:-4])


def _chunks(data: bytes) -> tuple[dict[bytes, list[memoryview]], int]:
    """Every chunk, with its length and checksum, by its name in the file's order, and where the picture ends.

    Does what Pillow's `verify()` does (each checksum), applies the limits to the first chunk before it reads on, and
    refuses critical chunks that it does not know.
    """
    view = memoryview(data)
    chunks: dict[bytes, list[memoryview]] = {}
    position = len(_MAGIC)
    for _ in range(MAX_CHUNKS):
        if position + _FRAME > len(data):
            raise truncated(KIND)
        length, name = struct.unpack_from(">I4s", data, position)
        chunk = view[position : position + _FRAME + length]
        if not name.isalpha() or (not chunks and (name != b"IHDR" or length != 13)):
            raise damaged(KIND)
        if len(chunk) < _FRAME + length:
            raise truncated(KIND)
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise damaged(KIND)
        if not chunks:
            check_size(*struct.unpack_from(">II", chunk, 8), KIND)
        if name[:1].isupper() and name not in _NEEDED:
            raise unsupported("This rare kind of PNG is not read")
        chunks.setdefault(name, []).append(chunk)
        position += len(chunk)
        if name == b"IEND":
            return chunks, position
    raise damaged(KIND)


def _stream_length(width: int, height: int, bits: int, interlaced: int) -> int:
    """Bytes of all rows of a picture of so many bits a pixel, each row with the filter's byte before it."""
    length = 0
    for left, top, right, down in _INTERLACED if interlaced else _WHOLE:
        columns, rows = math.ceil((width - left) / right), math.ceil((height - top) / down)
        length += rows * (1 + math.ceil(columns * bits / 8))
    return length


def _ends_early(chunks: list[memoryview], length: int) -> bool:
    """Whether the stream in these IDAT chunks inflates to less than `length` bytes; a broken one is the decoder's."""
    inflater = zlib.decompressobj()
    for chunk in chunks:
        for start in range(8, len(chunk) - 4, _PIECE):
            piece = chunk[start : min(start + _PIECE, len(chunk) - 4)]
            try:
                while length > 0 and (came := inflater.decompress(piece, _STEP)):
                    length -= len(came)
                    piece = inflater.unconsumed_tail
            except zlib.error:
                return False
            if length <= 0 or inflater.eof:
                return length > 0
    return length > 0


def _profile(chunks: dict[bytes, list[memoryview]], notes: list[str]) -> bytes | None:
    """The inflated colour profile; a broken or exploding one is left out with a note."""
    if b"iCCP" not in chunks:
        return None
    _, _, rest = _content(chunks[b"iCCP"][0]).partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], icc.MAX_BYTES)
    except zlib.error:
        profile = b""
    if not profile or not inflater.eof:
        notes.append("The file's colour profile is damaged and was ignored.")
        return None
    return profile
