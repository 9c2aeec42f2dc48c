"""How sure a figure is: bootstrap over lesions, Wilson's interval, McNemar's test.

HAM10000 has up to six images of one lesion, and a model tends to be right or wrong about all of them.
Resampling images would treat them as independent and give intervals that are too narrow, so lesions are
drawn, and all images of a drawn lesion come along (the cluster bootstrap; Davison and Hinkley,
"Bootstrap Methods and their Application", 1997, section 3.8).

A resample is kept as how often each lesion was drawn. An image's weight in it is its lesion's count, so a
statistic is a function of weights (B, N), computed for many resamples by one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
SEED = 20180801
"""Fixed, so that the same predictions give the same intervals on every machine."""

_BLOCK = 250  # resamples at once: the weights of 2,000 images then take 4 MB
_SAME = 1e-9
_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

Statistic = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Weights (B, N) float64 -> named figures, each (B,) or (B, K); NaN where a figure is undefined."""


@dataclass(frozen=True)
class Interval:
    """A figure and its 95% interval; NaN for what is undefined.

    Attributes:
        value: the figure on all images.
        low, high: the interval's ends, low <= value <= high.
        method: `bootstrap` (over lesions) or `wilson` (over lesions, where no resample differs).
    """

    value: float
    low: float
    high: float
    method: str = "bootstrap"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: value, low, high (None for NaN), and the method when it is not the bootstrap."""
        plain = {name: _plain(getattr(self, name)) for name in ("value", "low", "high")}
        return plain if self.method == "bootstrap" else plain | {"method": self.method}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Interval:
        """What `to_dict` gave."""
        numbers = (
            float("nan") if stored[name] is None else stored[name] for name in ("value", "low", "high")
        )
        return cls(*numbers, method=stored.get("method", "bootstrap"))

    def text(self, digits: int = 3) -> str:
        """`0.812 [0.790, 0.834]`, or a dash for what is undefined."""
        if np.isnan(self.value):
            return "-"
        if np.isnan(self.low):
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def points(self) -> str:
        """Of a difference of shares `+2.2 (+0.8 to +3.7)` in points of 100; empty for what is undefined.

        >>> Interval(0.022, 0.008, 0.037).points()
        '+2.2 (+0.8 to +3.7)'
        """
        if np.isnan(self.value):
            return ""
        ends = "" if np.isnan(self.low) else f" ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        return f"{100 * self.value:+.1f}{ends}"


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@dataclass(frozen=True, eq=False)
class Resamples:
    """B draws of L lesions out of L, with replacement.

    Attributes:
        counts: (B, L) uint16, how often each lesion was drawn.
        lesion: (N,) int, each image's lesion as a column of `counts`.
    """

    counts: np.ndarray
    lesion: np.ndarray

    @property
    def n_lesions(self) -> int:
        """L."""
        return self.counts.shape[1]

    def blocks(self) -> Iterator[np.ndarray]:
        """Weights of the images, (b, N) float64, for some resamples at a time."""
        for start in range(0, len(self.counts), _BLOCK):
            yield self.counts[start : start + _BLOCK].astype(np.float64)[:, self.lesion]

    def totals(self, cell: np.ndarray, cells: int) -> np.ndarray:
        """(B, K) float64: how many of the images drawn lie in each of K cells.

        The weights of the images times a one in each image's cell are the same; without all the zeros it takes a
        twentieth of the time.

        Args:
            cell: (N,) int, each image's.
            cells: K.
        """
        totals = np.empty((len(self.counts), cells))
        for index in range(cells):
            totals[:, index] = self._by_lesion[self.lesion[cell == index]].sum(axis=0, dtype=np.uint32)
        return totals

    @cached_property
    def _by_lesion(self) -> np.ndarray:
        """(L, B): a lesion's counts lie beside each other."""
        return np.ascontiguousarray(self.counts.T)


def resample(lesion_id: np.ndarray, n: int = RESAMPLES, seed: int = SEED) -> Resamples:
    """Draw lesions; the draw depends on the set of lesions alone, not on the order of the images.

    Args:
        lesion_id: (N,) one id for each image.
        n: number of resamples B.
        seed: of numpy's default generator.
    """
    lesions, lesion = np.unique(np.asarray(lesion_id, dtype=str), return_inverse=True)
    size = len(lesions)
    if not size:
        return Resamples(np.zeros((n, 0), dtype=np.uint16), lesion)
    random = np.random.default_rng(seed)
    counts = np.empty((n, size), dtype=np.uint16)
    for counted in counts:  # one draw fits the cache, which all at once do not; the numbers are the same
        counted[:] = np.bincount(random.integers(0, size, size=size), minlength=size)
    return Resamples(counts, lesion)


