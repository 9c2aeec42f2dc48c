"""`python -m core synthesize`, from arguments to exit status."""

import pytest

from core.__main__ import main
from core.data.ham10000 import open_dataset


def synthesize(*arguments: object) -> int:
    return main(["synthesize", "--size", "64x48", "--workers", "1", *map(str, arguments)])


def test_it_writes_a_dataset_and_says_where(tmp_path, capsys):
    assert synthesize("--output", tmp_path / "set", "--total", 14, "--seed", 3) == 0
    output = capsys.readouterr().out
    assert "SYNTHETIC" in output
    assert f"DERMDISTILL_DATA={tmp_path / 'set'}" in output
    assert len(open_dataset(tmp_path / "set")) == 14


def test_images_of_every_class(tmp_path):
    assert synthesize("--output", tmp_path, "--per-class", 1) == 0
    assert sorted(open_dataset(tmp_path).records["dx"]) == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]


def test_a_full_folder_is_one_clear_line(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("")
    assert synthesize("--output", tmp_path, "--total", 14) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("error: expected a new or empty folder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--total", 99999999999), "expected at most 999,999 images, found 99,999,999,999"),
        (("--per-class", 200000), "expected at most 999,999 images, found 1,400,000"),
        (("--total", 7, "--size", "999999x999999"), "size: expected 32 to 8192 pixels a side"),
        (("--per-class", 2, "--mix", "ham10000"), "--mix: expected it with --total"),
        (("--per-class", 2, "--mix", "even"), "--mix: expected it with --total"),
        (("--total", 7, "--size", "8000x8000"), "at most 40,000,000 in all, found 8000x8000"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_the_folder_stays_free(tmp_path, capsys, arguments, said):
    assert synthesize("--output", tmp_path / "set", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "arguments",
    [(), ("--output", "x", "--total", "0"), ("--output", "x", "--total", "9", "--per-class", "1"),
     ("--output", "x", "--size", "big"), ("--output", "x", "--mix", "odd")],
)  # fmt: skip
def test_misuse_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["synthesize", *arguments])
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err
