"""Numbers as people read them."""

import pandas as pd
import pytest

from core.numbers import percent, without_minus_zero


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


def test_what_rounds_to_nothing_has_no_sign() -> None:
    shown = without_minus_zero(pd.Series([-0.04, 0.04, -0.06, float("nan")]), 1)
    assert [f"{value:+.1f}" for value in shown] == ["+0.0", "+0.0", "-0.1", "+nan"]
