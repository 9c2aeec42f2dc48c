"""From pigments to colours: what melanin, blood, keratin and scars do to the light of a dermatoscope.

A picture is made as in skin: chromophores absorb (Beer-Lambert, optical densities add up), scar and keratin
scatter white, and pigment deep in the dermis looks blue-grey because the tissue above it scatters blue light
back (the Tyndall effect). The absorption vectors were fitted by eye to the colours of dermatoscopic pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

Array = np.ndarray

# Optical density of one unit of each chromophore in red, green, blue.
ABSORPTION: dict[str, tuple[float, float, float]] = {
    "tan": (0.78, 1.00, 1.34),  # the even melanin of the skin's own tone
    "melanin": (0.44, 0.90, 1.12),  # a lesion's, in the epidermis: brown, black where dense
    "deep": (0.96, 0.78, 0.52),  # melanin in the dermis: slate, blue-grey
    "blood": (0.14, 1.00, 0.62),  # oxygenated: red
    "stasis": (0.62, 1.10, 0.58),  # pooled and deoxygenated: purple, blue, black
    "keratin": (0.10, 0.34, 1.00),  # serum, crust and keratin: yellow, orange
}
NAMES = tuple(ABSORPTION)
DENSE = (0.20, 0.15, 0.10)  # per squared unit: dense melanin turns from brown to black
BARE_SKIN = np.array([0.955, 0.845, 0.800], np.float32)  # before any pigment
SURFACE = np.array([0.050, 0.040, 0.045], np.float32)  # light that the surface returns whatever lies below
SCAR = np.array([0.965, 0.865, 0.860], np.float32)
SCALE = np.array([0.960, 0.925, 0.850], np.float32)
VEIL = np.array([0.560, 0.585, 0.690], np.float32)


@dataclass
class Layers:
    """Maps float32 (H, W), all 0 at first: optical densities and three covers 0..1."""

    shape: tuple[int, int]
    densities: dict[str, Array] = field(default_factory=dict)
    scar: Array | None = None
    scale: Array | None = None
    veil: Array | None = None

    def add(self, name: str, amount: Array) -> None:
        """Add optical density to a chromophore."""
        if name not in ABSORPTION:
            raise ValueError(f"expected one of {', '.join(NAMES)}, found {name!r}")
        self.densities[name] = self.densities[name] + amount if name in self.densities else amount

    def thin(self, keep: Array, names: tuple[str, ...] = NAMES) -> None:
        """Multiply chromophores by `keep` (0..1): a scar, a cyst or an erosion takes pigment away."""
        for name in names:
            if name in self.densities:
                self.densities[name] = self.densities[name] * keep

    def whiten(self, name: str, cover: Array) -> None:
        """Lay `scar`, `scale` or `veil` over what is there, where it covers more."""
        old = getattr(self, name)
        setattr(self, name, cover if old is None else np.maximum(old, cover))

    def fade(self, bare: dict[str, Array], strength: float) -> None:
        """Bring the densities back towards those of `bare` skin, and thin the covers: a faint lesion."""
        for name, density in self.densities.items():
            start = bare.get(name, np.float32(0))
            self.densities[name] = start + np.float32(strength) * (density - start)
        for name in ("scar", "scale", "veil"):
            cover = getattr(self, name)
            if cover is not None:
                setattr(self, name, np.float32(strength) * cover)


def skin_melanin(tone: float) -> float:
    """Melanin density of unlesioned skin, `tone` 0 (very light) .. 1 (dark)."""
    return 0.02 + 1.22 * tone**1.2


def develop(layers: Layers, tone: float) -> Array:
    """The reflected colour, float32 (H, W, 3) about 0..1, before camera and instrument."""
    names = [name for name in NAMES if name in layers.densities]
    maps = [np.maximum(layers.densities[name], 0, dtype=np.float32) for name in names]
    vectors = [ABSORPTION[name] for name in names]
    if "melanin" in names:
        maps.append(np.square(maps[names.index("melanin")]))
        vectors.append(DENSE)
    light = cv2.transform(cv2.merge(maps), -np.array(vectors, np.float32).T)
    colour = SURFACE + (BARE_SKIN - SURFACE) * np.exp(light, out=light)
    # Scars and veils lie under the pigmented epidermis of dark skin and are dimmed by it.
    dim = np.exp(-0.55 * skin_melanin(tone) * np.array(ABSORPTION["tan"]))
    covers = ((layers.veil, VEIL * dim), (layers.scar, SCAR * dim), (layers.scale, SCALE))
    for cover, shade in covers:
        if cover is not None:
            colour += np.clip(cover, 0, 1)[..., None] * (shade.astype(np.float32) - colour)
    return colour
