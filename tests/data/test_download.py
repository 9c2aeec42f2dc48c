"""Downloads from a local server that speaks Dataverse's interface, well or badly."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.__main__ import main
from core.data import download as module
from core.data.download import WANTED, DownloadError, download, list_files
from core.data.ham10000 import open_dataset
from core.data.transfer import Patience, part_of

HURRY = Patience(attempts=3, wait=0.0, timeout=60.0)
LISTING = "/api/datasets/:persistentId/"


class Dataverse(ThreadingHTTPServer):
    """Serves files by their number; `plans` says how each request is answered, one after another, then well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.listed: list[dict] = []
        self.plans: dict[str, list[str]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, label, data, *, md5=None, **fields):
        number = len(self.files) + 1
        self.files[f"/api/access/datafile/{number}"] = data
        md5 = md5 or hashlib.md5(data).hexdigest()
        file = {"id": number, "filename": label, "filesize": len(data), "md5": md5,
                "checksum": {"type": "MD5", "value": md5}} | fields  # fmt: skip
        self.listed.append({"label": label, "restricted": False, "dataFile": file})
        return f"/api/access/datafile/{number}"

    def asked(self, path):
        """The ranges asked for at a path, None for the whole file."""
        return [span for found, span in self.requests if found == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.requests.append((path, self.headers.get("Range")))
        plan = self.server.plans[path].pop(0) if self.server.plans[path] else "well"
        if plan.isdigit():
            self.answer(int(plan), b"no")
        elif plan == "drop":
            self.close_connection = True
        elif plan == "html":
            self.answer(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        elif path == LISTING:
            listing = {"status": "OK", "data": {"latestVersion": {"files": self.server.listed}}}
            cut = int(plan.removeprefix("break after ")) if plan.startswith("break") else None
            self.answer(200, json.dumps(listing).encode(), None, cut)
        else:
            self.serve(self.server.files[path], plan)

    def serve(self, data, plan):
        span = self.headers.get("Range")
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and plan != "no range" else 0
        if span and start >= len(data):
            self.answer(416, b"")
            return
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        if plan == "other range":
            headers = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
        status = 206 if span and plan != "no range" else 200
        cut = int(plan.removeprefix("break after ")) if plan.startswith("break") else None
        body = bytes(len(data)) if plan == "zeros" else data
        self.answer(status, body[start:], headers, cut)

    def answer(self, status, body, headers=None, cut=None):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None


@pytest.fixture
def server():
    with Dataverse() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def published(server, small_set, tmp_path):
    """The small set on the server, as HAM10000 is published; gives label -> path on the server."""
    paths = {}
    for number, part in enumerate(small_set.halves(), 1):
        archive = small_set.write_zip(
            tmp_path / "x.zip", {f"{name}.jpg": data for name, data in part.items()}
        )
        label = f"HAM10000_images_part_{number}.zip"
        paths[label] = server.publish(label, archive.read_bytes())
        archive.unlink()
    table = small_set.csv().encode()
    paths["HAM10000_metadata.csv"] = server.publish(
        "HAM10000_metadata.tab", table, filesize=99, tabularData=True, originalFileSize=len(table),
        originalFileFormat="text/csv", originalFileName="HAM10000_metadata.csv",
    )  # fmt: skip
    server.publish("HAM10000_segmentations_lesion_tschandl.zip", b"masks")
    server.publish("ISIC2018_Task3_Test_Images.zip", b"test images")
    return paths


def fetch_all(server, folder, **options):
    said = []
    paths = download(
        folder, list_files(server.address, patience=HURRY), patience=HURRY, say=said.append, **options
    )
    return paths, said


PART_1 = "HAM10000_images_part_1.zip"


def test_a_download_is_a_dataset(server, published, small_set, tmp_path):
    paths, said = fetch_all(server, tmp_path / "new" / "data")
    assert sorted(path.name for path in paths) == sorted(published)
    assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir()) == sorted(published)
    assert [line.rsplit(", ", 1)[1] for line in said] == ["checksum right"] * 3
    dataset = open_dataset(tmp_path / "new" / "data")
    assert dataset.layout == "image parts, zipped"
    assert {name: dataset.read_bytes(name) for name in small_set.images} == small_set.images


def test_a_second_download_fetches_nothing(server, published, tmp_path):
    fetch_all(server, tmp_path)
    server.requests.clear()
    _, said = fetch_all(server, tmp_path)
    assert [path for path, _ in server.requests] == [LISTING]
    assert all(line.endswith("already there") for line in said)


@pytest.mark.parametrize(
    ("plan", "spans"),
    [
        (["break after 1000"], [None, "bytes=1000-"]),
        (["break after 1000", "break after 500", "break after 1"],
         [None, "bytes=1000-", "bytes=1500-", "bytes=1501-"]),
        (["drop", "drop"], [None, None, None]),
        (["503", "429"], [None, None, None]),
        (["break after 1000", "503", "drop"], [None, "bytes=1000-", "bytes=1000-", "bytes=1000-"]),
        (["break after 1000", "no range"], [None, "bytes=1000-"]),
        (["break after 1000", "other range"], [None, "bytes=1000-", None]),
        (["break after 1000", "416"], [None, "bytes=1000-", None]),
        (["zeros"], [None, None]),
        (["break after 0"], [None, None]),
    ],
)  # fmt: skip
def test_what_breaks_off_goes_on(plan, spans, server, published, tmp_path):
    server.plans[published[PART_1]] = plan
    fetch_all(server, tmp_path)
    assert server.asked(published[PART_1]) == spans
    assert (tmp_path / PART_1).read_bytes() == server.files[published[PART_1]]
    assert not part_of(tmp_path / PART_1).exists()


def test_progress_counts_as_patience_rewarded(server, published, tmp_path):
    # More interruptions than attempts, but each brings something.
    server.plans[published[PART_1]] = ["break after 100"] * (HURRY.attempts * 3)
    fetch_all(server, tmp_path)
    assert (tmp_path / PART_1).read_bytes() == server.files[published[PART_1]]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (["drop"] * 9, "found none in 3 attempts"),
        (["503"] * 9, r"found none in 3 attempts \(status 503\)"),
        (["404"], "status 404: it has no such file"),
        (["403"], "status 403: it refuses"),
        (["500", "410"], "status 410"),
        (["html"], r"found an answer of 19 bytes \(text/html\)"),
        (["zeros"] * 9, "MD5 [0-9a-f]{32} instead of [0-9a-f]{32}, twice; nothing of it was kept"),
    ],
)
def test_what_cannot_be_fetched_is_one_clear_error(plan, says, server, published, tmp_path):
    server.plans[published[PART_1]] = plan
    with pytest.raises(DownloadError, match=says) as caught:
        fetch_all(server, tmp_path)
    assert caught.value.exit_status == 1
    assert "\n" not in str(caught.value)
    assert PART_1 in str(caught.value) or published[PART_1] in str(caught.value)
    assert not (tmp_path / PART_1).exists()


