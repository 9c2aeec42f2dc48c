"""A stranger's CSV: taken when it is in order, otherwise refused row by row."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable

import numpy as np
import pytest

from core.evaluation.brought import COLUMNS, MAX_ERRORS, NAME, BroughtError, read_brought, template
from core.evaluation.calibration import fit_temperature
from core.evaluation.predictions import Predictions
from core.lesions import CODES


@pytest.fixture(scope="module")
def reference(simulate: Callable[..., Predictions]) -> Predictions:
    return simulate(120, parts=("validation", "test"))


def table(reference: Predictions, part: str | None = "test") -> list[list[str]]:
    """Header and one row for each image, with a model's own probabilities."""
    rows = reference if part is None else reference.part_only(part)
    shares = rows.probabilities(1.0)
    return [list(COLUMNS)] + [
        [one, *(repr(float(p)) for p in row)] for one, row in zip(rows.image_id, shares, strict=True)
    ]


def written(rows: list[list[str]], separator: str = ",") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows(rows)
    return buffer.getvalue().encode()


def refused(rows: list[list[str]] | bytes, reference: Predictions) -> BroughtError:
    with pytest.raises(BroughtError) as caught:
        read_brought(rows if isinstance(rows, bytes) else written(rows), reference)
    return caught.value


def test_what_is_in_order_comes_back_as_it_was(reference: Predictions) -> None:
    test = reference.part_only("test")
    found = read_brought(written(table(reference)), reference)
    assert found.predictions.model == NAME
    assert not found.calibrated
    assert found.temperature == 1
    assert "not calibrated" in found.notes[-1]
    aligned = found.predictions.aligned_to(test)
    np.testing.assert_allclose(aligned.probabilities(), test.probabilities(), atol=1e-6)


def test_with_all_validation_images_it_is_calibrated_as_ours(reference: Predictions) -> None:
    found = read_brought(written(table(reference, None)), reference)
    assert found.calibrated
    validation = reference.part_only("validation")
    fitted = fit_temperature(validation.logits, validation.label)
    assert found.temperature == pytest.approx(fitted, rel=1e-3)
    test = reference.part_only("test")
    assert fitted != pytest.approx(fit_temperature(test.logits, test.label), rel=2e-3)
    assert set(found.predictions.part) == {"test"}


@pytest.mark.parametrize(
    ("rows", "said"), [(0, ""), (1, "in 1 validation row the"), (3, "in 3 validation rows the")]
)
def test_a_probability_of_0_for_the_truth_is_said_to_weigh_in_the_temperature(
    reference: Predictions, rows: int, said: str
) -> None:
    cells = table(reference, None)
    for row in np.flatnonzero(reference.part == "validation")[:rows]:
        wrong = (reference.label[row] + 1) % len(CODES)
        cells[row + 1][1:] = [str(float(k == wrong)) for k in range(len(CODES))]
    notes = read_brought(written(cells), reference).notes
    assert [note for note in notes if "probability of 0" in note] == [
        n for n in notes if said and n.startswith(said)
    ]
    assert bool(said) == bool(notes)


