"""The batch's table: written row by row, resumable after any cut, the same as CSV and as Parquet."""

import csv
from contextlib import suppress

import pandas as pd
import pytest

from core.serving.output import COLUMNS, OutputError, RowWriter, csv_rows

NAMES = ["a.jpg", "=cmd().jpg", "'=x.jpg", 'q"uo,te.jpg', "new\nline.jpg", "ret\rurn.jpg", "ä.jpg", "-.jpg"]


def row(name, status="ok", model="student"):
    numbers = [None] * 9 if status == "rejected" else ["nv", 0.93, 0.01, 0.01, 0.01, 0.01, 0.02, 0.93, 0.01]
    return (name, model, status, *numbers, "Torn." if status == "rejected" else "")


def write(path, names, **options):
    with RowWriter(path, "student", **options) as writer:
        for name in names:
            if name not in writer.done:
                writer.write(row(name, "rejected" if name.startswith("q") else "ok"))
    return writer


def read(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, lineterminator="\n")


@pytest.mark.parametrize("ending", ["csv", "parquet", "CSV"])
def test_columns_and_rows(tmp_path, ending):
    path = tmp_path / f"new/folder/table.{ending}"
    writer = write(path, NAMES)
    frame = read(path)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(NAMES)
    assert frame["p_nv"].dropna().tolist() == [0.93] * 7
    assert frame["p_nv"].isna().tolist() == [name.startswith("q") for name in NAMES]
    assert writer.counts == {"ok": 7, "rejected": 1}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_csv_is_neutralised_and_parquet_is_not(tmp_path):
    write(tmp_path / "t.csv", NAMES)
    write(tmp_path / "t.parquet", NAMES)
    with (tmp_path / "t.csv").open(newline="") as stream:
        cells = [line["image"] for line in csv.DictReader(stream)]
    assert cells == ["a.jpg", "'=cmd().jpg", "''=x.jpg", *NAMES[3:7], "'-.jpg"]
    assert pd.read_parquet(tmp_path / "t.parquet")["image"].tolist() == NAMES
    assert [line[0] for line in csv_rows(tmp_path / "t.csv")] == NAMES


def test_every_row_is_there_before_the_next(tmp_path):
    path = tmp_path / "t.csv"
    with RowWriter(path, "student") as writer:
        for k in range(3):
            writer.write(row(f"{k}.jpg"))
            assert len(list(csv_rows(path))) == k + 1


def test_resume_after_a_cut_at_every_byte(tmp_path):
    whole = tmp_path / "whole.csv"
    write(whole, NAMES)
    data = whole.read_bytes()
    path = tmp_path / "cut.csv"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        write(path, NAMES, resume=True)
        assert path.read_bytes() == data, length


def test_resume_keeps_rows_and_counts(tmp_path):
    path = tmp_path / "t.csv"
    write(path, NAMES[:5])
    writer = RowWriter(path, "student", resume=True)
    assert writer.done == set(NAMES[:5])
    assert writer.counts == {"ok": 4, "rejected": 1}


def test_without_resume_the_table_starts_anew(tmp_path):
    path = tmp_path / "t.csv"
    write(path, NAMES)
    write(path, ["b.jpg"])
    assert [line[0] for line in csv_rows(path)] == ["b.jpg"]


class Killed(BaseException):
    pass


def test_killed_parquet_resumes_from_its_journal(tmp_path):
    path = tmp_path / "t.parquet"
    with suppress(Killed), RowWriter(path, "student") as writer:
        for name in NAMES[:3]:
            writer.write(row(name))
        raise Killed
    assert not path.exists()
    writer = write(path, NAMES, resume=True)
    assert writer.done == set(NAMES[:3])
    assert read(path)["image"].tolist() == NAMES
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_finished_parquet_takes_more_rows(tmp_path):
    path = tmp_path / "t.parquet"
    write(path, NAMES[:4])
    before = read(path)
    write(path, NAMES, resume=True)
    after = read(path)
    assert after["image"].tolist() == NAMES
    pd.testing.assert_frame_equal(after[:4], before)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_resume_refuses_rows_of_another_model(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write(path, NAMES)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="expected rows of resnet50 to resume, found rows of student"):
        RowWriter(path, "resnet50", resume=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def longest_field():
    """A function that sets how long a field `csv` reads, which is one number for the whole process."""
    before = csv.field_size_limit()
    yield csv.field_size_limit
    csv.field_size_limit(before)


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "a,b\n1,2",
        "patient,age\nJane Doe,55\nJohn Roe,60",
        ",".join(COLUMNS) + "\nx,student\ny,student\n",
        ",".join(COLUMNS[:5]) + "\nx,student",
        ",".join(COLUMNS) + ",more",
        "\n",
        "no table",
        "image,model,statute",
        "\0\1",
        "x" * 200_000,
        ",".join(COLUMNS) + "\n" + "x" * 200_000 + "\ny\n",
    ],
)
@pytest.mark.parametrize("limit", [131_072, 1 << 24])
def test_resume_refuses_another_table(tmp_path, text, journal, limit, longest_field):
    longest_field(limit)
    path = tmp_path / ("t.parquet.part" if journal else "t.csv")
    path.write_text(text)
    with pytest.raises(OutputError, match=f"{path.name}: expected"):
        RowWriter(tmp_path / path.name.removesuffix(".part"), "student", resume=True)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["t.parquet", "t.parquet.part.kept", "t.csv.kept"])
