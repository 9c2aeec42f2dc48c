"""The synthetic set that lies nowhere is the one that `synthesize` writes."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.findings import DatasetError
from core.data.ham10000 import SYNTHETIC_PREFIX, open_dataset
from core.data.pixels import decode
from core.data.splits import PARTS, SPLITS, assign
from core.data.synthetic import make_dataset
from core.data.synthetic.on_demand import PREVIEW_HEIGHT, TOTAL, DrawnSet, drawn_set
from core.lesions import CODES


def test_it_is_what_synthesize_writes(tmp_path):
    written = open_dataset(make_dataset(tmp_path / "set", total=14, mix="ham10000"))
    drawn = DrawnSet(total=14)
    assert drawn.records.to_dict("list") == written.records.to_dict("list")
    for image_id in drawn.records["image_id"][:2]:
        assert drawn.read_bytes(image_id) == written.read_bytes(image_id)


def test_the_set_that_is_shown_has_everything_that_the_page_shows():
    records = drawn_set().records
    assert len(records) == TOTAL
    assert set(records["dx"]) == set(CODES)
    assert records["image_id"].str.startswith(SYNTHETIC_PREFIX).all()
    assert records["lesion_id"].nunique() < TOTAL
    for split in SPLITS:
        assert set(assign(records, split)) == set(PARTS)


def test_a_preview_is_the_same_lesion_small():
    drawn = drawn_set()
    image_id = str(drawn.records["image_id"].iloc[5])
    preview = drawn.preview(image_id)
    whole = decode(drawn.read_bytes(image_id), image_id)
    assert preview.shape == (PREVIEW_HEIGHT, 256, 3)
    assert whole.shape == (450, 600, 3)
    assert np.abs(preview.mean(axis=(0, 1)) - whole.mean(axis=(0, 1))).max() < 12


@pytest.mark.parametrize("image_id", ["ISIC_0000001", "SYN_9999999", "", "../x"])
def test_what_it_does_not_have_is_said(image_id):
    for look in (drawn_set().read_bytes, drawn_set().preview):
        with pytest.raises(DatasetError, match="expected a picture of the synthetic set"):
            look(image_id)
