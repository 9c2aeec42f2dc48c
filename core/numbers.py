"""Numbers as people read them."""

from __future__ import annotations


def percent(share: float) -> str:
    """A probability in whole per cent, and never a certainty that the model does not have.

    >>> [percent(p) for p in (0.634, 0.9991, 1.0, 0.0, 0.0004)]
    ['63 %', '> 99 %', '> 99 %', '< 1 %', '< 1 %']
    """
    if share > 0.99:
        return "> 99 %"
    if share < 0.01:
        return "< 1 %"
    return f"{share * 100:.0f} %"
