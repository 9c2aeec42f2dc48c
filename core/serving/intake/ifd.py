"""TIFF directories, as TIFF files and EXIF blocks hold them, read with bounds on everything.

Source: TIFF 6.0 (Adobe, 1992), section 2; BigTIFF (Aware Systems, 2007).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from core.serving.intake.refusal import damaged

MAX_ENTRIES = 1000
_UNIT = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
ORIENTATION = 274


@dataclass(frozen=True)
class Entry:
    """One tag: its type, how many values, where they lie, and the directory's own bytes for it."""

    kind: int
    count: int
    offset: int
    raw: bytes

    @property
    def size(self) -> int:
        """Of all its values, in bytes."""
        return self.count * _UNIT.get(self.kind, 1)


@dataclass(frozen=True)
class Directory:
    """The tags of one image and where the next directory lies (0: nowhere)."""

    order: str
    """`<` or `>` as in `struct`."""
    big: bool
    """Whether offsets have 8 bytes (BigTIFF)."""
    entries: dict[int, Entry]
    following: int

    def numbers(self, data: bytes, tag: int, most: int) -> tuple[int, ...]:
        """The whole numbers of a tag; empty when it is missing, `Refused` for more than `most` or bytes that lack."""
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        if entry.kind not in _WHOLE or entry.count > most or entry.offset + entry.size > len(data):
            raise damaged("TIFF")
        return struct.unpack_from(f"{self.order}{entry.count}{_WHOLE[entry.kind]}", data, entry.offset)

    def number(self, data: bytes, tag: int, default: int) -> int:
        """The first whole number of a tag."""
        return (*self.numbers(data, tag, 16), default)[0]


def layout(data: bytes) -> tuple[str, bool]:
    """Byte order and whether it is BigTIFF, from the first bytes; raises `Refused`."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise damaged("TIFF")
    version = struct.unpack_from(f"{order}H", data, 2)[0]
    if version not in (42, 43) or (version == 43 and len(data) < 16):
        raise damaged("TIFF")
    return order, version == 43


def first_offset(data: bytes) -> int:
    """Where the first directory lies."""
    order, big = layout(data)
    return struct.unpack_from(f"{order}Q" if big else f"{order}I", data, 8 if big else 4)[0]


def read(data: bytes, offset: int) -> Directory:
    """The directory at `offset`; values are not touched. Raises `Refused` when it does not fit into `data`."""
    order, big = layout(data)
    counter, item, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    width, step, inline = struct.calcsize(f"<{counter}"), 20 if big else 12, 8 if big else 4
    if offset + width > len(data):
        raise damaged("TIFF")
    count = struct.unpack_from(order + counter, data, offset)[0]
    end = offset + width + count * step
    if count > MAX_ENTRIES or end > len(data):
        raise damaged("TIFF")
    entries: dict[int, Entry] = {}
    for start in range(offset + width, end, step):
        tag, kind, values = struct.unpack_from(order + item, data, start)
        held = start + step - inline
        fits = values * _UNIT.get(kind, 1) <= inline
        where = held if fits else struct.unpack_from(order + pointer, data, held)[0]
        entries.setdefault(tag, Entry(kind, values, where, data[start : start + step]))
    tail = data[end : end + inline]
    following = struct.unpack(order + pointer, tail)[0] if len(tail) == inline else 0
    return Directory(order, big, entries, following)
