"""`python -m core leak`, from two training runs to the manifest, on a tiny network and a tiny dataset."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from core.__main__ import main
from core.artifacts import load_manifest
from core.data.ham10000 import open_dataset
from core.data.splits import SPLITS, assign
from core.evaluation.leak_file import read_pairs
from core.networks.weights import load_weights
from core.training import launch, tested

TINY = Path(__file__).parents[1] / "training" / "tiny.py"
TRAIN = ["train", "--network", "mobilenetv2", "--stages", "1x32", "--workers", "0", "--set", "batch_size=16",
         "--set", "ema=null", "--no-publish"]  # fmt: skip


@pytest.fixture
def place(small_folder, tmp_path, monkeypatch) -> Path:
    """A dataset, empty folders for everything else, and the tiny network in place of the real one."""
    spec = importlib.util.spec_from_file_location("tiny_for_leak", TINY)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    for name in ("ARTIFACTS", "CACHE", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))

    def build(network, init=None, size=None):
        model = tiny.make_network()
        if init:
            load_weights(model, Path(init), network)
        return model

    for module in (launch, tested):
        monkeypatch.setattr(module, "build", build)
    return tmp_path


def train(name: str, *more: str) -> None:
    assert main([*TRAIN, "--name", name, *more]) == 0


def test_two_runs_are_asked_compared_and_stored(place, capsys) -> None:
    for split in SPLITS:
        train(f"student-{split}", "--split", split)
    assert main(["leak", "student"]) == 0
    assert not (place / "artifacts").exists(), "nothing is stored unasked"
    assert main(["leak", "student", "--save"]) == 0
    printed = capsys.readouterr().out
    assert "student: difference" in printed
    (pair,) = read_pairs(load_manifest(place / "artifacts"))
    records = open_dataset(place / "HAM10000").records
    for split in SPLITS:
        side = pair.sides[split]
        assert side.images == (assign(records, split) == "test").sum()
        assert side.facts["recipe"]["split"] == split
        assert side.figures["accuracy"].text() in printed


def test_what_is_no_pair_is_refused_in_one_line(place, capsys) -> None:
    def refused(word: str) -> None:
        capsys.readouterr()
        assert main(["leak", "student"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert word in lines[0]

    refused("student-lesion")
    train("student-lesion", "--split", "lesion", "--limit", "8")
    refused("found one on 8")
    train("student-lesion", "--split", "lesion", "--restart")
    refused("student-report")
    train("student-report", "--split", "report", "--seed", "9")
    refused("differ in seed")
