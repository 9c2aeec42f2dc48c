"""What a file is, by its first bytes alone; a name or a declared type is never asked."""

from __future__ import annotations

from core.serving.intake import bmp
from core.serving.intake.refusal import Refused

_EXPORT = "Please export it as JPEG or PNG."

READ = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (128, b"DICM", "DICOM"),  # before TIFF: some programs fill the 128 bytes with the start of a TIFF
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
)
"""(offset, magic bytes, format) of what is read; WebP has two marks and stands apart."""

REFUSED = (
    (0, b"GIF8", "gif", "a GIF picture"),
    (0, b"%PDF", "pdf", "a PDF document"),
    (0, b"%!", "eps", "a PostScript (EPS) drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "eps", "a PostScript (EPS) drawing"),
    (0, b"PK\x03\x04", "archive", "a ZIP archive or an office document"),
    (0, b"PK\x05\x06", "archive", "an empty ZIP archive"),
    (0, b"Rar!", "archive", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "archive", "a 7z archive"),
    (0, b"\x1f\x8b", "archive", "a gzip archive"),
    (0, b"BZh", "archive", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "archive", "an xz archive"),
    (257, b"ustar", "archive", "a tar archive"),
    (0, b"8BPS", "photoshop", "a Photoshop document"),
    (0, b"\xff\x0a", "jpeg_xl", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "jpeg_xl", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cjP  ", "jpeg_2000", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "jpeg_2000", "a JPEG 2000 picture"),
    (0, b"\0\0\x01\0", "icon", "an icon"),
    (0, b"IIRO", "camera_raw", "a camera's raw file"),
    (0, b"IIRS", "camera_raw", "a camera's raw file"),
    (0, b"IIU\0", "camera_raw", "a camera's raw file"),
    (0, b"FUJIFILMCCD-RAW", "camera_raw", "a camera's raw file"),
    (0, b"\x1aE\xdf\xa3", "video", "a video"),
    (0, b"MZ", "executable", "a Windows program"),
    (0, b"\x7fELF", "executable", "a program"),
    (0, b"\xcf\xfa\xed\xfe", "executable", "a program"),
    (0, b"\xca\xfe\xba\xbe", "executable", "a program"),
    (0, b"#!", "executable", "a script"),
)
"""(offset, magic bytes, code, description) of what is recognised in order to say what it is."""

_BRANDS = {
    b"avif": ("avif", "an AVIF picture"), b"avis": ("avif", "an AVIF picture"),
    b"heic": ("heic", "an HEIC picture"), b"heix": ("heic", "an HEIC picture"), b"heim": ("heic", "an HEIC picture"),
    b"heis": ("heic", "an HEIC picture"), b"hevc": ("heic", "an HEIC picture"), b"hevx": ("heic", "an HEIC picture"),
    b"mif1": ("heic", "an HEIC picture"), b"msf1": ("heic", "an HEIC picture"),
    b"crx ": ("camera_raw", "a camera's raw file"),
}  # fmt: skip
_SVG = b"<svg"
_HTML = (
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<body",
    b"<script",
    b"<iframe",
    b"<img",
    b"<a ",
    b"<div",
    b"<p>",
)
_HEAD = 4096


def kind_of(data: bytes) -> str:
    """JPEG, PNG, WebP, BMP, TIFF or DICOM; raises `Refused` with the file's own reason for anything else."""
    if not data:
        raise Refused("empty", "This file is empty; expected a picture. Please copy or export it again.")
    # What a program or a document starts with wins over the DICOM mark at byte 128, which either can carry.
    for offset, magic, code, what in REFUSED:
        if offset == 0 and data.startswith(magic):
            raise _other(code, what)
    for offset, magic, kind in READ:
        if data.startswith(magic, offset) and (kind != "BMP" or bmp.looks_like_one(data)):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    raise _unread(data)


def _other(code: str, what: str) -> Refused:
    """The refusal of a file of a known other kind."""
    advice = "" if code in ("archive", "executable", "html", "xml", "text") else f" {_EXPORT}"
    if code == "archive":
        advice = " Please unpack it and choose the picture itself."
    if code in ("heic", "avif"):
        advice = " Please export it as JPEG, or set the phone's camera to its most compatible format."
    return Refused(
        code, f"Expected a JPEG, PNG, WebP, BMP, TIFF or DICOM picture; this file is {what}.{advice}"
    )


def _unread(data: bytes) -> Refused:
    """The reason for bytes without the mark of a format that is read."""
    head = data[:_HEAD]
    if head[4:8] == b"ftyp":
        return _other(*_BRANDS.get(head[8:12], ("video", "a video")))
    if head.startswith(b"RIFF"):
        return _other("video", "a video or a sound")
    for offset, magic, code, what in REFUSED:
        if offset and data.startswith(magic, offset):
            return _other(code, what)
    text = (
        head.removeprefix(b"\xef\xbb\xbf")
        .replace(b"\0", b"")
        .removeprefix(b"\xff\xfe")
        .removeprefix(b"\xfe\xff")
    )
    text = text.lstrip().lower()
    if text.startswith(b"<"):
        if _SVG in text:
            return _other("svg", "an SVG drawing, which can hold scripts")
        if any(mark in text for mark in _HTML):
            return _other("html", "a web page")
        return _other("xml", "an XML document")
    if _looks_like_text(head):
        return _other("text", "text")
    return Refused(
        "unknown",
        "This file is not a picture in a format that is known here; expected JPEG, PNG, WebP, BMP, TIFF or DICOM.",
    )


def _looks_like_text(head: bytes) -> bool:
    """Whether the start of a file is printable ASCII or UTF-8."""
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character that the cut at `_HEAD` bytes broke in two is no sign of binary data.
        return error.start >= len(head) - 3 and len(head) == _HEAD
    return True
