"""What every headline figure is computed from: which images a shipped file is asked about, and what it answered."""

from __future__ import annotations

import numpy as np
import pytest

from core.artifacts import load_manifest
from core.data.ham10000 import open_dataset
from core.data.pixels import PixelStore
from core.data.splits import SPLITS, assign
from core.evaluation.predictions import Predictions
from core.lesions import INDEX
from core.serving.classifier import Classifier
from core.serving.survey import survey_missing


@pytest.mark.parametrize("split", SPLITS)
def test_a_model_answers_the_images_that_its_own_split_kept_from_it(
    make_artifacts, small_folder, tmp_path, monkeypatch, split
) -> None:
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    folder = make_artifacts("student", recipe={"split": split})
    dataset = open_dataset(small_folder)
    assert survey_missing(folder, dataset) == ["student"]
    assert survey_missing(folder, dataset) == [], "it has answered"
    assert survey_missing(folder, dataset, [], again=True) == [], "none is none, and not all"
    (folder / "predictions/student.parquet").write_bytes(b"damaged")
    assert survey_missing(folder, dataset) == ["student"], "what is damaged is made again"
    found = Predictions.load(folder / "predictions/student.parquet")

    records, parts = dataset.records, assign(dataset.records, split)
    expected = {
        row.image_id: (row.lesion_id, INDEX[row.dx], part)
        for row, part in zip(records.itertuples(), parts, strict=True)
        if part != "train"
    }
    columns = zip(found.lesion_id, found.label, found.part, strict=True)
    assert dict(zip(found.image_id, columns, strict=True)) == expected
    assert {part for _, _, part in expected.values()} == {"validation", "test"}

    classifier = Classifier.load(load_manifest(folder), "student")
    ids = records["image_id"].tolist()
    pixels = PixelStore.open(dataset, ids).pixels
    for row in (0, len(found) // 2, len(found) - 1):
        own = classifier.classify(np.asarray(pixels[ids.index(found.image_id[row])])).logits
        assert found.logits[row] == pytest.approx(own, abs=1e-5)
