"""Numbers as people read them."""

from __future__ import annotations


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


def percent_range(low: float, high: float) -> str:
    """The ends of an interval of shares in per cent, empty where it is undefined.

    >>> percent_range(0.7322, 0.7769), percent_range(float("nan"), 0.5)
    ('73.2 to 77.7', '')
    """
    if low != low or high != high:
        return ""
    return f"{low * 100:.1f} to {high * 100:.1f}"
