"""A disk that is full in the middle of writing, and a dataset that must not be written to."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, write_atomically
from core.data.ham10000 import Dataset, open_dataset
from core.data.pixels import PixelStore
from core.evaluation.predictions import Predictions
from core.lesions import CODES
from core.networks.weights import load_weights, save_weights
from core.serving.output import OutputError, RowWriter
from core.settings import ROOT
from core.training.checkpoint import Checkpoint, Progress, save_checkpoint
from core.training.loop import write_history

resource = pytest.importorskip("resource", reason="limits of a process are Unix'")

ROOM = 50_000
"""Bytes that a file may have on the full disk of these tests; the system cuts writing off there."""
SECTIONS = ("Classes", "Images", "Splits", "Augmentation", "Balancing", "Map")


@contextmanager
def full_disk() -> Iterator[None]:
    """Whoever writes beyond `ROOM` gets an error in the middle of it, from the system itself."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def network(value: float) -> keras.Model:
    image = keras.Input((64,))
    model = keras.Model(image, keras.layers.Dense(1024, name="wide")(image))
    rng = np.random.default_rng(int(value))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def predictions(rows: int) -> Predictions:
    ids = np.array([f"ISIC_{i:07d}" for i in range(rows)])
    logits = np.random.default_rng(rows).normal(size=(rows, len(CODES)))
    return Predictions("s", ids, ids, np.arange(rows) % 7, logits, np.array(["test"] * rows))


def checkpoint(path: Path, value: float) -> None:
    model = network(value)
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    save_checkpoint(path, Progress(epoch=int(value)), {}, model, optimizer, None)


WRITERS: dict[str, tuple[Callable[[Path, float], object], Callable[[Path], object]]] = {
    "weights": (
        lambda path, value: save_weights(network(value), path, "n"),
        lambda path: load_weights(network(9), path, "n"),
    ),
    "checkpoint": (checkpoint, lambda path: Checkpoint.read(path, {})),
    "history": (
        lambda path, value: write_history(path, [{"epoch": i, "loss": value} for i in range(20_000)]),
        lambda path: path.read_text().splitlines()[20_000],
    ),
    "predictions": (lambda path, _: predictions(3000).save(path), Predictions.load),
    "other artifacts": (
        lambda path, value: write_atomically(path, bytes([int(value)]) * 99_000),
        Path.read_bytes,
    ),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_leaves_the_old_file_whole_and_no_other(tmp_path: Path, what: str) -> None:
    write, read = WRITERS[what]
    path = tmp_path / "file.npz"
    write(path, 1)
    before = path.read_bytes()
    assert len(before) > ROOM
    with full_disk(), pytest.raises(OSError) as caught:
        write(path, 2)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    read(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_that_finds_no_room_says_how_to_go_on(tmp_path: Path, ending: str) -> None:
    """What could not be written is still waiting when the table is closed, and fails once more."""
    path = tmp_path / f"table.{ending}"
    rows = path if ending == "csv" else tmp_path / "table.parquet.part"
    names = [f"{i:04}.jpg" for i in range(ROOM // 50)]

    def write(**options: bool) -> RowWriter:
        with RowWriter(path, "student", **options) as writer:
            for name in names:
                if name not in writer.done:
                    writer.write((name, "student", "ok", "nv", *[0.125] * 8, ""))
        return writer

    with full_disk(), pytest.raises(OutputError) as caught:
        write()
    assert str(caught.value) == f"{rows}: File too large; run again with --resume to go on from here"
    assert rows.stat().st_size == ROOM
    assert list(tmp_path.iterdir()) == [rows]
    assert 0 < len(write(resume=True).done) < len(names)
    table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert table["image"].tolist() == names


def test_a_command_says_so_in_a_line_and_the_artifacts_stay(
    small_folder, tmp_path, monkeypatch, capsys
) -> None:
    artifacts = tmp_path / "artifacts"
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(artifacts))
    assert main(["data", "summary", str(small_folder), "--publish"]) == 0
    before = {path: path.read_bytes() for path in artifacts.rglob("*") if path.is_file()}
    capsys.readouterr()
    monkeypatch.setattr(sys.modules[__name__], "ROOM", 10)
    with full_disk():
        status = main(["data", "summary", str(small_folder), "--publish"])
    assert status == 2
    said = capsys.readouterr().err
    assert "File too large" in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in artifacts.rglob("*") if path.is_file()} == before
    assert load_manifest(artifacts).shared


def test_decoded_pixels_take_their_room_before_they_are_written(small_folder, tmp_path, monkeypatch) -> None:
    """A memory map of a file with holes would end in a signal that nobody can catch."""
    dataset = open_dataset(small_folder)
    ids = dataset.records["image_id"].tolist()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        PixelStore.open(dataset, ids, tmp_path / "cache")
    monkeypatch.undo()
    with full_disk(), pytest.raises(OSError, match="too large"):
        PixelStore.open(dataset, ids, tmp_path / "cache")
    assert [p.suffix for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []


# A dataset that is only read ---------------------------------------------------------------------------------------


@pytest.fixture
def read_only(small_folder: Path) -> Iterator[Path]:
    """HAM10000 on a medium that nobody may write to; whoever is root is watched, too."""
    every = [small_folder, *small_folder.rglob("*")]
    for path in every:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in every}
    yield small_folder
    assert {path: path.stat().st_mtime_ns for path in [small_folder, *small_folder.rglob("*")]} == before
    for path in every:
        path.chmod(0o755 if path.is_dir() else 0o644)


def touched(events: Callable[..., list[str]], log: Path, folder: Path) -> list[str]:
    return [path for path in events(log, "write") if Path(path).is_relative_to(folder)]


def test_pages_show_a_read_only_dataset_and_leave_it_alone(
    read_only: Path, start_dashboard, protocol, events, tmp_path: Path
) -> None:
    dashboard = start_dashboard(tmp_path, DERMDISTILL_DATA=str(read_only))
    try:
        for section in SECTIONS:
            with protocol.Visitor(dashboard.url, "dataset", {"section": section}) as visitor:
                assert not visitor.page.of("exception"), section
                assert "not at hand" not in visitor.page.everything()
        query = {"source": "Sample", "kind": "HAM10000 test image", "models": "Student, int8"}
        with protocol.Visitor(dashboard.url, "prediction", query) as visitor:
            assert "Recorded diagnosis" in visitor.page.everything()
    finally:
        dashboard.stop()
    assert touched(events, dashboard.doings, read_only) == []
    assert "Traceback" not in dashboard.log.read_text()


def test_commands_read_a_read_only_dataset_and_leave_it_alone(
    read_only: Path, watched, events, tmp_path: Path
) -> None:
    environment = {"DERMDISTILL_DATA": str(read_only), "DERMDISTILL_CACHE": str(tmp_path / "cache")}
    for command in ("check", "summary", "leak"):
        done = subprocess.run(
            [sys.executable, "-m", "core", "data", command, str(read_only)],
            cwd=ROOT,
            env=os.environ | watched(tmp_path / "doings") | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    dataset: Dataset = open_dataset(read_only)
    PixelStore.open(dataset, dataset.records["image_id"].tolist(), tmp_path / "cache")
    assert touched(events, tmp_path / "doings", read_only) == []
