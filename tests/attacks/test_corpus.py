"""Files that fuzzing has found worth keeping (`fuzz.py`): each still becomes what it became then, in time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from core.serving.intake import Rejection

HERE = Path(__file__).parent
KEPT = sorted((HERE / "corpus").glob("*.bin"))
LIMIT = 200_000
"""Bytes of all of them together."""


@pytest.fixture(scope="module")
def check():
    """`check` of tests/serving/test_intake_fuzz.py: an array or a rejection, within two seconds."""
    path = HERE.parent / "serving" / "test_intake_fuzz.py"
    spec = importlib.util.spec_from_file_location("intake_fuzz", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["intake_fuzz"] = module
    spec.loader.exec_module(module)
    return module.check


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_files_become_what_they_became(check, path: Path) -> None:
    """The name begins with the code of the refusal, or with ok."""
    result = check(path.read_bytes(), path.name)
    assert path.name.startswith((result.code if isinstance(result, Rejection) else "ok") + "-")


def test_the_corpus_is_small_and_varied() -> None:
    assert sum(path.stat().st_size for path in KEPT) < LIMIT
    assert len({path.name.partition("-")[0] for path in KEPT}) >= 8
