"""`python -m core predict` as scripts use it: columns, statuses, exit status, resuming, bad files."""

import csv
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from core.__main__ import main
from core.artifacts import update_shared
from core.data.pixels import to_input
from core.lesions import CODES
from core.serving import answer as answer_module
from core.serving.gate import Verdict, gate_key
from core.serving.output import COLUMNS
from core.serving.overlay import encode_png
from core.serving.overlay_folder import alone_in, clear
from core.serving.registry import Registry
from core.settings import ROOT


@pytest.fixture
def folder(make_artifacts, images, tmp_path):
    """Five good images in subfolders, with the student at hand."""
    make_artifacts("student")
    root = tmp_path / "images"
    for k, image in enumerate(images[:5]):
        path = root / f"part_{k % 2}" / f"lesion_{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(image))
    return root


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def spoil(folder):
    """Files of every bad kind, and what their reason speaks of."""
    good = (folder / "part_0/lesion_0.png").read_bytes()
    bad = {
        "empty.jpg": b"",
        "one_byte.png": b"\x89",
        "truncated.png": good[: len(good) // 2],
        "text.jpg": b"this is no picture at all " * 100,
        "page.png": b"<html><body>no</body></html>",
        "archive.jpg": b"PK\x03\x04" + bytes(200),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    return set(bad)


def test_columns_and_values(folder, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--model", "student", "--output", str(out)]) == 0
    with out.open() as stream:
        assert stream.readline() == (
            "image,model,status,label,confidence,p_akiec,p_bcc,p_bkl,p_df,p_mel,p_nv,p_vasc,reason\n"
        )
    rows = read(out)
    student = Registry.open().get("student")
    assert [row["image"] for row in rows] == sorted(map(str, folder.rglob("*.png")))
    for row in rows:
        image = cv2.imread(row["image"])[..., ::-1]
        diagnosis = student.classify(np.ascontiguousarray(image))
        assert (row["model"], row["status"], row["reason"]) == ("student", "ok", "")
        assert row["label"] == diagnosis.label
        assert float(row["confidence"]) == pytest.approx(diagnosis.confidence, abs=1e-6)
        found = [float(row[f"p_{code}"]) for code in CODES]
        assert found == pytest.approx(diagnosis.probabilities.tolist(), abs=1e-6)
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 5 ok, 0 out of distribution, 0 rejected\n"
    assert "classifying with student: 100%" in captured.err


def test_bad_files_are_rows_and_stop_nothing(folder, tmp_path):
    bad = spoil(folder)
    good = folder / "part_0/lesion_0.png"
    (folder / "no ending at all").write_bytes(good.read_bytes())
    (folder / "wrong.txt").write_bytes(good.read_bytes())
    out = tmp_path / "out.csv"
    done = subprocess.run(
        [sys.executable, "-m", "core", "predict", str(folder), "--output", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    rows = {os.path.relpath(row["image"], folder): row for row in read(out)}
    assert {name for name, row in rows.items() if row["status"] == "rejected"} == bad
    assert len(rows) == 5 + len(bad) + 2
    for name in bad:
        assert re.fullmatch(r"[^\n]{10,}", rows[name]["reason"]), name
        assert {rows[name][column] for column in COLUMNS[3:12]} == {""}
        (line,) = [line for line in done.stderr.splitlines() if f"/{name}: " in line]
        assert line.startswith("rejected: ")
    assert "Traceback" not in done.stderr
    original = rows["part_0/lesion_0.png"]
    for name in ("no ending at all", "wrong.txt"):
        assert [rows[name][c] for c in COLUMNS[1:]] == [original[c] for c in COLUMNS[1:]]


def test_pipes_and_broken_links_do_not_block(folder, tmp_path):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere")
    out = tmp_path / "out.csv"
    # In a process of its own: a command that waits for the pipe can be ended.
    command = [
        sys.executable,
        "-m",
        "core",
        "predict",
        str(folder),
        str(tmp_path / "missing.jpg"),
        "--output",
        str(out),
    ]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 3
    reasons = {Path(row["image"]).name: row["reason"] for row in read(out) if row["status"] == "rejected"}
    assert sorted(reasons) == ["gone.jpg", "missing.jpg", "pipe.jpg"]
    assert "No such file" in reasons["gone.jpg"]
    assert "pipe" in reasons["pipe.jpg"]


def test_original_and_224_copy_agree(make_artifacts, images, tmp_path):
    make_artifacts("student")
    tall = cv2.resize(images[0], (600, 450), interpolation=cv2.INTER_CUBIC)
    (tmp_path / "a.png").write_bytes(encode_png(tall))
    (tmp_path / "b.png").write_bytes(encode_png(to_input(tall)))
    out = tmp_path / "out.csv"
    assert main(["predict", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--output", str(out)]) == 0
    one, two = read(out)
    assert [one[c] for c in COLUMNS[1:]] == [two[c] for c in COLUMNS[1:]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--output", "o.csv"], "error: expected an image or a folder, found nothing at nowhere"),
        (["empty", "--output", "o.csv"], "error: expected images, found no file in empty"),
        (
            ["images", "--output", "o.txt"],
            r"error: expected an output ending with \.csv or \.parquet, found o\.txt",
        ),
        (
            ["images", "--model", "teacher", "--output", "o.csv"],
            "error: expected one of the models student, found 'teacher'",
        ),
        (
            ["images", "--model", "baseline", "--output", "o.csv"],
            "error: model baseline is not in .*; make it with: python",
        ),
        (
            ["images", "--output", ""],
            r"error: expected an output ending with \.csv or \.parquet, found no file name in '\.'",
        ),
        (
            ["images", "--output", "maps/.csv"],
            r"error: expected an output ending with \.csv or \.parquet, found no file name in 'maps/\.csv'",
        ),
        (["images", "", "--output", "o.csv"], "error: expected an image or a folder, found an empty path"),
        (["images", "--workers", "-1", "--output", "o.csv"], "error: expected 1 to 256 workers, found -1"),
    ],
)
def test_misuse_is_one_line_and_2(folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["predict", *arguments]) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if not line.startswith(("INFO", "note:"))]
    assert len(lines) == 1
    assert re.match(message, lines[0])
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("arguments", [[], ["x.jpg"], ["x.jpg", "--output", "o.csv", "--orientations", "3"]])
def test_misuse_that_argparse_finds_is_2(arguments):
    with pytest.raises(SystemExit) as caught:
        main(["predict", *arguments])
    assert caught.value.code == 2


def test_damaged_model_is_named_and_the_other_works(make_artifacts, folder, tmp_path, capsys):
    artifacts = make_artifacts("resnet50")
    path = artifacts / "models/student.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--model", "student", "--output", str(out)]) == 2
    assert "models/student.tflite: expected sha256" in capsys.readouterr().err
    assert main(["predict", str(folder), "--model", "resnet50", "--output", str(out)]) == 0


def test_nan_is_a_rejected_row(make_artifacts, folder, tmp_path):
    make_artifacts("nan")
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--model", "nan", "--output", str(out)]) == 3
    for row in read(out):
        assert (row["status"], row["label"]) == ("rejected", "")
        assert "expected finite logits" in row["reason"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_same_table_whatever_the_workers(folder, tmp_path, ending):
    tables = []
    for workers in ("1", "4"):
        out = tmp_path / f"{workers}.{ending}"
        assert main(["predict", str(folder), "--output", str(out), "--workers", workers]) == 0
        tables.append(pd.read_csv(out) if ending == "csv" else pd.read_parquet(out))
    pd.testing.assert_frame_equal(*tables)
    assert tuple(tables[0].columns) == COLUMNS
    assert tables[0]["confidence"].dtype == np.float64


def test_formulas_as_names(make_artifacts, images, tmp_path, monkeypatch):
    make_artifacts("student")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    names = ["=cmd().png", "+1.png", "@x.png", "plain.png"]
    for name in names:
        (work / name).write_bytes(encode_png(images[0]))
    assert main(["predict", *names, "--output", "o.csv"]) == 0
    assert [row["image"] for row in read(work / "o.csv")] == [
        "'=cmd().png",
        "'+1.png",
        "'@x.png",
        "plain.png",
    ]
    before = (work / "o.csv").read_bytes()
    assert main(["predict", *names, "--output", "o.csv", "--resume"]) == 0
    assert (work / "o.csv").read_bytes() == before


def test_names_that_are_no_text(folder, tmp_path, capsys):
    source = folder / "part_0/lesion_0.png"
    (folder / os.fsdecode(b"bad\xff.png")).write_bytes(source.read_bytes())
    (folder / "new\nline\x1b[31m.png").write_bytes(b"")
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--output", str(out)]) == 3
    names = {Path(row["image"]).name for row in read(out)}
    assert {"bad\\udcff.png", "new\nline\x1b[31m.png"} <= names
    assert "\x1b[31m" not in capsys.readouterr().err


KILLED = """
import itertools, os, signal, sys
from core.__main__ import main
from core.serving.answer import Diagnoser
real, asked = Diagnoser.answer_file, itertools.count(1)
def answer(self, path):
    if next(asked) == 200:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, path)
Diagnoser.answer_file = answer
sys.exit(main(sys.argv[1:]))
"""
"""A command that is killed in the middle of its work."""

KILLED_BEFORE_ITS_INDEX = """
import os, signal, sys
from core.__main__ import main
from core.serving.batch import Overlays
real = Overlays.record
def record(self, file):
    if len(self.drawn) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, file)
Overlays.record = record
sys.exit(main(sys.argv[1:]))
"""
"""A command that is killed when an overlay is drawn and the index does not name it yet."""


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_killed_run_resumes_to_the_same_table(make_artifacts, images, tmp_path, ending):
    """A process that is killed without warning leaves rows that the next run keeps."""
    make_artifacts("student")
    folder = tmp_path / "many"
    folder.mkdir()
    for k in range(400):
        (folder / f"{k:03}.png").write_bytes(encode_png(images[k % 25]))
    out, whole = tmp_path / f"out.{ending}", tmp_path / f"whole.{ending}"
    rows = out if ending == "csv" else tmp_path / "out.parquet.part"
    command = [sys.executable, "-c", KILLED, "predict", str(folder), "--output", str(out), "--workers", "2"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == -signal.SIGKILL
    kept = rows.read_bytes().count(b"\n")
    assert 150 <= kept < 400
    assert main(["predict", str(folder), "--output", str(out), "--resume"]) == 0
    assert main(["predict", str(folder), "--output", str(whole)]) == 0
    if ending == "csv":
        assert out.read_bytes() == whole.read_bytes()
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(whole))


def test_resume_asks_only_for_what_is_missing(folder, tmp_path, monkeypatch, images):
    out = tmp_path / "out.csv"
    (folder / "bad.jpg").write_bytes(b"")
    assert main(["predict", str(folder), "--output", str(out)]) == 3
    (folder / "new.png").write_bytes(encode_png(images[7]))
    asked = []
    original = answer_module.Diagnoser.answer_file
    monkeypatch.setattr(
        answer_module.Diagnoser,
        "answer_file",
        lambda self, path: asked.append(path.name) or original(self, path),
    )
    assert main(["predict", str(folder), "--output", str(out), "--resume"]) == 3
    assert asked == ["new.png"]
    assert len(read(out)) == 7


def test_full_disk_keeps_the_rows_so_far(folder, tmp_path, monkeypatch, capsys):
    from core.serving import output

    out = tmp_path / "out.csv"
    original = output.RowWriter.write

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.stream, name)

    def third_fails(self, row):
        if sum(self.counts.values()) == 2:
            self._stream = Full(self._stream)
        original(self, row)

    monkeypatch.setattr(output.RowWriter, "write", third_fails)
    assert main(["predict", str(folder), "--output", str(out)]) == 2
    assert "No space left on device; run again with --resume" in capsys.readouterr().err
    monkeypatch.undo()
    assert len(read(out)) == 2


def test_explain_draws_each_image_in_its_own_aspect(folder, tmp_path, capsys):
    spoil(folder)
    (folder / "part_1/lesion_0.png").write_bytes((folder / "part_0/lesion_2.png").read_bytes())
    out, maps = tmp_path / "out.csv", folder / "maps"
    command = ["predict", str(folder), "--output", str(out), "--explain", str(maps)]
    assert main(command) == 3
    names = sorted(path.name for path in maps.iterdir())
    assert names == [
        "lesion_0.2.png",
        "lesion_0.png",
        "lesion_1.png",
        "lesion_2.png",
        "lesion_3.png",
        "lesion_4.png",
        "overlays.csv",
    ]
    index = {row["image"]: row["file"] for row in read(maps / "overlays.csv")}
    assert list(index) == [row["image"] for row in read(out) if row["status"] == "ok"]
    assert index[str(folder / "part_1/lesion_0.png")] == "lesion_0.2.png"
    for name in index.values():
        assert cv2.imread(str(maps / name)).shape == (300, 400, 3)
    assert np.array_equal(cv2.imread(str(maps / "lesion_0.2.png")), cv2.imread(str(maps / "lesion_2.png")))
    expected = f"6 overlays in {maps}; none for 6 images out of distribution or rejected\n"
    assert capsys.readouterr().out.startswith(expected)
    rows = len(read(out))
    assert main(command) == 3
    assert len(read(out)) == rows


def test_files_that_are_none_of_ours_are_left_alone(folder, tmp_path, capsys):
    table, maps = tmp_path / "mine.csv", tmp_path / "maps"
    maps.mkdir()
    table.write_text("my own,table\n1,2\n")
    (maps / "lesion_0.png").write_bytes(b"mine")
    command = ["predict", str(folder / "part_0"), "--explain", str(maps), "--output"]
    assert main([*command, str(table)]) == 2
    assert "expected a new file or an earlier table" in capsys.readouterr().err
    assert table.read_text() == "my own,table\n1,2\n"
    for _ in range(2):  # an earlier run's own overlays give way, and nothing is numbered on and on
        assert main([*command, str(tmp_path / "out.csv")]) == 0
        files = {Path(row["image"]).stem: row["file"] for row in read(maps / "overlays.csv")}
        assert files["lesion_0"] == "lesion_0.2.png"
        assert files["lesion_2"] == "lesion_2.png"
        assert (maps / "lesion_0.png").read_bytes() == b"mine"


def test_explain_resumed_keeps_the_overlays_there_were(folder, tmp_path, capsys):
    out, maps = tmp_path / "out.csv", tmp_path / "maps"
    command = ["predict", str(folder), "--output", str(out), "--explain", str(maps)]
    assert main(command) == 0
    before = (maps / "lesion_0.png").read_bytes()
    new = folder / "a/lesion_0.png"
    new.parent.mkdir()
    new.write_bytes((folder / "part_0/lesion_2.png").read_bytes())
    assert main([*command, "--resume"]) == 0
    assert f"1 overlay in {maps}; none drawn anew for 5 rows of an earlier run" in capsys.readouterr().out
    assert (maps / "lesion_0.png").read_bytes() == before
    index = {row["image"]: row["file"] for row in read(maps / "overlays.csv")}
    assert len(index) == 6
    assert index[str(new)] == "lesion_0.2.png"
    assert index[str(folder / "part_0/lesion_0.png")] == "lesion_0.png"


def test_an_overlay_whose_name_the_index_quotes_is_known_again(folder, tmp_path):
    """A cell that begins with a dash could be run as a formula, so that the table holds it behind an apostrophe."""
    out, maps, dashed = tmp_path / "out.csv", tmp_path / "maps", folder / "-1.png"
    dashed.write_bytes((folder / "part_0/lesion_0.png").read_bytes())
    command = ["--output", str(out), "--explain", str(maps)]
    for more in ([], [], [str(folder / "part_0"), "--resume"]):
        assert main(["predict", str(dashed), *more, *command]) == 0
        assert len(list(maps.glob("-1*.png"))) == 1
        assert {row["image"]: row["file"] for row in read(maps / "overlays.csv")}[str(dashed)] == "'-1.png"


@pytest.mark.parametrize("more", [["--resume"], []])
def test_overlays_that_a_killed_run_did_not_index_are_drawn_anew(folder, tmp_path, more):
    out, maps = tmp_path / "out.csv", tmp_path / "maps"
    maps.mkdir()
    (maps / "lesion_4.png").write_bytes(b"mine")
    arguments = ["predict", str(folder), "--output", str(out), "--explain", str(maps), "--workers", "1"]
    command = [sys.executable, "-c", KILLED_BEFORE_ITS_INDEX, *arguments]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == -signal.SIGKILL
    drawn, indexed = set(maps.glob("*.png")), read(maps / "overlays.csv")
    assert len(drawn) > len(indexed) + 1
    assert main([*arguments, *more]) == 0
    index = {row["image"]: row["file"] for row in read(maps / "overlays.csv")}
    assert list(index) == [row["image"] for row in read(out)]
    assert {path.name for path in maps.iterdir()} == {"overlays.csv", "lesion_4.png", *index.values()}
    assert index[str(folder / "part_0/lesion_4.png")] == "lesion_4.2.png"
    assert (maps / "lesion_4.png").read_bytes() == b"mine"


def test_two_at_once_do_not_draw_into_one_folder(folder, tmp_path, capsys):
    """Names are numbered by each run for itself: maps of one would lie under the names of the other's images."""
    maps = tmp_path / "maps"
    command = ["predict", str(folder), "--output", str(tmp_path / "out.csv"), "--explain", str(maps)]
    with alone_in(maps):
        assert main(command) == 2
        assert f"{maps}: expected no other process to write there, found one" in capsys.readouterr().err
        assert not (tmp_path / "out.csv").exists()
    assert main(command) == 0
    assert {path.suffix for path in maps.iterdir()} == {".png", ".csv"}, "no lock is left"


def test_a_map_of_what_is_refused_now_goes(folder, tmp_path, monkeypatch):
    maps = tmp_path / "maps"
    command = ["predict", str(folder), "--output", str(tmp_path / "out.csv"), "--explain", str(maps)]
    (maps / "sub").mkdir(parents=True)
    (maps / "mine.png").write_bytes(b"mine")
    assert main([*command, "--no-gate"]) == 0
    assert len(read(maps / "overlays.csv")) == 5
    monkeypatch.setattr(answer_module, "load_gate", lambda registry, model: RefusesAll())
    assert main(command) == 0
    assert {path.name for path in maps.iterdir()} == {"sub", "mine.png"}, "what another has put there stays"


def test_a_map_that_is_an_image_of_the_next_run_is_not_removed(folder, tmp_path):
    maps = tmp_path / "maps"
    assert main(["predict", str(folder), "--output", str(tmp_path / "out.csv"), "--explain", str(maps)]) == 0
    clear(maps, [f"{maps}/../maps/lesion_3.png"])
    assert [path.name for path in maps.iterdir()] == ["lesion_3.png"]


def test_a_table_gives_way_only_to_a_run_that_can_draw(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--output", str(out)]) == 0
    before = out.read_bytes()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.serving.overlay_folder.replacing", full)
    assert main(["predict", str(folder), "--output", str(out), "--explain", str(tmp_path / "maps")]) == 2
    assert "expected to write there, found: No space left" in capsys.readouterr().err
    assert out.read_bytes() == before


def refused(arguments, root, capsys):
    """What a misuse says, after which every file is as before."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert main(["predict", *map(str, arguments)]) == 2
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    return capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_of_an_earlier_run_is_no_input_even_where_it_is_named(folder, ending, capsys):
    """As a shell's `*` names it."""
    part = folder / "part_0"
    out = part / f"out.{ending}"
    for _ in range(2):
        named = sorted(str(path) for path in part.iterdir() if not path.name.startswith("."))
        assert main(["predict", *named, "--output", str(out)]) == 0
        assert ": 3 ok, 0 out of distribution, 0 rejected" in capsys.readouterr().out
    assert str(out) in named
    assert main(["predict", str(out), "--output", str(out)]) == 2
    assert "expected --output to write over no input" in capsys.readouterr().err


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_the_overlays_of_an_earlier_run_are_no_input_where_their_folder_is_named(
    folder, monkeypatch, capsys, resume
):
    """Whatever else lies there is asked about: no image is left out because of where it is."""
    part = folder / "part_0"
    monkeypatch.chdir(part)

    def predict():
        named = sorted(path.name for path in part.iterdir() if not path.name.startswith("."))
        return main(["predict", *named, "--output", "out.csv", "--explain", "maps", *resume])

    assert predict() == 0
    assert predict() == 0
    images = ["lesion_0.png", "lesion_2.png", "lesion_4.png"]
    assert [row["image"] for row in read(part / "out.csv")] == images
    capsys.readouterr()
    own = part / "maps/my own.png"
    own.write_bytes((part / "lesion_0.png").read_bytes())
    assert predict() == 0
    assert ": 4 ok, 0 out of distribution, 0 rejected" in capsys.readouterr().out
    rows = {row["image"]: row["label"] for row in read(part / "out.csv")}
    assert rows == rows | {"maps/my own.png": rows["lesion_0.png"]}
    assert sorted(rows) == sorted([*images, "maps/my own.png"])


@pytest.mark.parametrize("left", ["t.parquet.part", "t.parquet.part.kept", "t.csv.kept"])
def test_the_journal_of_a_killed_run_is_no_input_even_where_it_is_named(folder, capsys, left):
    part = folder / "part_0"
    out, journal = part / f"t.{left.split('.')[1]}", part / left
    for text, status in ((",".join(COLUMNS) + "\n", 0), ("no table", 2)):
        journal.write_text(text)
        named = sorted(str(path) for path in part.iterdir() if not path.name.startswith("."))
        assert main(["predict", *named, "--output", str(out), "--resume"]) == status
    assert f"{journal} would take the place of {journal}" in capsys.readouterr().err
    assert journal.read_text() == "no table"


def test_a_link_that_leads_to_itself_is_a_rejected_row(folder, tmp_path):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), str(tmp_path / "loop.jpg"), "--output", str(out)]) == 3
    assert "symbolic links" in read(out)[-1]["reason"]


def test_inputs_are_never_overwritten(make_artifacts, images, tmp_path, capsys):
    make_artifacts("student")
    root = tmp_path / "work"
    (root / "ex").mkdir(parents=True)
    for name in ("ex/lesion.jpg", "ex/scan.png", "photo.csv"):
        (root / name).write_bytes(encode_png(images[0]))
    (root / "link.csv").symlink_to(root / "photo.csv")
    (root / "ex/linked.jpg").symlink_to(root / "photo.csv")
    ex, photo, out = root / "ex", root / "photo.csv", root / "o.csv"
    message = "expected --{} to write over no input, found that {} would take the place of {}"
    for arguments, option, output, found in (
        ([ex, "--output", out, "--explain", ex], "explain", ex / "scan.png", ex / "scan.png"),
        ([photo, "--output", photo], "output", photo, photo),
        ([photo, "--output", root / "link.csv"], "output", root / "link.csv", photo),
        ([photo, "--output", photo, "--resume"], "output", photo, photo),
        ([ex, "--output", photo], "output", photo, ex / "linked.jpg"),
        ([photo, "--output", ex / "overlays.csv", "--explain", ex], "explain", *[ex / "overlays.csv"] * 2),
    ):
        said = refused(arguments, root, capsys)
        assert message.format(option, output, found) in said, arguments


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_resume_mixes_no_makings(folder, tmp_path, capsys, ending):
    root = tmp_path / "tables"
    root.mkdir()
    out, some = root / f"mix.{ending}", folder / "part_0"
    assert main(["predict", str(some), "--output", str(out)]) == 0
    more = [folder, "--output", out, "--resume"]
    said = refused([*more, "--orientations", 8, "--no-gate"], root, capsys)
    assert re.search(r"orientations 8; gate none to resume, found .*orientations 1; gate .*--resume", said)
    making = root / f".mix.{ending}.run"
    making.unlink()
    assert f"expected {making.name} beside it" in refused(more, root, capsys)
    assert list(root.iterdir()) == [out]
    assert main(["predict", str(some), "--output", str(out), "--resume"]) == 0
    assert main(["predict", str(some), "--output", str(out)]) == 0
    assert main(["predict", *map(str, more)]) == 0


def test_one_bad_path_stops_nothing(folder, tmp_path, monkeypatch):
    good, locked, long = (
        folder / "part_0/lesion_0.png",
        tmp_path / "locked/x.jpg",
        tmp_path / f"{'y' * 300}.jpg",
    )
    out = tmp_path / "out.csv"
    original = os.stat

    def stat(path, *args, **options):
        if isinstance(path, (str, Path)) and "locked" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "lstat", stat)
    assert main(["predict", str(locked), str(long), str(good), "--output", str(out)]) == 3
    rows = read(out)
    assert [row["status"] for row in rows] == ["rejected", "rejected", "ok"]
    assert "Permission denied" in rows[0]["reason"]
    assert "File name too long" in rows[1]["reason"]


