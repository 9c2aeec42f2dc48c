"""Some thousand damaged files: every one gives an upload or a rejection, soon, and never an exception.

    python tests/serving/test_intake_fuzz.py 100000 [SEED]

runs as many random mutations as wanted, prints what the files became and what their decoders raised, and ends with 1
when one escaped. Files that have once escaped or been slow are kept in `SURVIVORS` by the defence that they tried.
"""

from __future__ import annotations

import collections
import functools
import io
import os
import random
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.serving import intake
from core.serving.intake import Rejection, Upload, read_image
from core.serving.intake.refusal import CODES, Refused

SECONDS = 2.0
PROPERTY = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


@functools.cache
def corpus() -> dict[str, bytes]:
    """Small sound files of every format, mode and coding, some with EXIF and a colour profile."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(20, 235, (4, 5, 3), np.uint8)).resize(
        (80, 64), Image.Resampling.BICUBIC
    )
    grey = np.asarray(photo.convert("L"))
    deep, numbers = (
        Image.fromarray(grey.astype(np.uint16) * 200),
        Image.fromarray(grey.astype(np.float32) / 255),
    )
    clear = photo.convert("RGBA")
    clear.putalpha(photo.convert("L"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16be"), "mine".encode("utf-16be"))
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    full = {"exif": exif, "icc_profile": profile}
    lab = ImageCms.profileToProfile(
        photo, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    files = {
        "jpeg": encode(photo, "JPEG", **full),
        "jpeg progressive": encode(photo, "JPEG", progressive=True),
        "jpeg 4:4:4": encode(photo, "JPEG", subsampling=0, restart_marker_blocks=2),
        "jpeg L": encode(photo.convert("L"), "JPEG"),
        "jpeg CMYK": encode(photo.convert("CMYK"), "JPEG"),
        "mpo": encode(photo, "MPO", save_all=True, append_images=[photo]),
        "png full": encode(photo, "PNG", **full),
        "png I;16": encode(deep, "PNG"),
        "png transparent": encode(photo.quantize(16), "PNG", transparency=3),
        "webp": encode(photo, "WEBP", **full),
        "webp lossless": encode(photo, "WEBP", lossless=True),
        "webp alpha": encode(clear, "WEBP"),
        "tiff strips": encode(photo, "TIFF", strip_size=1000, icc_profile=profile, tiffinfo={274: 6}),
        "tiff big": encode(photo, "TIFF", big_tiff=True),
        "tiff predictor": encode(photo, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
        "tiff I;16": encode(deep, "TIFF"),
        "tiff F": encode(numbers, "TIFF"),
        "tiff LAB": encode(lab, "TIFF"),
    }
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = clear if mode == "RGBA" else photo.convert(mode)
        files |= {f"{kind.lower()} {mode}": encode(image, kind) for kind in ("PNG", "TIFF")}
        if mode != "LA":
            files[f"bmp {mode}"] = encode(image, "BMP")
    for mode in ("CMYK", "YCbCr", "I"):
        files[f"tiff {mode}"] = encode(photo.convert(mode), "TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files[f"tiff {compression}"] = encode(photo, "TIFF", compression=compression)
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    for name in ("SC_rgb_jpeg_dcmtk", "SC_rgb_rle", "SC_ybr_full_422_uncompressed", "SC_rgb_dcmtk_+eb+cr"):
        files[f"dicom {name}"] = (folder / f"{name}.dcm").read_bytes()
    return files


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks' checksums are right again, so that damage reaches what lies behind them."""
    mended, position = bytearray(data), 8
    while position + 12 <= len(mended):
        end = position + 12 + struct.unpack_from(">I", mended, position)[0]
        if end > len(mended):
            break
        mended[end - 4 : end] = struct.pack(">I", zlib.crc32(mended[position + 4 : end - 4]))
        position = end
    return bytes(mended)


