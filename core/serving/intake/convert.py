"""Any of Pillow's modes -> upright sRGB, 8 bits a channel.

| stored as | becomes |
|---|---|
| RGB, with a colour profile | sRGB by that profile, perceptual intent |
| grey (1, 2, 4, 8 bits), with a colour profile or not | three equal channels, by the profile if it is one for grey |
| grey deeper than that where white is zero | as the others, turned |
| palette | its colours |
| alpha, a transparent colour | laid over white |
| CMYK | sRGB by its profile, otherwise by Pillow's plain formula |
| Lab, YCbCr | sRGB |
| 12 or 16 bits a channel | the upper 8 bits: the format's whole range, not the picture's |
| 32-bit whole numbers | as 8 bits when the largest is at most 255, as 16 bits when at most 65,535, else refused |
| floating point | 0 to 1 or 0 to 255, by the largest value; anything else is refused |

A picture is converted in strips of about a megapixel, so that beside Pillow's image (4 bytes a pixel) and the result
(3 bytes) nothing of the picture's size is ever held.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageCms

from core import settings
from core.serving.intake import icc
from core.serving.intake.raster import DEEP_GREY, Raster
from core.serving.intake.refusal import Refused

_STRIP_PIXELS = 1 << 20
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_GREY_MODES = ("1", "L", "LA", "La")
_SRGB_WITHIN = 2
"""How far, of 255, a profile may change a colour and still be one for sRGB: those of different makers round."""
_IGNORED = "The file's colour profile is damaged or does not fit the picture and was ignored."
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: cv2.flip(a, 1),
    3: lambda a: cv2.rotate(a, cv2.ROTATE_180),
    4: lambda a: cv2.flip(a, 0),
    5: cv2.transpose,
    6: lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
    7: lambda a: cv2.flip(cv2.transpose(a), -1),
    8: lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""EXIF 2.32, table 6 (Orientation): what turns the stored picture upright."""

_Convert = Callable[[Image.Image], Image.Image]


def upright_rgb(raster: Raster) -> tuple[np.ndarray, tuple[str, ...]]:
    """(height, width, 3) uint8 sRGB, upright, and the notes of all that was changed. Closes the raster's image."""
    notes = list(raster.notes)
    with closing(raster.image) as image:
        convert = _strip_converter(image, raster, notes)
        pixels = np.empty((image.height, image.width, 3), np.uint8)
        for top, strip in _strips(image):
            pixels[top : top + strip.height] = np.asarray(convert(strip))
    if raster.orientation in _UPRIGHT:
        pixels = _UPRIGHT[raster.orientation](pixels)
        notes.append("The picture was turned upright as its camera recorded it.")
    return pixels, tuple(notes)


