"""Text for people."""

from __future__ import annotations

from core.text import escape


def test_escape_keeps_one_line() -> None:
    assert escape("a|b\n# c") == r"a\|b \# c"