SIZES = (0, 1, 64, 8192, 60_000, 65_535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One to eight changes, more often than not near the start, where the header is."""
    changed = bytearray(data)
    reach = 400 if chance.random() < 0.6 else len(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        at, how = chance.randrange(min(reach, len(changed))), chance.randrange(9)
        if how <= 2:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 3:
            changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how == 4:
            changed[at : at + 4] = struct.pack(
                chance.choice("<>") + "I", chance.choice((*SIZES, len(changed)))
            )
        elif how == 5:
            changed[at : at + 2] = struct.pack(chance.choice("<>") + "H", chance.randrange(65536))
        elif how == 6:
            del changed[at : at + chance.choice((1, 2, 4, 12, 100))]
        elif how == 7:
            other = chance.randrange(len(changed))
            changed[at:at] = changed[other : other + chance.choice((1, 4, 12, 64))]
        elif chance.random() < 0.3:
            del changed[chance.randrange(len(changed)) :]
        else:
            other = chance.choice(list(corpus().values()))
            begin = chance.randrange(len(other))
            changed[at : at + 64] = other[begin : begin + 64]
    mended = bytes(changed)
    return with_checksums(mended) if mended.startswith(b"\x89PNG") and chance.random() < 0.9 else mended


def timed(data: bytes, name: str | None) -> tuple[float, Upload | Rejection]:
    """Seconds of this thread's own processor time, and the answer."""
    start = time.thread_time()
    result = read_image(data, name)
    return time.thread_time() - start, result


def check(data: bytes, name: str | None = None) -> Upload | Rejection:
    """Read `data`; whatever it is, the answer must be sound and come in time."""
    took, result = timed(data, name)
    assert took < SECONDS or timed(data, name)[0] < SECONDS, "what is slow is slow twice"
    if isinstance(result, Rejection):
        assert result.code in CODES
        assert result.reason.endswith(".")
        assert result.reason.isprintable()
    else:
        assert isinstance(result, Upload)
        assert result.pixels.shape == (result.height, result.width, 3)
        assert result.pixels.dtype == np.uint8
    return result


@pytest.mark.parametrize("name", corpus())
def test_sound_files_are_read(name):
    assert isinstance(check(corpus()[name]), Upload)


@pytest.mark.parametrize("name", corpus())
def test_truncated_files_are_refused(name):
    """At every 5%: 19 cases a file."""
    data = corpus()[name]
    for percent in range(5, 100, 5):
        result = check(data[: len(data) * percent // 100])
        # The second picture of an MPO may be missing: the first is what is taken.
        assert isinstance(result, Rejection) or (name == "mpo" and percent >= 50), (percent, result)


@pytest.mark.parametrize("name", corpus())
def test_flipped_bits(name):
    """30 cases a file; with its checksums a PNG notices every one of them."""
    data, chance = corpus()[name], random.Random(name)
    for _ in range(30):
        changed = bytearray(data)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        result = check(bytes(changed))
        assert isinstance(result, Rejection) or not name.startswith("png")


@pytest.mark.parametrize("name", corpus())
def test_mutations(name):
    """20 cases a file."""
    chance = random.Random(name)
    for _ in range(20):
        check(mutate(corpus()[name], chance))


def test_names_and_endings_change_nothing():
    for name, data in corpus().items():
        expected = check(data)
        for ending in (".jpg", ".png", ".tiff", ".dcm", ".exe", ".svg", ""):
            result = check(data, "lesion" + ending)
            assert isinstance(result, Upload), (name, ending)
            assert result.format == expected.format
            np.testing.assert_array_equal(result.pixels, expected.pixels)


@PROPERTY
@given(st.binary(max_size=600))
def test_random_bytes(data):
    check(data)


STARTS = (
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe1\0\x40Exif\0\0MM\0*\0\0\0\x08",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\xff\0\0\0WEBP",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
    bytes(128) + b"DICM",
)


@PROPERTY
@given(st.sampled_from(STARTS), st.binary(max_size=400))
def test_random_bytes_behind_a_magic_number(start, data):
    check(start + data)


@PROPERTY
@given(st.data())
def test_slices_put_together(source):
    """Pieces of sound files in any order."""
    files = list(corpus().values())
    pieces = []
    for _ in range(source.draw(st.integers(2, 4))):
        data = source.draw(st.sampled_from(files))
        begin = source.draw(st.sampled_from((0, 0, 2, 8, 12, len(data) // 2)))
        pieces.append(data[begin : begin + source.draw(st.integers(1, len(data)))])
    check(b"".join(pieces))


def shipped() -> list[Path]:
    """Pictures that installed packages bring along, pydicom's corrupt ones among them."""
    endings = {
        ".dcm",
        ".jpg",
        ".jpeg",
        ".png",
        ".gif",
        ".tif",
        ".tiff",
        ".bmp",
        ".webp",
        ".svg",
        ".ico",
        ".npy",
        ".icc",
    }
    packages = Path(pydicom.__file__).parents[1]
    found = []
    for package in (
        "pydicom/data",
        "sklearn/datasets",
        "scipy",
        "streamlit/static",
        "matplotlib/mpl-data",
        "numpy",
    ):
        found += [path for path in (packages / package).rglob("*") if path.suffix.lower() in endings]
    return sorted(path for path in found if path.stat().st_size < 2**21)


def test_pictures_that_packages_ship():
    outcomes = collections.Counter(type(check(path.read_bytes(), path.name)).__name__ for path in shipped())
    assert outcomes["Upload"] > 15
    assert outcomes["Rejection"] > 50


SURVIVORS = {
    # An explicit length in DICOM's meta information that made pydicom raise an exception of its own.
    "dicom group length": bytes(128) + b"DICM\x02\0\0\0UL\xff\xff" + bytes(300),
    # A profile's name with 33 million translations, for which LittleCMS took 400 MB and a second.
    "profile name": bytes(36)
    + b"acsp"
    + bytes(88)
    + struct.pack(">I4sII", 1, b"desc", 144, 28)
    + b"mluc"
    + bytes(24),
    "empty jpeg": b"\xff\xd8\xff\xd9",
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 5000,
    "scan without a frame": b"\xff\xd8\xff\xda\0\x02\xff\xd9",
}


@pytest.mark.parametrize("name", SURVIVORS)
def test_survivors(name):
    check(SURVIVORS[name])
    check(encode(Image.new("RGB", (70, 70)), "PNG", icc_profile=SURVIVORS[name]))


def main(cases: int, seed: int) -> int:
    """Mutate the corpus `cases` times; the exit status says whether anything escaped."""
    chance, outcomes, raised, slowest, escaped = (
        random.Random(seed),
        collections.Counter(),
        collections.Counter(),
        0.0,
        0,
    )
    names = list(corpus())
    for case in range(cases):
        name = chance.choice(names)
        data = mutate(corpus()[name], chance)
        start = time.process_time()
        try:
            intake._read(data, "fuzz")
            outcomes["ok"] += 1
        except Refused as refused:
            outcomes[refused.code] += 1
            if refused.__cause__ is not None:
                raised[type(refused.__cause__).__name__] += 1
        except Exception as error:  # noqa: BLE001 - to catch whatever escapes is what this loop is for
            escaped += 1
            kept = Path(f"escaped-{seed}-{case}.bin")
            kept.write_bytes(data)
            print(f"escaped: {error!r} from {name}, kept as {kept}")
        slowest = max(slowest, time.process_time() - start)
        if case % 1000 == 999:
            print(f"\r{case + 1:,} of {cases:,}, {escaped} escaped", end="", file=sys.stderr, flush=True)
    print(
        f"\n{cases:,} cases, {escaped} escaped, slowest {slowest:.2f} s\nbecame {outcomes}\nraised {raised}"
    )
    return int(escaped > 0)


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
