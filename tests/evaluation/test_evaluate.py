"""Figures of merit of one model on one part."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from core.evaluation.evaluate import HEADLINES, PER_CLASS, measure
from core.evaluation.intervals import wilson
from core.evaluation.predictions import Predictions, PredictionsError
from core.lesions import CODES


def constant(labels, answer=5, lesion=None) -> Predictions:
    """A model that always says the same."""
    n = len(labels)
    ids = [f"i{i}" for i in range(n)]
    logits = np.tile(np.eye(7)[answer] * 3, (n, 1))
    return Predictions(
        "collapsed", ids, ids if lesion is None else lesion, np.array(labels), logits, ["test"] * n
    )


def test_figures_are_scikit_learns(simulate):
    predictions = simulate(150)
    found = measure(predictions, 1.4, resamples=200).to_dict()
    y, z, p = predictions.label, predictions.predicted, predictions.probabilities(1.4)
    expected = {
        "accuracy": sk.accuracy_score(y, z),
        "balanced_accuracy": sk.balanced_accuracy_score(y, z),
        "macro_f1": sk.f1_score(y, z, average="macro"),
        "macro_auc": sk.roc_auc_score(y, p, multi_class="ovr"),
        "log_loss": sk.log_loss(y, p),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value), name
    assert found["confusion"] == sk.confusion_matrix(y, z).tolist()
    for k, code in enumerate(CODES):
        assert found["classes"][code]["auc"]["value"] == pytest.approx(sk.roc_auc_score(y == k, p[:, k]))
        assert found["classes"][code]["n_images"] == (y == k).sum()
        assert found["classes"][code]["n_lesions"] == len(set(predictions.lesion_id[y == k]))
    assert found["n_images"] == len(predictions)
    assert found["n_lesions"] == 150
    assert found["majority"]["class"] == "nv"
    assert found["majority"]["share"] == pytest.approx((y == 5).mean())
    assert found["collapsed"] is False


def test_every_figure_lies_in_its_interval_and_the_whole_is_json(simulate):
    found = measure(simulate(100), 1.0, resamples=200).to_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    intervals = [found[name] for name in HEADLINES]
    intervals += [row[name] for row in found["classes"].values() for name in PER_CLASS]
    for interval in intervals:
        assert interval["low"] <= interval["value"] <= interval["high"]


def test_temperature_changes_confidence_and_no_decision(simulate):
    predictions = simulate(100)
    plain, hot = (measure(predictions, t, resamples=200).to_dict() for t in (1.0, 3.0))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "confusion", "ece_before"):
        assert plain[name] == hot[name], name
    assert plain["ece_before"] == plain["ece_after"]
    assert hot["ece_after"] != hot["ece_before"]
    assert hot["log_loss"] != plain["log_loss"]


def test_the_same_predictions_give_the_same_figures_in_any_order(simulate):
    predictions = simulate(80)
    shuffled = predictions.take(np.random.default_rng(3).permutation(len(predictions)))
    one, two = (measure(p, 1.2, resamples=200) for p in (predictions, shuffled))
    assert one.confusion == two.confusion
    for name in HEADLINES:
        assert one.intervals[name].to_dict() == pytest.approx(two.intervals[name].to_dict()), name


def test_images_of_one_lesion_widen_the_interval(simulate):
    predictions = simulate(150)
    fields = {name: getattr(predictions, name) for name in ("image_id", "label", "logits", "part")}
    as_if_independent = Predictions("m", lesion_id=predictions.image_id, **fields)

    def width(p):
        interval = measure(p, 1.0, resamples=1000).intervals["accuracy"]
        return interval.high - interval.low

    assert width(predictions) > 1.1 * width(as_if_independent)


def test_all_right_is_no_certainty_and_counts_the_lesions_of_each_share(simulate):
    predictions = simulate(100, skill=60)
    found = measure(predictions, 1.0, resamples=100)
    for k, code in enumerate(CODES):
        is_class = predictions.label == k
        inside, outside = (len(set(predictions.lesion_id[of])) for of in (is_class, ~is_class))
        of_class = found.classes[code].intervals
        assert of_class["sensitivity"] == of_class["precision"] == wilson(inside, inside), code
        assert of_class["specificity"] == of_class["npv"] == wilson(outside, outside), code
        assert of_class["auc"].to_dict() == {"value": 1.0, "low": None, "high": None}, code
    assert found.intervals["balanced_accuracy"].to_dict() == {"value": 1.0, "low": None, "high": None}


def test_a_collapsed_model_is_marked():
    found = measure(
        constant([5] * 67 + [4] * 11 + [2] * 11 + [0, 1, 3, 6] * 2 + [1, 1, 6]), 1.0, resamples=200
    ).to_dict()
    assert found["collapsed"] is True
    assert found["majority"]["predicted_share"] == 1
    # A resample without some rare class is a task of fewer classes.
    balanced = found["balanced_accuracy"]
    assert balanced["low"] == balanced["value"] == pytest.approx(1 / 7)
    assert balanced["high"] in (pytest.approx(1 / 6), pytest.approx(1 / 5))
    melanoma = found["classes"]["mel"]
    assert melanoma["sensitivity"]["value"] == 0
    assert melanoma["sensitivity"]["method"] == "wilson"
    assert 0.2 < melanoma["sensitivity"]["high"] < 0.3, "eleven missed of eleven"
    assert melanoma["precision"] == {"value": None, "low": None, "high": None}
    assert melanoma["auc"]["value"] == 0.5


def test_an_absent_class_is_undefined_and_the_others_are_not():
    found = measure(constant([5, 5, 5, 4, 4, 1, 1]), 1.0, resamples=200).to_dict()
    assert found["classes"]["df"]["n_images"] == 0
    for name in ("sensitivity", "f1", "auc", "average_precision"):
        assert found["classes"]["df"][name]["value"] is None, name
    assert found["classes"]["df"]["specificity"]["value"] == 1
    assert found["balanced_accuracy"]["value"] == pytest.approx(1 / 3)


def test_a_single_lesion_has_figures_and_few_intervals():
    found = measure(constant([4, 4, 4], answer=4, lesion=["x"] * 3), 1.0, resamples=100).to_dict()
    assert found["n_lesions"] == 1
    assert found["accuracy"]["value"] == 1
    assert found["accuracy"]["low"] == pytest.approx(0.2065, abs=1e-3)  # Wilson, one of one
    assert found["macro_f1"] == {"value": 1, "low": None, "high": None}


def test_one_part_at_a_time(simulate):
    with pytest.raises(PredictionsError, match="found test and validation"):
        measure(simulate(20, parts=("validation", "test")), 1.0)
    predictions = simulate(20)
    with pytest.raises(PredictionsError, match="found no images"):
        measure(predictions.take(np.zeros(len(predictions), bool)), 1.0)


def test_nothing_heavy_is_imported():
    code = (
        "import sys\n"
        "from core.evaluation import assess, cohorts, compare, ensemble, refresh\n"
        "import core.commands.evaluate\n"
        "heavy = {'tensorflow', 'keras', 'streamlit', 'sklearn', 'scipy.stats', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