def test_order_of_rows_and_columns_does_not_matter(reference: Predictions) -> None:
    rows = table(reference)
    turned = [list(reversed(row)) for row in [rows[0], *reversed(rows[1:])]]
    test = reference.part_only("test")
    found = read_brought(written(turned), reference).predictions.aligned_to(test)
    np.testing.assert_allclose(found.probabilities(), test.probabilities(), atol=1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_a_byte_order_mark(reference: Predictions, separator: str) -> None:
    rows = table(reference)
    if separator == ";":  # as spreadsheets in half of Europe write it
        rows = [rows[0], *([row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in rows[1:])]
    found = read_brought(b"\xef\xbb\xbf" + written(rows, separator), reference)
    assert len(found.predictions) == len(rows) - 1


def test_the_template_is_taken_and_tells_no_class(reference: Predictions) -> None:
    text = template(reference)
    found = read_brought(text.encode(), reference)
    assert found.calibrated
    assert found.notes == ()
    np.testing.assert_allclose(found.predictions.probabilities(), 1 / len(CODES), atol=1e-6)


def test_extra_columns_are_ignored_and_named(reference: Predictions) -> None:
    rows = [[*row, "=cmd()"] for row in table(reference)]
    rows[0][-1] = "note"
    assert "note" in read_brought(written(rows), reference).notes[0]


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("", "nothing"),
        ("nan", "'nan'"),
        ("NaN", "'NaN'"),
        ("inf", "'inf'"),
        ("-0.1", "'-0.1'"),
        ("1.1", "'1.1'"),
        ("50%", "'50%'"),
        ("1_0", "'1_0'"),
        ("٠.5", "'٠.5'"),
        ("=cmd()", "'=cmd()'"),
        ("=1+1", "'=1+1'"),
        ("@SUM(A1)", "'@SUM(A1)'"),
        ("0x1", "'0x1'"),
        ("1e999", "'1e999'"),
        ("<img src=x onerror=alert(1)>", "'<img"),
        ("9" * 5000, "..."),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(reference: Predictions, cell: str, named: str) -> None:
    rows = table(reference)
    rows[4][3] = cell
    error = refused(rows, reference)
    assert [(e.row, e.column) for e in error.errors] == [(5, COLUMNS[3])]
    assert named in error.errors[0].problem
    assert len(error.errors[0].problem) < 120


def test_a_sum_that_is_not_1(reference: Predictions) -> None:
    rows = table(reference)
    rows[2][1:] = ["0.2"] * 7
    error = refused(rows, reference)
    assert [e.row for e in error.errors] == [3]
    assert "sum to 1, found 1.4" in str(error)


@pytest.mark.parametrize("stranger", ["ISIC_9999999", "=cmd()", "", "../../etc/passwd", "x" * 9000])
def test_an_unknown_image(reference: Predictions, stranger: str) -> None:
    rows = table(reference)
    rows[6][0] = stranger
    error = refused(rows, reference)
    assert (error.errors[0].row, error.errors[0].column) == (7, "image_id")
    assert len(str(error)) < 150


def test_an_image_twice_names_both_rows(reference: Predictions) -> None:
    rows = table(reference)
    rows.append(rows[1])
    error = refused(rows, reference)
    assert error.errors[0].row == len(rows)
    assert "in row 2 too" in error.errors[0].problem


def test_a_missing_test_image_is_named(reference: Predictions) -> None:
    rows = table(reference)
    gone = rows.pop(3)
    assert gone[0] in str(refused(rows, reference))


def test_each_missing_column_is_named(reference: Predictions) -> None:
    rows = [row[:-2] for row in table(reference)]
    error = refused(rows, reference)
    assert [e.column for e in error.errors] == list(COLUMNS[-2:])
    assert {e.row for e in error.errors} == {1}


def test_a_column_twice(reference: Predictions) -> None:
    rows = [[*row, row[-1]] for row in table(reference)]
    assert "several" in str(refused(rows, reference))


def test_a_short_row(reference: Predictions) -> None:
    rows = table(reference)
    rows[3] = rows[3][:4]
    assert refused(rows, reference).errors[0].row == 4


def test_many_errors_are_counted_and_the_first_are_listed(reference: Predictions) -> None:
    rows = table(reference)
    for row in rows[1:]:
        row[1] = "?"
    error = refused(rows, reference)
    assert len(error.errors) == MAX_ERRORS
    assert error.total == len(rows) - 1 > MAX_ERRORS


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n\n", b",,,\n,,,\n", b"\0" * 100, b"\x89PNG\r\n\x1a\n", b"\xff\xfe=\x00", b'"', b'image_id,"p_mel\n1',
     b"image_id", ",".join(COLUMNS).encode()],
)  # fmt: skip
def test_what_is_no_such_csv_is_refused_in_a_sentence(reference: Predictions, data: bytes) -> None:
    assert str(refused(data, reference))


def test_a_million_rows_are_refused_at_once(reference: Predictions) -> None:
    data = ",".join(COLUMNS).encode() + b"\n" + b"a,1,0,0,0,0,0,0\n" * 1_000_000
    start = time.thread_time()
    error = refused(data, reference)
    assert time.thread_time() - start < 2
    assert "1,000,001" in str(error)


def test_a_file_over_the_limit_is_refused(reference: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.brought.MAX_UPLOAD_BYTES", 1 << 20)
    assert "at most 1 MB" in str(refused(b"a" * ((1 << 20) + 1), reference))


def assert_taken(data: bytes, reference: Predictions) -> None:
    """Every test image is there with the probabilities of `reference`."""
    test = reference.part_only("test")
    shares = read_brought(data, reference).predictions.aligned_to(test).probabilities()
    np.testing.assert_allclose(shares, test.probabilities(), atol=1e-6)


def rewritten(reference: Predictions, form: Callable[[float], str]) -> list[list[str]]:
    """The table with each probability in another form."""
    header, *rows = table(reference)
    return [header, *([row[0], *(form(float(cell)) for cell in row[1:])] for row in rows)]


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_probabilities_are_scaled_and_counted(reference: Predictions, digits: int) -> None:
    rows = rewritten(reference, lambda p: f"{p:.{digits}f}")
    sums = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]]).sum(axis=1)
    off = np.abs(sums - 1)
    found = read_brought(written(rows), reference)
    scaled = int((off > 10.0 ** -(digits + 2)).sum())
    assert scaled > 1
    assert found.notes[0] == f"{scaled} rows were scaled to sum to 1 (largest deviation {off.max():.2g})"
    aligned = found.predictions.aligned_to(reference.part_only("test"))
    shares = aligned.probabilities()
    np.testing.assert_allclose(shares, reference.part_only("test").probabilities(), atol=3 * 10.0**-digits)


