"""Choices in the address: by an option's words, as Streamlit writes them, and by its code, as a person types it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import ROOT


def page() -> None:
    import streamlit as st

    from pages import _links

    names = {"mel": "Melanoma", "bcc": "Basal cell carcinoma", "nv": "Nevus"}
    first = _links.selectbox("First", list(names), 0, names.get, key="first")
    second = _links.selectbox("Second", list(names), 1, names.get, key="second")
    number = st.number_input("Number", 1, 9, 1, key="number", bind="query-params")
    st.text(f"{first} {second} {number}")


def opened(shown: Callable[[], None] = page, **query: str | list[str]) -> AppTest:
    app = AppTest.from_function(shown, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, "mel bcc 1"),
        ({"first": "bcc"}, "bcc bcc 1"),
        ({"first": "Basal cell carcinoma"}, "bcc bcc 1"),
        ({"first": "nv", "second": "mel", "number": "7"}, "nv mel 7"),
        ({"first": "mel", "second": "bcc"}, "mel bcc 1"),
        ({"first": "nobody", "second": "nv"}, "mel nv 1"),
        ({"first": "", "second": "nv"}, "mel nv 1"),
    ],
)
def test_an_option_is_found_by_its_words_and_by_its_code(query: dict[str, str], shown: str) -> None:
    assert opened(**query).text[0].value == shown


def test_the_address_then_says_it_in_words_and_choosing_goes_on() -> None:
    """What is chosen later, the browser itself writes into the address."""
    app = opened(first="nv", number="7")
    assert app.query_params == {"first": "Nevus", "number": "7"}
    app.selectbox(key="first").select("bcc").run()
    assert app.text[0].value == "bcc bcc 7"
    app.selectbox(key="first").select("mel").run()
    assert app.text[0].value == "mel bcc 7"


def several() -> None:
    import streamlit as st

    from pages import _links

    names = {"mel": "Melanoma", "bcc": "Basal cell carcinoma", "nv": "Nevus"}
    many = _links.multiselect("Many", list(names), names.get, key="many")
    one = _links.segmented_control("One", list(names), names.get, key="one")
    part = _links.pills("Part", list(names), key="part")
    st.text(f"{','.join(many) or 'none'} {one} {part}")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, "none mel mel"),
        ({"many": ["mel", "Nevus"], "one": "bcc", "part": "nv"}, "mel,nv bcc nv"),
        ({"many": "bcc", "one": "Nevus"}, "bcc nv mel"),
        ({"many": ["nobody", "nv"], "one": "nobody", "part": "nobody"}, "nv mel mel"),
        ({"many": "", "one": "", "part": ""}, "none mel mel"),
    ],
)
def test_so_are_several_and_one_of_a_row(query: dict[str, str | list[str]], shown: str) -> None:
    app = opened(several, **query)
    assert app.text[0].value == shown
    assert ("nobody" in repr(query)) == bool(app.toast), "what is no choice is said"
    if query.get("one") == "":
        assert app.segmented_control(key="one").value == "mel", "the browser shows it as chosen, too"
        assert "one" not in app.query_params


def test_one_of_a_row_is_chosen_by_the_functions_that_know_of_empty_addresses() -> None:
    """Streamlit's own give None for `?key=`, whatever their default, and pages would not expect it."""
    direct = [
        (path.name, ast.unparse(call.func))
        for path in (ROOT / "pages").glob("*.py")
        if path.name != "_links.py"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"st.segmented_control", "st.pills"}
        and any(word.arg == "bind" for word in call.keywords)
    ]
    assert direct == []


def bound_keys(source: str) -> set[str]:
    """The keys of a page's widgets that stand in the address, where they are plain."""
    found = set()
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        named = ast.unparse(call.func)
        if named == "pick_figure":
            words["key"] = ast.unparse(call.args[0])
        bound = "bind" in words or named.startswith("_links.") or named == "pick_figure"
        if bound and words.get("key", "").startswith("'"):
            found.add(words["key"].strip("'"))
    return found


def test_a_key_in_the_address_is_of_one_widget() -> None:
    """Streamlit keeps its value when the page is left, and hands it to whichever widget has the key on the next one."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "pages").glob("*.py")):
        for key in bound_keys(path.read_text(encoding="utf-8")):
            places[key].append(path.name)
    assert len(places) > 40, "the pages' widgets were found"
    assert {key: found for key, found in places.items() if len(found) > 1} == {}


def changing() -> None:
    import streamlit as st

    from pages import _links

    options = st.session_state.get("there", ["mel", "bcc", "nv"])
    one = _links.selectbox("One", options, key="one")
    many = _links.multiselect("Many", options, key="many")
    row = _links.segmented_control("Row", options, key="row")
    number = _links.number_input("Number", 1, len(options), 1, key="number")
    st.text(f"{one} {','.join(many)} {row} {number}")


def test_a_choice_that_is_none_any_more_is_let_go() -> None:
    """Streamlit would give it back, and show another one in its place."""
    app = opened(changing, one="nv", many=["mel", "nv"], row="nv", number="3")
    assert app.text[0].value == "nv mel,nv nv 3"
    app.session_state["there"] = ["mel", "bcc"]
    app.run()
    assert not app.exception
    assert app.text[0].value == "mel mel mel 1"


def numbers() -> None:
    import streamlit as st

    from pages import _links

    number = _links.number_input("Number", 1, 9, 2, key="number")
    part = _links.slider("Part", 0.0, 1.0, 0.5, 0.1, key="part")
    st.text(f"{number} {part:.1f}")


@pytest.mark.parametrize(
    ("query", "shown", "said"),
    [
        ({"number": "7", "part": "0.8"}, "7 0.8", []),
        ({"number": "5000"}, "2 0.5", ["“5000”, where 1 to 9 can"]),
        ({"part": "-3"}, "2 0.5", ["“-3”, where 0 to 1 can"]),
        ({"part": "much"}, "2 0.5", ["“much”, where 0 to 1 can"]),
    ],
)
def test_a_number_that_cannot_be_chosen_is_spoken_of(query: dict, shown: str, said: list[str]) -> None:
    """Whoever is sent a link would take what is shown for what was meant."""
    app = opened(numbers, **query)
    assert app.text[0].value == shown
    assert len(app.toast) == len(said)
    assert all(one in toast.value for one, toast in zip(said, app.toast, strict=True))


def corrected() -> None:
    import streamlit as st

    from pages import _links

    _links.begin()
    number = _links.number_input("Number", 1, 9, 2, key="number")
    code = _links.selectbox("Code", ["mel", "nv"], 0, {"mel": "Melanoma", "nv": "Nevus"}.get, key="code")
    st.text(f"{number} {code}")


def test_what_was_said_is_not_lost_when_the_page_runs_again_for_its_address() -> None:
    app = opened(corrected, number="5000", code="nv")
    assert app.text[0].value == "2 nv"
    assert ["“5000”, where 1 to 9" in toast.value for toast in app.toast] == [True]
    app.run()
    assert not app.toast, "once is enough"
