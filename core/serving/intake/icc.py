"""Colour profiles, reduced to the tags that a transform to sRGB reads before LittleCMS sees them.

A profile of 600 bytes can declare 33 million translations of its name or a table of 255 x 255 x 255 colours, for
which LittleCMS allocates up to 512 MB before it notices that they are not there. What is kept here has tables that
fit into their tags, and names are not kept at all.

Source: ICC.1:2022, sections 7.2 (header), 9.2 (tags), 10 (types).
"""

from __future__ import annotations

import math
import struct

MAX_BYTES = 4 * 1024 * 1024
MAX_TAGS = 100
_TABLE = 132
_SHAPES = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"chad")
_TABLES = (b"A2B0", b"A2B1")
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_CHANNELS = {"RGB": 3, "L": 1, "CMYK": 4}


def reduce(profile: bytes) -> tuple[str, bytes]:
    """Pillow's mode of the colours that a profile is for, and the reduced profile.

    Raises ValueError for a profile that is damaged, too large, or for other colours than RGB, grey and CMYK.
    """
    if not _TABLE <= len(profile) <= MAX_BYTES or profile[36:40] != b"acsp":
        raise ValueError("no colour profile")
    mode = _SPACES.get(profile[16:20])
    if mode is None or profile[20:24] not in (b"XYZ ", b"Lab "):
        raise ValueError("a colour profile of another kind")
    tags = _tags(profile)
    kept = {key: tags[key] for key in (*_SHAPES, *_TABLES) if key in tags}
    for key, tag in kept.items():
        _check(key, tag, _CHANNELS[mode])
    return mode, _assemble(profile[:128], kept)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The content of each tag by its signature."""
    count = int.from_bytes(profile[128:_TABLE])
    if count > MAX_TAGS or _TABLE + 12 * count > len(profile):
        raise ValueError("a tag table that does not fit")
    tags = {}
    for key, offset, size in struct.iter_unpack(">4sII", profile[_TABLE : _TABLE + 12 * count]):
        if offset + size > len(profile):
            raise ValueError("a tag that does not fit")
        tags.setdefault(key, profile[offset : offset + size])
    return tags


def _check(key: bytes, tag: bytes, channels: int) -> None:
    """Raise ValueError unless a tag is of a type that belongs there and as long as it says."""
    kind = tag[:4]
    if key in _TABLES:
        if len(tag) < 32 or kind not in (b"mft1", b"mft2", b"mAB ") or tuple(tag[8:10]) != (channels, 3):
            raise ValueError("a colour table of another shape")
        _check_table(tag, kind, channels)
    elif key.endswith(b"TRC"):
        if kind == b"curv":
            needed = 12 + 2 * int.from_bytes(tag[8:12])
        else:
            needed = 16 if kind == b"para" else len(tag) + 1
        if len(tag) < needed:
            raise ValueError("a curve that is not there")
    elif len(tag) < {b"XYZ ": 20, b"sf32": 44}.get(kind, len(tag) + 1):
        raise ValueError("a colour that is not there")


def _check_table(tag: bytes, kind: bytes, channels: int) -> None:
    """Raise ValueError when a table has more colours than its tag holds."""
    if kind == b"mAB ":
        at = int.from_bytes(tag[24:28])
        if at == 0:
            return
        grid, width, start = tag[at : at + channels], tag[at + 16 : at + 17], at + 20
        size = width[0] if width in (b"\1", b"\2") else 0
    else:
        grid, size, start = tag[10:11] * channels, 1 if kind == b"mft1" else 2, 48
    points = math.prod(grid)
    if not points or not size or len(grid) != channels or start + points * 3 * size > len(tag):
        raise ValueError("a colour table that is not there")


def _assemble(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of these tags."""
    start = _TABLE + 12 * len(tags)
    table, body = b"", b""
    for key, tag in tags.items():
        table += struct.pack(">4sII", key, start + len(body), len(tag))
        body += tag + b"\0" * (-len(tag) % 4)
    whole = header[4:] + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", 4 + len(whole)) + whole
