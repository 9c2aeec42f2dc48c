"""DICOM: what is read equals what pydicom reads, what is refused says why, and nothing about a patient comes out."""

from __future__ import annotations

import io
import logging
import random
import struct
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from core.serving.intake import Rejection, Upload, read_image
from core.serving.intake import dicom as intake

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.7"
SECRET = "Zyxwvut"  # stands in every identifying element
SHAPE = (72, 96)


def photo() -> np.ndarray:
    """(72, 96, 3) uint8, smooth."""
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(30, 230, (4, 5, 3), np.uint8))
    return np.asarray(coarse.resize(SHAPE[::-1], Image.Resampling.BICUBIC))


def dicom(pixels: bytes, *, syntax: str = ExplicitVRLittleEndian, **elements: object) -> bytes:
    """A DICOM file with a patient, by default of 8-bit RGB."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", DERMOSCOPY)
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName, data.PatientID, data.PatientBirthDate = f"{SECRET}^Jane", SECRET, "19700101"
    data.InstitutionName, data.StudyDescription = SECRET, SECRET
    step = Dataset()
    step.ScheduledPerformingPhysicianName = SECRET
    data.RequestAttributesSequence = Sequence([step])
    values = {
        "SOPClassUID": DERMOSCOPY, "Rows": SHAPE[0], "Columns": SHAPE[1], "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8,
        "HighBit": 7, "PixelRepresentation": 0, **elements,
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            setattr(data, name, value)
    data.PixelData = pixels
    data["PixelData"].VR = "OW" if values["BitsAllocated"] == 16 else "OB"
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def refuse(data: bytes, code: str) -> Rejection:
    """The rejection, which must not hold anything of the patient's."""
    rejection = read_image(data, "x.dcm")
    assert isinstance(rejection, Rejection), rejection
    assert rejection.code == code, rejection
    assert SECRET not in rejection.reason
    return rejection


def accept(data: bytes) -> Upload:
    """The upload of a DICOM file."""
    upload = read_image(data, "x.dcm")
    assert isinstance(upload, Upload), upload
    assert upload.format == "DICOM"
    return upload


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("kind", [SECONDARY_CAPTURE, DERMOSCOPY, "1.2.840.10008.5.1.4.1.1.77.1.4"])
def test_rgb(syntax, kind):
    np.testing.assert_array_equal(
        accept(dicom(photo().tobytes(), syntax=syntax, SOPClassUID=kind)).pixels, photo()
    )


def test_planes():
    data = dicom(photo().transpose(2, 0, 1).tobytes(), PlanarConfiguration=1)
    np.testing.assert_array_equal(accept(data).pixels, photo())


def test_ybr_full():
    stored = np.asarray(Image.fromarray(photo()).convert("YCbCr"))
    upload = accept(dicom(stored.tobytes(), PhotometricInterpretation="YBR_FULL"))
    assert np.abs(upload.pixels.astype(int) - photo()).max() <= 3


def test_ybr_full_422():
    stored = np.asarray(Image.fromarray(photo()).convert("YCbCr")).copy()
    stored[:, 1::2, 1:] = stored[:, 0::2, 1:]  # both pixels of a pair share one colour
    pairs = np.stack(
        [stored[:, 0::2, 0], stored[:, 1::2, 0], stored[:, 0::2, 1], stored[:, 0::2, 2]], axis=-1
    )
    upload = accept(dicom(pairs.tobytes(), PhotometricInterpretation="YBR_FULL_422"))
    np.testing.assert_array_equal(upload.pixels, np.asarray(Image.fromarray(stored, "YCbCr").convert("RGB")))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    ("allocated", "stored", "signed"), [(8, 8, 0), (16, 12, 0), (16, 16, 0), (16, 16, 1), (8, 6, 0)]
)
def test_monochrome_is_grey_over_its_whole_range(allocated, stored, signed, inverted):
    grey = photo()[..., 0]
    values = (grey.astype(np.int64) << max(stored - 8, 0)) >> max(8 - stored, 0)
    values = values - (1 << (stored - 1)) if signed else values
    upload = accept(
        dicom(
            values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes(),
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
            PlanarConfiguration=None,
            BitsAllocated=allocated,
            BitsStored=stored,
            HighBit=stored - 1,
            PixelRepresentation=signed,
        )
    )
    expected = 255 - grey if inverted else grey
    assert np.abs(upload.pixels.astype(int) - expected[..., None]).max() <= (4 if stored == 6 else 1)


