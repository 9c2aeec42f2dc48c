"""Numbers as people read them."""

import pandas as pd
import pytest

from core.numbers import percent, told_apart, without_minus_zero


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.634, "63%"),
        (1.0, "> 99%"),
        (0.995, "> 99%"),
        (0.99, "99%"),
        (0.01, "1%"),
        (0.0099, "< 1%"),
        (0.0, "< 1%"),
    ],
)
def test_percent_never_claims_certainty(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("score", "limit", "said"),
    [
        (0.25, 0.4, ("0.250", "0.400")),
        (0.4, 0.4, ("0.400", "0.400")),
        (0.2027865382713564, 0.20332674116548283, ("0.2028", "0.2033")),
        (0.20326474642225198, 0.20332674116548283, ("0.20326", "0.20333")),
        (0.2034, 0.20332674116548283, ("0.2034", "0.2033")),
        (0.4, 0.4 + 1e-15, ("0.400000000", "0.400000000")),
    ],
)
def test_a_score_is_told_apart_from_its_limit(score: float, limit: float, said: tuple[str, str]) -> None:
    assert told_apart(score, limit) == said


def test_what_rounds_to_nothing_has_no_sign() -> None:
    shown = without_minus_zero(pd.Series([-0.04, 0.04, -0.06, float("nan")]), 1)
    assert [f"{value:+.1f}" for value in shown] == ["+0.0", "+0.0", "-0.1", "+nan"]
