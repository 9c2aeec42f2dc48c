"""Images to try: what they are, and that they are called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.ham10000 import open_dataset
from core.data.pixels import decode
from core.data.samples import SYNTHETIC_SEEDS, SYNTHETIC_SIZE, synthetic_sample, test_images, test_sample
from core.data.splits import assign

# They are no tests, whatever pytest makes of their names.
test_images.__test__ = False
test_sample.__test__ = False


def test_a_synthetic_sample_is_a_file_of_ham10000_s_size_and_says_what_it_is() -> None:
    sample = synthetic_sample("vasc", 7)
    width, height = SYNTHETIC_SIZE
    assert decode(sample.data, sample.name).shape == (height, width, 3)
    assert sample.synthetic
    assert "SYNTHETIC" in sample.notice
    assert (sample.code, sample.name) == ("vasc", "synthetic-vasc-7.jpg")


@pytest.mark.parametrize("number", [0, -1, SYNTHETIC_SEEDS + 1])
def test_numbers_outside_the_offer_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="expected a number from 1"):
        synthetic_sample("mel", number)


def test_only_test_images_are_offered(small_folder: Path) -> None:
    dataset = open_dataset(small_folder)
    part = dict(zip(dataset.records["image_id"], assign(dataset.records), strict=True))
    offered = [image_id for ids in test_images(dataset).values() for image_id in ids]
    assert sorted(offered) == sorted(image_id for image_id, where in part.items() if where == "test")
    assert offered


def test_a_test_image_is_the_dataset_s_own_bytes_with_its_recorded_diagnosis(
    small_folder: Path, small_set
) -> None:
    dataset = open_dataset(small_folder)
    image_id = test_images(dataset)["bcc"][0]
    sample = test_sample(dataset, image_id)
    assert sample.data == small_set.images[image_id]
    assert not sample.synthetic
    assert (
        f"{image_id}. Recorded diagnosis: Basal cell carcinoma, confirmed by histopathology." in sample.notice
    )