@pytest.mark.parametrize(
    ("allocated", "stored", "high", "signed"),
    [(16, 12, 15, 0), (16, 12, 13, 1), (16, 8, 15, 0), (8, 6, 7, 0)],
)
def test_values_may_lie_anywhere_in_their_samples(allocated, stored, high, signed):
    """Below and above them lie other things: old files kept overlays there."""
    grey, shift = photo()[..., 0].astype(np.int64), high + 1 - stored
    values = grey << 4 if stored == 12 else grey >> (8 - stored)
    others = np.random.default_rng(8).integers(0, 1 << allocated, grey.shape) & ~(
        ((1 << stored) - 1) << shift
    )
    sign = (1 << (stored - 1)) if signed else 0
    samples = ((values ^ sign) << shift | others).astype(f"<u{allocated // 8}")
    upload = accept(
        dicom(
            samples.tobytes(),
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            PlanarConfiguration=None,
            BitsAllocated=allocated,
            BitsStored=stored,
            HighBit=high,
            PixelRepresentation=signed,
        )
    )
    assert np.abs(upload.pixels.astype(int) - grey[..., None]).max() <= (4 if stored == 6 else 1)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(bits):
    image = Image.fromarray(photo()).quantize(40)
    colours = np.array(image.getpalette()[:120], np.uint8).reshape(40, 3)
    table = colours if bits == 8 else colours.astype("<u2") * 256
    names = ("Red", "Green", "Blue")
    tables = {f"{name}PaletteColorLookupTableData": table[:, i].tobytes() for i, name in enumerate(names)}
    described = {f"{name}PaletteColorLookupTableDescriptor": [40, 3, bits] for name in names}
    data = dicom(
        (np.asarray(image) + 3).tobytes(),
        SamplesPerPixel=1,
        PhotometricInterpretation="PALETTE COLOR",
        PlanarConfiguration=None,
        **tables,
        **described,
    )
    np.testing.assert_array_equal(accept(data).pixels, np.asarray(image.convert("RGB")))


def test_samples_are_turned_part_by_part(monkeypatch):
    """In as little memory as one part needs; the parts' ends do not show."""
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 1 << 12, 1000).astype("<u2")
    elements = {tag: np.array([40, 3, 8], "<u2").tobytes() for tag in intake._DESCRIPTORS}
    elements |= {tag: rng.integers(0, 255, 40).astype(np.uint8).tobytes() for tag in intake._TABLES}
    indices = rng.integers(0, 50, (20, 50)).astype(np.uint8)
    signed, plain = intake.Depth(12, signed=True), intake.Depth(8)
    whole = intake._eight_bits(samples, signed), intake._look_up(elements, indices, plain)
    monkeypatch.setattr(intake, "_STEP", 7)
    parts = intake._eight_bits(samples, signed), intake._look_up(elements, indices, plain)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole[1].shape == (20, 50, 3)


