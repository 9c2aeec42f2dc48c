"""Processors that only imitate a recipe's precision: advice before training, and what a network answers in."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.training.precision import advice, for_answering


@pytest.mark.parametrize(
    ("precision", "backend", "flags", "said"),
    [
        ("mixed_bfloat16", "tensorflow", "flags\t\t: fpu avx512f avx512_vnni", True),
        ("mixed_bfloat16", "tensorflow", "Features\t: fp asimd", True),
        ("mixed_bfloat16", "tensorflow", "flags\t\t: fpu avx512f avx512_bf16", False),
        ("mixed_bfloat16", "tensorflow", "flags\t\t: fpu amx_tile amx_bf16", False),
        ("mixed_bfloat16", "tensorflow", "Features\t: fp asimd bf16", False),
        ("mixed_bfloat16", "jax", "flags\t\t: fpu", False),
        ("float32", "tensorflow", "flags\t\t: fpu", False),
        ("mixed_bfloat16", "tensorflow", "model name\t: a CPU", False),
    ],
)
def test_it_speaks_only_where_bfloat16_is_imitated(
    tmp_path: Path, precision: str, backend: str, flags: str, said: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{flags}\n")
    found = advice(precision, backend, info)
    assert bool(found) == said
    assert not said or "--set precision=float32" in found
    assert for_answering(precision, backend, info) == ("float32" if said else precision)


def test_other_systems_have_no_such_file(tmp_path: Path) -> None:
    assert advice("mixed_bfloat16", "tensorflow", tmp_path / "none") == ""
