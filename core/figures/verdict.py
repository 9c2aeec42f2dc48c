"""What a verdict shows at once: the seven probabilities and the malignancy score, as HTML.

Nobody should wait for a verdict, and Plotly takes a browser longer for a few bars than the student takes for the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from core.figures.style import NEUTRAL, class_colour
from core.lesions import LESIONS, N_CLASSES
from core.numbers import percent, percent_to_a_tenth, told_apart

_ROUNDING = 1e-5
"""By so much a sum of float32 probabilities may be above 1."""

_TRACK = f"position:absolute;inset:0;background:{NEUTRAL};opacity:0.18"


def probability_bars(probabilities: Sequence[float], *, chosen: str | None = None) -> str:
    """The seven probabilities as bars, the largest on top, each named above its bar so that it fits a phone.

    Args:
        probabilities: (7,) in the order of `core.lesions.CODES`, calibrated.
        chosen: code of the class to mark, as that of the map beside it.

    Raises:
        ValueError: there are not seven finite probabilities.
    """
    shares = np.asarray(probabilities, dtype=float)
    if shares.shape != (N_CLASSES,) or not np.isfinite(shares).all():
        raise ValueError(f"expected {N_CLASSES} finite probabilities, found {probabilities!r}")
    rows = "".join(_row(int(i), float(shares[i]), chosen) for i in np.argsort(-shares, kind="stable"))
    return f'<div role="list" style="font-size:14px;line-height:1.5">{rows}</div>'


def _row(index: int, share: float, chosen: str | None) -> str:
    lesion = LESIONS[index]
    name = escape(lesion.name)
    name = f"<b>{name}</b>" if lesion.code == chosen else name
    kind = " · malignant" if lesion.malignant else ""
    return (
        f'<div role="listitem" title="{escape(f"{lesion.name}: {percent_to_a_tenth(share)}. {lesion.note}")}" '
        'style="margin-bottom:7px">'
        '<div style="display:flex;justify-content:space-between;gap:8px">'
        f'<span>{name}{kind}</span><span style="white-space:nowrap">{escape(percent(share))}</span></div>'
        f"{_bar(share, class_colour(lesion.code), 'position:relative;height:15px')}</div>"
    )


def malignancy_gauge(score: float, threshold: float | None) -> str:
    """The malignancy score on its scale from 0 to 1, with the operating point from which it counts as suspicious.

    Args:
        score: probability of all malignant classes together.
        threshold: the operating point; None draws none.

    Raises:
        ValueError: the score is no probability.
    """
    if not 0 <= score <= 1 + _ROUNDING:
        raise ValueError(f"expected a score from 0 to 1, found {score!r}")
    suspicious = threshold is not None and score >= threshold
    words = f"malignancy score {score:.3f} on a scale from 0 to 1"
    parts = [
        _bar(
            score,
            class_colour("bcc" if suspicious else "nv"),
            "position:absolute;inset:26px 0 auto 0;height:18px",
        ),
        *(
            _box(f"left:{100 * tick:g}%;top:46px;transform:translateX(-50%)", f"{tick:g}")
            for tick in (0, 0.25, 0.5, 0.75, 1)
        ),
    ]
    if threshold is not None:
        told, limit = told_apart(score, threshold)
        words = f"malignancy score {told} on a scale from 0 to 1, operating point {limit}"
        place = f"right:{100 - 100 * threshold:.2f}%" if threshold > 0.5 else f"left:{100 * threshold:.2f}%"
        parts += [
            _box(f"left:{100 * threshold:.2f}%;top:21px;height:28px;border-left:3px solid {NEUTRAL}"),
            _box(f"{place};top:0;white-space:nowrap", f"operating point {limit}"),
        ]
    style = "position:relative;height:66px;margin:0 14px 0 4px;font-size:14px;line-height:1.4"
    return f'<div role="img" aria-label="{words}" title="{words}" style="{style}">{"".join(parts)}</div>'


def _bar(share: float, colour: str, style: str) -> str:
    """A bar of this share of the width on a grey ground."""
    filled = (
        f"position:absolute;inset:0 auto 0 0;width:{100 * min(max(share, 0), 1):.2f}%;background:{colour}"
    )
    return f'<div style="{style}"><div style="{_TRACK}"></div><div style="{filled}"></div></div>'


def _box(style: str, text: str = "") -> str:
    return f'<div style="position:absolute;{style}">{text}</div>'