def test_what_came_before_a_failure_is_kept_for_the_next_time(server, published, tmp_path):
    server.plans[published[PART_1]] = ["break after 1000", "404"]
    with pytest.raises(DownloadError):
        fetch_all(server, tmp_path)
    assert part_of(tmp_path / PART_1).read_bytes() == server.files[published[PART_1]][:1000]
    server.requests.clear()
    fetch_all(server, tmp_path)
    assert server.asked(published[PART_1]) == ["bytes=1000-"]
    assert (tmp_path / PART_1).read_bytes() == server.files[published[PART_1]]


@pytest.mark.parametrize("extra", [b"", b"x", b"x" * 5000])
def test_a_part_that_is_whole_or_too_long(extra, server, published, tmp_path):
    data = server.files[published[PART_1]]
    part_of(tmp_path / PART_1).write_bytes(data + extra)
    fetch_all(server, tmp_path)
    assert (tmp_path / PART_1).read_bytes() == data
    assert server.asked(published[PART_1]) == ([None] if extra else [])


@pytest.mark.parametrize("wrong", [b"", b"half", "other bytes"])
def test_a_wrong_file_in_its_place_is_fetched_again(wrong, server, published, tmp_path):
    data = server.files[published[PART_1]]
    (tmp_path / PART_1).write_bytes(bytes(len(data)) if wrong == "other bytes" else wrong)
    _, said = fetch_all(server, tmp_path)
    assert (tmp_path / PART_1).read_bytes() == data
    assert any(line.startswith(f"{PART_1}: ") and line.endswith("fetched again") for line in said)


def test_a_part_of_something_else_is_thrown_away(server, published, tmp_path):
    part_of(tmp_path / PART_1).write_bytes(b"y" * 500)
    fetch_all(server, tmp_path)
    assert server.asked(published[PART_1]) == ["bytes=500-", None]
    assert (tmp_path / PART_1).read_bytes() == server.files[published[PART_1]]


# Dataverse's tables, whose checksum can be of their other form


def test_a_table_whose_checksum_is_of_another_form_answers_for_itself(server, published, tmp_path):
    file = next(item["dataFile"] for item in server.listed if "metadata" in item["label"])
    file["md5"] = file["checksum"]["value"] = "0" * 32
    _, said = fetch_all(server, tmp_path)
    assert [line.rsplit(", ", 1)[1] for line in said].count("its rows checked") == 1
    assert open_dataset(tmp_path)


def test_a_list_that_breaks_off_is_asked_for_again(server, published):
    server.plans[LISTING] = ["break after 20"]
    assert len(list_files(server.address, patience=HURRY)) == len(WANTED)
    server.plans[LISTING] = ["break after 20"] * 9
    with pytest.raises(DownloadError, match="in 3 attempts"):
        list_files(server.address, patience=HURRY)


