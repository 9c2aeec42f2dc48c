"""The average of weights."""

from __future__ import annotations

import numpy as np
import pytest

from core.training.average import WeightAverage, due


class Network:
    """As much of a network as the average needs."""

    def __init__(self, *values: float) -> None:
        self.weights = [np.array([v], np.float32) for v in values]

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, values):
        self.weights = [np.array(v) for v in values]


def test_it_follows_the_formula_every_fourth_step():
    network, average, expected = Network(1.0), None, 1.0
    average = WeightAverage(network, 0.9)
    for step in range(1, 41):
        network.set_weights([np.array([float(step)], np.float32)])
        if steps := due(step, step, 100):
            assert (step + 1) % 4 == 0
            average.update(step, steps)
            share = min(0.9, (1 + step) / (10 + step)) ** min(step, 4)
            expected = share * expected + (1 - share) * step
        assert average.values[0] == pytest.approx([expected], rel=1e-5)
    assert expected != 1


@pytest.mark.parametrize("epoch_steps", [1, 2, 3, 4, 5, 6, 7, 8, 200])
def test_every_step_counts_once_and_the_last_of_an_epoch_at_once(epoch_steps):
    counted = [
        due(epoch * epoch_steps + step, step, epoch_steps)
        for epoch in range(5)
        for step in range(1, epoch_steps + 1)
    ]
    assert sum(counted) == 5 * epoch_steps
    assert all(counted[epoch_steps - 1 :: epoch_steps])
    since = 0
    for steps in counted:
        since += 1
        assert steps in (0, since)
        since = 0 if steps else since
        assert since < 4


def test_constant_weights_are_their_own_average():
    network = Network(2.0, -3.0)
    average = WeightAverage(network, 0.99)
    for step in range(20):
        average.update(step)
    assert [v.item() for v in average.values] == pytest.approx([2.0, -3.0])


def test_the_early_weights_are_forgotten_sooner_than_the_decay_says():
    network = Network(100.0)
    average = WeightAverage(network, 0.9999)
    network.set_weights([np.array([0.0], np.float32)])
    for step in range(3, 40, 4):
        average.update(step)
    assert average.values[0].item() < 0.1 * 100


def test_stored_values_are_gone_on_with():
    network = Network(0.0)
    whole, first = WeightAverage(network, 0.9), WeightAverage(network, 0.9)
    for step in range(8):
        network.set_weights([np.array([step], np.float32)])
        whole.update(step)
        if step < 5:
            first.update(step)
    second = WeightAverage(network, 0.9, [v.copy() for v in first.values])
    for step in range(5, 8):
        network.set_weights([np.array([step], np.float32)])
        second.update(step)
    assert second.values[0].tolist() == whole.values[0].tolist()


def test_the_network_has_the_average_for_the_block_only_also_after_an_error():
    network = Network(1.0)
    average = WeightAverage(network, 0.9, [np.array([7.0], np.float32)])
    with average.applied():
        assert network.weights[0].item() == 7
    assert network.weights[0].item() == 1

    def fail():
        with average.applied():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert network.weights[0].item() == 1


def test_it_covers_a_real_networks_moving_statistics_and_is_a_copy(tiny):
    network = tiny.make_network()
    average = WeightAverage(network, 0.9)
    names = [variable.path for variable in network.weights]
    assert sum("moving" in name for name in names) == 4
    before = [value.copy() for value in average.values]
    for variable in network.weights:
        variable.assign(np.full(variable.shape, 5, np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(before, average.values, strict=True))
    average.update(3)
    assert all((new != old).all() for new, old in zip(average.values, before, strict=True))
    with average.applied():
        assert np.array_equal(network.get_weights()[0], average.values[0])
    assert (network.get_weights()[0] == 5).all()
