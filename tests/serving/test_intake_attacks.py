"""Files that attack: bombs (in a process of their own, measured), polyglots, other kinds, hidden texts."""

from __future__ import annotations

import io
import json
import logging
import struct
import subprocess
import sys
import threading
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core import settings
from core.serving.intake import Rejection, Upload, jpeg, read_image
from core.serving.intake import png as png_reader
from core.serving.intake import tiff as tiff_reader
from core.serving.intake import webp as webp_reader
from core.serving.intake.refusal import CODES

SECRET = "Zyxwvut Jane"


def photo(width: int = 96, height: int = 72) -> Image.Image:
    """Smooth colours."""
    rng = np.random.default_rng(9)
    coarse = Image.fromarray(rng.integers(30, 230, (4, 5, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of these chunks between header and end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of (tag, type, count, value) entries; `tail` lies at byte 4,096."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (struct.pack("<2sHI", b"II", 42, 8) + directory + struct.pack("<I", following)).ljust(
        4096, b"\0"
    ) + tail


def plain(width: int, height: int, *more: tuple[int, int, int, int]) -> tuple[tuple[int, int, int, int], ...]:
    """The entries of an uncompressed grey TIFF in one strip at byte 4,096, changed and extended by `more`."""
    size = width * height & 0xFFFFFFFF
    whole = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    strip = ((273, 4, 1, 4096), (278, 4, 1, height), (279, 4, 1, size))
    tiled = any(entry[0] == 324 for entry in more)
    entries = {entry[0]: entry for entry in (*whole, *(() if tiled else strip), *more)}
    return tuple(entries[tag] for tag in sorted(entries))


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(
        struct.pack("<4sI", name, len(part)) + part + b"\0" * (len(part) % 2) for name, part in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def dicom(*elements: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    """A DICOM file with a data set of these elements."""
    return bytes(128) + b"DICM\2\0\x10\0UI" + struct.pack("<H", len(syntax)) + syntax + b"".join(elements)


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def empty_scans(count: int, width: int = 8000, height: int = 4990) -> bytes:
    """A progressive JPEG, by default of 40 megapixels, with many scans behind its own that hold next to nothing."""
    data = encode(photo(), "JPEG", progressive=True)
    data = data.replace(struct.pack(">HH", 72, 96), struct.pack(">HH", height, width))
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def tiff_of_jpeg(data: bytes, width: int, height: int) -> bytes:
    """A TIFF that declares a JPEG of three components, two of them halved, as its one strip."""
    bits, size = struct.pack("<HHH", 8, 8, 8), len(data)
    colours = ((258, 3, 3, 4096 + size), (262, 3, 1, 6), (277, 3, 1, 3), (530, 3, 2, 2 | 2 << 16))
    return tiff(*plain(width, height, (259, 3, 1, 7), (279, 4, 1, size), *colours), tail=data + bits)


def jpegs_over_each_other() -> bytes:
    """A TIFF of 17,368 tiles that each begin a byte later in the same 19 MB."""
    count = 17_368
    starts, sizes = np.arange(4096, 4096 + count, dtype="<u4"), np.full(count, 19_000_000, "<u4")
    entries = ((322, 4, 1, 48), (323, 4, 1, 48), (324, 4, count, 19_100_000), (325, 4, count, 19_200_000))
    tail = bytes(19_100_000 - 4096) + starts.tobytes().ljust(100_000, b"\0") + sizes.tobytes()
    return tiff(*plain(8000, 4990, (259, 3, 1, 7), *entries), tail=tail)


def profile_bomb() -> bytes:
    """A colour profile that declares 33 million translations of its name."""
    name = b"mluc" + struct.pack(">III", 0, 0x02000000, 12) + bytes(24)
    header = bytearray(128)
    header[16:24], header[36:40] = b"RGB XYZ ", b"acsp"
    return bytes(header) + struct.pack(">I4sII", 1, b"desc", 144, len(name)) + name


def gigabyte() -> bytes:
    """A megabyte that inflates to a gigabyte of zeros; its blocks do not refer to each other and so can be repeated."""
    deflater = zlib.compressobj(9)
    first = deflater.compress(bytes(10_000_000)) + deflater.flush(zlib.Z_FULL_FLUSH)
    again = deflater.compress(bytes(10_000_000)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return first + again * 99 + deflater.flush()


def bombs() -> dict[str, tuple[bytes, str]]:
    """Each bomb with the code of its refusal; `ok` where the picture itself is sound and may go on."""
    zeros = gigabyte()
    small = chunk(b"IDAT", zlib.compress(bytes(97 * 3 * 96 + 3 * 96)))
    image = encode(photo(), "JPEG")
    animated = encode(photo(64, 64), "GIF", save_all=True, append_images=[photo(64, 65).crop((0, 1, 64, 65))])
    rows = b"\0\0" * 4_990
    rle = (
        struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 1078, 40, 8000, 4990, 1, 8, 1, 0, 0, 0, 0, 0)
        + bytes(1024)
        + rows
    )
    huge = settings.MAX_UPLOAD_BYTES - 5000
    nested = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return {
        "PNG of 60,000 x 60,000": (png(60_000, 60_000, small), "too_many_pixels"),
        "PNG of no width": (png(0, 100, small), "damaged"),
        "PNG of 40 megapixels without pixels": (png(8000, 4990, small), "truncated"),
        "PNG with a stream of a gigabyte": (png(96, 96, chunk(b"IDAT", zeros)), "ok"),
        "PNG zTXt": (png(96, 96, chunk(b"zTXt", b"Comment\0\0" + zeros) * 15, small), "ok"),
        "PNG iTXt": (png(96, 96, chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros) * 15, small), "ok"),
        "PNG iCCP": (png(96, 96, chunk(b"iCCP", b"name\0\0" + zeros), small), "ok"),
        "PNG of a million chunks": (png(96, 96, chunk(b"teXt", b"") * 1_000_000, small), "damaged"),
        "JPEG of 65,500 x 65,500": (image.replace(struct.pack(">HH", 72, 96), b"\xff\xdc\xff\xdc"), "too_many_pixels"),
        "JPEG of a million EXIF blocks": (image[:2] + segment(0xE1, b"Exif\0\0ab") * 1_000_000 + image[2:], "damaged"),
        "JPEG of a thousand scans": (empty_scans(1000), "damaged"),
        "JPEG of a hundred large scans": (empty_scans(100), "too_heavy"),
        "JPEG with a profile bomb": (encode(photo(), "JPEG", icc_profile=profile_bomb()), "ok"),
        "JPEG of 20 MB of fill bytes": (image[:2] + b"\xff" * huge + image[2:], "damaged"),
        "TIFF of 4 billion rows": (tiff(*plain(96, 0xFFFFFFFF)), "too_many_pixels"),
        "TIFF of 5 million strips": (tiff(*plain(96, 96, (273, 4, 5_000_000, 4096)), tail=bytes(huge)), "damaged"),
        "TIFF of 20 MB in every tag": (
            tiff(*plain(96, 96, *((tag, 7, huge, 4096) for tag in range(40_000, 40_250))), tail=bytes(huge)), "ok"),
        "TIFF of 20 MB of bits": (tiff(*plain(96, 96, (258, 3, huge // 2, 4096)), tail=bytes(huge)), "damaged"),
        "TIFF of 20 MB of formats": (tiff(*plain(96, 96, (339, 3, huge // 2, 4096)), tail=bytes(huge)), "damaged"),
        "TIFF of giant tiles": (
            tiff(*plain(96, 96, (259, 3, 1, 8), (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 4096),
                        (325, 4, 1, len(zeros))), tail=zeros), "damaged"),
        "TIFF of tiles of a pixel": (
            tiff(*plain(2000, 2000, (322, 4, 1, 1), (323, 4, 1, 1), (324, 4, 4_000_000, 4096)), tail=bytes(huge)),
            "damaged"),
        "TIFF of a JPEG of ninety scans": (tiff_of_jpeg(empty_scans(80, 6000, 5000), 6000, 5000), "too_heavy"),
        "TIFF of JPEGs over each other": (jpegs_over_each_other(), "damaged"),
        "TIFF that follows itself": (tiff(*plain(96, 96), tail=bytes(96 * 96), following=8), "multi_frame"),
        "TIFF of 10,000 pages": (
            tiff(*plain(96, 96), following=4096, tail=b"".join(
                struct.pack("<HHHIII", 1, 254, 4, 1, 1, 4096 + 18 * (page + 1)) for page in range(10_000))),
            "multi_frame"),
        "TIFF of 60,000 tags": (struct.pack("<2sHIH", b"II", 42, 8, 60_000) + bytes(60_000 * 12 + 4), "damaged"),
        "WebP of 16,384 x 16,384": (webp((b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(40))), "too_many_pixels"),
        "WebP with a giant canvas": (
            webp((b"VP8X", b"\0\0\0\0" + b"\xff" * 6), (b"VP8L", encode(photo(), "WEBP", lossless=True)[20:])),
            "damaged"),
        "WebP of 36 megapixels in a kilobyte": (
            webp((b"VP8L", b"\x2f" + struct.pack("<I", 5999 | 5999 << 14) + bytes(900))), "too_heavy"),
        "WebP animation": (encode(photo(), "WEBP", save_all=True, append_images=[photo(96, 73).crop((0, 1, 96, 73))]),
                           "multi_frame"),
        "BMP of run lengths": (rle, "unsupported"),
        "BMP of 2 billion rows": (rle[:22] + struct.pack("<i", -(2**31)) + rle[26:], "too_many_pixels"),
        "BMP of 40 megapixels without pixels": (rle[:30] + bytes(4) + rle[34:], "truncated"),
        "GIF of 10,000 frames": (animated + animated[-400:] * 10_000, "gif"),
        "DICOM of 65,535 x 65,535": (
            dicom(b"\x08\0\x16\0UI\x1a\x001.2.840.10008.5.1.4.1.1.7\0\x28\0\x10\0US\2\0\xff\xff\x28\0\x11\0US\2\0\xff\xff"
                  b"\xe0\x7f\x10\0OB\0\0\4\0\0\0abcd"), "too_many_pixels"),
        "DICOM deflated": (dicom(zeros, syntax=b"1.2.840.10008.1.2.1.99"), "unsupported"),
        "DICOM of a million elements": (dicom(b"\x08\0\x60\0CS\0\0" * 1_000_000), "damaged"),
        "DICOM of a million sequences in each other": (dicom(nested * 1_000_000), "damaged"),
    }  # fmt: skip


CHILD = """
import json, sys, time
from pathlib import Path
from core.serving.intake import read_image

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

folder = Path(sys.argv[1])
read_image((folder / "warm-up").read_bytes())
import pydicom.encaps, pydicom.uid
for path in sorted(folder.iterdir()):
    data = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, took = resident(), []
    for _ in range(2):  # what is slow is slow twice
        result = None
        start = time.process_time()
        result = read_image(data)
        took.append(time.process_time() - start)
    seconds, grown = min(took), peak() - before
    print(json.dumps([path.name, getattr(result, "code", "ok"), seconds, grown]), flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory through /proc")
def test_bombs_end_within_a_second_and_300_mb(tmp_path):
    """Seconds of this process' own processor time, so that a busy machine does not count."""
    expected = {"warm-up": "ok", "largest PNG": "ok", "largest JPEG": "ok"}
    (tmp_path / "warm-up").write_bytes(encode(photo(), "PNG"))
    largest = Image.new("RGB", (8192, 4882), (190, 140, 120))
    (tmp_path / "largest PNG").write_bytes(encode(largest, "PNG", compress_level=1))
    (tmp_path / "largest JPEG").write_bytes(encode(largest, "JPEG"))
    for name, (data, code) in bombs().items():
        assert len(data) <= settings.MAX_UPLOAD_BYTES, name
        (tmp_path / name).write_bytes(data)
        expected[name] = code
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=settings.ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert {name: code for name, code, _, _ in measured} == expected
    slow = [
        (name, round(seconds, 2))
        for name, _, seconds, _ in measured
        if seconds > (1 if "largest" not in name else 2)
    ]
    heavy = [(name, round(grown)) for name, _, _, grown in measured if grown > 300]
    assert not slow
    assert not heavy


@pytest.mark.parametrize("scans", [0, 80])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_in_a_tiff_is_refused_for_its_work_alone(progressive, scans):
    """As a bomb is made, but small: so it is not refused for anything else."""
    data = encode(photo(), "JPEG", progressive=progressive)
    last = data.rindex(b"\xff\xda")
    again = data[last:-2] * scans * progressive
    upload = read_image(tiff_of_jpeg(data[:-2] + again + data[-2:], 96, 72))
    assert isinstance(upload, Upload), upload
    assert np.abs(upload.pixels.astype(int) - np.asarray(photo())).mean() < 12  # a repeated scan refines anew


@pytest.mark.parametrize("missing", [False, True])
def test_a_tiff_that_does_not_say_how_long_its_jpeg_is(missing):
    """libtiff takes all that follows, in which scans would not have been counted."""
    data = encode(photo(), "JPEG")
    whole = tiff_of_jpeg(data, 96, 72)
    size = struct.pack("<HHII", 279, 4, 1, len(data))
    assert whole.count(size) == 1
    without = struct.pack("<HHII", 280, 4, 1, 0) if missing else struct.pack("<HHII", 279, 4, 1, 0)
    rejection = read_image(whole.replace(size, without))
    assert isinstance(rejection, Rejection)
    assert rejection.code == "damaged"


def test_the_coefficients_of_a_jpeg_in_a_tiff_are_counted():
    rejection = read_image(tiff_of_jpeg(empty_scans(0), 8000, 4990))
    assert isinstance(rejection, Rejection)
    assert rejection.code == "too_heavy"
    assert "300 MB" in rejection.reason


def zipped() -> bytes:
    """A ZIP archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.html", f"<script>{SECRET}</script>")
    return target.getvalue()


TAILS = {
    "ZIP": zipped(),
    "HTML": f"<html><script>{SECRET}</script></html>".encode(),
    "PHP": b"<?php system('x'); ?>",
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tail", list(TAILS))
def test_of_a_polyglot_only_the_pixels_go_on(kind, tail):
    clean = encode(photo(), kind)
    upload = read_image(clean + TAILS[tail], "x.zip")
    assert isinstance(upload, Upload)
    assert "Data behind the end of the picture was left out." in upload.notes
    np.testing.assert_array_equal(upload.pixels, read_image(clean).pixels)


def test_a_picture_inside_a_comment_is_not_the_picture():
    inner, outer = encode(Image.new("RGB", (80, 80), "red"), "JPEG"), encode(photo(), "JPEG")
    upload = read_image(outer[:2] + segment(0xFE, inner) + outer[2:])
    np.testing.assert_array_equal(upload.pixels, read_image(outer).pixels)


OTHERS = {
    b"GIF89a" + bytes(50): "gif",
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>": "svg",
    b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- x --><svg/>": "svg",
    "<svg/>".encode("utf-16"): "svg",
    b"<!DOCTYPE html><p>": "html",
    b"  <HTML><img src=x>": "html",
    b"<?xml version='1.0'?><a/>": "xml",
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "eps",
    b"\xc5\xd0\xd3\xc6" + bytes(40): "eps",
    b"%PDF-1.7\n": "pdf",
    zipped(): "archive",
    b"\x1f\x8b\x08" + bytes(20): "archive",
    b"Rar!\x1a\x07": "archive",
    b"7z\xbc\xaf\x27\x1c": "archive",
    bytes(257) + b"ustar\0": "archive",
    b"\0\0\0\x18ftypheic" + bytes(20): "heic",
    b"\0\0\0\x18ftypmif1" + bytes(20): "heic",
    b"\0\0\0\x1cftypavif" + bytes(20): "avif",
    b"\0\0\0\x18ftypcrx " + bytes(20): "camera_raw",
    b"\0\0\0\x18ftypisom" + bytes(20): "video",
    b"RIFF\x10\0\0\0AVI LIST": "video",
    b"\xff\x0a" + bytes(20): "jpeg_xl",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jpeg_2000",
    b"\0\0\x01\0\x01\0": "icon",
    b"8BPS\0\1": "photoshop",
    b"MZ\x90\0": "executable",
    b"MZ".ljust(128, b"\0") + b"DICM": "executable",
    b"\x7fELF\x02": "executable",
    b"#!/bin/sh\n": "executable",
    b"BMW is a car, not a bitmap.": "text",
    "Läsion".encode() * 2000: "text",
    b'{"a": 1}': "text",
    b"\x80\x04\x95pickle\x94.": "unknown",
    b"\x89HDF\r\n\x1a\n": "unknown",
    bytes(1000): "unknown",
}


@pytest.mark.parametrize(
    ("data", "code"), OTHERS.items(), ids=[f"{code}-{i}" for i, code in enumerate(OTHERS.values())]
)
@pytest.mark.parametrize("name", ["lesion.jpg", "lesion.png", "lesion.dcm"])
def test_other_kinds_have_their_own_reasons(data, code, name):
    rejection = read_image(data, name)
    assert isinstance(rejection, Rejection)
    assert rejection.code == code
    assert rejection.code in CODES
    assert SECRET not in rejection.reason


REAL = {"GIF": "gif", "AVIF": "avif", "ICO": "icon", "PDF": "pdf", "EPS": "eps", "JPEG2000": "jpeg_2000"}


@pytest.mark.parametrize("kind", [*REAL, "TGA", "PPM", "SGI", "MSP", "PCX"])
def test_real_files_of_other_kinds(kind):
    image = photo().convert("1" if kind == "MSP" else "RGB")
    rejection = read_image(encode(image, kind), "lesion.jpg")
    assert isinstance(rejection, Rejection)
    assert rejection.code == REAL.get(kind, "unknown")


def hiding() -> dict[str, bytes]:
    """Pictures with a name and a place wherever their format can hold a text."""
    exif = Image.Exif()
    exif[270], exif[315], exif[33432] = SECRET, SECRET, SECRET
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 11.0), 29: SECRET}
    text = PngInfo()
    text.add_text("Author", SECRET)
    text.add_text("Comment", SECRET, zip=True)
    text.add_itxt(SECRET, SECRET)
    xmp = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
    return {
        "JPEG": encode(photo(), "JPEG", exif=exif, comment=SECRET, xmp=xmp),
        "PNG": encode(photo(), "PNG", exif=exif, pnginfo=text),
        "WebP": encode(photo(), "WEBP", exif=exif, xmp=xmp),
        "TIFF": encode(photo(), "TIFF", tiffinfo={270: SECRET, 315: SECRET, 305: SECRET, 700: xmp}),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
def test_hidden_texts_do_not_come_out(kind, caplog, recwarn, capfd):
    data = hiding()[kind]
    caplog.set_level(logging.DEBUG)
    assert SECRET.encode() in data
    upload = read_image(data)
    assert isinstance(upload, Upload)
    told = [*(str(value) for value in vars(upload).values()), caplog.text, *capfd.readouterr(),
            *(str(warning.message) for warning in recwarn)]  # fmt: skip
    for at in range(0, len(data), max(1, len(data) // 100)):
        cut = read_image(data[:at])
        told.append(cut.reason if isinstance(cut, Rejection) else repr(cut))
    assert not any(SECRET in text or "Zyxwvut" in text for text in told)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
def test_hidden_texts_do_not_even_reach_the_decoder(kind, monkeypatch):
    reader = {"JPEG": jpeg, "PNG": png_reader, "WebP": webp_reader, "TIFF": tiff_reader}[kind]
    seen, decode = [], reader.decode

    def spy(clean: bytes, *rest: object) -> Image.Image:
        seen.append(clean)
        return decode(clean, *rest)

    monkeypatch.setattr(reader, "decode", spy)
    tail = b"" if kind == "TIFF" else TAILS["HTML"]
    assert isinstance(read_image(hiding()[kind] + tail), Upload)
    (clean,) = seen
    if kind == "TIFF":  # its bytes stay where they are, but nothing points to them
        with Image.open(io.BytesIO(clean)) as image:
            assert not {270, 305, 315, 700} & set(image.tag_v2)
            assert image.n_frames == 1
    else:
        assert SECRET.encode() not in clean


def test_threads_do_not_disturb_each_other():
    """Bombs, broken files and pictures of several formats at once: everybody gets the answer of a lone reader."""
    pictures = [
        encode(photo(96 + i, 72), kind) for i, kind in enumerate(("JPEG", "PNG", "WEBP", "BMP", "TIFF"))
    ]
    files = [*pictures, *(data[: len(data) // 2] for data in pictures), png(60_000, 60_000), b"GIF89a"]
    alone = [read_image(data) for data in files]
    wrong = []

    def work(shift: int) -> None:
        for index in range(len(files)):
            at = (index + shift) % len(files)
            got, want = read_image(files[at]), alone[at]
            if isinstance(want, Rejection):
                same = got == want
            else:
                same = isinstance(got, Upload) and np.array_equal(got.pixels, want.pixels)
            if not same:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tensorflow_and_pydicom_stay_away():
    """Importing intake is cheap: neither of the two is loaded for ordinary pictures."""
    code = (
        "import sys, io; from PIL import Image; from core.serving.intake import read_image; b = io.BytesIO();"
        "Image.new('RGB', (99, 99)).save(b, 'PNG'); read_image(b.getvalue());"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'streamlit', 'pydicom')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=settings.ROOT, check=False).returncode == 0
