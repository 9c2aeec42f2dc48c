"""BMP: read the header, refuse run-length coding, decode.

Run-length coded bitmaps (RLE4, RLE8) hold drawings of at most 256 colours. Pillow decodes them byte by byte in
Python, so that 20 KB can keep it busy for seconds; no photograph is stored so, and they are refused.

Source: Microsoft, BITMAPCOREHEADER to BITMAPV5HEADER.
"""

from __future__ import annotations

import struct

from core.serving.intake.raster import Raster, decode
from core.serving.intake.refusal import check_size, damaged, truncated, unsupported

KIND = "BMP"
HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_RAW, _BITFIELDS = 0, 3


def looks_like_one(data: bytes) -> bool:
    """Whether bytes that start with the two letters BM go on as a bitmap does."""
    return int.from_bytes(data[14:18], "little") in HEADER_SIZES


def read(data: bytes) -> Raster:
    """The picture in a BMP file; raises `Refused` or one of `refusal.FAILURES`."""
    if len(data) < 54:
        raise truncated(KIND)
    start, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = _RAW
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        height = abs(height)  # negative: the rows are stored from top to bottom
    check_size(width, height, KIND)
    if compression not in (_RAW, _BITFIELDS):
        raise unsupported("Expected a BMP file without compression; this one is compressed")
    if bits not in (1, 4, 8, 16, 24, 32):
        raise damaged(KIND)
    if (width * bits + 31) // 32 * 4 * height > len(data) - start:
        raise truncated(KIND)
    return Raster(decode(data, KIND, (width, height), KIND))
