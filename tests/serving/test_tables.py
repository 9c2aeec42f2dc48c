"""No cell of a CSV is a formula, nothing is lost by that, and any file name can be printed."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.serving.tables import csv_line, neutralise, printable, restore, to_csv, valid_text

FORMULAS = ["=cmd()", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text):
    assert neutralise(text) == f"'{text}"
    assert next(csv.reader(io.StringIO(csv_line([text]), newline=""))) == [f"'{text}"]


@pytest.mark.parametrize("value", ["", "lesion.jpg", "'quoted'", "a=b", -1.5, 3, None, np.float32(-2), True])
def test_the_rest_stays(value):
    assert neutralise(value) is value


@settings(deadline=None)
@given(st.text())
def test_restore_undoes_neutralise(text):
    written = neutralise(text)
    assert restore(written) == text
    assert not written.startswith(tuple("=+-@\t\r\n"))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_line_holds_its_cells(cells):
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert [restore(cell) for cell in row] == cells


def test_frame():
    frame = pd.DataFrame({"=x": ["=1", "b", None], "n": [-1.5, float("nan"), 2], "k": [-1, 2, 3]})
    assert to_csv(frame) == "'=x,n,k\n'=1,-1.5,-1\nb,,2\n,2.0,3\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.jpg", "a.jpg"),
        ("a\x1b[31m\nb", "a\\x1b[31m\\nb"),
        ("gpj.\u202ea", "gpj.\\u202ea"),
        ("bad\udcff", "bad\\udcff"),
        ("ä" * 10, "ä" * 10),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_printable_is_short():
    assert len(printable("x" * 5000)) == 200
    assert printable("a" * 300 + ".jpg").endswith(".jpg")


@settings(deadline=None)
@given(st.text(st.characters()))
def test_valid_text_can_be_written(text):
    valid_text(text).encode("utf-8")
    printable(text).encode("utf-8")
