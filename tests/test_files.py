"""A file is the old one or the whole new one, and errors of the machine are told from mistakes of ours."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core import __main__ as command_line
from core.files import explain, replacing, reserve
from core.settings import ROOT


def test_the_new_file_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_whatever_fails_the_old_file_stays_and_nothing_else(tmp_path: Path, monkeypatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path) as file:
            file.write(b"half")
            if step == "write":
                full()

    if step != "write":
        monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write()
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_bytes(b"half of it, and long")
    with replacing(tmp_path / "a") as file:
        file.write(b"whole")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"whole")]


def test_reserved_room_is_taken_and_the_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (1 << 20,))
    array[:4] = 7
    assert path.stat().st_blocks * 512 < 1 << 20, "a file with a hole"
    reserve(path)
    assert path.stat().st_blocks * 512 >= 1 << 20
    assert np.load(path)[:5].tolist() == [7, 7, 7, 7, 0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "expected room and permission .* No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "^/x/y: expected room and permission"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "Read-only file system"),
        (FileExistsError(errno.EEXIST, "File exists", "/x"), "^/x: expected a folder, found: File exists"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/y"), "^/x/y: expected a folder"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/x"), "^/x: expected a file"),
    ],
)
def test_errors_of_the_machine_are_a_line_and_status_2(
    error: OSError, said: str, monkeypatch, capsys
) -> None:
    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(
        command_line,
        "build_parser",
        lambda: type("P", (), {"parse_args": lambda *_: type("O", (), {"run": fails})})(),
    )
    assert command_line.main([]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert re.search(said, explain(error))


def test_a_reader_that_goes_away_ends_a_command_quietly() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "core", "models", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert done.stderr == ""
    assert done.returncode == command_line.UNREAD


def test_a_broken_pipe_within_is_a_mistake_of_ours(monkeypatch) -> None:
    def fails(_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(
        command_line,
        "build_parser",
        lambda: type("P", (), {"parse_args": lambda *_: type("O", (), {"run": fails})})(),
    )
    with pytest.raises(BrokenPipeError):
        command_line.main([])


def test_a_variable_with_an_unknown_home_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", "~nobody-of-that-name/x")
    assert command_line.main(["models"]) == 2
    assert "DERMDISTILL_ARTIFACTS: expected a path" in capsys.readouterr().err


def test_other_errors_may_be_mistakes_of_ours() -> None:
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert explain(ConnectionResetError(errno.ECONNRESET, "reset")) is None


@pytest.mark.parametrize(
    ("place", "said"),
    [(ROOT / ".cache" / "x", ".cache/x: expected"), (Path("/elsewhere/x"), "/elsewhere/x: expected")],
)
def test_an_error_of_the_machine_does_not_say_where_the_server_lies(place: Path, said: str) -> None:
    assert explain(PermissionError(errno.EACCES, "Permission denied", str(place))).startswith(said)