@dataclass(frozen=True, eq=False)
class Estimates:
    """The figures of a statistic and their distribution over the resamples.

    Attributes:
        values: each figure on all images, shape () or (K,).
        draws: each figure in every resample, shape (B,) or (B, K).
        resamples: from which `draws` come.
    """

    values: Mapping[str, np.ndarray]
    draws: Mapping[str, np.ndarray]
    resamples: Resamples

    def interval(self, name: str, index: int | None = None, *, proportion_of: int | None = None) -> Interval:
        """The percentile interval of one figure.

        It is widened to hold the figure itself, which matters only for figures that resampling biases:
        the calibration error grows with the noise in its bins. Resamples in which the figure is undefined
        (no melanoma drawn, nothing predicted as melanoma) are left out.

        Args:
            name: of the figure.
            index: of the class, for a figure of shape (K,).
            proportion_of: for a proportion, the number of lesions that it is a share of. Where no resample
                differs (every image right, or a single lesion) the bootstrap would claim certainty;
                Wilson's interval for that many lesions stands in. Without it the ends are undefined then.
        """
        value, draws = self.values[name], self.draws[name]
        if index is not None:
            value, draws = value[index], draws[:, index]
        value, draws = float(value), draws[~np.isnan(draws)]
        if np.isnan(value) or not len(draws):
            return Interval(value, float("nan"), float("nan"))
        if np.ptp(draws) >= _SAME:
            return self._percentiles(value, *np.quantile(draws, _ENDS))
        if proportion_of is None:
            return Interval(value, float("nan"), float("nan"))
        low, high = wilson_bounds(value, proportion_of)
        return Interval(value, float(low), float(high), method="wilson")

    def intervals(self, name: str) -> list[Interval]:
        """`interval` of each of K classes, for a figure of shape (K,): several times faster than one by one."""
        values, draws = self.values[name], self.draws[name]
        if np.isnan(values).any() or np.isnan(draws).any() or (np.ptp(draws, axis=0) < _SAME).any():
            return [self.interval(name, index) for index in range(len(values))]
        return [
            self._percentiles(*row) for row in zip(values, *np.quantile(draws, _ENDS, axis=0), strict=True)
        ]

    @staticmethod
    def _percentiles(value: float, low: float, high: float) -> Interval:
        return Interval(float(value), float(min(low, value)), float(max(high, value)))


def bootstrap(statistic: Statistic, resamples: Resamples) -> Estimates:
    """A statistic on all images and on every resample."""
    whole = statistic(np.ones((1, len(resamples.lesion))))
    blocks = [statistic(weights) for weights in resamples.blocks()]
    return Estimates(
        values={name: np.asarray(value)[0] for name, value in whole.items()},
        draws={name: np.concatenate([block[name] for block in blocks]) for name in whole},
        resamples=resamples,
    )


def paired_difference(first: Estimates, second: Estimates) -> Estimates:
    """first - second for every figure, resample by resample.

    What is hard in a resample is hard for both, so the difference is surer than either figure.

    Raises:
        ValueError: the two do not come from one `Resamples`, so that nothing is paired.
    """
    if first.resamples is not second.resamples:
        raise ValueError("expected two estimates from one set of resamples, found two sets")
    return Estimates(
        values={name: value - second.values[name] for name, value in first.values.items()},
        draws={name: draws - second.draws[name] for name, draws in first.draws.items()},
        resamples=first.resamples,
    )


def unpaired_difference(first: Estimates, second: Estimates) -> Estimates:
    """first - second for every figure of two samples that were drawn apart from each other.

    Raises:
        ValueError: both come from one `Resamples`, or one of them has more draws.
    """
    if first.resamples is second.resamples or len(first.resamples.counts) != len(second.resamples.counts):
        raise ValueError("expected as many resamples of two samples, found one sample or two numbers")
    fewer = min(first.resamples, second.resamples, key=lambda drawn: drawn.n_lesions)
    return Estimates(
        values={name: value - second.values[name] for name, value in first.values.items()},
        draws={name: draws - second.draws[name] for name, draws in first.draws.items()},
        resamples=fewer,
    )


def wilson_bounds(share: np.ndarray | float, n: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95% score interval for a share of n independent cases (Wilson 1927, equation 4).

    Args:
        share: in [0, 1], any shape; NaN gives NaN.
        n: number of cases, above 0 or NaN, broadcast against `share`.
    """
    share, n = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding can leave an end a hair outside [0, 1], or beyond a share that is 0 or 1.
    return np.clip(np.minimum(centre - half, share), 0, 1), np.clip(np.maximum(centre + half, share), 0, 1)


def wilson(successes: int, n: int) -> Interval:
    """A simple proportion of n independent cases with Wilson's interval; undefined for n = 0.

    Raises:
        ValueError: successes outside 0 .. n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"expected successes between 0 and {n}, found {successes}")
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), method="wilson")
    low, high = wilson_bounds(successes / n, n)
    return Interval(successes / n, float(low), float(high), method="wilson")


@dataclass(frozen=True)
class McNemar:
    """Whether two models err equally often on the same images.

    Attributes:
        only_first: images that only the first model gets right.
        only_second: images that only the second one gets right.
        p_exact: two-sided exact binomial test, conservative.
        p_mid: its mid-p form, which Fagerland, Lydersen and Laake (BMC Medical Research Methodology 13:91,
            2013) recommend. Both count images as independent, so with several images of a lesion they are
            a little too small: read them beside the interval over lesions.
    """

    only_first: int
    only_second: int
    p_exact: float
    p_mid: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in ("only_first", "only_second", "p_exact", "p_mid")}


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """McNemar's test from (N,) booleans: did each model get each image right?

    Raises:
        ValueError: the two differ in length.
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(
            f"expected answers to the same images, found shapes {first.shape} and {second.shape}"
        )
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    discordant, fewer = only_first + only_second, min(only_first, only_second)
    below, at_most = _fair_binomial(fewer - 1, discordant), _fair_binomial(fewer, discordant)
    twice, mid = 2 * at_most, at_most + below
    return McNemar(only_first, only_second, min(1.0, twice), min(1.0, mid))


def _fair_binomial(k: int, n: int) -> float:
    """P(X <= k) of n tosses of a fair coin, without an import that takes half a second."""
    total, ways = 0, 1
    for heads in range(k + 1):
        total += ways
        ways = ways * (n - heads) // (heads + 1)
    return total / 2**n
