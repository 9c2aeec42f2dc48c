"""Fitting and measuring the gate on a small dataset with tiny models, from the command line."""

import json

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.commands.gate import _store_fitted
from core.data.foreign import DRAWN, PAINTERS, PHOTOGRAPH, Foreign, as_png, drawn, photographs
from core.data.ham10000 import open_dataset
from core.data.pixels import PixelStore, turn
from core.data.splits import assign
from core.evaluation.intervals import wilson_bounds
from core.serving.answer import OK, Answer, Diagnoser
from core.serving.classifier import Classifier
from core.serving.fitting import _Residuals, altered, fit
from core.serving.gate import Verdict, load_gate
from core.serving.intake import Upload, read_image
from core.serving.quality import KEY, Quality, load_limits
from core.serving.rates import Share, measure_rates
from core.serving.registry import Registry
from core.serving.seen import KEY as SEEN
from core.serving.similar import load_index


@pytest.fixture
def data(small_folder, make_artifacts, tmp_path, monkeypatch):
    """The small dataset and the tiny student, for the command line too."""
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    return make_artifacts("student"), open_dataset(small_folder)


def fitted(folder, dataset, tmp_path, parts=None):
    store = PixelStore.open(dataset, list(dataset.records["image_id"]), tmp_path / "cache")
    classifier = Classifier.load(load_manifest(folder), "student")
    parts = assign(dataset.records) if parts is None else parts
    return fit(classifier, "0" * 64, dataset.records, parts, store)


def test_limits_keep_validation_and_know_nothing_of_test(data, tmp_path):
    folder, dataset = data
    parts = assign(dataset.records)
    first = fitted(folder, dataset, tmp_path)
    assert first.validation == (parts == "validation").sum()
    assert (
        first.gate.lesions
        == dataset.records["lesion_id"][parts == "train"].nunique()
        == len(first.index.image_id)
    )
    assert first.references == 2 * first.gate.lesions
    assert fitted(folder, dataset, tmp_path).gate.to_bytes() == first.gate.to_bytes()
    without = np.where(parts == "test", "", parts)
    assert fitted(folder, dataset, tmp_path, without).gate.to_bytes() == first.gate.to_bytes()
    names = dataset.records["image_id"][parts == "validation"]
    model = Classifier.load(load_manifest(folder), "student")
    diagnoser = Diagnoser(model, gate=first.gate, gate_model=model)
    refused = [diagnoser.answer(dataset.read_bytes(name)).status != OK for name in names]
    # Of so few images each of the two limits, being between the largest two, refuses at most one.
    assert sum(refused) <= 2


def test_the_margin_is_what_validation_needed():
    turned = np.array([[0.9, 1.2, 0.8, 0.9], [1.5, 1.1, 0.95, 1.3], [0.2, 0.2, 0.2, 0.2]])
    margin = _Residuals(np.array([]), turned).margin(1.0)
    assert margin == pytest.approx(1.5 * np.log(1.2))
    logs = np.log(turned)
    alone = np.where(np.abs(logs) < margin, logs.mean(axis=1, keepdims=True), logs) > 0
    assert (alone == alone[:, :1]).all()
    assert _Residuals(np.array([]), np.full((1, 8), 0.1)).margin(1.0) > 0


def test_altered_is_another_picture_of_the_same():
    rng = np.random.default_rng(0)
    pixels = np.full((224, 224, 3), (200, 150, 130), np.uint8)
    for _ in range(20):
        other = altered(pixels, rng)
        assert other.shape == pixels.shape
        assert other.dtype == np.uint8
        middle = other[112, 112].astype(int)
        assert middle[0] > middle[1] > middle[2] - 12
        assert np.abs(middle - pixels[112, 112]).max() < 90


def test_fit_then_report(data, capsys):
    folder, dataset = data
    assert main(["gate", "fit", "--limit", "40"]) == 0
    assert not load_manifest(folder).shared, "a trial stores nothing"
    assert main(["gate", "fit"]) == 0
    registry = Registry.open(folder)
    assert load_gate(registry, "student").model == "student"
    assert len(load_index(registry, "student").image_id) > 30
    assert load_limits(registry).images > 5
    capsys.readouterr()
    assert main(["gate", "fit"]) == 0
    assert "up to date" in capsys.readouterr().out
    report = ["gate", "report", "--turned", "2", "--each", "1", "--synthetic", "1"]
    assert main([*report, "--limit", "6"]) == 0
    assert "student: test images kept" in capsys.readouterr().out
    assert "refusals-student" not in load_manifest(folder).shared, "a trial stores nothing"
    assert main(report) == 0
    manifest = load_manifest(folder)
    stored = json.loads(manifest.read(manifest.shared["refusals-student"]))
    assert stored["test"]["images"] == (assign(dataset.records) == "test").sum()
    assert stored["turned"]["images"] >= 2
    assert stored["model_sha256"] == manifest.files["models/student.tflite"].sha256
    assert stored["drawn"]["images"] == len(PAINTERS)
    assert stored["foreign"]["sklearn"]["images"] == 2
    assert set(manifest.shared) == {KEY, SEEN, "gate-student", "similar-student", "refusals-student"}
    assert main(["gate", "fit", "--again"]) == 0
    assert "refusals-student" in load_manifest(folder).shared, "the very gate that was measured"
    _store_fitted(folder, "student", b"another gate", b"another index")
    assert "refusals-student" not in load_manifest(folder).shared, "what was measured is of another gate"


