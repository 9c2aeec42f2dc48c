"""`python -m core ablate` on networks of a second."""

from __future__ import annotations

import pytest

from core.__main__ import main
from core.lab.plan import plan
from core.settings import runs_dir

TRIAL = ["ablate", "--limit", "30", "--epochs", "1", "--workers", "0"]


def listed(capsys: pytest.CaptureFixture) -> dict[str, str]:
    """run -> its line."""
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line for line in lines if "_s" in line}


def test_it_trains_lists_skips_and_forgets(bench, capsys: pytest.CaptureFixture):
    data = ["--group", "data", "--seeds", "1"]
    assert main([*TRIAL, *data, "--list"]) == 0
    runs = listed(capsys)
    assert set(runs) == {variant.name for variant in plan("data", [1])}
    assert all("to do" in line for line in runs.values())
    assert main([*TRIAL, *data]) == 0
    out = capsys.readouterr().out
    assert "8 of 8 runs are in" in out
    assert (runs_dir() / "ablation-trial" / "ablation.csv").exists()
    assert main([*TRIAL, *data]) == 0
    assert "test accuracy" not in capsys.readouterr().out
    assert main([*TRIAL, "--forget", "imagenet_alone_s1"]) == 0
    capsys.readouterr()
    assert main([*TRIAL, *data, "--list"]) == 0
    runs = listed(capsys)
    assert [name for name, line in runs.items() if "to do" in line] == ["imagenet_alone_s1"]
    assert all("done" in line for name, line in runs.items() if name != "imagenet_alone_s1")


def test_runs_that_wait_are_said_to(bench, capsys: pytest.CaptureFixture):
    assert main([*TRIAL, "--group", "grid", "--seeds", "2", "--list"]) == 0
    line = listed(capsys)["imagenet_densenet169_t4_a0.5_s2"]
    assert "waits for densenet169" in line


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--group", "typo"], "--group: expected some of collapse"),
        (["--seeds", "1,x"], "--seeds: expected whole numbers"),
        (["--seeds", "99999999999"], "--seeds: expected whole numbers below 4,294,967,296"),
        (["--init", "vgg=x"], "--init: expected mobilenetv2=FILE"),
        (["--init", "mobilenetv2=/no/such.h5"], "found no file"),
        (["--forget", "nobody"], "--forget: expected a run"),
    ],
)
def test_misuse_is_named(bench, options: list[str], named: str, capsys: pytest.CaptureFixture):
    assert main([*TRIAL, *options]) == 2
    assert named in capsys.readouterr().err