@pytest.mark.parametrize(
    ("side", "fits", "more"),
    [
        (4200, True, {}),
        (6000, False, {}),
        (6000, False, {"BitsStored": 7, "HighBit": 6}),
        (6000, True, {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}),
    ],
)
def test_memory_is_counted_before_runs_are_unpacked(side, fits, more):
    """A row of one colour is two bytes for every 128 samples, so that 20 MB could hold any size."""
    channels = more.get("SamplesPerPixel", 3)
    parts = [min(128, side - at) for at in range(0, side, 128)]
    plane = bytes(value for n in parts for value in (257 - n, 90)) * side
    starts = [64 + len(plane) * channel for channel in range(channels)] + [0] * (15 - channels)
    frame = np.array([channels, *starts], "<u4").tobytes() + plane * channels
    data = dicom(
        encapsulate([frame]), syntax=RLELossless, Rows=side, Columns=side, PlanarConfiguration=1, **more
    )
    assert len(data) < 2_000_000
    if fits:
        assert accept(data).pixels.max() == 90
    else:
        assert "300 MB" in refuse(data, "too_heavy").reason


def jpeg(image: np.ndarray, **options: object) -> bytes:
    """A JPEG of even length."""
    target = io.BytesIO()
    Image.fromarray(image).save(target, "JPEG", **options)
    return target.getvalue() + b"\0" * (target.tell() % 2)


