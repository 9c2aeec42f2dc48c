"""Which channels stay under which costs."""

import numpy as np
import pytest

from core.benchmark import flat
from core.compression.budget import STEP, Cost, Ledger, choose
from core.compression.channels import find_channels, narrow
from core.compression.litert import convert
from core.errors import UserError
from core.networks.explaining import explaining_graph


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.tiny_network(hidden=64, channels=64)


@pytest.fixture(scope="module")
def ledger(model):
    return Ledger(model, find_channels(model))


def scores(model, seed=0):
    rng = np.random.default_rng(seed)
    return {group.producer: rng.random(group.width) for group in find_channels(model)}


def test_multiply_adds_are_those_of_the_file(model, ledger, tmp_path):
    """The ledger counts by widths what the benchmark counts in a LiteRT file, whole and narrow."""
    small = narrow(model, {"project": np.arange(24), "hidden": np.arange(16)})
    for network, widths in ((model, {}), (small, {"project": 24, "hidden": 16})):
        path = convert(explaining_graph(network, size=32), tmp_path / "model.tflite")
        assert ledger.cost(widths).multiply_adds == flat.multiply_adds(path.read_bytes())


def test_bytes_by_hand(ledger):
    kernels = 27 * 8 + 9 * 8 + 9 * 8 * 64 + 64 * 64 + 64 * 7
    assert ledger.cost({}).bytes == kernels + 16 * (8 + 8 + 64 + 64 + 7) + 64 * 64


@pytest.mark.parametrize(("adds", "size"), [(0.7, 0.7), (0.4, 1.0), (1.0, 0.5)])
def test_targets_are_reached_and_not_by_far(model, ledger, adds, size):
    kept = choose(scores(model), ledger, multiply_adds=adds, size=size)
    widths = {name: len(rows) for name, rows in kept.items()}
    cost, whole = ledger.cost(widths), ledger.cost({})
    assert cost.multiply_adds <= adds * whole.multiply_adds
    assert cost.bytes <= size * whole.bytes
    back = [ledger.cost({**widths, name: width + STEP}) for name, width in widths.items()]
    assert any(c.multiply_adds > adds * whole.multiply_adds or c.bytes > size * whole.bytes for c in back), (
        "no group of channels could have stayed"
    )
    assert all(width % STEP == 0 for width in widths.values())


def test_the_least_important_go_first(model, ledger):
    given = scores(model)
    kept = choose(given, ledger, multiply_adds=0.6, size=1.0)
    for name, rows in kept.items():
        gone = np.setdiff1d(np.arange(len(given[name])), rows)
        assert given[name][gone].max() < given[name][rows].min()
        assert (np.diff(rows) > 0).all()


def test_a_layer_that_matters_stays(model, ledger):
    given = scores(model) | {"project": np.full(64, 1e6)}
    kept = choose(given, ledger, multiply_adds=1.0, size=0.7)
    assert set(kept) == {"hidden"}


def test_a_cost_that_does_not_shrink_is_no_reason_to_go(model, ledger):
    """Hidden units are a thousandth of the multiply-adds: under that target alone they stay."""
    assert "hidden" not in choose(scores(model), ledger, multiply_adds=0.7, size=1.0)


@pytest.mark.parametrize(
    ("adds", "size", "message"),
    [(0, 1, "multiply-adds: expected a share"), (1, 1.5, "size: expected"), (0.001, 1, "ask for more")],
)
def test_impossible_targets(model, ledger, adds, size, message):
    with pytest.raises(UserError, match=message):
        choose(scores(model), ledger, multiply_adds=adds, size=size)


def test_nothing_goes_when_nothing_must(model, ledger):
    assert choose(scores(model), ledger, multiply_adds=1.0, size=1.0) == {}
    assert isinstance(ledger.cost({}), Cost)
