"""`python -m core trials`: finished runs are listed and kept, unfinished and damaged ones are named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from core.__main__ import main
from core.artifacts import load_manifest
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE
from core.evaluation.trials import FILE, KEY, read_trials
from core.settings import runs_dir
from core.training.recipes import Distillation, recipe_for
from core.training.trials import digest, find_trials

PARTS = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1")


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMDISTILL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


@pytest.fixture
def make(artifacts: Path) -> Callable[..., dict]:
    """A function that writes a run's checkpoint and notes, as training does; gives its recipe."""

    def write(
        name: str,
        done: int | None = None,
        *,
        data: str = DATA_NOTE,
        best: int = 2,
        notes: bool = True,
        limit: int | None = None,
        begun: str = "x.h5 (sha256 12...): Google's",
        **changes: object,
    ) -> dict:
        recipe = recipe_for("tuned", "mobilenetv2").to_dict() | changes
        recipe = json.loads(json.dumps(recipe))
        epochs = sum(stage["epochs"] for stage in recipe["stages"]) if done is None else done
        history = [
            {"epoch": e, **{p: e / 10 + k / 100 for k, p in enumerate(PARTS)}} for e in range(1, epochs + 1)
        ]
        progress = {"epoch": epochs, "seconds": 61.25, "history": history, "best_epoch": best}
        folder = artifacts.with_name("runs") / name
        folder.mkdir(parents=True)
        state = json.dumps({"progress": progress, "recipe": recipe})
        np.savez(folder / "checkpoint.npz", state=np.frombuffer(state.encode(), np.uint8))
        if notes:
            said = {"commit": "abc", "initial_weights": begun, "data": data}
            images = {"train": 99} | ({"limit": limit} if limit else {})
            (folder / "run.json").write_text(json.dumps(said | {"images": images}))
        return recipe

    return write


STAGES = [{"epochs": 2, "size": 96, "head_only": True}, {"epochs": 1, "size": 128, "head_only": False}]


def test_a_run_s_recipe_and_its_best_epoch(make, artifacts, capsys) -> None:
    soft = Distillation(("a", "b"), temperature=3.0, alpha=0.6)
    recipe = make("one", stages=STAGES, distillation=dataclasses.asdict(soft), seed=7, mixup=0.3)
    assert main(["trials"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    for part in ("one", "mobilenetv2", "Google's", "a b", "head2x96,1x128", "0.210", "0.220", "0.230", "abc"):
        assert part in line
    (trial,), left_out = find_trials(artifacts.with_name("runs"))
    assert left_out == []
    assert (trial.recipe, trial.seed, trial.best_epoch, trial.epochs) == (digest(recipe), 7, 2, 3)
    assert (trial.temperature, trial.alpha) == (3.0, 0.6)
    assert "mixup=0.3" in trial.other
    assert (trial.train_images, trial.seconds, trial.data) == (99, 61.2, DATA_NOTE)
    assert not artifacts.exists(), "nothing is saved unless asked for"


def test_unfinished_and_damaged_runs_are_named_and_left_out(make, artifacts, capsys) -> None:
    make("done", stages=STAGES)
    make("midway", 1, stages=STAGES, best=1)
    make("early", 2, stages=[{"epochs": 3, "size": 128, "head_only": False}], patience=1, best=1)
    make("nowhere", stages=STAGES, best=9)
    runs = artifacts.with_name("runs")
    (runs / "broken").mkdir()
    (runs / "broken" / "checkpoint.npz").write_bytes(b"PK")
    (runs / "a-soup").mkdir()
    assert main(["trials"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[1:]] == ["done", "early"]
    assert "left out: midway: not finished, 1 of 3 epochs" in printed.err
    assert "left out: nowhere: expected a best epoch" in printed.err
    assert "left out: broken: " in printed.err
    assert "soup" not in printed.err


def test_a_run_that_a_restart_set_aside_is_none(make, artifacts, capsys) -> None:
    make("one", stages=STAGES)
    make(".one.before", stages=STAGES, seed=9)
    (trial,), left_out = find_trials(artifacts.with_name("runs"))
    assert (trial.name, left_out) == ("one", [])


def test_without_runs_and_without_notes(make, artifacts, capsys) -> None:
    assert main(["trials"]) == 0
    assert "No finished run in " in capsys.readouterr().out
    make("old", stages=STAGES, notes=False)
    (trial,), _ = find_trials(artifacts.with_name("runs"))
    assert (trial.begun, trial.commit, trial.train_images) == ("", "", 0)
    (artifacts.with_name("runs") / "old" / "run.json").write_text("{")
    assert "expected the notes of a run" in find_trials(artifacts.with_name("runs"))[1][0]


def test_saved_runs_stay_and_new_ones_are_added(make, artifacts, capsys) -> None:
    make("one", stages=STAGES, seed=1)
    make("drawn", stages=STAGES, data=SYNTHETIC_NOTE)
    assert main(["trials", "--save"]) == 0
    assert f"1 runs in {artifacts / FILE}, 1 of 2 found here among them" in capsys.readouterr().out
    manifest = load_manifest(artifacts)
    assert manifest.files[manifest.shared[KEY]].format == "trials-csv"
    for path in (artifacts.with_name("runs") / "one").iterdir():
        path.unlink()
    (artifacts.with_name("runs") / "one").rmdir()
    make("two", stages=STAGES, seed=1)
    make("one", stages=STAGES, seed=2)
    assert main(["trials", "--save"]) == 0
    found = [(trial.name, trial.seed) for trial in read_trials(load_manifest(artifacts))]
    assert sorted(found) == [("one", 1), ("one", 2), ("two", 1)]
    before = (artifacts / FILE).read_bytes()
    assert main(["trials", "--save"]) == 0
    assert (artifacts / FILE).read_bytes() == before, "again is no different"


def test_a_try_takes_no_place_of_a_run_and_another_beginning_is_another_run(make, artifacts, capsys) -> None:
    runs = artifacts.with_name("runs")
    make("one", stages=STAGES)
    assert main(["trials", "--save"]) == 0
    for changes, kept in (({"limit": 64}, 1), ({"begun": "an earlier round"}, 2)):
        (runs / "one").rename(runs.with_name(f"one-{kept}"))
        make("one", stages=STAGES, **changes)
        capsys.readouterr()
        assert main(["trials", "--save"]) == 0
        printed = capsys.readouterr()
        assert f"{kept} runs in" in printed.out
        assert ("left out: one: to try the command out, on 64 images" in printed.err) == ("limit" in changes)


def test_a_table_that_is_held_or_no_text_is_one_line(make, artifacts, monkeypatch, capsys) -> None:
    make("one", stages=STAGES)
    artifacts.mkdir()
    (artifacts / FILE).write_bytes(b"\xff\xfe\x00")
    assert main(["trials", "--save"]) == 2
    assert "expected the columns" in capsys.readouterr().err
    (artifacts / FILE).unlink()
    monkeypatch.setattr("core.commands.trials.LOCK_TIMEOUT_S", 0.05)
    with FileLock(runs_dir() / f".{FILE}.lock"):
        assert main(["trials", "--save"]) == 2
    assert "free within 0.05 s, found it held by another command" in capsys.readouterr().err


def test_a_damaged_table_is_left_alone(make, artifacts, capsys) -> None:
    make("one", stages=STAGES)
    artifacts.mkdir()
    (artifacts / FILE).write_text("name\none\n")
    assert main(["trials", "--save"]) == 2
    assert "expected the columns" in capsys.readouterr().err
    assert (artifacts / FILE).read_text() == "name\none\n"
