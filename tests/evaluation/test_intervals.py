"""Bootstrap over lesions, Wilson, McNemar."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.evaluation.intervals import (
    Estimates,
    Interval,
    bootstrap,
    mcnemar,
    paired_difference,
    resample,
    wilson,
)
from core.evaluation.metrics import divide


def mean_of(values):
    def statistic(weights):
        return {"mean": divide(weights @ values, weights.sum(axis=1))}

    return statistic


def lesions(sizes) -> np.ndarray:
    return np.repeat([f"L{i:04d}" for i in range(len(sizes))], sizes)


def test_all_images_of_a_drawn_lesion_come_along():
    ids = lesions([1, 3, 2, 1])
    drawn = resample(ids, 300)
    weights = np.concatenate(list(drawn.blocks()))
    assert weights.shape == (300, 7)
    for lesion in np.unique(ids):
        columns = weights[:, ids == lesion]
        assert (columns == columns[:, :1]).all()
    assert (drawn.counts.sum(axis=1) == 4).all(), "as many lesions are drawn as there are"
    # Each lesion once on average, with the multinomial's spread.
    assert drawn.counts.mean(axis=0) == pytest.approx(np.ones(4), abs=0.2)
    assert drawn.counts.var(axis=0) == pytest.approx(np.full(4, 0.75), abs=0.3)


def test_the_seed_fixes_the_draw_and_the_order_of_images_does_not_matter():
    ids = lesions([1, 2, 3, 4] * 10)
    values = np.random.default_rng(0).random(len(ids))
    order = np.random.default_rng(1).permutation(len(ids))
    one = bootstrap(mean_of(values), resample(ids, 400, seed=3)).interval("mean")
    same = bootstrap(mean_of(values[order]), resample(ids[order], 400, seed=3)).interval("mean")
    other = bootstrap(mean_of(values), resample(ids, 400, seed=4)).interval("mean")
    assert one.to_dict() == pytest.approx(same.to_dict())
    assert one.low != other.low


def test_the_interval_is_that_of_a_plain_loop():
    ids = lesions([2, 1, 3, 1, 2])
    values = np.random.default_rng(5).random(len(ids))
    drawn = resample(ids, 500)
    names = np.unique(ids)
    means = []
    for counts in drawn.counts:
        images = [
            i for k, times in enumerate(counts) for _ in range(times) for i in np.flatnonzero(ids == names[k])
        ]
        means.append(values[images].mean())
    found = bootstrap(mean_of(values), drawn).interval("mean")
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]))


def test_intervals_cover_the_truth_with_clustered_images_and_a_plain_one_does_not():
    """100 lesions of 4 images that are mostly right or wrong together, 300 times over; nominal 95%."""
    rng = np.random.default_rng(11)
    truth, covered, covered_plainly = 0.7, 0, 0
    ids = lesions([4] * 100)
    drawn = resample(ids, 300)
    for _ in range(300):
        shared = rng.random(100) < truth
        own = rng.random(400) < truth
        right = np.where(rng.random(400) < 0.85, np.repeat(shared, 4), own).astype(float)
        interval = bootstrap(mean_of(right), drawn).interval("mean")
        plain = wilson(int(right.sum()), 400)
        covered += interval.low <= truth <= interval.high
        covered_plainly += plain.low <= truth <= plain.high
    assert 0.90 <= covered / 300 <= 0.98
    assert covered_plainly / 300 < 0.85


def test_resamples_without_a_figure_are_left_out():
    ids = lesions([1] * 20)
    values, known = np.arange(20.0), np.arange(20) < 2

    def statistic(weights):
        return {"mean": divide((weights * known) @ values, weights @ known)}

    estimates = bootstrap(statistic, resample(ids, 500))
    assert np.isnan(estimates.draws["mean"]).any(), "some resamples have neither of the two"
    interval = estimates.interval("mean")
    assert (interval.low, interval.value, interval.high) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("sizes", "values", "lesions_there"),
    [([1] * 12, [1.0] * 12, 12), ([1] * 12, [0.0] * 12, 12), ([3], [1.0, 0.0, 1.0], 1)],
)
def test_where_no_resample_differs_wilson_stands_in(sizes, values, lesions_there):
    estimates = bootstrap(mean_of(np.array(values)), resample(lesions(sizes), 200))
    found = estimates.interval("mean", proportion_of=lesions_there)
    assert found.method == "wilson"
    assert found.low < found.high
    assert found.low <= found.value <= found.high


def test_where_no_resample_differs_the_ends_of_what_is_no_proportion_are_unknown():
    """An AUC of 1 on these lesions is none on all others."""
    found = bootstrap(mean_of(np.ones(12)), resample(lesions([1] * 12), 200)).interval("mean")
    assert found.to_dict() == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize("odd", ["", "gap", "constant"])
def test_all_classes_at_once_are_each_alone(odd):
    rng = np.random.default_rng(5)
    draws = rng.normal(size=(400, 3))
    if odd == "gap":
        draws[7, 1] = np.nan
    if odd == "constant":
        draws[:, 1] = 1.0
    found = Estimates({"x": rng.normal(size=3)}, {"x": draws}, resample(lesions([1, 2]), 400))
    assert list(map(repr, found.intervals("x"))) == [repr(found.interval("x", k)) for k in range(3)]


def test_a_single_lesion_gives_no_interval():
    found = bootstrap(mean_of(np.array([1.0, 0.0])), resample(lesions([2]), 200)).interval("mean")
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_no_image_at_all_is_undefined_not_an_error():
    found = bootstrap(mean_of(np.zeros(0)), resample(np.zeros(0, str), 200)).interval("mean")
    assert math.isnan(found.value)
    assert found.to_dict() == {"value": None, "low": None, "high": None}


def test_a_biased_figure_stays_inside_its_interval():
    drawn = resample(lesions([1] * 5), 200)
    estimates = Estimates({"x": np.array(0.1)}, {"x": np.linspace(0.2, 0.3, 200)}, drawn)
    interval = estimates.interval("x")
    assert interval.low == interval.value == 0.1
    assert interval.high == pytest.approx(0.3, abs=0.01)


def test_a_difference_is_paired():
    """Two models that differ by a little on every image: surer than either alone."""
    rng = np.random.default_rng(2)
    ids = lesions([2] * 60)
    hard = np.repeat(rng.random(60), 2)
    drawn = resample(ids, 500)
    better = bootstrap(mean_of(hard + 0.05), drawn)
    worse = bootstrap(mean_of(hard + rng.normal(scale=0.01, size=120)), drawn)
    difference = paired_difference(better, worse).interval("mean")
    alone = better.interval("mean")
    assert difference.value == pytest.approx(0.05, abs=0.01)
    assert difference.low > 0
    assert difference.high - difference.low < 0.1 * (alone.high - alone.low)
    itself = paired_difference(better, better).interval("mean")
    assert itself.value == 0
    assert np.isnan([itself.low, itself.high]).all(), "nothing differs here, which is no certainty"


def test_a_difference_of_unpaired_resamples_is_refused():
    ids, values = lesions([1] * 9), np.arange(9.0)
    first, second = (bootstrap(mean_of(values), resample(ids, 100, seed)) for seed in (1, 2))
    with pytest.raises(ValueError, match="one set of resamples"):
        paired_difference(first, second)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 3000), share=st.floats(0, 1))
def test_wilson_is_scipys(n, share):
    successes = round(n * share)
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_wilson_of_nothing_and_of_nonsense():
    assert math.isnan(wilson(0, 0).value)
    with pytest.raises(ValueError, match="between 0 and 3, found 4"):
        wilson(4, 3)


@settings(max_examples=60, deadline=None)
@given(first=st.integers(0, 400), second=st.integers(0, 400), both=st.integers(0, 5))
def test_mcnemar_is_the_binomial_test_of_the_discordant(first, second, both):
    a = np.array([True] * first + [False] * second + [True] * both)
    b = np.array([False] * first + [True] * second + [True] * both)
    found = mcnemar(a, b)
    assert (found.only_first, found.only_second) == (first, second)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_exact == pytest.approx(expected, rel=1e-6)
    # Mid-p counts half of what was observed: the exact p less one observed probability.
    n, fewer = first + second, min(first, second)
    observed = math.comb(n, fewer) * 0.5**n if n else 1.0
    if first == second:
        assert found.p_mid == pytest.approx(1.0)
    else:
        assert found.p_mid == pytest.approx(expected - observed, rel=1e-6, abs=1e-300)


def test_mcnemar_needs_the_same_images():
    with pytest.raises(ValueError, match="same images"):
        mcnemar(np.ones(3), np.ones(4))


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Interval,
        value=st.floats(-2, 2),
        low=st.floats(-2, 2) | st.just(math.nan),
        high=st.floats(-2, 2),
        method=st.sampled_from(["bootstrap", "wilson"]),
    )
)
def test_intervals_survive_json(interval):
    again = Interval.from_dict(interval.to_dict())
    assert repr(again) == repr(interval)


def test_intervals_as_people_read_them():
    nan = math.nan
    assert Interval(0.8123, 0.79, 0.8349).text() == "0.812 [0.790, 0.835]"
    assert Interval(0.5, nan, nan).text(1) == "0.5"
    assert Interval(nan, nan, nan).text() == "-"
