"""The table of logits: what is kept, what is refused."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core.errors import UserError
from core.evaluation.predictions import METADATA_KEY, Predictions, PredictionsError
from core.lesions import CODES, N_CLASSES

COLUMNS = ("image_id", "lesion_id", "label", "logits", "part")


def assert_same(a: Predictions, b: Predictions) -> None:
    assert a.model == b.model
    for name in COLUMNS:
        mine, theirs = getattr(a, name), getattr(b, name)
        assert mine.dtype.kind == theirs.dtype.kind
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def tiny(**changes) -> Predictions:
    values = {
        "model": "m",
        "image_id": ["a", "b"],
        "lesion_id": ["x", "x"],
        "label": [4, 5],
        "logits": np.arange(14).reshape(2, 7),
        "part": ["test", "validation"],
    }
    return Predictions(**(values | changes))


def test_save_and_load_give_the_same(simulate, tmp_path):
    predictions = simulate(50, parts=("validation", "test"))
    path = tmp_path / "predictions" / "student.parquet"
    predictions.save(path)
    assert_same(Predictions.load(path), predictions)
    assert_same(Predictions.from_bytes(path.read_bytes(), "x"), predictions)
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


@settings(max_examples=25, deadline=None)
@given(
    logits=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 8), st.just(N_CLASSES)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    ),
    # Neither lone surrogates nor NUL are text in a file.
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
def test_any_finite_logits_and_any_name_survive_the_file(logits, name, tmp_path_factory):
    n = len(logits)
    ids = [f"{name}{i}" for i in range(n)]
    before = Predictions(name, ids, ids, np.arange(n) % 7, logits, ["test"] * n)
    path = tmp_path_factory.mktemp("p") / "p.parquet"
    before.save(path)
    assert_same(Predictions.load(path), before)


def test_a_saved_file_reads_as_a_plain_table(simulate, tmp_path):
    predictions = simulate(20)
    predictions.save(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table["label"].to_pylist() == [CODES[k] for k in predictions.label]
    np.testing.assert_array_equal(table["logit_mel"].to_numpy(), predictions.logits[:, CODES.index("mel")])


def test_saving_replaces_the_old_file_and_an_interrupted_one_leaves_it(simulate, tmp_path, monkeypatch):
    path = tmp_path / "p.parquet"
    first, second = simulate(20), simulate(20, seed=1)
    first.save(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        second.save(path)
    assert_same(Predictions.load(path), first)
    monkeypatch.undo()
    second.save(path)
    assert_same(Predictions.load(path), second)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros((2, 6))}, r"shape \(2, 7\), found \(2, 6\)"),
        ({"logits": np.zeros((3, 7))}, r"shape \(2, 7\), found \(3, 7\)"),
        ({"logits": np.full((2, 7), np.nan)}, "NaN or infinity for 2 images, the first is a"),
        ({"logits": [[0.0] * 7, [0, 0, 0, np.inf, 0, 0, 0]]}, "for 1 images, the first is b"),
        ({"logits": np.full((2, 7), 1e300)}, "NaN or infinity"),  # too large for float32
        ({"label": [4, 7]}, "labels 0 to 6, found 4 to 7"),
        ({"label": [-1, 5]}, "labels 0 to 6, found -1 to 5"),
        ({"label": [0.5, 5.0]}, "integer labels"),
        ({"label": [4]}, "2 values of label"),
        ({"part": ["test", "train"]}, "found train"),
        ({"image_id": ["a", "a"]}, "each image once, found a 2 times"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_senseless_predictions_are_refused(changes, message):
    with pytest.raises(PredictionsError, match=message):
        tiny(**changes)


def test_predictions_error_is_the_users():
    assert issubclass(PredictionsError, UserError)


def test_fields_cannot_be_replaced():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().model = "other"


def rewritten(path, *, metadata=None, drop=None, cast=None, label=None):
    """Read a good file, spoil it, write it back."""
    table = pq.read_table(path)
    stored = json.loads(table.schema.metadata[METADATA_KEY])
    if drop:
        table = table.drop_columns([drop])
    if cast:
        index = table.column_names.index(cast)
        table = table.set_column(index, cast, table[cast].cast(pa.float64()))
    if label:
        index = table.column_names.index("label")
        table = table.set_column(index, "label", pa.array([label] * len(table)))
    stored |= metadata or {}
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(stored).encode()}), path)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (
            {"metadata": {"classes": ["nv", *CODES[:5], "vasc"]}},
            "expected the classes akiec bcc bkl df mel nv vasc",
        ),
        ({"metadata": {"classes": None}}, "expected the classes"),
        ({"metadata": {"version": 2}}, "version 1, found 2"),
        ({"drop": "logit_mel"}, "expected the columns"),
        ({"drop": "lesion_id"}, "expected the columns"),
        ({"cast": "logit_nv"}, "float32 in logit_nv, found double"),
        ({"label": "melanoma"}, "found melanoma"),
    ],
)
def test_a_file_of_another_make_is_refused_by_name(simulate, tmp_path, spoilt, message):
    path = tmp_path / "p.parquet"
    simulate(20).save(path)
    rewritten(path, **spoilt)
    with pytest.raises(PredictionsError, match=message) as caught:
        Predictions.load(path)
    assert "p.parquet" in str(caught.value)


def test_a_column_order_of_other_classes_is_refused(simulate, tmp_path):
    path = tmp_path / "p.parquet"
    simulate(20).save(path)
    table = pq.read_table(path)
    names = table.column_names
    swapped = [*names[:-2], names[-1], names[-2]]
    pq.write_table(table.select(swapped).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(PredictionsError, match="expected the columns"):
        Predictions.load(path)


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_an_unreadable_file_is_refused(tmp_path, content):
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    with pytest.raises(PredictionsError, match="expected a Parquet file"):
        Predictions.load(path)


def test_a_truncated_file_is_refused(simulate, tmp_path):
    path = tmp_path / "p.parquet"
    simulate(50).save(path)
    data = path.read_bytes()
    for share in (0.1, 0.5, 0.95):
        with pytest.raises(PredictionsError):
            Predictions.from_bytes(data[: int(len(data) * share)], "p.parquet")


def test_someone_elses_parquet_file_and_a_missing_one_are_refused(tmp_path):
    path = tmp_path / "p.parquet"
    with pytest.raises(PredictionsError, match="No such file"):
        Predictions.load(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(PredictionsError, match="metadata"):
        Predictions.load(path)


def test_parts_are_told_apart(simulate):
    predictions = simulate(60, parts=("validation", "test"))
    test = predictions.part_only("test")
    assert set(test.part) == {"test"}
    assert len(test) + len(predictions.part_only("validation")) == len(predictions)
    with pytest.raises(PredictionsError, match="'train'"):
        predictions.part_only("train")


def test_alignment_brings_rows_into_the_others_order(simulate):
    predictions = simulate(40)
    shuffled = predictions.take(np.random.default_rng(1).permutation(len(predictions)))
    assert_same(shuffled.aligned_to(predictions), predictions)
    assert_same(predictions.aligned_to(shuffled), shuffled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.take(np.arange(len(p) - 2)), "2 only in student and 0 only in other"),
        (lambda p: dataclasses.replace(p, label=(p.label + 1) % 7), "agree on label"),
        (lambda p: dataclasses.replace(p, lesion_id=p.image_id), "agree on lesion_id"),
        (lambda p: dataclasses.replace(p, part=np.full(len(p), "validation")), "agree on part"),
    ],
)
def test_alignment_refuses_other_images(simulate, change, message):
    predictions = simulate(40)
    other = dataclasses.replace(change(predictions), model="other")
    with pytest.raises(PredictionsError, match=message):
        other.aligned_to(predictions)


def test_probabilities_come_back_from_their_logarithms():
    probabilities = np.array([[0.7, 0.1, 0.1, 0.05, 0.03, 0.02, 0], [1, 0, 0, 0, 0, 0, 0]])
    made = Predictions.from_probabilities(
        "m",
        image_id=["a", "b"],
        lesion_id=["a", "b"],
        label=[0, 1],
        probabilities=probabilities,
        part=["test"] * 2,
    )
    np.testing.assert_allclose(made.probabilities(), probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5] * 7, "sum of 3.5 in row 1"),
        ([1.2, -0.2, 0, 0, 0, 0, 0], "between 0 and 1, found .* in row 1"),
        ([np.nan] * 7, "between 0 and 1"),
        ([1.0], "shape"),
    ],
)
def test_probabilities_that_are_none_are_refused(row, message):
    good = [1.0] + [0.0] * (len(row) - 1)
    with pytest.raises(PredictionsError, match=message):
        Predictions.from_probabilities(
            "m",
            image_id=["a", "b"],
            lesion_id=["a", "b"],
            label=[0, 1],
            probabilities=np.array([good, row]),
            part=["test"] * 2,
        )