@pytest.mark.parametrize(
    ("last", "taken"), [("0.38", True), ("0.42", True), ("0.379", False), ("0.4201", False)]
)
def test_a_sum_may_miss_1_by_the_tolerance(reference: Predictions, last: str, taken: bool) -> None:
    rows = table(reference)
    rows[2][1:] = ["0.1"] * 6 + [last]
    if taken:
        note = "1 row was scaled to sum to 1 (largest deviation 0.02)"
        assert note in read_brought(written(rows), reference).notes
    else:
        assert [e.row for e in refused(rows, reference).errors] == [3]


def test_rounding_of_float32_is_no_note(reference: Predictions) -> None:
    rows = rewritten(reference, lambda p: repr(float(np.float32(p))))
    assert not any("scaled" in note for note in read_brought(written(rows), reference).notes)


@pytest.mark.parametrize(
    "form", ["{}.jpg", "{}.JPEG", "images/{}.png", "C:\\images\\{}.Tif", "/a.b/{}", "{}.webp", "{}.bmp"]
)
def test_the_table_of_the_command_predict_is_taken(reference: Predictions, form: str) -> None:
    rows = table(reference)
    rows[0][0] = "image"
    for row in rows[1:]:
        row[0] = form.format(row[0])
    found = read_brought(written(rows), reference)
    found.predictions.aligned_to(reference.part_only("test"))
    assert not any("ignored" in note for note in found.notes)


def test_a_column_image_beside_the_ids_is_ignored(reference: Predictions) -> None:
    rows = [[*row, "x"] for row in table(reference)]
    rows[0][-1] = "image"
    assert read_brought(written(rows), reference).notes[0].endswith("ignored: image")


def test_other_endings_are_part_of_an_id_and_paths_of_one_image_are_the_same(reference: Predictions) -> None:
    rows = table(reference)
    name = rows[1][0]
    rows[1][0] = f"a/{name}.jpg"
    assert "in row 2 too" in str(refused([*rows, [f"b/{name}.png", *rows[1][1:]]], reference))
    rows[1][0] = f"{name}.exe"
    assert f"{name}.exe" in str(refused(rows, reference))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line", ["sep={}\r\n", "SEP={}\n", '"sep={}"\n'])
def test_the_separator_line_of_excel(reference: Predictions, separator: str, line: str) -> None:
    rows = table(reference)
    rows[0].append("a,,,,,,,,,,;;;;;;;;;;")  # would mislead a guess
    head = line.format(separator).encode()
    assert_taken(head + written(rows, separator), reference)
    rows[4][3] = "?"
    assert refused(head + written(rows, separator), reference).errors[0].row == 5


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_by_its_byte_order_mark(reference: Predictions, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    data = (mark + written(table(reference), "\t").decode()).encode(encoding)
    assert_taken(data, reference)
    assert "in UTF-16, found other bytes" in str(refused(data[:-1], reference))


@pytest.mark.parametrize(
    ("form", "spoilt", "name"),
    [
        (lambda p: f"{100 * p:.1f}", (0, "unknown"), "percentages"),
        (lambda p: f"{np.log(p):.4f}", (2, "nan"), "logits"),
    ],
    ids=["percentages", "logits"],
)
def test_another_scale_is_one_error(
    reference: Predictions, form: Callable[[float], str], spoilt: tuple[int, str], name: str
) -> None:
    rows = rewritten(reference, form)
    rows[3][spoilt[0]] = spoilt[1]
    error = refused(rows, reference)
    assert (error.total, error.errors[0].row) == (1, 0)
    assert f"sum to 1 in each row, found what looks like {name}" in str(error)


@pytest.mark.parametrize("cell", ["1e308", "-1e308", "1e999", "1" * 39])
def test_enormous_numbers_are_errors_of_their_rows(reference: Predictions, cell: str) -> None:
    rows = table(reference)
    for row in rows[1:4]:
        row[1:] = [cell] * 7
    rows[2][1] = "-1e308"
    assert refused(rows, reference).total == 21


@pytest.mark.parametrize("padding", [0, 200_000])
def test_an_open_quotation_mark_is_found_where_it_is(reference: Predictions, padding: int) -> None:
    rows = table(reference)
    rows[-1].append("x" * padding)
    lines = written(rows).split(b"\r\n")
    lines[6] = b'"' + lines[6]
    error = refused(b"\r\n".join(lines), reference)
    assert [e.row for e in error.errors] == [7]
    assert "a quotation mark that is probably not closed" in str(error)
    assert len(str(error)) < 120


def test_an_index_without_a_name_is_named_in_the_note(reference: Predictions) -> None:
    rows = [[str(number), *row] for number, row in enumerate(table(reference))]
    rows[0][0] = ""
    assert read_brought(written(rows), reference).notes[0].endswith("ignored: (no name)")