def test_jpeg_baseline():
    stream = jpeg(photo(), quality=95)
    data = dicom(encapsulate([stream]), syntax=JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422")
    expected = np.asarray(Image.open(io.BytesIO(stream)))
    np.testing.assert_array_equal(accept(data).pixels, expected)


def test_a_palette_s_indices_in_a_jpeg_are_refused():
    """A JPEG changes numbers a little, and the next index is any colour at all."""
    stream = jpeg(photo()[..., 0], quality=95)
    more = {"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1}
    refuse(dicom(encapsulate([stream]), syntax=JPEGBaseline8Bit, **more), "unsupported")


def test_two_frames_in_a_file_that_says_it_has_one():
    frames = [jpeg(photo(), quality=95), jpeg(photo()[::-1], quality=95)]
    more = {"PhotometricInterpretation": "YBR_FULL_422"}
    refuse(dicom(encapsulate(frames), syntax=JPEGBaseline8Bit, **more), "multi_frame")


def test_a_jpeg_that_ends_early():
    stream = jpeg(photo(), quality=95)
    half = stream[: len(stream) // 4 * 2] + b"\xff\xd9"
    data = dicom(encapsulate([half]), syntax=JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422")
    refuse(data, "truncated")


def test_jpeg_of_another_size_than_declared():
    stream = jpeg(photo(), quality=95)
    refuse(dicom(encapsulate([stream]), syntax=JPEGBaseline8Bit, Rows=SHAPE[0] + 1), "damaged")


def shipped() -> list[Path]:
    """The files that pydicom ships for its own tests, corrupt ones among them."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 2**21)


def test_pydicoms_own_files_are_read_as_pydicom_reads_them():
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in shipped():
            result = read_image(path.read_bytes(), path.name)
            if not isinstance(result, Upload) or result.format != "DICOM":
                continue
            expected = pydicom.dcmread(path).pixel_array
            assert np.abs(result.pixels.astype(int) - expected).max() <= 1, path.name
            read += 1
    assert read >= 14


@pytest.mark.parametrize("undefined", [False, True])
def test_the_icon_is_not_the_picture(undefined):
    """An icon has rows, columns and pixels of its own, inside a sequence behind the picture's."""
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.PixelData = bytes(64 * 64 * 3)
    icon["PixelData"].VR = "OB"
    icon.is_undefined_length_sequence_item = undefined
    data = pydicom.dcmread(io.BytesIO(dicom(photo().tobytes())))
    data.IconImageSequence = Sequence([icon])
    data["IconImageSequence"].is_undefined_length = undefined
    target = io.BytesIO()
    data.save_as(target)
    assert (b"SQ\0\0\xff\xff\xff\xff" in target.getvalue()) == undefined
    np.testing.assert_array_equal(accept(target.getvalue()).pixels, photo())


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("within", [False, True])
def test_a_sequence_that_is_called_unknown_is_implicit_inside(undefined, within):
    """What software writes that does not know a private sequence: UN, of undefined length (PS3.5, 6.2.2)."""
    header, endless = struct.Struct("<HHI"), 0xFFFFFFFF
    text = header.pack(0x0009, 0x1001, 14) + b"UN\0\0is no type"
    rows = header.pack(0x0028, 0x0010, 2) + b"\7\0"
    ends = header.pack(0xFFFE, 0xE00D, 0) if undefined else b""
    item = header.pack(0xFFFE, 0xE000, endless if undefined else len(text + rows)) + text + rows + ends
    unknown = b"\x09\0\x10\x10UN\0\0\xff\xff\xff\xff" + item + header.pack(0xFFFE, 0xE0DD, 0)
    if within:  # an ordinary sequence, behind which elements have types again
        opened = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + header.pack(0xFFFE, 0xE000, endless)
        typed = b"\x08\0\x50\x11UI\4\x001.2\0"
        unknown = opened + unknown + typed + header.pack(0xFFFE, 0xE00D, 0) + header.pack(0xFFFE, 0xE0DD, 0)
    data = dicom(photo().tobytes())
    at = data.index(b"\x10\0\x10\0PN")
    data = data[:at] + unknown + data[at:]
    np.testing.assert_array_equal(pydicom.dcmread(io.BytesIO(data)).pixel_array, photo())
    np.testing.assert_array_equal(accept(data).pixels, photo())


def test_other_objects_are_named():
    assert (
        "CT Image"
        in refuse(dicom(photo().tobytes(), SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "unsupported").reason
    )
    assert "1.2.999" not in refuse(dicom(photo().tobytes(), SOPClassUID="1.2.999.1"), "unsupported").reason


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"NumberOfFrames": 2}, "multi_frame"),
        ({"Rows": 60000, "Columns": 60000}, "too_many_pixels"),
        ({"Rows": 20, "Columns": 20}, "too_small"),
        ({"Rows": 73}, "truncated"),
        ({"Rows": None}, "no_image"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported"),
        ({"SamplesPerPixel": 1}, "unsupported"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "unsupported"),
        ({"BitsStored": 7, "HighBit": 5}, "damaged"),
        ({"HighBit": 8}, "damaged"),
        ({"syntax": DeflatedExplicitVRLittleEndian}, "unsupported"),
    ],
)
def test_refusals(elements, code):
    refuse(dicom(photo().tobytes(), **elements), code)


def test_without_a_picture():
    data = dicom(photo().tobytes())
    refuse(data[: data.index(b"\xe0\x7f\x10\x00")], "no_image")


def test_a_deflated_data_set_is_refused_as_such():
    data = dicom(photo().tobytes(), syntax=DeflatedExplicitVRLittleEndian)
    assert "stored in a way" in refuse(data, "unsupported").reason


def test_the_preamble_may_be_that_of_a_tiff():
    data = dicom(photo().tobytes())
    np.testing.assert_array_equal(accept(b"II*\0" + data[4:]).pixels, photo())


def test_nothing_of_the_patient_comes_out(caplog, recwarn, capfd):
    """Neither from whole files nor from damaged ones: results, warnings, logs, output."""
    caplog.set_level(logging.DEBUG)
    chance = random.Random(3)
    whole = dicom(photo().tobytes())
    assert whole.count(SECRET.encode()) == 5
    files = [whole]
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 10))):
            damaged[chance.randrange(128, 700)] = chance.randrange(256)
        files.append(bytes(damaged[: chance.choice((len(whole), chance.randrange(200, len(whole))))]))
    outcomes = set()
    for data in files:
        result = read_image(data, "x.dcm")
        outcomes.add(type(result))
        shown = result.reason if isinstance(result, Rejection) else " ".join(map(str, vars(result).values()))
        assert SECRET not in shown
    assert outcomes == {Upload, Rejection}
    out, err = capfd.readouterr()
    told = [out, err, caplog.text, *(str(warning.message) for warning in recwarn)]
    assert not any(SECRET in text for text in told)
