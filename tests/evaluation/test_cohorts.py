"""Figures by age, sex, site and confirmation."""

import json

import numpy as np
import pandas as pd
import pytest

from core.evaluation.cohorts import THIN, age_band, cohorts, groups, is_thin
from core.evaluation.evaluate import measure
from core.evaluation.intervals import wilson
from core.evaluation.operating import is_malignant, malignancy_score
from core.evaluation.predictions import PredictionsError
from core.lesions import INDEX


@pytest.fixture
def records(simulate) -> pd.DataFrame:
    """Records of `simulate(120)` and an image more, in another order."""
    predictions = simulate(120)
    number = np.unique(predictions.lesion_id, return_inverse=True)[1]
    frame = pd.DataFrame(
        {
            "image_id": predictions.image_id,
            "age": np.where(number % 10 == 0, np.nan, number % 90),
            "sex": np.array(["female", "male", "male", "male"])[number % 4],
            "localization": np.where(number < 20, "scalp", "back"),
            "dx_type": [None if n == 7 else "histo" for n in number],
        }
    )
    extra = frame.iloc[:1].assign(image_id="ISIC_9999999", sex="nobody")
    return pd.concat([extra, frame]).sample(frac=1, random_state=1)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "under 30"),
        (29.9, "under 30"),
        (30, "30-44"),
        (45, "45-59"),
        (74, "60-74"),
        (75, "75 and over"),
        (np.nan, "unknown"),
    ],
)
def test_age_bands(age, band):
    assert age_band(pd.Series([age])).tolist() == [band]


def test_cohorts_of_a_dimension_are_the_whole(simulate, records):
    predictions = simulate(120)
    found = cohorts(predictions, records, 1.0, 0.3, resamples=100)
    for dimension in ("age", "sex", "site", "confirmation"):
        groups = [c for c in found if c.dimension == dimension]
        assert sum(c.n_images for c in groups) == len(predictions)
        right = sum(c.intervals["accuracy"].value * c.n_images for c in groups)
        assert right == pytest.approx((predictions.predicted == predictions.label).sum())
    assert [c.group for c in found if c.dimension == "sex"] == ["male", "female"]
    assert [c.group for c in found if c.dimension == "confirmation"] == ["histo", "unknown"]
    bands = [c.group for c in found if c.dimension == "age"]
    assert bands == ["under 30", "30-44", "45-59", "60-74", "75 and over", "unknown"]


def test_a_cohort_is_measured_like_the_whole(simulate, records):
    predictions, threshold = simulate(120), 0.3
    found = cohorts(predictions, records, 1.3, threshold, resamples=200)
    male = next(c for c in found if c.group == "male")
    ids = records.loc[records.sex == "male", "image_id"]
    part = predictions.take(np.isin(predictions.image_id, ids))
    expected = measure(part, 1.3, resamples=200)
    assert male.n_lesions == expected.n_lesions
    assert male.intervals["accuracy"] == expected.intervals["accuracy"]
    assert male.intervals["balanced_accuracy"] == expected.intervals["balanced_accuracy"]
    assert male.intervals["melanoma_sensitivity"] == expected.classes["mel"].intervals["sensitivity"]
    chosen = malignancy_score(part.probabilities(1.3)) >= threshold
    malignant = is_malignant(part.label)
    assert male.intervals["malignant_sensitivity"].value == pytest.approx(chosen[malignant].mean())
    assert male.intervals["malignant_specificity"].value == pytest.approx((~chosen)[~malignant].mean())
    assert male.n_malignant == malignant.sum()
    assert male.n_melanomas == (part.label == INDEX["mel"]).sum()


def test_all_right_is_no_certainty_and_counts_lesions_instead_of_images(simulate, records):
    predictions = simulate(120, skill=60)
    found = cohorts(predictions, records, 1.0, 0.5, resamples=100)
    male = next(c for c in found if c.group == "male")
    part = predictions.take(np.isin(predictions.image_id, records.loc[records.sex == "male", "image_id"]))
    malignant = is_malignant(part.label)
    shares = {
        "accuracy": np.full(len(part), True),
        "melanoma_sensitivity": part.label == INDEX["mel"],
        "malignant_sensitivity": malignant,
        "malignant_specificity": ~malignant,
    }
    for name, of in shares.items():
        lesions = len(set(part.lesion_id[of]))
        assert lesions < of.sum()
        assert male.intervals[name] == wilson(lesions, lesions), name


def test_thin_cohorts_are_marked_by_lesions(simulate, records):
    found = {
        c.group: c for c in cohorts(simulate(120), records, 1.0, 0.3, resamples=100) if c.dimension == "site"
    }
    assert (found["scalp"].n_lesions, found["scalp"].thin) == (20, True)
    assert found["scalp"].n_images >= THIN, "twenty lesions stay few however often they were photographed"
    assert found["back"].n_lesions >= THIN
    assert not found["back"].thin


@pytest.mark.parametrize(
    ("figure", "thin"),
    [
        ("accuracy", False),
        ("melanoma_sensitivity", True),
        ("malignant_sensitivity", False),
        ("malignant_specificity", True),
        ("malignant_auc", True),
    ],
)
def test_a_figure_of_few_images_is_thin_in_a_large_cohort(figure, thin):
    """One melanoma, and one image that is benign."""
    cohort = {"thin": False, "n_lesions": 400, "n_images": THIN + 1, "n_melanomas": 1, "n_malignant": THIN}
    assert is_thin(cohort, figure) is thin
    assert is_thin(cohort | {"thin": True}, figure)
    assert not is_thin(cohort | {"n_images": 2 * THIN, "n_melanomas": THIN}, figure)


def test_a_single_lesion_and_no_threshold(simulate, records):
    found = [c for c in cohorts(simulate(120), records, 1.0, resamples=100) if c.dimension == "confirmation"]
    lone = found[1].to_dict()
    assert lone["n_lesions"] == 1
    assert lone["thin"] is True
    assert lone["malignant_auc"]["value"] is None, "one lesion is of one kind"
    assert lone["malignant_sensitivity"] == {"value": None, "low": None, "high": None}
    json.dumps([c.to_dict() for c in found], allow_nan=False)


def test_images_without_a_record_are_refused(simulate, records):
    with pytest.raises(PredictionsError, match="found 2 that are not, for example ISIC_0000003"):
        cohorts(simulate(120), records[~records.image_id.isin(["ISIC_0000003", "ISIC_0000004"])], 1.0)


def test_the_real_datasets_records_have_every_dimension(ham10000):
    found = groups(ham10000.records)
    assert set(found["confirmation"]) == {"histo", "follow_up", "consensus", "confocal"}
    assert set(found["sex"]) == {"male", "female", "unknown"}
    assert (found["age"] == "unknown").sum() == 57
    assert "scalp" in set(found["site"])
