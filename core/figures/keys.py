"""What the colours and marks of figures stand for, as HTML: for figures that have no legend of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from core.figures.style import class_colour, mark_style
from core.lesions import LESIONS

MARK_PX = 14
"""Side of a model's mark."""


def class_key() -> str:
    """The seven classes with their colours."""
    square = "width:12px;height:12px;border-radius:2px;background:"
    return _key((f"{square}{class_colour(lesion.code)}", lesion.name) for lesion in LESIONS)


def model_key(named: Mapping[str, str]) -> str:
    """Models with their marks.

    Args:
        named: model -> the name that people read.
    """
    return _key((f"{mark_box(model)}", title) for model, title in named.items())


def mark_box(model: str) -> str:
    """CSS of a box that is a model's mark."""
    return f"width:{MARK_PX}px;height:{MARK_PX}px;{mark_style(model)}"


def _key(entries: Iterable[tuple[str, str]]) -> str:
    shown = "".join(
        f'<span role="listitem" style="display:inline-flex;align-items:center;gap:6px">'
        f'<span style="display:inline-block;{style}"></span><span>{escape(text)}</span></span>'
        for style, text in entries
    )
    layout = "display:flex;flex-wrap:wrap;gap:4px 18px;margin-bottom:8px;font-size:14px;line-height:1.4"
    return f'<div role="list" style="{layout}">{shown}</div>'
