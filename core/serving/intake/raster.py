"""A decoded picture before its colours and its orientation are put right, and the one call that decodes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from core.serving.intake.refusal import damaged, truncated

# Importing the five plugins registers them, so that no thread finds Pillow's list half filled.
PLUGINS = (BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)

DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of grey deeper than 8 bits."""
_ENDS_EARLY = "image file is truncated"


@dataclass(frozen=True)
class Raster:
    """What a reader hands to `convert.upright_rgb`."""

    image: Image.Image
    """Loaded; any of Pillow's modes."""
    orientation: int = 1
    """EXIF's 1 to 8: how the stored picture is turned."""
    profile: bytes | None = None
    """The colour profile, when one is embedded."""
    notes: tuple[str, ...] = ()
    bits: int = 16
    """Of a grey channel deeper than 8 bits."""
    inverted: bool = False
    """Whether Pillow's CMYK values are those of the paper left white instead of those of the ink, or deep grey ones
    those of a negative."""


def decode(clean: bytes, plugin: str, size: tuple[int, int], kind: str) -> Image.Image:
    """Decode `clean`, a file reduced to what its pixels need, with one Pillow plugin.

    The size that our own reading of the header found, and that the limits were applied to, must be what Pillow
    finds; a file on which the two disagree is refused before its pixels are allocated. One that ends before its
    pixels do is `truncated`; what else the decoder finds is one of `refusal.FAILURES`.
    """
    image = Image.open(io.BytesIO(clean), formats=(plugin,))
    if image.size != size:
        raise damaged(kind)
    try:
        image.load()
    except OSError as error:
        if _ENDS_EARLY in str(error):  # Pillow has no class of its own for it
            raise truncated(kind) from error
        raise
    return image
