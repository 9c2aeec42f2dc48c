"""Which channels stay: the least important go first, until what the network may cost is reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from core.compression.channels import Channels
from core.compression.scores import Scores
from core.errors import UserError

STEP = 8
"""Channels that go at a time: kernels for eight bits work on so many at once, a ninth costs as much as eight."""

SMALLEST_SHARE = 1 / 8
"""Of a layer's channels that stay whatever they score: a layer without any would cut the network."""

_CHANNEL_BYTES = 16
"""What an int8 file stores for each output channel besides its weights: bias, scale, zero point."""


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        multiply_adds: for one image, as `core.benchmark` counts them: convolutions and dense layers.
        bytes: about those of the weights of its explaining graph in int8.
    """

    multiply_adds: int
    bytes: int


@dataclass(frozen=True)
class _Part:
    """Kernel cells for each pair of an input and an output channel, and how often they are applied.

    `inside` and `outside` are names of producers, or numbers of channels that stay as they are.
    """

    inside: str | int
    outside: str | int
    cells: int
    positions: int


class Ledger:
    """What a network would cost at any widths.

    Args:
        model: with a fixed input size.
        groups: of `find_channels(model)`.
    """

    def __init__(self, model: keras.Model, groups: Sequence[Channels]) -> None:
        self.full = {group.producer: group.width for group in groups}
        heard = {group.consumer: group.producer for group in groups}
        carried = {name: group.producer for group in groups for name in group.carriers}
        kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
        layers = [layer for layer in model.layers if isinstance(layer, kinds)]
        self._parts = [_part(layer, self.full, heard, carried) for layer in layers]
        self._head = heard.get("logits"), heard.get("hidden")

    def cost(self, widths: Mapping[str, int]) -> Cost:
        """The cost where some layers have other widths than now."""
        sizes = self.full | widths

        def number(channels: str | int) -> int:
            return sizes[channels] if isinstance(channels, str) else channels

        adds = stored = 0
        for part in self._parts:
            outside = number(part.outside)
            cells = number(part.inside) * outside * part.cells
            adds += cells * part.positions
            stored += cells + _CHANNEL_BYTES * outside
        hidden, features = self._head
        if hidden and features:
            # The maps need the hidden layer's kernel a second time.
            stored += sizes[hidden] * sizes[features]
        return Cost(adds, stored)


def choose(
    scores: Scores, ledger: Ledger, *, multiply_adds: float, size: float, step: int = STEP
) -> dict[str, np.ndarray]:
    """The channels to keep, over all layers at once.

    Each time the `step` channels go that lose the least score for what they bring nearer to the targets that are not
    reached yet.

    Args:
        scores: importance of every channel.
        ledger: of the same network.
        multiply_adds, size: targets, as shares of the whole network's.
        step: channels that go at a time.

    Returns:
        Producer -> rising indices of the channels that stay, for the layers that lose some.

    Raises:
        UserError: a share that is not above 0 and at most 1, or one that cannot be reached.
    """
    for name, share in (("multiply-adds", multiply_adds), ("size", size)):
        if not 0 < share <= 1:
            raise UserError(f"{name}: expected a share above 0 and at most 1, found {share:g}")
    whole = ledger.cost({})
    target = Cost(int(multiply_adds * whole.multiply_adds), int(size * whole.bytes))
    order = {name: np.argsort(values, kind="stable") for name, values in scores.items()}
    widths = dict(ledger.full)
    cost = whole
    while cost.multiply_adds > target.multiply_adds or cost.bytes > target.bytes:
        best = min(_offers(scores, order, ledger, widths, cost, target, step), default=None)
        if best is None:
            raise UserError(
                f"expected shares of multiply-adds and size that {SMALLEST_SHARE:.1%} of each layer's channels allow, "
                f"found {multiply_adds:g} and {size:g}; ask for more"
            )
        widths[best[1]] -= step
        cost = ledger.cost(widths)
    return {
        name: np.sort(order[name][len(order[name]) - width :])
        for name, width in widths.items()
        if width < ledger.full[name]
    }


def _offers(
    scores: Scores,
    order: Mapping[str, np.ndarray],
    ledger: Ledger,
    widths: Mapping[str, int],
    cost: Cost,
    target: Cost,
    step: int,
) -> list[tuple[float, str]]:
    """(score lost for each share of the way to the targets, layer) for every layer that can lose channels."""
    found = []
    for name, width in widths.items():
        if width - step < max(SMALLEST_SHARE * ledger.full[name], 1):
            continue
        gone = len(order[name]) - width
        lost = scores[name][order[name][gone : gone + step]].sum()
        then = ledger.cost({**widths, name: width - step})
        gain = sum(
            (now - after) / (now - wanted)
            for now, after, wanted in (
                (cost.multiply_adds, then.multiply_adds, target.multiply_adds),
                (cost.bytes, then.bytes, target.bytes),
            )
            if now > wanted
        )
        if gain > 0:
            found.append((float(lost / gain), name))
    return found


def _part(
    layer: keras.layers.Layer, full: Mapping[str, int], heard: Mapping[str, str], carried: Mapping[str, str]
) -> _Part:
    kernel, positions = layer.kernel.shape, math.prod(layer.output.shape[1:-1])
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return _Part(1, carried.get(layer.name, kernel[2]), kernel[0] * kernel[1], positions)
    cells = kernel[0] * kernel[1] if len(kernel) == 4 else 1
    outside = layer.name if layer.name in full else kernel[-1]
    return _Part(heard.get(layer.name, kernel[-2]), outside, cells, positions)
