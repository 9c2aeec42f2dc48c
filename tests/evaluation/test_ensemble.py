"""The mean of calibrated probabilities."""

import numpy as np
import pytest

from core.evaluation.ensemble import combine
from core.evaluation.predictions import Predictions, PredictionsError


def test_probabilities_are_the_members_mean_also_after_the_file(simulate, tmp_path):
    members = [simulate(50, model=name, skill=s) for name, s in (("a", 3), ("b", 2), ("c", 1))]
    temperatures = {"a": 1.5, "b": 0.8, "c": 2.0}
    found = combine(members, temperatures)
    expected = np.mean([m.probabilities(temperatures[m.model]) for m in members], axis=0)
    np.testing.assert_allclose(found.probabilities(), expected, atol=1e-6)
    assert found.model == "ensemble"
    found.save(tmp_path / "e.parquet")
    np.testing.assert_array_equal(Predictions.load(tmp_path / "e.parquet").logits, found.logits)


def test_members_may_come_in_any_order_of_images(simulate):
    a, b = simulate(50, model="a"), simulate(50, model="b")
    shuffled = b.take(np.random.default_rng(0).permutation(len(b)))
    temperatures = {"a": 1.0, "b": 1.0}
    np.testing.assert_array_equal(
        combine([a, b], temperatures).logits, combine([a, shuffled], temperatures).logits
    )


def test_certain_members_keep_finite_logarithms():
    logits = np.eye(7) * 1000
    fields = {
        "image_id": list("abcdefg"),
        "lesion_id": list("abcdefg"),
        "label": range(7),
        "part": ["test"] * 7,
    }
    found = combine([Predictions(m, logits=logits, **fields) for m in "ab"], {"a": 1.0, "b": 1.0})
    assert np.isfinite(found.logits).all()
    np.testing.assert_allclose(found.probabilities(), np.eye(7), atol=1e-9)


def test_what_is_no_ensemble_is_refused(simulate):
    a, b = simulate(50, model="a"), simulate(50, model="b")
    with pytest.raises(PredictionsError, match="at least two models, found 1"):
        combine([a], {"a": 1.0})
    with pytest.raises(PredictionsError, match="none for b"):
        combine([a, b], {"a": 1.0})
    with pytest.raises(PredictionsError, match="same images"):
        combine([a, simulate(40, model="b")], {"a": 1.0, "b": 1.0})
