"""What options take: whole numbers inside of limits, and one line for all else."""

import argparse

import pytest

from core.options import amount, whole_number


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


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("2.5", 2.5), ("1e3", 1000.0)])
def test_an_amount_comes_through(text: str, value: float) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "many"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number from 0, found") as error:
        amount(text)
    assert repr(text) in str(error.value)