def test_what_stands_where_resumed_rows_shall_go_never_gives_way(tmp_path, name):
    path = tmp_path / f"t.{name.split('.')[1]}"
    rows = path if path.suffix == ".csv" else tmp_path / f"{path.name}.part"
    rows.write_text(",".join(COLUMNS) + "\n")
    foreign = tmp_path / name
    foreign.write_text("patient,age\n")
    with pytest.raises(OutputError, match="found another file"):
        RowWriter(path, "student", resume=True)
    assert foreign.read_text() == "patient,age\n"
    assert rows.read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("content", [b"no parquet", b""])
def test_resume_refuses_a_damaged_parquet(tmp_path, content):
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="expected a Parquet table"):
        RowWriter(path, "student", resume=True)


@pytest.mark.parametrize("name", ["cohort.parquet", "cohort.parquet.part", "cohort.csv"])
def test_what_this_did_not_write_never_gives_way(tmp_path, name):
    foreign = tmp_path / name
    frame = pd.DataFrame({"patient": [1, 2]})
    frame.to_parquet(foreign) if foreign.suffix == ".parquet" else foreign.write_text("patient\n1\n2\n")
    before = foreign.read_bytes()
    with pytest.raises(OutputError, match="found another file"):
        write(tmp_path / name.removesuffix(".part"), NAMES)
    assert foreign.read_bytes() == before


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.gz", "t.xlsx", "..", ".csv"])
def test_other_endings_are_errors(tmp_path, name):
    with pytest.raises(OutputError, match=r"expected an output ending with \.csv or \.parquet"):
        RowWriter(tmp_path / name, "student")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected to write there"):
        RowWriter(tmp_path / "file/t.csv", "student")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(OutputError, match="expected to write there"):
        RowWriter(tmp_path / "t.csv", "student")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_two_at_once_do_not_write_one_table(tmp_path, name):
    """Rows of both would stand in it, and each would be told that all of its own do."""
    path = tmp_path / name
    with RowWriter(path, "student") as writer:
        for resume in (False, True):
            with pytest.raises(OutputError, match="expected no other process to write there, found one"):
                RowWriter(path, "student", resume=resume)
        writer.write(row("a.jpg"))
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with RowWriter(path, "student", resume=True) as writer:
        assert writer.done == {"a.jpg"}


def test_rows_of_two_makings_never_mix(tmp_path):
    path = tmp_path / "t.csv"
    with suppress(Killed), RowWriter(path, "student", "file a") as writer:
        writer.write(row("a.jpg"))
        raise Killed
    with pytest.raises(
        OutputError, match=r"made with file b to resume, found rows made with file a; .*--resume"
    ):
        RowWriter(path, "student", "file b", resume=True)
    with RowWriter(path, "student", "file a", resume=True) as writer:
        assert writer.done == {"a.jpg"}
    assert sorted(file.name for file in tmp_path.iterdir()) == [".t.csv.run", "t.csv"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_finished_table_takes_rows_of_its_own_making_only(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write(path, NAMES[:4], made_with="file a")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert before.keys() == {path.name, f".{path.name}.run"}
    with pytest.raises(OutputError, match=r"made with file b to resume, found rows made with file a; .*anew"):
        RowWriter(path, "student", "file b", resume=True, wanted=NAMES)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    write(path, NAMES, made_with="file a", resume=True, wanted=NAMES)
    assert read(path)["image"].size == len(NAMES)
    write(path, ["b.jpg"], made_with="file b")
    assert read(path)["image"].tolist() == ["b.jpg"]
    assert path.with_name(f".{path.name}.run").read_text() == "file b"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_of_unknown_making_gains_no_rows(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write(path, NAMES[:4])
    before = path.read_bytes()
    with pytest.raises(
        OutputError,
        match=rf"expected \.t\.{ending}\.run beside it, .* found none, and images without a row: 4; .*anew",
    ):
        RowWriter(path, "student", "file a", resume=True, wanted=NAMES)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write(path, NAMES[:4], made_with="file a", resume=True, wanted=NAMES[:4])
    assert list(tmp_path.iterdir()) == [path], "nobody knows what these rows were made with"


@pytest.mark.parametrize("left", [None, "", ",".join(COLUMNS) + "\n"])
def test_a_making_without_rows_refuses_nobody(tmp_path, left):
    path = tmp_path / "t.csv"
    write(path, NAMES, made_with="file a")
    path.unlink()
    if left is not None:
        path.write_text(left)
    write(path, NAMES, made_with="file b", resume=True, wanted=NAMES)
    assert path.with_name(".t.csv.run").read_text() == "file b"
