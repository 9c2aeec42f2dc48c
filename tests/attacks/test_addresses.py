"""Addresses that nobody types: junk, scripts and enormous values in every parameter of every page."""

from __future__ import annotations

import re
from functools import cache

import pytest

from core.settings import ROOT

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
SCRIPT = "<script>alert(1)</script>"
JUNK = {
    "script": SCRIPT,
    "enormous": "9" * 5000,
    "beyond any float": "9" * 400,
    "negative": "-1e308",
    "not a number": "nan",
    "path": "../../etc/passwd",
    "markdown": "![x](https://evil.example/x.png) :red[**x**] $\\frac{}$",
    "control": "\x00\x1b[31m\u202e",
    "template": "{{7*7}}${7*7}=cmd()",
    "empty": "",
}


SECTIONS = frozenset({"section", "view", "aspect", "source"})
"""Parameters that decide which part of a page is drawn; junk in them would leave only the first part to be tried."""


BENEATH = (("One class", {"rule": "its probability reaches a threshold"}),)
"""Parts that only another choice within a part brings out."""


@pytest.fixture(scope="module")
def visit(dashboard, protocol):
    """A function that opens a page of the real server with parameters, and gives what was sent."""

    def open_page(name: str, query: dict[str, str]):
        with protocol.Visitor(dashboard.url, name, query) as visitor:
            return visitor.page

    return open_page


@pytest.fixture(scope="module")
def parts(visit):
    """A function that gives every part of a page: how its address chooses it, and the other parameters it has."""

    @cache
    def of_page(name: str) -> list[tuple[dict[str, str], list[str]]]:
        page = visit(name, {})
        chooser = next((x for x in page.of("button_group") if x.query_param_key in SECTIONS), None)
        choices = [{chooser.query_param_key: o.content} for o in chooser.options] if chooser else [{}]
        choices += [
            choice | more for choice in choices for value, more in BENEATH if value in choice.values()
        ]
        return [(choice, _parameters(visit(name, choice))) for choice in choices]

    return of_page


def _parameters(page) -> list[str]:
    """The names that a page's widgets have in the address, as it tells the browser."""
    return sorted(set(re.findall(r'query_param_key: "([^"]+)"', page.everything())) - SECTIONS)


def test_the_pages_have_parameters(parts) -> None:
    found = {key for page in PAGES for _, keys in parts(page) for key in keys}
    known = {"class", "lab-class", "taught-by", "number", "models", "true", "named", "threshold", "split", "dx",
             "order", "augmentation", "draw", "view-number", "effect", "figure", "gain", "loss-t", "alpha", "card",
             "cost"}  # fmt: skip
    assert known <= found
    sections = {value for page in PAGES for choice, _ in parts(page) for value in choice.values()}
    assert {"Images", "Balancing", "Cohorts", "Worst errors", "Sample"} <= sections
    assert len(sections) >= 20


@pytest.mark.parametrize("kind", JUNK)
@pytest.mark.parametrize("page", PAGES)
def test_junk_in_every_parameter_of_every_part_of_every_page(visit, parts, page: str, kind: str) -> None:
    """`?effect=` is no effect either; a page that always has one takes the first."""
    for choice, keys in parts(page):
        if keys or not choice:
            _sound(visit(page, dict.fromkeys(keys, JUNK[kind]) | choice), f"{page} {choice} {kind}")


@pytest.mark.parametrize("page", PAGES)
def test_each_parameter_of_each_part_empty_on_its_own(visit, parts, page: str) -> None:
    """All at once empty the list of models, too, without which most parts draw nothing."""
    for choice, keys in parts(page):
        for key in keys:
            _sound(visit(page, choice | {key: ""}), f"{page} {choice} {key}")


@pytest.mark.parametrize("page", PAGES)
def test_a_different_junk_in_every_parameter_also_in_those_that_choose_the_part(
    visit, parts, page: str
) -> None:
    kinds = list(JUNK)
    keys = sorted({*SECTIONS, *(key for _, of_part in parts(page) for key in of_part)})
    for shift in range(3):
        query = {key: JUNK[kinds[(i + shift) % len(kinds)]] for i, key in enumerate(keys)}
        _sound(visit(page, query), f"{page} {shift}")


def test_values_and_names_of_no_parameter_at_all(visit) -> None:
    _sound(visit("prediction", {SCRIPT: SCRIPT, "x" * 3000: "y" * 3000, "__proto__": "x", "": "z"}), "names")
    _sound(visit("nobody/../prediction", {}), "a page that is not there")


def test_what_is_no_choice_is_said(visit) -> None:
    """And the address is corrected by Streamlit, for this and for numbers beyond their bounds."""
    no_links = {"www.evil.example": "www\N{WORD JOINER}.evil", "me@evil.example": "me\N{WORD JOINER}@evil"}
    for junk, shown in {"nobody": "“nobody”", "<b>x</b>": "‹b›x‹/b›", **no_links}.items():
        page = visit("prediction", {"source": "Sample", "class": junk, "number": "-5"})
        first, number = [x.body for x in page.of("toast")]
        assert shown.rpartition("/")[2] in first
        assert "“-5”, where 1 to " in number
        assert page.of("imgs") or page.of("alert"), "the first choice is taken"


def _sound(page, what: str) -> None:
    """It came whole: no exception, no trace, and nothing of the junk as text that a browser would take for more."""
    sent = page.everything()
    assert not page.of("exception"), what
    assert "Not a medical device" in sent, what
    assert SCRIPT not in sent, what
    assert "](https://evil.example" not in sent, "a picture that a browser would fetch"
    assert "9" * 100 not in sent, what
    assert "Traceback" not in sent, what
