"""What options take: whole numbers inside of limits, and one line for all else."""

import argparse

import pytest

from core.options import whole_number


@pytest.mark.parametrize(("text", "least", "most"), [("1", 1, None), ("0", 0, None), ("30", 1, 30)])
def test_numbers_inside_of_the_limits_come_through(text: str, least: int, most: int | None) -> None:
    assert whole_number(least, most)(text) == int(text)


@pytest.mark.parametrize("text", ["0", "31", "-1", "1.5", "", "many", "1e3", " 7 "])
def test_all_else_is_refused_with_what_was_expected_and_what_came(text: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match="expected a whole number from 1 to 30, found"
    ) as error:
        whole_number(1, 30)(text)
    assert repr(text) in str(error.value)


def test_without_an_upper_limit_none_is_named() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"^expected a whole number from 1, found '0'$"):
        whole_number(1)("0")
