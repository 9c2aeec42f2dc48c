"""A batch finds its files, keeps their order, and holds few results at a time."""

import errno
import os
import threading
import time

import numpy as np
import pytest

from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED, Answer, Diagnoser, read_limited
from core.serving.batch import (
    NoImagesError,
    OverlayError,
    OverwriteError,
    as_row,
    find_files,
    keep_apart,
    map_bounded,
    overlay_names,
    read_index,
)
from core.serving.gate import Verdict
from core.serving.output import COLUMNS
from core.serving.overlay import encode_png
from core.serving.registry import Registry
from core.settings import MAX_UPLOAD_BYTES


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_are_searched_in_order_and_hidden_files_left_out(tmp_path):
    touch(
        tmp_path,
        "b/2.png",
        "b/10.jpg",
        "a/noending",
        "a/.hidden",
        ".git/x.jpg",
        "z.txt",
        "out.csv",
        "maps/1.png",
    )
    found = find_files([str(tmp_path)], skip=[tmp_path / "out.csv", tmp_path / "maps"])
    assert [os.path.relpath(file, tmp_path) for file in found] == [
        "z.txt",
        "a/noending",
        "b/10.jpg",
        "b/2.png",
    ]


def test_each_file_once(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    one = str(tmp_path / "1.jpg")
    assert find_files([one, str(tmp_path), one]) == [one, str(tmp_path / "2.jpg")]


def test_a_file_is_found_once_however_its_path_is_written(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "a/2.jpg")
    (tmp_path / "folder").symlink_to("a")
    (tmp_path / "a/link.jpg").symlink_to("1.jpg")
    monkeypatch.chdir(tmp_path)
    written = ["a/1.jpg", "./a/1.jpg", "a//1.jpg", str(tmp_path / "a/1.jpg"), "a/../a/1.jpg", "folder/1.jpg"]
    assert find_files(written) == ["a/1.jpg"]
    assert find_files([*reversed(written), "folder", "a", "."]) == [
        "folder/1.jpg",
        "folder/2.jpg",
        "folder/link.jpg",
    ]


def test_a_link_to_a_parent_does_not_go_round(tmp_path):
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    linked = []
    assert find_files([str(tmp_path)], linked=linked) == [str(tmp_path / "a/1.jpg")]
    assert linked == [str(tmp_path / "a/up")]
    (tmp_path / "a/1.jpg").unlink()
    with pytest.raises(NoImagesError, match=r"found no file in .*; linked folders are not searched"):
        find_files([str(tmp_path)])


def test_outputs_are_left_out_however_they_are_named(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/out.csv", "a/maps/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    skip = [tmp_path / "link/out.csv", tmp_path / "link/../a/maps"]
    assert find_files([str(tmp_path / "a")], skip) == [str(tmp_path / "a/1.jpg")]


def test_paths_that_cannot_be_looked_at_are_kept_for_their_rows(tmp_path, monkeypatch):
    touch(tmp_path, "1.jpg")
    paths = [str(tmp_path / name) for name in ("locked/x.jpg", "y" * 300, "1.jpg")]
    original = os.stat

    def stat(path, *args, **options):
        if "locked" in os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return original(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "lstat", stat)
    assert find_files(paths) == paths
    for path in paths[:2]:
        assert find_files([path]) == [path]
    with pytest.raises(NoImagesError, match="found nothing at"):
        find_files([str(tmp_path / "1.jpg/below"), str(tmp_path / "2.jpg")])


def test_an_unreadable_folder_has_the_systems_reason(tmp_path, monkeypatch):
    touch(tmp_path, "1.jpg", "locked/2.jpg")
    original = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    locked = tmp_path / "locked"
    assert find_files([str(tmp_path)]) == [str(tmp_path / "1.jpg"), str(locked)]
    with pytest.raises(PermissionError):
        read_limited(locked)
    monkeypatch.undo()
    with pytest.raises(OSError, match="found a folder"):
        read_limited(locked)


def test_the_size_of_a_file_that_is_too_large_is_told_although_it_is_not_read(tmp_path):
    large = tmp_path / "large.jpg"
    with large.open("wb") as stream:
        stream.write(b"\xff\xd8\xff")
        stream.truncate(500 * 2**20)
    assert len(read_limited(large)) == MAX_UPLOAD_BYTES + 1
    answer = Diagnoser(model=None).answer_file(large)
    assert answer.status == REJECTED
    assert answer.reason.startswith("Expected a file of at most 20 MB; this one has 500 MB.")


def test_an_output_at_an_input_is_refused_under_every_name(tmp_path):
    touch(tmp_path, "a/1.jpg")
    one = tmp_path / "a/1.jpg"
    (tmp_path / "link.csv").symlink_to(one)
    (tmp_path / "hard.csv").hardlink_to(one)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for output in (one, tmp_path / "link.csv", tmp_path / "hard.csv", tmp_path / "b/1.jpg"):
        with pytest.raises(
            OverwriteError, match=r"expected --output to write over no input, found that .*1\.jpg"
        ):
            keep_apart(["x.jpg", str(one)], [tmp_path / "new.csv", output], "--output")
    with pytest.raises(OverwriteError):
        keep_apart([str(tmp_path / "a/new.csv")], [tmp_path / "b/new.csv"], "--output")
    keep_apart([str(one)], [tmp_path / "new.csv", tmp_path / "a/2.jpg"], "--output")


def test_missing_path_among_others_is_kept_for_its_row(tmp_path):
    touch(tmp_path, "1.jpg")
    paths = [str(tmp_path / "1.jpg"), str(tmp_path / "2.jpg")]
    assert find_files(paths) == paths


def test_nothing_there(tmp_path):
    with pytest.raises(NoImagesError, match="found nothing at"):
        find_files([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(NoImagesError, match="found no file in"):
        find_files([str(tmp_path)])


def test_overlay_names_are_safe_and_different(tmp_path):
    files = [
        "a/x.jpg",
        "b/x.png",
        "b/X.png",
        "x.2.jpg",
        "c/<img src=x>.jpg",
        "d/..",
        "é.jpg",
        "-.jpg",
        "y" * 300 + ".jpg",
    ]
    names = list(overlay_names(files).values())
    assert names[:5] == ["x.png", "x.2.png", "X.3.png", "x_2.png", "_img_src_x_.png"]
    assert len({name.lower() for name in names}) == len(files)
    assert all(len(name) < 100 and "/" not in name for name in names)
    assert len(set(overlay_names(f"{k}/same.jpg" for k in range(30_000)).values())) == 30_000


def test_overlays_of_a_resumed_run_keep_their_names():
    known = overlay_names(["b/x.jpg", "c/x.jpg"])
    names = overlay_names(["a/x.jpg", "b/x.jpg", "c/x.jpg"], known)
    assert names == {"a/x.jpg": "x.3.png", "b/x.jpg": "x.png", "c/x.jpg": "x.2.png"}


def test_index_of_overlays(tmp_path):
    assert read_index(tmp_path / "nowhere") == {}
    index = tmp_path / "overlays.csv"
    index.write_text("image,file\n'=x.jpg,_x.png\nb.jpg,../b.png\nc.jpg,c.pn")
    assert read_index(tmp_path) == {"=x.jpg": "_x.png"}
    index.write_text("somebody,else\n")
    with pytest.raises(OverlayError, match="expected the columns image, file, found 'somebody, else'"):
        read_index(tmp_path)


def test_map_bounded_keeps_order_and_few_at_a_time():
    asked, done = [], []

    def items():
        for k in range(200):
            asked.append(k)
            yield k

    def slow(k: int) -> int:
        time.sleep(0.001 * (k % 3))
        return k

    for k in map_bounded(slow, items(), workers=3):
        done.append(k)
        assert len(asked) - len(done) <= 12
    assert done == list(range(200))


def test_map_bounded_uses_all_workers():
    barrier = threading.Barrier(3, timeout=10)
    assert list(map_bounded(lambda _: barrier.wait() >= 0, range(9), workers=3)) == [True] * 9


def test_map_bounded_passes_errors_on_and_ends():
    def fail(k: int) -> int:
        return 1 // (5 - k)

    with pytest.raises(ZeroDivisionError):
        list(map_bounded(fail, range(10**9), workers=2))
    assert not any(thread.name.startswith("batch") for thread in threading.enumerate())


class PickyGate:
    """Refuses images whose embedding's first value is above a threshold."""

    model = "student"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.seen = []

    def check(self, embedding, upload):
        self.seen.append((embedding, upload.sha256))
        accepted = bool(embedding.sum() <= self.threshold)
        return Verdict(
            accepted, "" if accepted else "Not a dermatoscopic image.", float(embedding.sum()), self.threshold
        )


@pytest.mark.parametrize("name", ["student", "resnet50", "ensemble"])
def test_gate_judges_its_models_embedding_whoever_answers(make_artifacts, images, name):
    registry = Registry.open(make_artifacts("resnet50", "densenet169", "student", "ensemble"))
    student = registry.get("student")
    sums = sorted(float(student.classify(image).embedding.sum()) for image in images)
    gate = PickyGate(sums[12])
    diagnoser = Diagnoser(registry.get(name), gate=gate, gate_model=student)
    answers = [diagnoser.answer(encode_png(image)) for image in images]
    assert [answer.status for answer in answers].count(OK) == 13
    for answer, image, (embedding, sha256) in zip(answers, images, gate.seen, strict=True):
        assert np.array_equal(embedding, student.classify(image).embedding)
        assert sha256 == answer.upload.sha256
        row = dict(zip(COLUMNS, as_row("x.png", name, answer), strict=True))
        assert row["label"] == answer.diagnosis.label
        assert row["p_nv"] == pytest.approx(answer.diagnosis.probabilities[5], abs=1e-6)
        refused = answer.status == OUT_OF_DISTRIBUTION
        assert row["reason"] == ("Not a dermatoscopic image." if refused else "")


def test_rejection_has_no_diagnosis(make_artifacts):
    diagnoser = Diagnoser.open(Registry.open(make_artifacts("student")), "student")
    answer = diagnoser.answer(b"", "empty.jpg")
    assert (answer.status, answer.diagnosis, answer.upload) == (REJECTED, None, None)
    row = as_row("=1.jpg", "student", Answer(REJECTED, "Two\nlines."))
    assert row == ("=1.jpg", "student", "rejected", *[None] * 9, "Two lines.")
