"""Untrusted bytes -> an `Upload`, or a `Rejection` that says why in a sentence; never an exception.

    upload = read_image(file.getvalue(), file.name)

What a file is, its content says. `jpeg`, `png`, `webp`, `bmp`, `tiff` and `dicom` each read the header by
themselves, apply the limits of `core.settings` before pixels are allocated, and give the decoder a copy of the file
that is reduced to what its pixels need; EXIF's orientation and the colour profile are taken out on the way and
everything else (places, names, thumbnails, comments, scripts behind the picture) is dropped. Only pixels go on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable

from core import settings
from core.serving.intake import bmp, dicom, jpeg, png, tiff, webp
from core.serving.intake.convert import display_copy, upright_rgb
from core.serving.intake.raster import Raster
from core.serving.intake.refusal import FAILURES, Refused, damaged, too_large
from core.serving.intake.sniff import kind_of
from core.serving.intake.upload import Rejection, Upload, display_name

__all__ = ["Rejection", "Upload", "display_name", "read_image"]

_READERS: dict[str, Callable[[bytes], Raster]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "WebP": webp.read,
    "BMP": bmp.read,
    "TIFF": tiff.read,
    "DICOM": dicom.read,
}

_DECODERS = threading.BoundedSemaphore(max(os.cpu_count() or 1, 2))
"""One picture may take `settings.MAX_DECODE_BYTES`: however many visitors upload at once, only so many are decoded at
a time, which costs no speed (there are no more cores) and bounds the server's memory."""


def read_image(data: bytes, name: str | None = None) -> Upload | Rejection:
    """Read one picture from the bytes of a file.

    Args:
        data: the whole file.
        name: what the file is called; it is only shown, shortened and cleaned, and never decides anything.
    """
    shown = display_name(name)
    try:
        return _read(data, shown)
    except Refused as refused:
        return Rejection(refused.reason, refused.code, shown)
    except MemoryError:
        return Rejection(
            "This picture needs more memory than is free; please try a smaller one.", "too_heavy", shown
        )


def _read(data: bytes, shown: str) -> Upload:
    """`read_image` where refusals are raised."""
    if len(data) > settings.MAX_UPLOAD_BYTES:
        raise too_large(len(data))
    kind = kind_of(data)
    try:
        with _DECODERS:
            pixels, notes = upright_rgb(_READERS[kind](data))
    except FAILURES as error:
        raise damaged(kind) from error
    display = display_copy(pixels)
    for array in (pixels, display):
        array.flags.writeable = False
    height, width = pixels.shape[:2]
    return Upload(hashlib.sha256(data).hexdigest(), pixels, display, width, height, kind, notes, shown)
