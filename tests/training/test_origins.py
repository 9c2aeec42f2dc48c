"""What weights have learned from: what notes beside them and the manifest say, and what is refused because of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.artifacts import update_model
from core.errors import UserError
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE
from core.manifest import ManifestError
from core.training.origins import (
    check_no_trial,
    check_same_photographs,
    facts_of,
    images_seen,
    split_of_weights,
)

HERE = {"train": 64, "validation": 16, "digest": "here"}
OTHERS = HERE | {"digest": "others"}


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


def noted(folder: Path, notes: object) -> Path:
    """A run's folder with these notes."""
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(notes))
    return folder


def test_the_notes_beside_weights_come_before_the_manifest(artifacts, tmp_path):
    weights = noted(tmp_path / "mean", {"recipe": {"split": "report"}}) / "best.npz"
    assert split_of_weights(weights) is None, "there is no such file"
    weights.write_bytes(b"weights")
    assert split_of_weights(weights) == "report"
    copy = tmp_path / "copy.npz"
    copy.write_bytes(b"weights")
    assert split_of_weights(copy) is None, "no manifest lists them"
    artifacts.mkdir()
    (artifacts / "listed.npz").write_bytes(b"weights")
    entry = {"title": "Mine", "role": "baseline", "recipe": {"split": "lesion"}}
    update_model(artifacts, "mine", entry, {"weights": "listed.npz"})
    assert (split_of_weights(copy), split_of_weights(weights)) == ("lesion", "report")
    copy.write_bytes(b"others")
    assert split_of_weights(copy) is None
    (artifacts / "manifest.json").write_text("{")
    with pytest.raises(ManifestError):
        split_of_weights(copy)


@pytest.mark.parametrize(
    ("notes", "source", "is_refused"),
    [
        ({"data": DATA_NOTE, "images": OTHERS}, DATA_NOTE, True),
        ({"data": DATA_NOTE, "images": HERE}, DATA_NOTE, False),
        ({"data": DATA_NOTE}, DATA_NOTE, False),
        ({"data": SYNTHETIC_NOTE, "images": OTHERS}, DATA_NOTE, False),
        ({"data": SYNTHETIC_NOTE, "images": OTHERS}, SYNTHETIC_NOTE, False),
        ({"data": DATA_NOTE, "images": OTHERS}, SYNTHETIC_NOTE, False),
        ({"images": OTHERS}, DATA_NOTE, False),
        ([], DATA_NOTE, False),
    ],
)
def test_only_other_photographs_of_the_same_source_are_refused(tmp_path, notes, source, is_refused):
    folder = noted(tmp_path, notes)
    if not is_refused:
        check_same_photographs("--init x", folder, source, HERE)
        return
    with pytest.raises(UserError, match=r"--init x: expected one trained on the images at hand .*found one"):
        check_same_photographs("--init x", folder, source, HERE)


@pytest.mark.parametrize("notes", [{"images": HERE}, {"images": None}, {}, []])
def test_a_run_is_a_trial_where_its_notes_have_a_limit(tmp_path, notes):
    check_no_trial(noted(tmp_path, notes))
    check_no_trial(tmp_path / "nowhere")
    noted(tmp_path, {"images": HERE | {"limit": 64}})
    assert images_seen(tmp_path)["limit"] == 64
    with pytest.raises(UserError, match=r"found one on at most 64 of each part \(--limit\)"):
        check_no_trial(tmp_path)


def test_weights_that_lie_with_no_run_are_known_as_their_model_s(artifacts, tmp_path):
    weights = tmp_path / "copy.npz"
    assert facts_of(weights) == {}, "there is no such file"
    weights.write_bytes(b"weights")
    assert facts_of(weights) == {}, "no manifest lists it"
    artifacts.mkdir()
    (artifacts / "listed.npz").write_bytes(b"weights")
    entry = {"title": "Mine", "role": "baseline", "provenance": {"data": DATA_NOTE, "images": OTHERS}}
    update_model(artifacts, "mine", entry, {"weights": "listed.npz"})
    assert images_seen(weights) == OTHERS
    with pytest.raises(UserError, match="--init x: expected one trained on the images at hand"):
        check_same_photographs("--init x", weights, DATA_NOTE, HERE)
    noted(tmp_path, {"images": HERE})
    assert images_seen(weights) == HERE, "the notes beside them come first"