def test_another_file_of_the_model_is_fitted_anew(data, tiny, capsys):
    folder, _ = data
    assert main(["gate", "fit"]) == 0
    (folder / "models/student.tflite").write_bytes(tiny.files["resnet50"])
    update_model(folder, "student", {}, {"litert": "models/student.tflite"})
    assert "gate fit" in Diagnoser.open(Registry.open(folder), "student").note
    capsys.readouterr()
    assert main(["gate", "fit"]) == 0
    assert "up to date" not in capsys.readouterr().out
    assert Diagnoser.open(Registry.open(folder), "student").gate is not None


def test_misuse_is_one_line(make_artifacts, small_folder, monkeypatch, capsys):
    make_artifacts("resnet50")
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert main(["gate", "fit"]) == 2
    assert "expected the student" in capsys.readouterr().err
    assert main(["gate", "report", "--model", "nobody"]) == 2
    assert "found 'nobody'" in capsys.readouterr().err
    assert main(["gate", "report", "--model", "resnet50"]) == 0
    assert "no gate of its own" in capsys.readouterr().out


# Foreign pictures


def test_drawn_pictures_are_readable_different_and_the_same_every_time():
    first, again = list(drawn(2)), list(drawn(2))
    assert [p.data for p in first] == [p.data for p in again]
    assert len({p.name for p in first}) == len(first) == 2 * len(PAINTERS)
    assert len({p.data for p in first}) == len(first)
    assert all(p.kind == DRAWN and isinstance(read_image(p.data), Upload) for p in first)


def test_photographs_are_readable(tmp_path):
    (tmp_path / "mine.png").write_bytes(as_png(np.zeros((80, 80, 3), np.uint8)))
    (tmp_path / "notes.txt").write_text("no picture")
    found = {picture.name: picture for picture in photographs(tmp_path)}
    assert {
        "sklearn/china.jpg",
        "sklearn/flower.jpg",
        "pydicom/CT_small",
        f"{tmp_path.name}/mine.png",
    } <= set(found)
    assert f"{tmp_path.name}/notes.txt" not in found
    unread = [name for name, p in found.items() if not isinstance(read_image(p.data), Upload)]
    assert unread == []
    assert {p.kind for p in found.values()} == {PHOTOGRAPH}


# Rates


class Brightness:
    """A gate that refuses what is dark, by the upper left corner alone: it is not the same for every orientation."""

    model = "student"

    def check(self, embedding, upload):
        score = 2 - upload.pixels[:10, :10].mean() / 128
        return Verdict(score <= 1, "" if score <= 1 else "dark", score, 1.0)


def test_rates_count_what_happened(make_artifacts):
    make_artifacts("student")
    diagnoser = Diagnoser(
        Registry.open().get("student"), gate=Brightness(), gate_model=Registry.open().get("student")
    )
    light, dark = (as_png(np.full((100, 100, 3), value, np.uint8)) for value in (200, 20))
    half = np.full((100, 100, 3), 200, np.uint8)
    half[60:, 60:] = 20
    test = {"a": light, "b": dark, "c": as_png(half), "d": light}
    foreign = [
        Foreign(DRAWN, "black-1", dark),
        Foreign(DRAWN, "black-2", light),
        Foreign(PHOTOGRAPH, "sklearn/x.jpg", dark),
        Foreign(PHOTOGRAPH, "sklearn/broken.jpg", b"x"),
    ]
    drawn = [("mel", 1, dark), ("mel", 2, light), ("nv", 1, dark)]
    lesions = {"a": "one", "b": "two", "c": "two", "d": "two"}
    rates = measure_rates(diagnoser, lesions, test.__getitem__, foreign, drawn, turned=4)
    assert (rates.test.count, rates.test.images) == (3, 4)
    assert (rates.drawn.count, rates.drawn.images) == (1, 2)
    assert (rates.photographs.count, rates.photographs.images) == (1, 1)
    assert {name: (s.count, s.images) for name, s in rates.foreign.items()} == {
        "black": (1, 2),
        "sklearn": (1, 1),
    }
    assert rates.missed == ("black-2",)
    assert rates.unread == ("sklearn/broken.jpg",)
    assert (rates.turned.count, rates.turned.images) == (3, 4)
    assert rates.changed == ("c",)
    assert any(turn(half, k)[:10, :10].mean() < 128 for k in range(8))
    assert (rates.synthetic.count, rates.synthetic.images) == (1, 3)
    assert rates.synthetic_kept == {"mel": (2,), "nv": ()}
    assert (rates.test.low, rates.test.high) == wilson_bounds(0.75, 2), "two lesions"


def test_rates_need_a_gate(make_artifacts):
    make_artifacts("student")
    with pytest.raises(ValueError, match="expected a gate"):
        measure_rates(Diagnoser.open(Registry.open(), "student"), {}, {}.get, [], [], turned=0)


def test_the_share_of_nothing_is_unknown():
    assert (Share.of([]).low, Share.of([]).high) == (0.0, 1.0)


def test_advice_of_an_answer_is_counted():
    from core.serving.rates import _advice

    answers = [Answer(OK, quality=Quality(("a", "b"))), Answer(OK, quality=Quality(("a",))), Answer(OK)]
    assert {sentence: share.count for sentence, share in _advice(answers).items()} == {"a": 2, "b": 1}
