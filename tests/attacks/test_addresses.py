"""Addresses that nobody types: junk, scripts and enormous values in every parameter of every page."""

from __future__ import annotations

import re

import pytest

from core.settings import ROOT

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
SCRIPT = "<script>alert(1)</script>"
JUNK = {
    "script": SCRIPT,
    "enormous": "9" * 5000,
    "negative": "-1e308",
    "not a number": "nan",
    "path": "../../etc/passwd",
    "markdown": "![x](https://evil.example/x.png) :red[**x**] $\\frac{}$",
    "control": "\x00\x1b[31m\u202e",
    "template": "{{7*7}}${7*7}=cmd()",
    "empty": "",
}


def parameters() -> list[str]:
    """The keys of every widget that stands in the address, as the pages' sources name them."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pages").glob("*.py"))
    bound = re.findall(r'key="([a-z-]+)"(?=[^)]*bind="query-params")', text, re.DOTALL)
    linked = re.findall(r'_links\.\w+\((?:[^()]|\([^()]*\))*?key="([a-z-]+)"', text, re.DOTALL)
    return sorted({*bound, *linked})


@pytest.fixture(scope="module")
def visit(dashboard, protocol):
    """A function that opens a page of the real server with parameters, and gives what was sent."""

    def open_page(name: str, query: dict[str, str]):
        with protocol.Visitor(dashboard.url, name, query) as visitor:
            return visitor.page

    return open_page


def test_the_pages_have_parameters() -> None:
    assert {"source", "class", "number", "models", "opacity", "view", "section", "threshold"} - {
        "threshold"
    } <= set(parameters())


@pytest.mark.parametrize("kind", [kind for kind in JUNK if kind != "empty"])
def test_junk_in_every_parameter_of_the_prediction_page(visit, kind: str) -> None:
    _sound(visit("prediction", dict.fromkeys(parameters(), JUNK[kind])), kind)


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_empty_on_every_page(visit, page: str) -> None:
    """`?view=` is no view; a page that always has one takes the first."""
    _sound(visit(page, dict.fromkeys(parameters(), "")), page)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "prediction"])
def test_a_different_junk_in_every_parameter_of_every_page(visit, page: str) -> None:
    kinds = list(JUNK)
    query = {key: JUNK[kinds[i % len(kinds)]] for i, key in enumerate(parameters())}
    _sound(visit(page, query), page)


def test_values_and_names_of_no_parameter_at_all(visit) -> None:
    _sound(visit("prediction", {SCRIPT: SCRIPT, "x" * 3000: "y" * 3000, "__proto__": "x", "": "z"}), "names")
    _sound(visit("nobody/../prediction", {}), "a page that is not there")


def test_what_is_no_choice_is_said(visit) -> None:
    """And the address is corrected by Streamlit, for this and for numbers beyond their bounds."""
    for junk, shown in {"nobody": "“nobody”", "<b>x</b>": "‹b›x‹/b›"}.items():
        page = visit("prediction", {"source": "Sample", "class": junk, "number": "-5"})
        (toast,) = [x.body for x in page.of("toast")]
        assert shown.rpartition("/")[2] in toast
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
