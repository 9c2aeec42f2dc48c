"""How a reader says no, and every limit that is applied before pixels are allocated."""

from __future__ import annotations

import struct

from PIL import Image

from core import settings

CODES = (
    "empty", "too_large", "too_small", "too_many_pixels", "too_elongated", "too_heavy",
    "truncated", "damaged", "multi_frame", "unsupported", "no_image",
    "gif", "svg", "eps", "pdf", "heic", "avif", "jpeg_xl", "jpeg_2000", "icon", "photoshop", "camera_raw",
    "video", "archive", "html", "xml", "text", "executable", "unknown",
)  # fmt: skip
"""Every `Rejection.code`. From "gif" on the file is of another kind than the six that are read."""

FAILURES = (
    # What 200,000 mutated files and Pillow's own thousand test files raised in its classes and decoders and in
    # pydicom's; UnidentifiedImageError is an OSError.
    OSError, ValueError, struct.error,
    # What Pillow's sources raise besides, for headers (most become UnidentifiedImageError in Image.open, not all)
    # and in load(): TIFF KeyError and TypeError, WebP EOFError, JPEG and PNG SyntaxError and IndexError, sizes
    # OverflowError and DecompressionBombError.
    SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, Image.DecompressionBombError,
)  # fmt: skip
"""What decoding a hostile file can raise. MemoryError is dealt with apart; no other is expected."""


class Refused(Exception):
    """A file that is not read on; carries the `code` and the `reason` of the `Rejection`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def truncated(kind: str) -> Refused:
    """The file ends before its picture does."""
    return Refused(
        "truncated",
        f"This {kind} file is incomplete: it ends before its picture does. It was probably cut off while it was "
        "copied or sent; please copy or export it again.",
    )


def damaged(kind: str) -> Refused:
    """The file contradicts itself or its decoder gave up."""
    return Refused(
        "damaged",
        f"This {kind} file is damaged and could not be decoded. Please copy or export it again.",
    )


def too_large(size: int) -> Refused:
    """A file of more bytes than an upload may have."""
    limit, came = _beyond(settings.MAX_UPLOAD_BYTES / 2**20, size / 2**20, " MB")
    return Refused(
        "too_large",
        f"Expected a file of at most {limit} MB; this one has {came}. Please export the picture smaller.",
    )


def _beyond(limit: float, came: float, unit: str = "") -> tuple[str, str]:
    """A limit and what lies beyond it, in tenths; not twice the same number."""
    allowed, found = (f"{value:.1f}".removesuffix(".0") for value in (limit, came))
    return allowed, "a little more" if found == allowed else f"{found}{unit}"


def unsupported(what: str, instead: str = "Please export it as an ordinary JPEG or PNG.") -> Refused:
    """A variety of a supported format that is not read; `what` is a sentence without its full stop."""
    return Refused("unsupported", f"{what}. {instead}")


def several_pictures(kind: str, found: str) -> Refused:
    """More than one frame or page where one is expected."""
    return Refused(
        "multi_frame",
        f"This {kind} file holds {found}; expected a single still picture. Please export one picture.",
    )


def check_size(width: int, height: int, kind: str) -> None:
    """Apply the limits of `settings` to a header's width and height in pixels; raise `Refused`."""
    came = f"this {kind} picture says that it is {width:,} x {height:,}"
    if width < 1 or height < 1:
        raise damaged(kind)
    if max(width, height) > settings.MAX_SIDE:
        raise Refused(
            "too_many_pixels",
            f"Expected at most {settings.MAX_SIDE:,} pixels a side; {came}. Please export it smaller.",
        )
    if width * height > settings.MAX_PIXELS:
        limit, found = _beyond(settings.MAX_PIXELS / 1e6, width * height / 1e6)
        raise Refused(
            "too_many_pixels",
            f"Expected at most {limit} megapixels; {came}, which is {found}. Please export it smaller.",
        )
    if min(width, height) < settings.MIN_SIDE:
        raise Refused(
            "too_small",
            f"Expected at least {settings.MIN_SIDE} pixels a side; {came}. Such a small picture shows too little; "
            "please use the original.",
        )
    if max(width, height) > settings.MAX_ASPECT * min(width, height):
        raise Refused(
            "too_elongated",
            f"Expected a longest side of at most {settings.MAX_ASPECT:g} times the shortest; {came}. Please crop it "
            "to the lesion.",
        )


def check_memory(amount: int, kind: str, advice: str) -> None:
    """Refuse a picture whose decoder alone would need more than `settings.MAX_DECODE_BYTES`."""
    if amount > settings.MAX_DECODE_BYTES:
        raise Refused(
            "too_heavy",
            f"Opening this {kind} file would take about {amount / 1e6:,.0f} MB of memory; at most "
            f"{settings.MAX_DECODE_BYTES / 1e6:,.0f} MB are allowed. {advice}",
        )