@pytest.mark.parametrize("bad", ["zeros", "break"])
def test_a_damaged_table_is_refused(bad, server, published, tmp_path):
    file = next(item["dataFile"] for item in server.listed if "metadata" in item["label"])
    file["md5"] = file["checksum"]["value"] = "0" * 32
    path = published["HAM10000_metadata.csv"]
    if bad == "zeros":
        server.plans[path] = ["zeros"] * 9
    else:
        server.files[path] = server.files[path].replace(b",mel,", b",???,")
    with pytest.raises(DownloadError, match=r"HAM10000_metadata\.csv as published, found"):
        fetch_all(server, tmp_path)
    assert not (tmp_path / "HAM10000_metadata.csv").exists()


def test_a_table_that_was_not_taken_in_keeps_its_name(server, small_set, tmp_path):
    table = small_set.csv().encode()
    server.publish("HAM10000_metadata", table)
    for number in (1, 2):
        server.publish(f"HAM10000_images_part_{number}.zip", b"zip")
    files = {file.name: file for file in list_files(server.address, patience=HURRY)}
    assert files["HAM10000_metadata"].url.endswith("/datafile/1")
    assert files["HAM10000_metadata"].md5 == hashlib.md5(table).hexdigest()


# The list of files


def test_masks_are_fetched_when_wanted(server, published):
    names = [file.name for file in list_files(server.address, masks=True, patience=HURRY)]
    assert sorted({*names} - {*published}) == ["HAM10000_segmentations_lesion_tschandl.zip"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda server: server.listed.pop(0),
            "expected HAM10000_images_part_1.zip in doi:10.7910/DVN/DBW86T",
        ),
        (lambda server: server.listed.clear(), "found no files"),
        (lambda server: server.listed[0].update(restricted=True), "found it restricted"),
        (lambda server: server.listed[0].pop("dataFile"), "JSON of another shape"),
        (lambda server: server.listed[0]["dataFile"].update(id="../../etc"), "JSON of another shape"),
        (lambda server: server.plans[LISTING].append("html"), "expected JSON from"),
        (lambda server: server.plans[LISTING].append("404"), "status 404"),
        (lambda server: server.plans[LISTING].extend(["drop"] * 9), "found none in 3 attempts"),
    ],
)
def test_a_list_that_is_none(change, says, server, published):
    change(server)
    with pytest.raises(DownloadError) as caught:
        list_files(server.address, patience=HURRY)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_from_the_server_cannot_leave_the_folder(server, published):
    for item in server.listed:
        item["dataFile"]["originalFileName"] = "../../HAM10000_metadata.csv"
    names = [file.name for file in list_files(server.address, patience=HURRY)]
    assert not [name for name in names if "/" in name]


def test_nobody_listens():
    with pytest.raises(DownloadError, match="refused"):
        list_files("http://127.0.0.1:9", patience=HURRY)


# The disk


def test_a_disk_too_small_is_said_before_anything_is_fetched(server, published, tmp_path, monkeypatch):
    usage = Counter(free=1000)
    monkeypatch.setattr(
        module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, usage["free"])
    )
    with pytest.raises(DownloadError, match=r"expected 0\.1 GB free for .*, found 0\.0 GB"):
        fetch_all(server, tmp_path)
    assert not server.asked(published[PART_1])


def test_a_folder_that_is_a_file(server, published, tmp_path, capsys):
    (tmp_path / "data").write_text("x")
    assert main(["data", "download", str(tmp_path / "data"), "--from", server.address]) == 2
    assert "expected a folder to write to" in capsys.readouterr().err


# The command


def test_the_command_says_where_the_data_lie(server, published, tmp_path, capsys):
    assert main(["data", "download", str(tmp_path / "data"), "--from", server.address + "/"]) == 0
    text = capsys.readouterr().out
    for part in (
        "CC BY-NC 4.0",
        PART_1,
        f"python -m core data check {tmp_path / 'data'}",
        "DERMDISTILL_DATA=",
    ):
        assert part in text
    assert main(["data", "check", str(tmp_path / "data")]) == 0


def test_the_command_does_not_mix_datasets(server, published, small_folder, capsys):
    before = sorted(small_folder.rglob("*"))
    assert main(["data", "download", str(small_folder), "--from", server.address]) == 2
    assert "found one of 84 images" in capsys.readouterr().err
    assert sorted(small_folder.rglob("*")) == before


def test_the_command_goes_on_after_a_failure(server, published, tmp_path, capsys):
    server.plans[published[PART_1]] = ["break after 1000", "404"]
    command = ["data", "download", str(tmp_path), "--from", server.address]
    assert main(command) == 1
    assert main(command) == 0
    assert main(command) == 0
    assert server.asked(published[PART_1]) == [None, "bytes=1000-", "bytes=1000-"]


def test_the_command_lists_without_fetching(server, published, tmp_path, capsys):
    assert main(["data", "download", str(tmp_path / "data"), "--from", server.address, "--list"]) == 0
    assert not (tmp_path / "data").exists()
    assert PART_1 in capsys.readouterr().out
    assert [path for path, _ in server.requests] == [LISTING]


def test_the_command_fails_with_one_line(server, published, tmp_path, capsys):
    server.plans[published[PART_1]] = ["404"]
    assert main(["data", "download", str(tmp_path), "--from", server.address]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("error: expected the file http://127.0.0.1")]