def test_linked_folders_are_counted(folder, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("one", "two", ".hidden"):
        (folder / name).symlink_to(elsewhere)
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--output", str(out)]) == 0
    assert "note: 2 linked folders were not searched\n" in capsys.readouterr().err


def test_explain_with_empty_maps_is_a_note(make_artifacts, folder, tmp_path, capsys):
    make_artifacts("nomaps")
    out, maps = tmp_path / "out.csv", tmp_path / "maps"
    arguments = ["--model", "nomaps", "--output", str(out), "--explain", str(maps)]
    assert main(["predict", str(folder), *arguments]) == 0
    assert list(maps.iterdir()) == []
    captured = capsys.readouterr()
    assert f"overlays in {maps}; 5 maps are zero" in captured.out
    assert captured.err.count("its map is zero everywhere") == 5


def test_one_of_each_is_no_plural(make_artifacts, folder, tmp_path, capsys):
    make_artifacts("nomaps")
    (tmp_path / "text.png").write_text("no picture")
    maps = tmp_path / "maps"
    files = [str(folder / "part_0/lesion_0.png"), str(tmp_path / "text.png")]
    command = ["--model", "nomaps", "--output", str(tmp_path / "out.csv"), "--explain", str(maps)]
    assert main(["predict", files[0], *command]) == 0
    assert f"0 overlays in {maps}; 1 map is zero\n" in capsys.readouterr().out
    assert main(["predict", *files, *command, "--resume"]) == 3
    said = "none for 1 image out of distribution or rejected; none drawn anew for 1 row of an earlier run\n"
    assert f"0 overlays in {maps}; {said}" in capsys.readouterr().out


def test_explain_into_a_file_is_an_error(folder, tmp_path, capsys):
    (tmp_path / "maps").write_text("")
    arguments = ["--output", str(tmp_path / "o.csv"), "--explain", str(tmp_path / "maps")]
    assert main(["predict", str(folder), *arguments]) == 2
    assert "expected to make this folder" in capsys.readouterr().err


class RefusesAll:
    model = "student"

    def check(self, embedding, upload):
        return Verdict(False, "This does not look like a dermatoscopic image.", 2.0, 1.0)


def test_resume_mixes_no_rows_of_two_gates(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(answer_module, "load_gate", lambda registry, model: RefusesAll())
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder / "part_0"), "--output", str(out)]) == 0
    artifacts = tmp_path / "artifacts"
    (artifacts / "another.npz").write_bytes(b"a gate")
    update_shared(artifacts, {gate_key("student"): "another.npz"})
    capsys.readouterr()
    assert main(["predict", str(folder), "--output", str(out), "--resume"]) == 2
    assert "gate student " in capsys.readouterr().err


