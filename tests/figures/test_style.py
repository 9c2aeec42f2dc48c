"""Colours: one per class and per model, to be seen on the light and on the dark ground."""

import tomllib

import plotly.io as pio
import pytest

from core.figures.style import (
    BROUGHT,
    GROUNDS,
    INK_ON_DARK,
    INK_ON_LIGHT,
    MODEL_COLOURS,
    MODEL_SYMBOLS,
    NEUTRAL,
    TRAINING,
    TRANSPARENT,
    VALIDATION,
    figure,
    themed_css,
)
from core.lesions import LESIONS
from core.serving.registry import KNOWN
from core.settings import ROOT

THEMES = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["theme"]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_known_model_has_a_colour_and_a_symbol_of_its_own() -> None:
    assert set(MODEL_COLOURS) == set(MODEL_SYMBOLS) == set(KNOWN)
    assert len(set(MODEL_COLOURS.values())) == len(MODEL_COLOURS)
    assert len(set(MODEL_SYMBOLS.values())) == len(MODEL_SYMBOLS)


def test_every_class_has_a_colour_of_its_own() -> None:
    assert len({lesion.colour for lesion in LESIONS}) == len(LESIONS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("colour", [*MODEL_COLOURS.values(), NEUTRAL, BROUGHT, TRAINING, VALIDATION])
def test_model_colours_are_seen_on_both_grounds(theme: str, colour: str) -> None:
    """WCAG asks for 3 between parts of a figure and their ground."""
    assert contrast(colour, THEMES[theme]["backgroundColor"]) >= 3


def mix(colour: str, ground: str, share: float) -> str:
    """`colour` laid over `ground` with an opacity."""
    pairs = [(int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_contrast_of_the_themes(theme: str) -> None:
    """4.5 for text, on the page and on the ground of widgets; Streamlit draws captions at 60% of the text colour."""
    colours = THEMES[theme]
    ground = colours["backgroundColor"]
    for text in ("textColor", "linkColor", "primaryColor"):
        assert contrast(colours[text], ground) >= 4.5, text
    assert contrast(colours["textColor"], colours["secondaryBackgroundColor"]) >= 4.5
    assert contrast(mix(colours["textColor"], ground, 0.6), ground) >= 4.5


@pytest.mark.parametrize(("theme", "ink"), [("light", INK_ON_LIGHT), ("dark", INK_ON_DARK)])
def test_text_and_lines_in_figures_are_for_their_ground(theme: str, ink: str) -> None:
    page, border = THEMES[theme]["backgroundColor"], THEMES[theme]["borderColor"]
    assert contrast(ink, page) >= 4.5
    found = figure(100, ink).layout
    across, upwards, hover = found.xaxis, found.yaxis, found.hoverlabel
    for font in (found.font, found.legend.font, across.tickfont, upwards.title.font, hover.font):
        assert font.color == ink
    assert (hover.bgcolor, hover.bordercolor) == (page, border)
    assert contrast(upwards.gridcolor, page) < 1.5, "lines of the grid should hardly be seen"


def test_figures_have_no_template_even_where_plotly_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pio.templates, "default", "plotly_dark")
    assert "template" not in figure(100).to_dict()["layout"]


def test_figures_lie_on_the_page_s_own_ground() -> None:
    layout = figure(100).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == TRANSPARENT


def test_figures_follow_a_theme_that_is_chosen_in_the_menu() -> None:
    rules = themed_css()
    for ink, ground in GROUNDS.items():
        for colour in (ink, *ground):
            assert f"{', '.join(str(part) for part in bytes.fromhex(colour[1:]))})'" in rules
    assert f"light-dark({INK_ON_LIGHT}, {INK_ON_DARK})" in rules
