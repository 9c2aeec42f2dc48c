"""The skin round a lesion: its tone, mottling, furrows, vessels, follicles, freckles and hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.data.synthetic.frame import Frame
from core.data.synthetic.optics import Layers, skin_melanin
from core.data.synthetic.texture import bend, cells, cloud, grain, smoothstep

Array = np.ndarray


@dataclass(frozen=True)
class Skin:
    """One person's skin: `tone` 0 very light .. 1 dark; the rest 0 none .. 1 much."""

    tone: float
    redness: float
    sun_damage: float
    follicles: float
    seed: tuple[int, ...]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, tone: float | None, age: float, site: str, seed: tuple[int, ...]
    ) -> Skin:
        """Random skin for an age (years) and a body site; all tones occur for every diagnosis."""
        drawn = float(rng.beta(1.1, 1.9))
        face = site in ("face", "ear", "neck", "scalp")
        return cls(
            tone=drawn if tone is None else tone,
            redness=float(rng.uniform(0.0, 1.0)),
            sun_damage=float(np.clip(rng.normal(0.45 * (age - 40) / 45, 0.28) + 0.1 * face, 0, 1)),
            follicles=float(np.clip(rng.normal(0.4 if face else 0.0, 0.25), 0, 1)),
            seed=seed,
        )


def lay_skin(layers: Layers, frame: Frame, skin: Skin) -> None:
    """Add the pigments of unlesioned skin to empty layers."""
    rng = np.random.default_rng(skin.seed)
    x, y = frame.x, frame.y
    melanin = skin_melanin(skin.tone)
    mottle = cloud(rng, 0.5)(x, y)
    furrow = cells(rng, rng.uniform(0.02, 0.035), True, 1.8)(x + 0.006 * grain(rng, 0.06)(x, y), y)[..., 1]
    furrow = smoothstep(0.14, 0.0, furrow)
    fine = grain(rng, 0.012)(x, y)
    base = melanin * (1 + 0.05 * mottle + 0.03 * fine + 0.10 * furrow * skin.tone)
    layers.add("tan", base.astype(np.float32))
    flush = (0.05 + 0.19 * skin.redness) * (1 - 0.5 * skin.tone)
    blotch = cloud(rng, 0.35)(x, y)
    layers.add("blood", flush * np.clip(1 + 0.22 * blotch + 0.08 * fine - 0.18 * furrow, 0.1, 2.0))
    layers.add("keratin", np.float32(rng.uniform(0.0, 0.09)) * (1 + 0.2 * mottle))
    _vessels(layers, frame, skin, rng)
    _freckles(layers, frame, skin, rng)
    _follicles(layers, frame, skin, rng)


def _vessels(layers: Layers, frame: Frame, skin: Skin, rng: np.random.Generator) -> None:
    """A fine blurred net of vessels, more of it in sun-damaged skin."""
    strength = rng.uniform(0.0, 0.09) + 0.16 * skin.sun_damage * rng.random()
    spacing, depth = rng.uniform(0.05, 0.10), rng.uniform(0.16, 0.34)
    x, y = frame.x, frame.y
    shift = bend(rng, spacing * 1.8)(x, y) * np.float32(0.2 * spacing)
    x, y = x + shift[..., 0], y + shift[..., 1]
    net = smoothstep(depth, -0.06, cells(rng, spacing, True)(x, y)[..., 1])
    patchy = np.clip(0.3 + 0.9 * cloud(rng, 0.4)(x, y), 0, 1.5)
    layers.add("blood", np.float32(strength) * net * patchy)


def _freckles(layers: Layers, frame: Frame, skin: Skin, rng: np.random.Generator) -> None:
    """Solar lentigines and mottled pigment about the lesion."""
    spread, size = cloud(rng, rng.uniform(0.3, 0.7)), rng.uniform(0.06, 0.16)
    fine, threshold = cloud(rng, size), 2.1 - 1.2 * skin.sun_damage
    x, y = frame.x, frame.y
    if skin.sun_damage > 0.15:
        patches = smoothstep(threshold - 1.2, threshold + 2.2, spread(x, y) + 0.8 * fine(x, y))
        layers.add("melanin", np.float32(0.15 + 0.35 * skin.sun_damage) * patches)


def _follicles(layers: Layers, frame: Frame, skin: Skin, rng: np.random.Generator) -> None:
    """Pale openings of hair follicles, as on a face."""
    mesh = cells(rng, rng.uniform(0.04, 0.06), True)
    if skin.follicles > 0.2:
        opening = smoothstep(0.26, 0.04, mesh(frame.x, frame.y)[..., 0])
        layers.thin(1 - 0.25 * skin.follicles * opening)
        layers.add("keratin", 0.08 * skin.follicles * opening)


def hairs(frame: Frame, skin: Skin, rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Hairs over the skin as (cover (H, W), colour (3,)), lowest first; often none, often only down."""
    layers = []
    if rng.random() < 0.6:
        count = int(rng.integers(8, 45))
        lines = _curves(rng, count, (0.06, 0.30), rng.uniform(0, np.pi), 0.5)
        cover = frame.strokes(lines, rng.uniform(0.0015, 0.0030, count), rng.uniform(0.3, 0.9, count))
        layers.append((0.5 * (1 - 0.5 * skin.tone) * cover, np.array([0.96, 0.86, 0.80], np.float32)))
    kind = rng.random()
    if kind < 0.34:
        count = int(rng.geometric(0.13)) if kind < 0.25 else int(rng.integers(4, 16))
        span = (0.4, 1.5) if kind < 0.25 else (0.02, 0.07)  # long hairs, or stubble
        lines = _curves(rng, count, span, rng.uniform(0, np.pi), 0.45)
        widths = rng.uniform(0.0022, 0.0055) * rng.uniform(0.7, 1.2, count)
        cover = frame.strokes(lines, widths, rng.uniform(0.7, 1.0, count))
        brown = np.array([0.30, 0.19, 0.13]) * rng.uniform(0.25, 1.3 - 0.7 * skin.tone)
        layers.append((0.85 * frame.blur(cover, 0.001), brown.astype(np.float32)))
    return layers


def _curves(
    rng: np.random.Generator, count: int, span: tuple[float, float], heading: float, spread: float
) -> list[Array]:
    """Gently bent lines of a length within `span` at random places, roughly along `heading`."""
    t = np.linspace(-0.5, 0.5, 20)
    lines = []
    for _ in range(count):
        length, turn = rng.uniform(*span), heading + rng.normal(0, spread)
        bow = rng.normal(0, 0.16) * length
        along, aside = t * length, bow * (4 * t**2) + rng.normal(0, 0.03) * length * np.sin(2 * np.pi * t)
        cos, sin = np.cos(turn), np.sin(turn)
        centre = rng.uniform(-0.75, 0.75, 2)
        lines.append(centre + np.stack([along * cos - aside * sin, along * sin + aside * cos], axis=1))
    return lines
