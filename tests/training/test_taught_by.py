"""Teachers by their names: which are refused, and what is said instead of training with the wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.artifacts import update_model
from core.errors import UserError
from core.training.taught_by import TeacherMissing, load_teachers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Artifacts with a variant and an ensemble, neither of which has weights, and no runs."""
    for name in ("ARTIFACTS", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))
    folder = tmp_path / "artifacts"
    update_model(folder, "student-int8", {"title": "int8", "role": "variant", "parent": "student"})
    update_model(folder, "baseline", {"title": "Baseline", "role": "baseline"})
    return folder


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["student-int8"], "teacher student-int8: expected weights in .*use its parent student"),
        (["baseline"], "teacher baseline: expected weights in .*train it first"),
    ],
)
def test_what_cannot_teach_is_refused(folder: Path, names: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_teachers(names)


def test_where_a_teacher_was_looked_for_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TeacherMissing) as caught:
        load_teachers(["nobody"])
    assert caught.value.name == "nobody"
    for part in ("one of the models student-int8, baseline of", str(folder), str(tmp_path / "runs")):
        assert part in str(caught.value)


def test_without_artifacts_it_is_said_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARTIFACTS", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))
    with pytest.raises(TeacherMissing, match="expected trained models under") as caught:
        load_teachers(["nobody"])
    assert str(tmp_path / "runs") in str(caught.value)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (
            None,
            "run: expected a finished run or a mean with its notes, found weights with neither a checkpoint",
        ),
        (
            '{"commit": "abc"}',
            "run: expected a finished run or a mean with its notes, found weights with neither",
        ),
        ('{"recipe": ', r"run\.json: expected the notes of a run, found"),
    ],
)
def test_what_is_left_of_a_run_is_refused_in_words(
    folder: Path, tmp_path: Path, notes: str | None, said: str
) -> None:
    run = tmp_path / "runs" / "run"
    run.mkdir(parents=True)
    (run / "best.npz").write_bytes(b"weights")
    if notes:
        (run / "run.json").write_text(notes)
    with pytest.raises(UserError, match=said):
        load_teachers(["run"])