def display_copy(pixels: np.ndarray) -> np.ndarray:
    """`pixels` itself, or a copy with a longest side of `settings.MAX_DISPLAY_SIDE` when it is larger."""
    height, width = pixels.shape[:2]
    scale = settings.MAX_DISPLAY_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in strips of about a megapixel, each with the row at which it begins."""
    rows = max(1, _STRIP_PIXELS // image.width)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _strip_converter(image: Image.Image, raster: Raster, notes: list[str]) -> _Convert:
    """What turns a strip of `image` into an RGB strip; says in `notes` what it changes."""
    profile, shift = raster.profile, raster.bits - 8
    if image.mode in DEEP_GREY:
        notes.append(f"The picture was reduced from {raster.bits} bits a channel to 8.")
        colours = _colours("L", profile, notes)
        white = 255 if raster.inverted else 0
        return lambda strip: colours(Image.fromarray((np.asarray(strip) >> shift ^ white).astype(np.uint8)))
    if image.mode in ("I", "F"):
        scale = _scale_of_numbers(image)
        notes.append("The picture's numbers were scaled to 8 bits.")
        colours = _colours("L", profile, notes)
        return lambda strip: colours(Image.fromarray((np.asarray(strip) * scale + 0.5).astype(np.uint8)))
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        mode = "L" if image.mode in _GREY_MODES else "RGB"
        colours = _colours(mode, profile, notes)
        opaque = image.mode in _ALPHA_MODES and image.getextrema()[-1] == (255, 255)
        if not opaque:
            notes.append("Transparent areas were filled with white.")
        return lambda strip: _over_white(strip.convert(mode + "A"), colours)
    mode = {"1": "L", "P": "RGB", "RGBX": "RGB", "YCbCr": "RGB"}.get(image.mode, image.mode)
    colours = _colours(mode, profile, notes)
    if raster.inverted:
        return lambda strip: colours(ImageChops.invert(strip))
    return lambda strip: colours(strip if strip.mode == mode else strip.convert(mode))


def _over_white(strip: Image.Image, colours: _Convert) -> Image.Image:
    """The colours of an LA or RGBA strip over white."""
    rgb = colours(strip.getchannel("L") if strip.mode == "LA" else strip.convert("RGB"))
    return Image.composite(rgb, Image.new("RGB", strip.size, "white"), strip.getchannel("A"))


def _scale_of_numbers(image: Image.Image) -> float:
    """What 32-bit numbers are multiplied with to reach 0..255; raises `Refused` when their range has no meaning."""
    ranges = [_range(strip) for _, strip in _strips(image)]
    low, high = float(np.min(ranges)), float(np.max(ranges))  # NaN wins over every number
    whole = image.mode == "I"
    if low >= 0:
        if whole and high <= 65535:
            return 1.0 if high <= 255 else 255 / 65535
        if not whole and high <= 255:
            return 255.0 if high <= 1 else 1.0
    raise Refused(
        "unsupported",
        f"This picture's numbers run from {low:g} to {high:g}; expected 0 to {'65,535' if whole else '1 or 0 to 255'}. "
        "Please export it as an ordinary JPEG or PNG.",
    )


def _range(strip: Image.Image) -> tuple[float, float]:
    """Smallest and largest number; NaN where one is no number."""
    numbers = np.asarray(strip)
    return float(numbers.min()), float(numbers.max())


def _colours(mode: str, profile: bytes | None, notes: list[str]) -> _Convert:
    """What turns a strip of an 8-bit `mode` (L, RGB, CMYK, LAB) into sRGB, by the profile where one fits."""
    if mode == "CMYK":
        notes.append("Colours for print (CMYK) were converted to those of a screen.")
    if mode == "LAB":
        return _transform(ImageCms.createProfile("LAB"), mode)
    if profile is None:
        return _plain
    try:
        expected, reduced = icc.reduce(profile)
        if expected != mode and (mode, expected) != ("L", "RGB"):
            raise ValueError(expected)
        # Grey pictures often carry the RGB profile of their camera: their three equal channels go through it.
        transform = _transform(ImageCms.ImageCmsProfile(io.BytesIO(reduced)), expected)
        if expected == "RGB" and _changes_nothing(transform):
            return _plain
    except (ImageCms.PyCMSError, OSError, ValueError):  # the last is `icc.reduce`'s, the others are ImageCms'
        notes.append(_IGNORED)
        return _plain
    notes.append("Colours were converted from the file's own colour profile to sRGB.")
    return transform


def _changes_nothing(transform: _Convert) -> bool:
    """Whether RGB colours stay what they are, apart from rounding: their profile is sRGB's.

    Its name would not tell: "Linear sRGB" has the primaries of sRGB and another curve.
    """
    levels = np.linspace(0, 255, 18).astype(np.uint8)  # every 15th
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    changed = np.asarray(transform(Image.fromarray(colours)))
    return int(np.abs(changed.astype(int) - colours).max()) <= _SRGB_WITHIN


def _plain(strip: Image.Image) -> Image.Image:
    """RGB without a profile."""
    return strip if strip.mode == "RGB" else strip.convert("RGB")


def _transform(profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile, mode: str) -> _Convert:
    """A strip -> sRGB by LittleCMS."""
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")

    def apply(strip: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(strip if strip.mode == mode else strip.convert(mode), transform)

    return apply
