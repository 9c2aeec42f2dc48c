"""Numbers as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def percent(share: float) -> str:
    """A probability in whole per cent, and never a certainty that the model does not have.

    >>> [percent(p) for p in (0.634, 0.9991, 1.0, 0.0, 0.0004)]
    ['63%', '> 99%', '> 99%', '< 1%', '< 1%']
    """
    if share > 0.99:
        return "> 99%"
    if share < 0.01:
        return "< 1%"
    return f"{share * 100:.0f}%"


def percent_to_a_tenth(share: float) -> str:
    """A probability in tenths of a per cent, and no certainty either.

    >>> [percent_to_a_tenth(p) for p in (0.62, 0.9996, 0.0004)]
    ['62.0%', '> 99.9%', '< 0.1%']
    """
    if share > 0.999:
        return "> 99.9%"
    return "< 0.1%" if share < 0.001 else f"{100 * share:.1f}%"


def told_apart(score: float, limit: float, digits: int = 3) -> tuple[str, str]:
    """A score and its limit in as many decimals as it takes to see on which side of the limit the score lies.

    >>> told_apart(0.25, 0.2), told_apart(0.2028, 0.2033), told_apart(0.2, 0.2)
    (('0.250', '0.200'), ('0.2028', '0.2033'), ('0.200', '0.200'))
    """
    while f"{score:.{digits}f}" == f"{limit:.{digits}f}" and score != limit and digits < 9:
        digits += 1
    return f"{score:.{digits}f}", f"{limit:.{digits}f}"


def percent_range(low: float, high: float, digits: int = 1) -> str:
    """The ends of an interval of shares in per cent, empty where it is undefined.

    >>> percent_range(0.7322, 0.7769), percent_range(float("nan"), 0.5)
    ('73.2 to 77.7', '')
    """
    if low != low or high != high:
        return ""
    return f"{low * 100:.{digits}f} to {high * 100:.{digits}f}"


def percent_interval(value: float, low: float, high: float, digits: int = 1) -> str:
    """A share with the ends of its interval where they are known, empty where itself is undefined.

    >>> percent_interval(0.755, 0.732, 0.777), percent_interval(0.49, 0.34, 0.63, 0)
    ('75.5% (73.2 to 77.7)', '49% (34 to 63)')
    """
    if value != value:
        return ""
    ends = percent_range(low, high, digits)
    return f"{value * 100:.{digits}f}%" + (f" ({ends})" if ends else "")


def without_minus_zero(values: pd.Series, digits: int) -> pd.Series:
    """The same numbers, without the sign where they would be shown as "-0.0".

    >>> without_minus_zero(pd.Series([-0.04, -0.06]), 1).tolist()
    [0.04, -0.06]
    """
    return values.where(values.round(digits) != 0, values.abs())
