"""Pigmented structures of dermatoscopy, each a function that adds to a scene's layers.

Lengths are in skin units (1 = height of the view); densities are optical.
"""

from __future__ import annotations

import numpy as np

from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep

Array = np.ndarray


def pigment(scene: Scene, amount: float, mottle: float = 0.2, fade: float = 0.25, size: float = 0.5) -> None:
    """Even brown: `mottle` varies it, `fade` thins it towards the edge (as a part of the radius)."""
    variation = 1 + mottle * scene.cloud(scene.outline.radius * size) + 0.5 * mottle * scene.grain(0.02)
    slope = smoothstep(-0.05, fade, scene.depth) if fade > 0 else 1.0
    scene.layers.add("melanin", amount * np.clip(variation, 0.2, 2.2) * slope * scene.inside)


def network(
    scene: Scene,
    spacing: float,
    amount: float,
    width: float = 0.16,
    irregular: float = 0.0,
    where: Array | None = None,
) -> None:
    """Pigment network: brown lines round pale holes.

    Args:
        spacing: mesh width.
        width: half the line's width in meshes.
        irregular: 0 even meshes and lines .. 1 scattered meshes, lines of changing width and colour.
        where: cover 0..1; the lesion by default.
    """
    mesh = scene.cells(spacing, irregular >= 0.4, 0.14 + 0.12 * irregular)
    edge = mesh[..., 1]
    if irregular > 0:
        # Thicker and thinner stretches.
        width_map = width * np.clip(1 + 0.5 * irregular * scene.cloud(spacing * 9), 0.4, 2.2)
    else:
        width_map = np.float32(width)
    line = smoothstep(1.0, 0.15, edge / (2.2 * width_map))
    strength = amount * np.clip(1 + (0.22 + 0.4 * irregular) * scene.cloud(spacing * 12), 0.1, 2.2)
    cover = scene.inside if where is None else where
    scene.layers.add("melanin", line * strength * cover)
    scene.note("pigment network, irregular" if irregular >= 0.4 else "pigment network, regular")


def globules(
    scene: Scene,
    spacing: float,
    amount: float,
    radius: float = 0.34,
    irregular: float = 0.0,
    where: Array | None = None,
    layer: str = "melanin",
) -> None:
    """Round clods `spacing` apart, `radius` in spacings; `irregular` scatters, drops and resizes them."""
    mesh = scene.cells(spacing, irregular >= 0.4, 0.08 + 0.05 * irregular)
    number = mesh[..., 2]
    size = radius * (1 + irregular * (1.3 * number - 0.75))
    clod = smoothstep(size * 1.25, size * 0.65, mesh[..., 0]) * smoothstep(0.0, 0.12, mesh[..., 1])
    keep = smoothstep(0.55 * irregular - 0.02, 0.55 * irregular + 0.02, number)
    cover = scene.inside if where is None else where
    shade = amount * (0.75 + 0.5 * number)
    scene.layers.add(layer, clod * keep * shade * cover)
    colour = "blue-grey globules" if layer == "deep" else "globules"
    scene.note(f"{colour}, irregular" if irregular >= 0.4 else f"{colour}, regular")


def dots(
    scene: Scene, count: int, amount: float, low: float = 0.0, high: float = 0.9, size: float = 0.006
) -> None:
    """Small dark dots scattered between two depths."""
    points = scene.outline.scatter(scene.rng, count, low, high)
    radii = size * scene.rng.uniform(0.5, 1.3, count)
    spots = scene.frame.discs(points, radii, scene.rng.uniform(0.5, 1.0, count))
    scene.layers.add("melanin", amount * scene.frame.blur(spots, size * 0.35))


def streaks(
    scene: Scene, count: int, amount: float, around: tuple[float, float], length: float, bulb: bool
) -> None:
    """Radial lines over the edge between two angles (radians); with `bulb` they end as pseudopods."""
    angles = np.sort(scene.rng.uniform(around[0], around[1], count))
    lines, widths, tips, sizes = [], [], [], []
    for angle in angles:
        reach = length * scene.rng.uniform(0.5, 1.2)
        t = np.linspace(0.16, -reach, 6)
        bend = scene.rng.normal(0, 0.06) * np.linspace(0, 1, 6) ** 2
        lines.append(scene.outline.at(angle + bend, t))
        widths.append(scene.rng.uniform(0.0035, 0.0065))
        tips.append(lines[-1][-1])
        sizes.append(widths[-1] * scene.rng.uniform(0.7, 1.3))
    cover = scene.frame.strokes(lines, widths, scene.rng.uniform(0.6, 1.0, count))
    if bulb:
        cover = np.maximum(cover, scene.frame.discs(np.array(tips), np.array(sizes), np.full(count, 0.95)))
    scene.layers.add("melanin", amount * scene.frame.blur(cover, 0.0035))
    scene.note("pseudopods" if bulb else "streaks")


