"""Probabilities of the seven classes, of several models side by side, as HTML.

As with the verdict nobody should wait for it: Plotly takes a browser a tenth of a second for these marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from core.figures.keys import MARK_PX, mark_box, model_key
from core.figures.style import NEUTRAL
from core.lesions import LESIONS, N_CLASSES
from core.numbers import percent, percent_to_a_tenth

TICKS = (0, 25, 50, 75, 100)

_SAID = "font-size:14px;line-height:1.4"


def agreement_dots(probabilities: Mapping[str, Sequence[float]], titles: Mapping[str, str]) -> str:
    """Every model's probability of every class on one line per class: marks that lie together agree.

    The class on top is that with the largest mean. Each mark has its figure as a tooltip, each line all of its figures
    as its label.

    Args:
        probabilities: model -> (7,) in the order of `core.lesions.CODES`, calibrated.
        titles: model -> the name that people read; its own where there is none.

    Raises:
        ValueError: a model does not have seven finite probabilities.
    """
    for model, row in probabilities.items():
        if np.shape(row) != (N_CLASSES,) or not np.isfinite(np.asarray(row, dtype=float)).all():
            raise ValueError(f"{model}: expected {N_CLASSES} finite probabilities, found {row!r}")
    shares = {model: np.asarray(row, dtype=float) for model, row in probabilities.items()}
    named = {model: titles.get(model, model) for model in shares}
    order = np.argsort(-np.mean(list(shares.values()), axis=0), kind="stable") if shares else []
    lines = "".join(_line(int(i), {m: float(row[i]) for m, row in shares.items()}, named) for i in order)
    return f'<div style="{_SAID}">{model_key(named)}<div role="list">{lines}</div>{_scale()}</div>'


def _line(index: int, shares: Mapping[str, float], named: Mapping[str, str]) -> str:
    name = LESIONS[index].name
    said = ", ".join(f"{named[model]} {percent(share)}" for model, share in shares.items())
    track = f"position:absolute;left:0;right:0;top:50%;border-top:1px solid {NEUTRAL};opacity:0.5"
    marks = "".join(
        f'<div title="{escape(f"{named[model]}: {name} {percent_to_a_tenth(share)}")}" '
        f'style="position:absolute;left:{100 * min(max(share, 0), 1):.2f}%;top:50%;transform:translate(-50%,-50%)">'
        f'<div style="{mark_box(model)}"></div></div>'
        for model, share in shares.items()
    )
    return (
        f'<div role="listitem" aria-label="{escape(f"{name}: {said}")}"><div>{escape(name)}</div>'
        f'<div style="position:relative;height:22px;margin:0 {MARK_PX // 2}px">'
        f'<div style="{track}"></div>{marks}</div></div>'
    )


def _scale() -> str:
    ticks = "".join(
        f'<span style="position:absolute;left:{tick}%;white-space:nowrap;'
        f'transform:translateX({"-50%" if tick < 100 else "calc(-100% + 7px)"})">{tick}%</span>'
        for tick in TICKS
    )
    return f'<div aria-hidden="true" style="position:relative;height:22px;margin:0 {MARK_PX // 2}px">{ticks}</div>'
