from __future__ import annotations

import json

import pytest

from core.__main__ import main
from core.artifacts import load_manifest
from core.data.summary import KEY, parse_summary
from core.data.synthetic import make_dataset


@pytest.mark.parametrize("command", ["check", "summary", "leak"])
def test_a_wrong_folder_gives_one_line_and_status_2(command, tmp_path, capsys):
    assert main(["data", command, str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: expected a HAM10000 folder")
    assert errors.count("\n") == 1
    assert "python -m core data download" in errors


def test_check_of_a_usable_dataset(small_folder, capsys):
    assert main(["data", "check", str(small_folder)]) == 0
    text = capsys.readouterr().out
    for part in (
        f"HAM10000 in {small_folder} (flat folder; metadata",
        "84 images of 70 lesions, 14 of them with several images",
        "84 images decoded: 84 of 96x72",
        "mel    Melanoma                                 12   14.29%       10",
        "The dataset is usable.",
    ):
        assert part in text


def test_check_of_a_damaged_dataset(small_folder, capsys):
    for number in range(5):
        (small_folder / "images" / f"ISIC_{number:07d}.jpg").unlink()
    assert main(["data", "check", str(small_folder), "--limit", "3"]) == 3
    text = capsys.readouterr().out
    assert "damage: 5 images named in the metadata have no file: " in text
    assert "ISIC_0000002 and 2 more" in text
    assert "must not be used" in text
    assert main(["data", "check", str(small_folder), "--limit", "3", "--all"]) == 3
    assert "ISIC_0000003, ISIC_0000004" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["summary", "leak"])
def test_damaged_data_are_not_counted(command, small_folder, capsys):
    (small_folder / "images" / "ISIC_0000000.jpg").unlink()
    assert main(["data", command, str(small_folder)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_summary_writes_json(small_folder, tmp_path, capsys):
    target = tmp_path / "counts.json"
    assert main(["data", "summary", str(small_folder), "--json", str(target)]) == 0
    counts = json.loads(target.read_text())
    assert counts["images"] == 84
    assert counts["images_by_class"]["mel"] == 12
    assert counts["leaks"]["lesion"]["lesions"] == 0
    text = capsys.readouterr().out
    assert str(target) in text
    assert "split report" in text


def test_summary_to_a_folder_that_is_not_there_yet(small_folder, tmp_path):
    target = tmp_path / "new" / "folder" / "counts.json"
    assert main(["data", "summary", str(small_folder), "--json", str(target)]) == 0
    assert json.loads(target.read_text())["images"] == 84


def test_summary_to_where_no_file_can_be(small_folder, capsys):
    assert main(["data", "summary", str(small_folder), "--json", "/dev/null/counts.json"]) == 2
    assert "expected to write /dev/null/counts.json, found: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["{data}/HAM10000_metadata.csv", "{data}/counts.json", "README.md", "{artifacts}/manifest.json"]
)
def test_counts_take_no_other_file_s_place(small_folder, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "artifacts"))
    before = sorted(small_folder.rglob("*"))
    target = name.format(data=small_folder, artifacts=tmp_path / "artifacts")
    assert main(["data", "summary", str(small_folder), "--json", target]) == 2
    assert "error: --json: expected a" in capsys.readouterr().err
    assert sorted(small_folder.rglob("*")) == before


def test_published_counts_are_among_the_artifacts(small_folder, tmp_path, monkeypatch, capsys):
    artifacts = tmp_path / "artifacts"
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(artifacts))
    assert main(["data", "summary", str(small_folder), "--publish"]) == 0
    manifest = load_manifest(artifacts)
    summary = parse_summary(manifest.read(manifest.shared[KEY]), "counts")
    assert (summary.images, summary.synthetic) == (84, False)
    assert str(artifacts) in capsys.readouterr().out


def test_counts_are_published_in_a_relative_folder(small_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", "mine")
    assert main(["data", "summary", str(small_folder), "--publish"]) == 0
    manifest = load_manifest(tmp_path / "mine")
    assert manifest.read(manifest.shared[KEY])


def test_where_lesions_are_not_known_no_leak_is_stated(small_set, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "artifacts"))
    folder = tmp_path / "classes"
    for code, name in zip(small_set.rows["dx"], small_set.rows["image_id"], strict=True):
        (folder / code).mkdir(parents=True, exist_ok=True)
        (folder / code / f"{name}.jpg").write_bytes(small_set.images[name])
    for command in (["leak", str(folder)], ["summary", str(folder), "--publish"]):
        assert main(["data", *command]) == 2
        assert "expected a metadata file, which says what images are of one lesion" in capsys.readouterr().err
    assert not (tmp_path / "artifacts").exists()
    assert main(["data", "summary", str(folder)]) == 0


def test_counts_of_drawings_are_never_published_as_ham10000_s(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(tmp_path / "artifacts"))
    folder = make_dataset(tmp_path / "drawn", per_class=1, size=(40, 32))
    assert main(["data", "summary", str(folder), "--publish"]) == 2
    assert "expected HAM10000, found synthetic lesions" in capsys.readouterr().err
    assert not (tmp_path / "artifacts").exists()


def test_leak_prints_both_splits(small_folder, capsys):
    assert main(["data", "leak", str(small_folder)]) == 0
    text = capsys.readouterr().out
    assert "split lesion: 0 of 70 lesions cross it, with 0 images" in text
    assert "split report: " in text


@pytest.mark.parametrize(
    "arguments", [["data"], ["data", "check", "--limit", "0"], ["data", "check", "--workers", "x"]]
)
def test_misuse(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_download_from_what_is_no_address(tmp_path, capsys):
    assert main(["data", "download", str(tmp_path), "--from", "dataverse"]) == 2
    assert capsys.readouterr().err.startswith("error: expected an address that begins with https://")
