"""Text for people."""

from __future__ import annotations

import pytest

from core.text import counted, escape


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(n, "image") for n in (0, 1, 2, 2012)] == [
        "0 images",
        "1 image",
        "2 images",
        "2,012 images",
    ]


def test_escape_keeps_one_line() -> None:
    assert escape("a|b\n# c") == r"a\|b \# c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://evil.example/x", "see https\\:|//evil.example/x"),
        ("WWW.evil.example", "WWW|.evil.example"),
        ("me@evil.example", "me|@evil.example"),
        ("12 @ 3, wwwx, http:/", "12 @ 3, wwwx, http\\:/"),
    ],
)
def test_no_address_becomes_a_link(text: str, shown: str) -> None:
    assert escape(text) == shown.replace("|", "\N{WORD JOINER}")