def test_out_of_distribution_keeps_probabilities_and_exit_status_0(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(answer_module, "load_gate", lambda registry, model: RefusesAll())
    out, maps = tmp_path / "out.csv", tmp_path / "maps"
    assert main(["predict", str(folder), "--output", str(out), "--explain", str(maps)]) == 0
    for row in read(out):
        assert row["status"] == "out_of_distribution"
        assert row["reason"] == "This does not look like a dermatoscopic image."
        assert sum(float(row[f"p_{code}"]) for code in CODES) == pytest.approx(1, abs=1e-5)
    assert list(maps.iterdir()) == []
    assert main(["predict", str(folder), "--output", str(out), "--no-gate"]) == 0
    assert {row["status"] for row in read(out)} == {"ok"}


def test_gate_whose_model_is_missing_is_said(make_artifacts, folder, tmp_path, monkeypatch, capsys):
    artifacts = make_artifacts("resnet50")
    (artifacts / "models/student.tflite").unlink()
    monkeypatch.setattr(answer_module, "load_gate", lambda registry, model: RefusesAll())
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--model", "resnet50", "--output", str(out)]) == 0
    assert "note: images are not checked for being dermatoscopic" in capsys.readouterr().err


def test_orientations(folder, tmp_path):
    tables = {}
    for orientations in ("1", "8"):
        out = tmp_path / f"{orientations}.csv"
        assert main(["predict", str(folder), "--output", str(out), "--orientations", orientations]) == 0
        tables[orientations] = read(out)
    diagnosis = (
        Registry.open()
        .get("student")
        .classify(np.ascontiguousarray(cv2.imread(tables["8"][0]["image"])[..., ::-1]), orientations=8)
    )
    assert float(tables["8"][0]["confidence"]) == pytest.approx(diagnosis.confidence, abs=1e-6)
    assert tables["8"][0]["confidence"] != tables["1"][0]["confidence"]
