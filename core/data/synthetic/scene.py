"""What a painter works on: the view, the outline, the layers and the random numbers of one lesion."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from core.data.synthetic.frame import Frame
from core.data.synthetic.optics import Layers
from core.data.synthetic.outline import Outline
from core.data.synthetic.texture import bend, cells, cloud, grain, smoothstep

Array = np.ndarray


@dataclass
class Scene:
    """One lesion being drawn.

    Attributes:
        depth: 1 in the lesion's centre, 0 at its edge, negative outside; float32 (H, W).
        inside: its soft cover 0..1.
        structures: what was drawn, in dermatoscopy's words, in the order of drawing.
    """

    frame: Frame
    outline: Outline
    layers: Layers
    rng: np.random.Generator
    depth: Array
    inside: Array
    structures: list[str] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        """Toss a coin."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A uniform random number."""
        return float(self.rng.uniform(low, high))

    def note(self, structure: str) -> None:
        """Record a structure once."""
        if structure not in self.structures:
            self.structures.append(structure)

    def cloud(self, wavelength: float, stretch: float = 1.0) -> Array:
        """Billowing noise (mean 0, deviation 1) in the frame."""
        return cloud(self.rng, wavelength, stretch)(self.frame.x, self.frame.y)

    def grain(self, wavelength: float, stretch: float = 1.0, angle: float | None = None) -> Array:
        """Even noise (mean 0, deviation 1) of one wavelength in the frame."""
        return grain(self.rng, wavelength, stretch, angle)(self.frame.x, self.frame.y)

    def cells(self, spacing: float, scattered: bool = True, warp: float = 0.2) -> Array:
        """Voronoi cells bent by noise, float32 (H, W, 3); `warp` in spacings. See `texture.cells`."""
        x, y = self.frame.x, self.frame.y
        if warp > 0:
            shift = bend(self.rng, spacing * 3.6)(x, y) * np.float32(spacing * warp)
            x, y = x + shift[..., 0], y + shift[..., 1]
        return cells(self.rng, spacing, scattered)(x, y)

    def patch(self, size: float, low: float = 0.15, high: float = 0.8, soft: float = 0.25) -> Array:
        """A soft irregular patch inside the lesion at a random place: cover 0..1.

        `size` is its radius and `low`..`high` its centre's depth, as parts of the lesion's radius.
        """
        centre = self.outline.scatter(self.rng, 1, low, high)[0].astype(np.float32)
        return self.patch_at(centre, size, soft)

    def patch_at(self, centre: Array, size: float, soft: float = 0.25, rough: float = 0.22) -> Array:
        """A soft irregular patch about a skin point, clipped to the lesion."""
        radius = np.float32(size * self.outline.radius)
        away = np.hypot(self.frame.x - centre[0], self.frame.y - centre[1]) / radius
        edge = away + np.float32(rough) * self.cloud(float(radius) * 1.6)
        return smoothstep(1 + soft, 1 - soft, edge) * self.inside
