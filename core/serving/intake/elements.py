"""The few DICOM elements that a picture needs, as raw bytes; every other one is stepped over unread.

pydicom would walk the file too, but it decodes the file's meta information and character sets on the way and quotes
what is damaged there in warnings and logs: with a wrong length that is the patient's name. It also recurses into
sequences and inflates deflated files without a limit. This walk does none of that, and its steps are counted.

Source: DICOM PS3.5, section 7, and PS3.10, section 7.1.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from core.serving.intake.refusal import damaged, truncated

KIND = "DICOM"
MAX_ELEMENTS = 50_000
IMPLICIT = "1.2.840.10008.1.2"
SYNTAX = 0x00020010
_START = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


def transfer_syntax(data: bytes) -> tuple[str, int]:
    """The transfer syntax UID of the file's meta information (group 0002), and where the data set begins."""
    syntax, position = "", _START
    for _ in range(100):
        if data[position : position + 2] != b"\2\0":
            break
        tag, length, start = _header(data, position, explicit=True)
        if tag == SYNTAX:
            syntax = data[start : start + min(length, 64)].decode("ascii", "replace").rstrip("\0 ")
        position = start + length
    if not syntax:
        raise damaged(KIND)
    return syntax, position


def read(data: bytes, position: int, syntax: str, wanted: Collection[int]) -> dict[int, bytes]:
    """The top level's wanted elements from `position` on; one of undefined length reaches to the file's end.

    Little endian, explicit or implicit. Elements inside sequences are not of the picture and are left out. A sequence
    whose type got lost (UN, of undefined length) is implicit inside, whatever the file is (PS3.5, 6.2.2).
    """
    # Some files have an implicit data set behind a header that says explicit: no two capitals where the type stands.
    explicit = syntax != IMPLICIT and data[position + 4 : position + 6].isalpha()
    found: dict[int, bytes] = {}
    depth = 0  # in how many sequences and items of undefined length
    unknown = None  # the depth at which the UN lies that all of this is in
    for _ in range(MAX_ELEMENTS):
        if position + 8 > len(data):
            return found
        typed = explicit and unknown is None
        kind = data[position + 4 : position + 6] if typed else b""
        tag, length, position = _header(data, position, typed)
        if tag in (_ITEM_END, _SEQUENCE_END):
            depth = max(0, depth - 1)
            if depth == unknown:
                unknown = None
        elif length == _UNDEFINED:
            if depth == 0 and tag in wanted:
                found[tag] = data[position:]
                return found
            if kind == b"UN":
                unknown = depth
            depth += 1
        else:
            start, position = position, position + length
            if depth == 0 and tag in wanted:
                if position > len(data):
                    raise truncated(KIND)
                found[tag] = data[start:position]
    raise damaged(KIND)


def _header(data: bytes, position: int, explicit: bool) -> tuple[int, int, int]:
    """An element's tag, the length of its value, and where that begins."""
    group, number, length = struct.unpack_from("<HHI", data, position)
    tag = group << 16 | number
    if not explicit or group == 0xFFFE:
        return tag, length, position + 8
    if data[position + 4 : position + 6] in _LONG:
        return tag, struct.unpack_from("<I", data, position + 8)[0], position + 12
    return tag, length >> 16, position + 8
