"""The outline of a lesion: how deep inside it a point lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.data.synthetic.texture import Texture, cloud

Array = np.ndarray

_DIRECTIONS = 4097  # of the outline's table: finer than a pixel at any size


Range = tuple[float, float]


@dataclass(frozen=True)
class Habit:
    """The outlines that a diagnosis takes: ranges to draw from.

    Attributes:
        radius: in skin units.
        aspect: largest length over width.
        irregular: deviation of the waves that bend the outline at large.
        roughness: of the edge, as a part of the radius.
        softness: half the width over which the edge fades, as a part of the radius.
    """

    radius: Range
    aspect: float
    irregular: float
    roughness: Range
    softness: Range


HABITS: dict[str, Habit] = {
    "akiec": Habit((0.20, 0.38), 1.5, 0.10, (0.08, 0.16), (0.12, 0.30)),
    "bcc": Habit((0.16, 0.34), 1.5, 0.08, (0.04, 0.10), (0.12, 0.35)),
    "bkl": Habit((0.17, 0.37), 1.6, 0.055, (0.015, 0.05), (0.02, 0.05)),
    "df": Habit((0.17, 0.33), 1.3, 0.03, (0.04, 0.09), (0.25, 0.50)),
    "mel": Habit((0.18, 0.38), 1.5, 0.13, (0.06, 0.12), (0.04, 0.14)),
    "nv": Habit((0.13, 0.34), 1.5, 0.04, (0.02, 0.06), (0.06, 0.20)),
    "vasc": Habit((0.13, 0.30), 1.4, 0.07, (0.02, 0.06), (0.04, 0.06)),
}


@dataclass(frozen=True)
class Outline:
    """A star-shaped outline about the origin with a rough edge.

    Attributes:
        radius: mean radius (skin units: 1 = height of the view).
        aspect: length over width of the ellipse that it starts from.
        tilt: the ellipse's direction, radians.
        harmonics: amplitude, phase of the 2nd, 3rd, ... wave of the radius around the circle, (K, 2).
        roughness: deviation of the edge's noise, as a part of the radius.
        edge: the noise itself.
    """

    radius: float
    aspect: float
    tilt: float
    harmonics: Array
    roughness: float
    edge: Texture

    def reach(self, angle: Array) -> Array:
        """Distance of the smooth outline from the centre in the directions `angle` (radians)."""
        turned = angle - self.tilt
        a, b = np.sqrt(self.aspect), 1 / np.sqrt(self.aspect)
        ellipse = 1 / np.sqrt((np.cos(turned) / a) ** 2 + (np.sin(turned) / b) ** 2)
        wave = np.ones_like(ellipse)
        for order, (amplitude, phase) in enumerate(self.harmonics, start=2):
            wave = wave + amplitude * np.cos(order * angle + phase)
        return self.radius * ellipse * np.maximum(wave, 0.4)

    def smooth_depth(self, x: Array, y: Array) -> Array:
        """1 in the centre, 0 on the outline, negative outside; without the edge's roughness."""
        turns = np.linspace(-np.pi, np.pi, _DIRECTIONS)
        table = self.reach(turns).astype(np.float32)
        place = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32((_DIRECTIONS - 1) / (2 * np.pi)) + 0.5
        return 1 - np.hypot(x, y) / table[place.astype(np.int32)]

    def depth(self, x: Array, y: Array) -> Array:
        """Like `smooth_depth`, with the rough edge: float32 of the shape of `x`."""
        return self.smooth_depth(x, y) + np.float32(self.roughness) * self.edge(x, y)

    def at(self, angle: Array, depth: Array | float) -> Array:
        """Skin points (N, 2) at these angles and this depth."""
        rho = self.reach(np.asarray(angle)) * (1 - np.asarray(depth))
        return np.stack([rho * np.cos(angle), rho * np.sin(angle)], axis=-1)

    def scatter(self, rng: np.random.Generator, count: int, low: float, high: float) -> Array:
        """Random points (count, 2), even over the area between the depths `low` and `high`."""
        angle = rng.uniform(0, 2 * np.pi, count)
        t = np.sqrt(rng.uniform((1 - high) ** 2, (1 - low) ** 2, count))
        return self.at(angle, 1 - t)


def draw_outline(code: str, rng: np.random.Generator) -> tuple[Outline, float]:
    """A random outline of a diagnosis's habit, and its softness."""
    habit = HABITS[code]
    orders = np.arange(2, 8)
    amplitude = habit.irregular * rng.normal(0, 1, orders.size) * (2.0 / orders) ** 0.8
    harmonics = np.stack([amplitude, rng.uniform(0, 2 * np.pi, orders.size)], axis=1)
    radius, aspect = float(rng.uniform(*habit.radius)), float(rng.uniform(1.0, habit.aspect))
    tilt, roughness = float(rng.uniform(0, np.pi)), float(rng.uniform(*habit.roughness))
    outline = Outline(radius, aspect, tilt, harmonics, roughness, cloud(rng, radius * 0.8))
    return outline, float(rng.uniform(*habit.softness))
