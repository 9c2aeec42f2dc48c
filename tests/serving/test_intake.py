"""Every format and mode that is read, the limits, orientation, colour profiles, names."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from core import settings
from core.serving.intake import Rejection, Upload, display_name, icc, read_image
from core.serving.intake.raster import decode
from core.serving.intake.refusal import CODES, Refused

WIDTH, HEIGHT = 96, 72


def photo(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Image.Image:
    """Smooth colours with some grain: compresses like skin, not like noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(30, 230, (4, 5, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = rng.integers(-5, 6, (height, width, 3))
    return Image.fromarray((np.asarray(coarse).astype(int) + grain).clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def accept(data: bytes, name: str | None = None) -> Upload:
    """The upload, with what must hold for each of them."""
    upload = read_image(data, name)
    assert isinstance(upload, Upload), upload
    assert upload.pixels.dtype == upload.display.dtype == np.uint8
    assert upload.pixels.shape == (upload.height, upload.width, 3)
    assert upload.pixels.flags.c_contiguous
    assert not upload.pixels.flags.writeable
    assert max(upload.display.shape[:2]) <= settings.MAX_DISPLAY_SIDE
    assert upload.sha256 == hashlib.sha256(data).hexdigest()
    return upload


def refuse(data: bytes, code: str) -> Rejection:
    """The rejection, with what must hold for each of them."""
    rejection = read_image(data, "lesion.jpg")
    assert isinstance(rejection, Rejection), rejection
    assert rejection.code == code, rejection
    assert rejection.code in CODES
    assert rejection.reason.endswith(".")
    return rejection


def over_white(image: Image.Image) -> np.ndarray:
    """What a picture with alpha looks like on white paper, in floating point."""
    rgba = np.asarray(image.convert("RGBA")).astype(float)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def in_mode(mode: str) -> Image.Image:
    """The test photograph in one of Pillow's modes; alpha runs from left to right."""
    image = photo()
    if mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 256 + 77)
    if mode in ("F", "F255"):
        numbers = np.asarray(image.convert("L")).astype(np.float32)
        return Image.fromarray(numbers / 255 if mode == "F" else numbers)
    if mode in ("LA", "RGBA"):
        ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
        image = image.convert(mode)
        image.putalpha(Image.fromarray(ramp))
        return image
    return image.quantize(32) if mode == "P" else image.convert(mode)


MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA", "L"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "I", "F", "F255"),
}
NAMES = {"WEBP": "WebP"}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_mode_of_every_format(kind, mode):
    image = in_mode(mode)
    data = encode(
        image, kind, **({"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {})
    )
    upload = accept(data)
    assert upload.format == NAMES.get(kind, kind)
    if mode in ("LA", "RGBA") and kind != "BMP":
        expected = over_white(image)
        assert "Transparent areas were filled with white." in upload.notes
    elif mode in ("I;16", "F", "F255"):
        expected = np.asarray(photo().convert("L").convert("RGB")).astype(float)
    elif mode == "I":
        expected = np.asarray(image.convert("L").convert("RGB")).astype(float)
    elif mode in ("RGB", "LAB", "YCbCr"):
        expected = np.asarray(photo()).astype(float)
    else:
        expected = np.asarray(image.convert("RGB")).astype(float)
    difference = np.abs(upload.pixels - expected)
    lossy = kind == "JPEG" or mode in ("LAB", "YCbCr")
    assert difference.max() <= (40 if lossy else 1.001)
    assert difference.mean() <= (3 if lossy else 0.6)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_give_the_upright_pixels(kind, orientation):
    upright = photo()
    # The inverse of what EXIF's orientation asks for: 6 and 8 undo each other, the others undo themselves.
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(turn[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    data = encode(stored, kind, **options, **({"lossless": True} if kind == "WEBP" else {}))
    upload = accept(data)
    np.testing.assert_array_equal(upload.pixels, np.asarray(upright))
    assert any("upright" in note for note in upload.notes) == (orientation > 1)


@pytest.mark.parametrize("orientation", range(9))
def test_jpeg_orientation_is_what_pillow_makes_of_it(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = encode(photo(), "JPEG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(accept(data).pixels, np.asarray(expected))


@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\1" * 40]
)
def test_malformed_exif_leaves_the_picture_as_stored(block):
    plain = encode(photo(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(block)) + b"Exif\0\0" + block
    upload = accept(plain[:2] + segment + plain[2:])
    np.testing.assert_array_equal(upload.pixels, accept(plain).pixels)
    assert any("turned is damaged" in note for note in upload.notes)


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "jpeg"]
)
@pytest.mark.parametrize("big", [False, True])
def test_tiff_compressions(compression, big):
    upload = accept(encode(photo(), "TIFF", compression=compression, big_tiff=big, strip_size=3000))
    assert np.abs(upload.pixels.astype(int) - np.asarray(photo())).mean() < (
        3 if compression == "jpeg" else 1e-9
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_a_sound_tiff_of_colours_that_are_not_read_is_not_called_damaged(kind):
    _, data = cv2.imencode(".tiff", np.asarray(photo()).astype(kind))
    assert "stored in a way that is not read" in refuse(data.tobytes(), "unsupported").reason


@pytest.mark.parametrize("compression", ["group4", "lzma", "zstd"])
def test_rare_tiff_compressions_are_refused(compression):
    image = photo().convert("1") if compression == "group4" else photo()
    refuse(encode(image, "TIFF", compression=compression), "unsupported")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_16_bit_png_keeps_its_upper_byte(mode):
    grey = np.asarray(photo().convert("L"))
    deep = (grey.astype(np.uint16) * 256 + 200).astype(">u2")
    rows = deep if mode == "L" else np.repeat(deep[..., None], 3, 2)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 0 if mode == "L" else 2, 0, 0, 0)
    upload = accept(png(header, zlib.compress(raw)))
    np.testing.assert_array_equal(upload.pixels, np.repeat(grey[..., None], 3, 2))


def test_12_bit_tiff_uses_the_range_of_12_bits():
    """Two values in three bytes; Pillow reads them as numbers up to 4,095."""
    grey = np.asarray(photo().convert("L")).astype(np.uint16)
    deep = grey * 16 + 9
    first, second = deep[:, 0::2], deep[:, 1::2]
    packed = (
        np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
        .astype(np.uint8)
        .tobytes()
    )
    data = bytearray(encode(photo().convert("L"), "TIFF"))
    where = int.from_bytes(data[data.index(struct.pack("<HHI", 273, 4, 1)) + 8 :][:4], "little")
    at = data.index(struct.pack("<HHIH", 258, 3, 1, 8))
    data[at + 8 : at + 10] = struct.pack("<H", 12)
    upload = accept(bytes(data[:where]) + packed)
    np.testing.assert_array_equal(upload.pixels, np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_a_tiff_in_which_white_is_zero_is_no_negative(mode, compression):
    grey = np.asarray(photo().convert("L"))
    stored = 255 - grey if mode == "L" else 65535 - (grey.astype(np.uint16) * 256 + 77)
    data = white_is_zero(encode(Image.fromarray(stored), "TIFF", compression=compression))
    np.testing.assert_array_equal(accept(data).pixels, np.repeat(grey[..., None], 3, 2))


def test_numbers_of_which_white_is_zero_are_refused():
    numbers = np.asarray(photo().convert("L")).astype(np.float32) / 255
    reason = refuse(white_is_zero(encode(Image.fromarray(numbers), "TIFF")), "unsupported").reason
    assert "black to be zero" in reason


def white_is_zero(data: bytes) -> bytes:
    """A grey TIFF whose tag 262 says so."""
    black = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert data.count(black) == 1
    return data.replace(black, struct.pack("<HHIHH", 262, 3, 1, 0, 0))


def png(header: bytes, stream: bytes, *more: tuple[bytes, bytes], end: bool = True) -> bytes:
    """A PNG of these chunks, with the right checksums."""
    chunks = [(b"IHDR", header), *more, (b"IDAT", stream), *([(b"IEND", b"")] if end else [])]
    framed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def test_a_transparent_palette_colour_becomes_white():
    image = photo().quantize(8)
    index = image.getpixel((10, 10))
    upload = accept(encode(image, "PNG", transparency=index))
    assert tuple(upload.pixels[10, 10]) == (255, 255, 255)
    other = np.asarray(image) != index
    np.testing.assert_array_equal(upload.pixels[other], np.asarray(image.convert("RGB"))[other])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_becomes_white(depth):
    """Pixels are spread over 0..255 when they are read, the transparent grey has to be, too."""
    top = (1 << depth) - 1
    row = bytes(
        [0, *[int("".join(f"{k % (top + 1):0{depth}b}" for k in range(8 // depth)), 2)] * (8 * depth)]
    )
    header = struct.pack(">IIBBBBB", 64, 64, depth, 0, 0, 0, 0)
    for grey in (0, top):
        data = png(header, zlib.compress(row * 64), (b"tRNS", grey.to_bytes(2)))
        upload = accept(data)
        values = np.arange(64) % (8 // depth) % (top + 1)
        expected = np.where(values == grey, 255, values * 255 // top)
        np.testing.assert_array_equal(upload.pixels[0, :, 0], expected)
        assert any("Transparent" in note for note in upload.notes)


def test_cmyk_is_inverted_only_with_adobes_mark():
    image = photo().convert("CMYK")
    marked = encode(image, "JPEG", quality=95)
    at = marked.index(b"\xff\xeeAdobe"[:2] + b"\0\x0eAdobe")
    bare = marked[:at] + marked[at + 16 :]
    upright, inverted = accept(marked).pixels.astype(int), accept(bare).pixels.astype(int)
    assert np.abs(upright - np.asarray(photo())).mean() < 4
    with Image.open(io.BytesIO(marked)) as opened:
        expected = Image.eval(opened, lambda value: 255 - value).convert("RGB")
    np.testing.assert_array_equal(inverted, np.asarray(expected))


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries are exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16be"), "swap".encode("utf-16be"))
    return profile.replace(b"rXYZ", b"@@@@").replace(b"gXYZ", b"rXYZ").replace(b"@@@@", b"gXYZ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_colour_profiles_are_applied(kind):
    image = Image.new("RGB", (WIDTH, HEIGHT), (220, 30, 30))
    upload = accept(
        encode(image, kind, icc_profile=swapped_profile(), **({"lossless": True} if kind == "WEBP" else {}))
    )
    red, green, blue = upload.pixels[20, 20].astype(int)
    assert green > red + 100
    assert green > blue + 100
    assert any("colour profile to sRGB" in note for note in upload.notes)


def test_an_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(
        accept(encode(photo(), "PNG", icc_profile=profile)).pixels, np.asarray(photo())
    )


def described_profile(space: bytes, name: str, curve: bytes) -> bytes:
    """A profile of a name and one tone curve, of grey or with the primaries of sRGB."""

    def numbers(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    white = numbers(0.9642, 1, 0.8249)
    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + white,
    }
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        primaries = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
        for name, primary in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
            tags[name] = b"XYZ \0\0\0\0" + numbers(*primary)
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    header = bytearray(128)
    header[8:24], header[36:40], header[68:80] = b"\2\x10\0\0mntr" + space + b"XYZ ", b"acsp", white
    return icc._assemble(bytes(header), tags)


def gamma(exponent: float) -> bytes:
    """A tone curve that is a power."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + struct.pack(
    ">5i", *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


@pytest.mark.parametrize("name", ["GIMP built-in Linear sRGB", "sRGB-elle-V2-g10.icc", "linear"])
def test_a_profile_is_what_its_curves_say_whatever_its_name(name):
    light = (np.asarray(photo()) / 255.0 + 0.055) / 1.055
    linear = (light**2.4 * 255).round().astype(np.uint8)
    upload = accept(
        encode(Image.fromarray(linear), "PNG", icc_profile=described_profile(b"RGB ", name, gamma(1)))
    )
    assert np.abs(upload.pixels.astype(int) - np.asarray(photo())).mean() < 2
    assert any("colour profile to sRGB" in note for note in upload.notes)


@pytest.mark.parametrize(
    ("curve", "same"),
    [(SRGB_CURVE, True), (gamma(2.2), False), (gamma(1.8), False)],
    ids=["its curve", "2.2", "1.8"],
)
@pytest.mark.parametrize("name", ["sRGB IEC61966-2.1", "c2", "Camera"])
def test_a_profile_of_srgb_changes_nothing_whatever_its_name(name, curve, same):
    upload = accept(encode(photo(), "PNG", icc_profile=described_profile(b"RGB ", name, curve)))
    assert np.array_equal(upload.pixels, np.asarray(photo())) == same
    assert any("colour profile" in note for note in upload.notes) != same


@pytest.mark.parametrize(
    "kind", ["PNG", "TIFF", "TIFF premultiplied", "transparent grey", "transparent black"]
)
def test_grey_with_alpha_goes_through_its_own_profile(kind):
    """Laid over white afterwards: white stays white whatever the profile."""
    profile = described_profile(b"GRAY", "linear", gamma(1))
    grey = photo().convert("1" if kind == "transparent black" else "L")
    converted = accept(encode(grey, "PNG", icc_profile=profile)).pixels.astype(float)
    if kind.startswith("transparent"):
        upload = accept(encode(grey, "PNG", icc_profile=profile, transparency=0 if grey.mode == "1" else 120))
        clear = np.asarray(grey) == (False if grey.mode == "1" else 120)
        alpha = np.where(clear, 0.0, 1.0)[..., None]
    else:
        image = in_mode("LA")
        alpha = np.asarray(image)[..., 1:] / 255
        if kind == "TIFF premultiplied":
            # Pillow writes no such file: the grey is multiplied here, and tag 338 told so.
            image.putdata([(round(value * a / 255), a) for value, a in image.get_flattened_data()])
            data = encode(image, "TIFF", icc_profile=profile)
            straight = struct.pack("<HHIHH", 338, 3, 1, 2, 0)
            assert straight in data
            upload = accept(data.replace(straight, struct.pack("<HHIHH", 338, 3, 1, 1, 0)))
        else:
            upload = accept(encode(image, kind, icc_profile=profile))
    assert not any("ignored" in note for note in upload.notes)
    assert any("colour profile to sRGB" in note for note in upload.notes)
    expected = converted * alpha + 255 * (1 - alpha)
    assert np.abs(upload.pixels - expected).max() <= 1.5


@pytest.mark.parametrize(
    "profile", [b"junk" * 100, b"x", swapped_profile()[:200], swapped_profile().replace(b"RGB ", b"CMYK")]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_broken_profiles_are_ignored_with_a_note(kind, profile):
    upload = accept(encode(photo(), kind, icc_profile=profile))
    np.testing.assert_array_equal(upload.pixels, accept(encode(photo(), kind)).pixels)
    assert any("ignored" in note for note in upload.notes)


def test_a_profile_with_a_table_of_colours():
    """CMYK -> CIELAB by a table (mft1) in which black ink alone darkens: L* = 100 (1 - K), a* = b* = 0."""
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0\4\3\2\0" + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table += ramp * 4 + bytes([255, 128, 128, 0, 128, 128]) * 8 + ramp * 3
    header = bytearray(128)
    header[8:24], header[36:40] = b"\2\x40\0\0prtrCMYKLab ", b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    profile = struct.pack(">I", 144 + len(table)) + bytes(header[4:]) + tags + table
    for black, expected in ((0, 255), (128, 119), (255, 0)):
        inks = Image.new("CMYK", (WIDTH, HEIGHT), (200, 30, 90, black))
        upload = accept(encode(inks, "JPEG", icc_profile=profile))
        assert np.abs(upload.pixels.astype(int) - expected).max() <= 3
        assert any("colour profile to sRGB" in note for note in upload.notes)


@pytest.mark.parametrize("grid", [2, 3, 255])
def test_a_table_of_colours_that_is_not_there_is_not_allocated(grid):
    table = b"mft2\0\0\0\0\3\3" + bytes([grid, 0]) + bytes(40)
    header = bytearray(128)
    header[16:24], header[36:40] = b"RGB Lab ", b"acsp"
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    with pytest.raises(ValueError, match="not there"):
        icc.reduce(bytes(header) + tags + table)


def test_the_first_picture_of_a_phones_mpo_is_taken():
    first, second = photo(seed=1), photo(seed=2)
    upload = accept(encode(first, "MPO", save_all=True, append_images=[second]))
    assert np.abs(upload.pixels.astype(int) - np.asarray(first)).mean() < 5
    assert "The file holds several pictures; the first was taken." in upload.notes


def test_smaller_copies_in_a_tiff_are_left_out():
    image, small = photo(), photo(70, 64)
    image.encoderinfo, small.encoderinfo = {}, {"tiffinfo": {254: 1}}
    upload = accept(encode(image, "TIFF", save_all=True, append_images=[small]))
    np.testing.assert_array_equal(upload.pixels, np.asarray(photo()))
    assert any("smaller copies" in note for note in upload.notes)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(kind):
    refuse(encode(photo(), kind, save_all=True, append_images=[photo(seed=2), photo(seed=3)]), "multi_frame")


def test_run_length_coded_bmp_is_refused():
    data = bytearray(encode(photo().quantize(8), "BMP"))
    data[30:34] = struct.pack("<I", 1)
    refuse(bytes(data), "unsupported")


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((64, 64), None), ((256, 64), None), ((64, 256), None), ((8192, 2048), None),
        ((63, 64), "too_small"), ((64, 63), "too_small"), ((257, 64), "too_elongated"), ((64, 257), "too_elongated"),
        ((8193, 4096), "too_many_pixels"), ((4096, 8193), "too_many_pixels"), ((8192, 4883), "too_many_pixels"),
    ],
)  # fmt: skip
def test_limits_of_size(size, code):
    if code is None:
        upload = accept(encode(Image.new("1", size, 1), "PNG"))
        assert (upload.width, upload.height) == size
        assert upload.display.shape[1] == min(size[0], settings.MAX_DISPLAY_SIDE)
    else:
        # No pixels follow: the header alone is enough to refuse.
        reason = refuse(png(struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0), b""), code).reason
        assert f"{size[0]:,} x {size[1]:,}" in reason


@pytest.mark.parametrize(("rows", "said"), [(4883, "which is a little more."), (4890, "which is 40.1.")])
def test_what_has_too_many_pixels_is_not_said_to_have_as_many_as_it_may(rows, said):
    reason = refuse(png(struct.pack(">IIBBBBB", 8192, rows, 8, 2, 0, 0, 0), b""), "too_many_pixels").reason
    assert "Expected at most 40 megapixels;" in reason
    assert said in reason


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("JPEG", b"\x08" + struct.pack(">HH", HEIGHT, WIDTH), b"\x08" + struct.pack(">HH", 6500, 7500)),
        ("BMP", struct.pack("<ii", WIDTH, HEIGHT), struct.pack("<ii", 7500, -6500)),
        ("TIFF", struct.pack("<HHII", 256, 4, 1, WIDTH), struct.pack("<HHII", 256, 4, 1, 8200)),
        ("WEBP", struct.pack("<I", WIDTH - 1 | HEIGHT - 1 << 14), struct.pack("<I", 7499 | 6499 << 14)),
    ],
)
def test_limits_hold_for_every_format(kind, before, after):
    options = {"lossless": True} if kind == "WEBP" else {}
    refuse(encode(Image.new("RGB", (40, 40)), kind, **options), "too_small")
    data = encode(photo(), kind, **options)
    assert before in data
    refuse(data.replace(before, after, 1), "too_many_pixels")


def test_the_limit_of_bytes():
    data = encode(photo(), "JPEG")
    exact = data + b"\0" * (settings.MAX_UPLOAD_BYTES - len(data))
    accept(exact)
    reason = refuse(exact + b"\0", "too_large").reason
    assert "at most 20 MB; this one has a little more." in reason
    assert "this one has 20.5 MB." in refuse(exact + bytes(500_000), "too_large").reason


def test_memory_is_counted_before_it_is_taken():
    size, larger = struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 6200, 6200)
    progressive = encode(photo(), "JPEG", progressive=True, subsampling=0)
    assert "300 MB" in refuse(progressive.replace(size, larger), "too_heavy").reason
    lossless = encode(photo(), "WEBP", lossless=True)
    size, larger = (struct.pack("<I", w - 1 | h - 1 << 14) for w, h in ((WIDTH, HEIGHT), (6000, 6000)))
    refuse(lossless.replace(size, larger), "too_heavy")


def test_pillow_must_find_the_size_that_was_checked():
    with pytest.raises(Refused):
        decode(encode(photo(), "PNG"), "PNG", (WIDTH, HEIGHT + 1), "PNG")


def test_the_display_copy_keeps_the_shape():
    upload = accept(encode(Image.linear_gradient("L").resize((3000, 1500)), "JPEG"))
    assert upload.display.shape == (512, 1024, 3)
    assert upload.pixels.shape == (1500, 3000, 3)
    small = accept(encode(photo(), "JPEG"))
    assert small.display is small.pixels


@pytest.mark.parametrize("low_high", [(-1.0, 0.5), (0.0, 300.0), (0.0, np.nan), (0.0, np.inf)])
def test_numbers_without_meaning_are_refused(low_high):
    numbers = np.full((HEIGHT, WIDTH), low_high[0], np.float32)
    numbers[5, 5] = low_high[1]
    refuse(encode(Image.fromarray(numbers), "TIFF"), "unsupported")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "unnamed"), ("", "unnamed"), ("..", "unnamed"), ("/", "unnamed"), ("\u202e\u0000", "unnamed"),
        ("IMG_0001.jpg", "IMG_0001.jpg"), ("../../etc/passwd", "passwd"), (r"C:\Users\me\a b.png", "a b.png"),
        ("a\r\nb\x1b[31m.png", "a b(31m.png".replace("a b", "ab")), ("photo\u202egpj.exe", "photogpj.exe"),
        ("\u2066x\u2069\u200b.jpg", "x.jpg"), ("a\u2028b.jpg", "ab.jpg"),
        ("<img src=x onerror=alert(1)>", "‹img src=x onerror=alert(1)›"), ("![x](evil.png)", "!(x)(evil.png)"),
        ("ё Läsion 痣.jpeg", "ё Läsion 痣.jpeg"),
    ],
)  # fmt: skip
def test_names_are_safe_to_show(given, shown):
    assert display_name(given) == shown
    assert accept(encode(photo(), "JPEG"), given).name == shown


def test_long_names_keep_both_ends():
    name = display_name("a" * 500 + "_left.jpeg")
    assert len(name) == settings.MAX_NAME_LENGTH
    assert name.startswith("aaaa")
    assert name.endswith("_left.jpeg")


def test_the_name_decides_nothing_and_stays_out_of_repr():
    data = encode(photo(), "JPEG")
    for name in ("Doe_Jane.png", "Doe_Jane.dcm", "Doe_Jane.exe", "Doe_Jane"):
        upload = accept(data, name)
        assert upload.format == "JPEG"
        assert "Doe" not in repr(upload)
        assert "Doe" not in repr(read_image(b"", name))


def test_one_pixel_makes_another_upload():
    image = Image.new("RGB", (1200, 900), (200, 150, 120))
    changed = image.copy()
    changed.putpixel((600, 450), (1, 2, 3))
    assert accept(encode(image, "PNG")).sha256 != accept(encode(changed, "PNG")).sha256


def test_hardly_any_bytes():
    refuse(b"", "empty")
    for byte in range(256):
        assert isinstance(read_image(bytes([byte])), Rejection)
