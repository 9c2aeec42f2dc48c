"""Images to try the models on: synthetic lesions always, test images where HAM10000 is at hand.

A sample is a file's bytes, so that it goes through the same intake and gate as an upload.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from core.data.ham10000 import Dataset
from core.data.splits import assign
from core.data.synthetic import SYNTHETIC_NOTICE, render
from core.lesions import BY_CODE, CODES

SYNTHETIC_SIZE = (600, 450)
"""Width and height in pixels, as HAM10000's images have."""

SYNTHETIC_SEEDS = 1000
"""How many synthetic lesions of each class are on offer."""

CONFIRMED = {
    "histo": "histopathology",
    "follow_up": "follow-up",
    "consensus": "expert consensus",
    "confocal": "confocal microscopy",
}
"""HAM10000's `dx_type` in words."""


@dataclass(frozen=True)
class Sample:
    """One image to try.

    Attributes:
        name: what it is called, as an upload has a file name.
        data: the file's bytes.
        code: its class: recorded for a test image, intended for a synthetic one.
        notice: says what it is; shown wherever the image is.
        synthetic: whether a program drew it.
    """

    name: str
    data: bytes
    code: str
    notice: str
    synthetic: bool


def synthetic_sample(code: str, number: int) -> Sample:
    """A drawn lesion; the same number gives the same lesion.

    Args:
        code: one of `core.lesions.CODES`.
        number: 1 to `SYNTHETIC_SEEDS`.

    Raises:
        ValueError: the class or the number is unknown.
    """
    if not 1 <= number <= SYNTHETIC_SEEDS:
        raise ValueError(f"expected a number from 1 to {SYNTHETIC_SEEDS}, found {number}")
    lesion = render(code, number, SYNTHETIC_SIZE)
    # JPEG, as HAM10000 is: its traces are part of what the networks have learned to look through.
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(lesion.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )
    if not done:
        raise ValueError(
            f"{code} {number}: expected a picture that JPEG can hold, found {lesion.image.shape}"
        )
    name = f"synthetic-{code}-{number}.jpg"
    return Sample(name, data.tobytes(), code, SYNTHETIC_NOTICE, synthetic=True)


def test_images(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The image ids of the `lesion` split's test part, by class: images that no model was trained on.

    A class without any is left out.
    """
    test = dataset.records[assign(dataset.records) == "test"]
    by_class = {code: tuple(test["image_id"][test["dx"] == code]) for code in CODES}
    return {code: ids for code, ids in by_class.items() if ids}


def test_sample(dataset: Dataset, image_id: str) -> Sample:
    """One image of the dataset, with the diagnosis that is recorded for it.

    Raises:
        DatasetError: there is no such image, or it cannot be read.
    """
    data = dataset.read_bytes(image_id)
    record = dataset.records.set_index("image_id").loc[image_id]
    confirmed = CONFIRMED.get(record["dx_type"], "an unknown way")
    recorded = f"{BY_CODE[record['dx']].name}, confirmed by {confirmed}"
    notice = f"HAM10000 test image {image_id}. Recorded diagnosis: {recorded}."
    return Sample(f"{image_id}.jpg", data, str(record["dx"]), notice, synthetic=False)
