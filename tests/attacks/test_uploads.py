"""Uploads that attack a real server, past the page and its file type filter."""

from __future__ import annotations

import io
import re
import struct
import zipfile

import numpy as np
import pydicom
import pytest
import requests
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from core import settings
from core.data.samples import synthetic_sample
from core.serving.intake import Rejection, read_image

SECRET = "Zyxwvut"
"""A patient's name; stands wherever a file can hold one."""
NAME = f"{SECRET}_Jane.jpg"
TRACE = re.compile(r"Traceback|File \"|/work/|\.py\b|site-packages")


@pytest.fixture
def visitor(dashboard, protocol):
    with protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]}) as visitor:
        yield visitor


def lesion(width: int = 600) -> Image.Image:
    """A drawn lesion; what the gate makes of it does not matter here."""
    return Image.open(io.BytesIO(synthetic_sample("mel", 3).data)).resize((width, width * 3 // 4))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("a.html", f"<script>{SECRET}</script>")
    return target.getvalue()


def secretive() -> dict[str, bytes]:
    """Pictures with a patient's name and place, one of them with an archive behind it."""
    exif = Image.Exif()
    exif[270], exif[315], exif[0x8825] = SECRET, SECRET, {1: "N", 2: (47.0, 22.0, 11.0), 29: SECRET}
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.7", "1.2.3"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName, data.PatientID, data.SOPClassUID = SECRET, SECRET, meta.MediaStorageSOPClassUID
    pixels = np.asarray(lesion(300))
    data.Rows, data.Columns, data.SamplesPerPixel = *pixels.shape[:2], 3
    data.PhotometricInterpretation, data.PlanarConfiguration, data.PixelRepresentation = "RGB", 0, 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelData = 8, 8, 7, pixels.tobytes()
    target = io.BytesIO()
    pydicom.dcmwrite(target, data)
    return {
        "photo.jpg": encode(lesion(), "JPEG", exif=exif, comment=SECRET) + archive(),
        "photo.dcm": target.getvalue(),
    }


@pytest.mark.parametrize("name", ["evil.exe", "lesion.jpg.svg", "lesion", "a\0.jpg", ""])
def test_past_the_page_s_file_type_filter(visitor, dashboard, protocol, name: str) -> None:
    """No browser sends these. The server takes the bytes, nothing of them is shown, no trace either, and the next
    visit works."""
    data = synthetic_sample("nv", 1).data
    response, file_id = visitor.put(name or "x", data)
    assert response.ok
    visitor.choose((name, file_id, len(data)))
    page = visitor.rerun()
    assert not page.of("imgs")
    assert not TRACE.search(page.everything())
    with protocol.Visitor(dashboard.url, "prediction") as next_visit:
        assert next_visit.upload("fine.jpg", data).of("imgs")


def test_the_next_upload_works(visitor) -> None:
    """After everything that is no picture, in one and the same visit."""
    data = synthetic_sample("nv", 1).data
    for broken in (b"", b"x", data[: len(data) // 2], b"GIF89a", bytes(5000)):
        page = visitor.upload("broken.jpg", broken)
        assert len(page.of("alert")) == 1
        assert page.answer().alerts[0].endswith(".")
        assert not TRACE.search(page.everything())
        assert not page.of("imgs")
    assert visitor.upload("fine.jpg", data).of("imgs")


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "EPS", "archive", "script"])
def test_content_decides_whatever_the_ending(visitor, kind: str) -> None:
    """What is renamed .jpg goes by what it holds."""
    made = {"archive": archive(), "script": b"<html><script>alert(1)</script></html>"}
    data = made[kind] if kind in made else encode(lesion(), kind)
    page = visitor.upload("lesion.jpg", data)
    refused = isinstance(read_image(data), Rejection)
    assert refused == (kind not in ("PNG", "TIFF"))
    assert bool(page.of("imgs")) != refused
    assert any("Expected a JPEG, PNG" in alert for alert in page.answer().alerts) == refused


def test_over_the_limit_and_200_mb_are_refused_and_the_server_lives(visitor, dashboard, protocol) -> None:
    before = protocol.status_of(dashboard.pid, "VmRSS")
    just_over = bytes(settings.MAX_UPLOAD_BYTES + 100_000)
    assert visitor.put("big.jpg", just_over)[0].status_code == 413

    def chunks():
        for _ in range(200):
            yield bytes(1_000_000)

    # 200 MB that do not say how much they are: the server must count and stop by itself.
    address = f"{dashboard.url}/_stcore/upload_file/{visitor.session_id}/made-up"
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
    try:
        answer = visitor.http.put(
            address,
            data=(part for part in (head, *chunks())),
            headers={"X-Xsrftoken": visitor.token, "Content-Type": "multipart/form-data; boundary=b"},
            timeout=60,
        )
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # it hung up in the middle, which is a refusal, too
    assert protocol.status_of(dashboard.pid, "VmRSS") - before < 100_000, "kilobytes"
    assert visitor.upload("fine.jpg", synthetic_sample("nv", 1).data).of("imgs")


def test_without_the_token_or_for_somebody_else_s_visit_nothing_is_taken(
    visitor, dashboard, protocol
) -> None:
    data = synthetic_sample("nv", 1).data
    assert visitor.put("a.jpg", data, headers={"X-Xsrftoken": ""})[0].status_code == 403
    assert visitor.put("a.jpg", data, headers={"X-Xsrftoken": "made up"})[0].status_code == 403
    address = f"{dashboard.url}/_stcore/upload_file/00000000-0000-0000-0000-000000000000/x"
    headers = {"X-Xsrftoken": visitor.token}
    assert visitor.http.put(address, files={"file": ("a.jpg", data)}, headers=headers).status_code == 400
    response, file_id = visitor.put("a.jpg", data)
    assert response.ok
    mine = f"/_stcore/upload_file/{visitor.session_id}/{file_id}"
    assert data not in visitor.fetch(mine).content, (
        "what was uploaded cannot be fetched, not even by its visitor"
    )


def test_no_upload_touches_the_disk(visitor, dashboard, events) -> None:
    """Larger than what Starlette keeps in memory by itself, up to the limit."""
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    large = encode(Image.fromarray(noise), "PNG")
    assert 2**20 < len(large) < settings.MAX_UPLOAD_BYTES
    before = len(events(dashboard.doings, "write"))
    visitor.upload("noise.png", large)
    response, _ = visitor.put("x.jpg", bytes(settings.MAX_UPLOAD_BYTES - 5000))
    assert response.ok
    assert events(dashboard.doings, "write")[before:] == []


@pytest.mark.parametrize("name", ["photo.jpg", "photo.dcm"])
def test_of_a_patient_nothing_is_in_pages_pictures_reports_and_logs(visitor, dashboard, name: str) -> None:
    """Neither of EXIF and DICOM fields nor of what lies behind the picture; every picture is encoded anew."""
    data = secretive()[name]
    assert data.count(SECRET.encode()) >= 2
    page = visitor.upload(name, data)
    assert page.of("imgs"), page.answer()
    assert SECRET not in page.everything()
    buttons = page.of("download_button")
    assert [button.label for button in buttons] == ["Case report"]
    (report,) = [visitor.download(button) for button in buttons]
    assert b"<html" in report.content
    for given in [report, *map(visitor.fetch, page.answer().images)]:
        assert given.ok
        assert SECRET.encode() not in given.content
        assert b"PK\x03\x04" not in given.content
        assert given.content not in data
    assert SECRET not in dashboard.log.read_text()


def test_the_name_of_a_file_is_in_no_log_and_no_address(visitor, dashboard) -> None:
    page = visitor.upload(NAME, secretive()["photo.jpg"])
    visitor.upload(NAME, b"no picture")
    assert SECRET not in " ".join(page.answer().images)
    assert SECRET not in dashboard.log.read_text()


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.jpg",
        "../../etc/x.jpg",
        "a" * 500 + ".jpg",
        "a\x1b[31m\u202egpj.\u2066.jpg",
    ],
)
def test_a_name_is_shown_shortened_as_text_and_nowhere_else(visitor, name: str) -> None:
    """Never as HTML or Markdown, never as a path."""
    page = visitor.upload(name, synthetic_sample("nv", 1).data)
    (shown,) = page.answer().texts
    assert len(shown) <= settings.MAX_NAME_LENGTH
    assert shown.isprintable()
    assert not set(shown) & set("<>/\\")
    rest = [str(x) for kind in ("markdown", "html", "alert", "heading") for x in page.of(kind)]
    assert not any("onerror" in text or "etc/" in text or "a" * 40 in text for text in rest)
    assert not any(x.allow_html for x in page.of("markdown"))


def test_a_header_alone_is_refused_at_once_by_the_server(visitor) -> None:
    """60,000 x 60,000 in a hundred bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    page = visitor.upload("bomb.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + bytes(60))
    assert len(page.answer().alerts) == 1
    assert not page.of("imgs")