def blue_white_veil(scene: Scene, size: float, cover: float) -> None:
    """Confluent blue pigment under a whitish haze, out of the centre."""
    patch = scene.patch(size, 0.25, 0.75, 0.65)
    haze = np.clip(0.62 + 0.25 * scene.cloud(scene.outline.radius * 0.5), 0, 1)
    scene.layers.add("deep", 0.45 * patch * haze)
    scene.layers.whiten("veil", cover * patch * haze)
    scene.note("blue-white veil")


def regression(scene: Scene, size: float) -> None:
    """A scar-like white area with grey peppering."""
    patch = scene.patch(size, 0.2, 0.7, 0.6)
    scene.layers.thin(1 - 0.62 * patch, ("melanin", "blood"))
    scene.layers.whiten("scar", 0.26 * patch)
    pepper = scene.cells(0.017, True, 0.2)
    grey = smoothstep(0.36, 0.10, pepper[..., 0]) * smoothstep(0.3, 0.8, pepper[..., 2])
    scene.layers.add("deep", patch * (0.10 + 0.6 * grey))
    scene.note("regression with peppering")


def ovoid_nests(scene: Scene, count: int, amount: float, size: float) -> None:
    """Blue-grey ovoid clods, sharp but under the skin: basal cell carcinoma's pigment."""
    centres = scene.outline.scatter(scene.rng, count, 0.12, 0.95)
    shapes = []
    for centre in centres:
        turn, r = scene.rng.uniform(0, np.pi), size * scene.rng.uniform(0.45, 1.3)
        shapes.append(
            centre + _oval(r, r * scene.rng.uniform(0.45, 0.85), turn, scene.rng.normal(0, 0.07, 6))
        )
    nests = scene.frame.blur(scene.frame.blobs(shapes, scene.rng.uniform(0.5, 1.0, count)), size * 0.18)
    mottled = nests * np.clip(1 + 0.25 * scene.cloud(size * 2), 0.4, 1.5)
    scene.layers.add("deep", amount * mottled)
    scene.layers.add("melanin", 0.40 * amount * mottled)
    scene.note("blue-grey ovoid nests")


def leaf_like_areas(scene: Scene, count: int, amount: float) -> None:
    """Brown-grey bulbs joined at a base on the edge, like a maple leaf."""
    shapes: list[Array] = []
    for angle in scene.rng.uniform(0, 2 * np.pi, count):
        base = scene.outline.at(np.array([angle]), 0.22)[0]
        for turn in angle + np.linspace(-0.7, 0.7, int(scene.rng.integers(2, 5))) + scene.rng.normal(0, 0.15):
            length = scene.outline.radius * scene.rng.uniform(0.12, 0.36)
            way = np.array([np.cos(turn), np.sin(turn)])
            oval = _oval(length * 0.62, length * 0.26, turn, scene.rng.normal(0, 0.06, 6))
            shapes.append(base + way * length * 0.5 + oval)
    leaves = scene.frame.blur(scene.frame.blobs(shapes, np.full(len(shapes), 0.9)), 0.006)
    leaves = leaves * np.clip(0.85 + 0.3 * scene.cloud(0.08), 0.2, 1.2)
    scene.layers.add("deep", 0.7 * amount * leaves)
    scene.layers.add("melanin", 0.55 * amount * leaves)
    scene.note("leaf-like areas")


def _oval(length: float, width: float, turn: float, wobble: Array) -> Array:
    """Points (24, 2) of an oval about the origin; `wobble`: three amplitudes, three seeds of phases."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wave = 1 + sum(
        w * np.cos((k + 2) * angle + p)
        for k, (w, p) in enumerate(zip(wobble[:3], 40 * wobble[3:], strict=True))
    )
    x, y = length * np.cos(angle) * wave, width * np.sin(angle) * wave
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
