"""A decoded picture before its colours and its orientation are put right, and the one call that decodes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from core.serving.intake.refusal import damaged

# Importing the five plugins registers them, so that no thread finds Pillow's list half filled.
PLUGINS = (BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)


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
    """Whether Pillow's CMYK values are those of the paper left white instead of those of the ink."""


def decode(clean: bytes, plugin: str, size: tuple[int, int], kind: str) -> Image.Image:
    """Decode `clean`, a file reduced to what its pixels need, with one Pillow plugin.

    The size that our own reading of the header found, and that the limits were applied to, must be what Pillow
    finds; a file on which the two disagree is refused before its pixels are allocated.
    """
    image = Image.open(io.BytesIO(clean), formats=(plugin,))
    if image.size != size:
        raise damaged(kind)
    image.load()
    return image
