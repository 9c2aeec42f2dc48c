from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from core.data.ham10000 import open_dataset
from core.data.summary import age_bands, find_leak, parse_summary, summarise
from core.errors import UserError
from core.lesions import CODES


def test_counts_of_the_small_set(small_folder):
    summary = summarise(open_dataset(small_folder).records)
    assert (summary.images, summary.lesions) == (84, 70)
    assert summary.lesions_by_images == {"1": 56, "2": 14}
    assert summary.lesions_by_class == dict.fromkeys(CODES, 10)
    assert summary.images_by_class == dict.fromkeys(CODES, 12)
    assert list(summary.sex) == ["male", "female", "unknown"]
    assert summary.sex["male"] == dict.fromkeys(CODES, 5)
    assert summary.age["00-09"] == dict.fromkeys(CODES, 2)
    assert summary.age["80+"] == dict.fromkeys(CODES, 1)
    assert list(summary.age)[-1] == "unknown"


def test_every_grouping_adds_up_to_all_images(small_folder):
    summary = asdict(summarise(open_dataset(small_folder).records))
    groups = [summary[name] for name in ("sex", "age", "localization", "dx_type")] + list(
        summary["parts"].values()
    )
    for group in groups:
        assert sum(sum(by.values()) for by in group.values()) == 84


def test_json_has_counts_only(small_folder):
    text = json.dumps(asdict(summarise(open_dataset(small_folder).records)))
    assert "ISIC_" not in text
    assert "HAM_" not in text
    assert str(small_folder) not in text


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "00-09"),
        (9.5, "00-09"),
        (10, "10-19"),
        (79, "70-79"),
        (80, "80+"),
        (105, "80+"),
        (np.nan, "unknown"),
    ],
)
def test_age_bands(age, band):
    assert list(age_bands(pd.Series([age, 20.0]))) == [band, "20-29"]


def test_the_leak_is_counted():
    """Forty lesions of one image, and one of sixty: split by image, the large one lies in all three parts."""
    lesions = [f"HAM_{i}" for i in range(40)] + ["HAM_large"] * 60
    records = pd.DataFrame(
        {"image_id": [f"ISIC_{i:04d}" for i in range(100)], "lesion_id": lesions, "dx": ["nv"] * 100}
    )
    by_image = find_leak(records, "report")
    assert (by_image.lesions, by_image.images) == (1, 60)
    assert (by_image.test_images, by_image.validation_images) == (20, 16)
    assert 0 < by_image.test_images_seen < 20
    assert 0 < by_image.validation_images_seen < 16
    by_lesion = find_leak(records, "lesion")
    assert (by_lesion.lesions, by_lesion.images) == (0, 0)
    assert (by_lesion.test_images_seen, by_lesion.validation_images_seen) == (0, 0)


@pytest.mark.ham10000
def test_the_real_dataset_leaks_by_image_only(ham10000):
    lesion, report = (find_leak(ham10000.records, split) for split in ("lesion", "report"))
    assert (lesion.lesions, lesion.images, lesion.test_images_seen) == (0, 0, 0)
    assert report.test_images == 2_003
    assert 1_000 < report.lesions < 1_956
    assert 0.25 < report.test_images_seen / report.test_images < 0.45


def test_counts_are_read_back_as_they_were(small_folder):
    summary = summarise(open_dataset(small_folder).records)
    assert parse_summary(json.dumps(asdict(summary)).encode(), "summary.json") == summary


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"nothing",
        lambda raw: b"[]",
        lambda raw: json.dumps({k: v for k, v in raw.items() if k != "leaks"}).encode(),
        lambda raw: json.dumps(raw | {"sex": {"male": {"nv": "many"}}}).encode(),
        lambda raw: json.dumps(raw | {"leaks": {"lesion": {"lesions": 1}}}).encode(),
        lambda raw: json.dumps(raw | {"parts": 3}).encode(),
    ],
)
def test_damaged_counts_are_refused_with_the_command(small_folder, damage):
    raw = asdict(summarise(open_dataset(small_folder).records))
    with pytest.raises(
        UserError, match=r"summary\.json: expected a dataset's counts.*data summary --publish"
    ):
        parse_summary(damage(raw), "summary.json")
