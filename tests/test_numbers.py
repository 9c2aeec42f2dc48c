"""Numbers as people read them."""

import pytest

from core.numbers import percent


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
