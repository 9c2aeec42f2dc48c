"""Which images a training learns from, and which it is chosen by; test images are neither."""

from __future__ import annotations

import numpy as np
import pytest

from core.compression.pruning import judging_images
from core.data.ham10000 import open_dataset
from core.data.splits import SPLITS, assign
from core.lesions import INDEX, N_CLASSES
from core.training.launch import load_training_data


@pytest.fixture(autouse=True)
def place(small_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("split", SPLITS)
def test_the_parts_are_those_of_the_split(small_folder, split) -> None:
    records = open_dataset(small_folder).records
    parts = assign(records, split)
    whole, some = load_training_data(split), load_training_data(split, limit=20)
    ids = np.array(whole.store.image_ids)
    for part in ("train", "validation"):
        expected = set(records["image_id"][parts == part])
        assert set(ids[getattr(whole, part)]) == expected
        few = set(ids[getattr(some, part)])
        assert few <= expected
        assert len(few) == min(20, len(expected))
    labels = dict(zip(ids, whole.labels, strict=True))
    assert labels == {row.image_id: INDEX[row.dx] for row in records.itertuples()}


def test_channels_are_judged_by_training_images_of_every_class() -> None:
    data = load_training_data("lesion")
    rows = judging_images(data, 3)
    assert set(rows) <= set(data.train)
    assert np.bincount(data.labels[rows]).tolist() == [3] * N_CLASSES
