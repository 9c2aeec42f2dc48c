"""Vessels, keratin, scars and wounds: the structures that are not pigment."""

from __future__ import annotations

import numpy as np

from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep

Array = np.ndarray


def arborising_vessels(scene: Scene, trunks: int, amount: float) -> None:
    """Sharp branching vessels: thick stems that run in from the edge and divide into ever thinner ones."""
    lines: list[Array] = []
    widths: list[float] = []
    for angle in scene.rng.uniform(0, 2 * np.pi, trunks):
        start = scene.outline.at(np.array([angle]), scene.between(-0.15, 0.25))[0]
        heading = angle + np.pi + scene.rng.normal(0, 0.5)
        _branch(scene, start, heading, scene.between(0.0045, 0.0085), 0, lines, widths)
    values = np.clip(np.array(widths) / 0.005, 0.5, 1.0)
    cover = scene.frame.strokes(lines, widths, values)
    scene.layers.add(
        "blood", amount * np.maximum(scene.frame.blur(cover, 0.0012), 0.25 * scene.frame.blur(cover, 0.006))
    )
    scene.note("arborising vessels")


def _branch(
    scene: Scene,
    start: Array,
    heading: float,
    width: float,
    level: int,
    lines: list[Array],
    widths: list[float],
) -> None:
    """One wandering branch and, recursively, its daughters."""
    steps = int(scene.rng.integers(9, 15))
    length = scene.outline.radius * scene.rng.uniform(0.55, 1.0) * 0.72**level
    turns = heading + np.cumsum(scene.rng.normal(0, 0.30, steps))
    way = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / steps)
    points = start + np.vstack([[0, 0], np.cumsum(way, axis=0)])
    third = max(2, steps // 3)
    for part, thinner in enumerate((1.0, 0.82, 0.62)):  # tapering, in three pieces
        lines.append(points[part * third : (part + 1) * third + 1 if part < 2 else None])
        widths.append(width * thinner)
    if level < 3:
        for at in scene.rng.integers(2, steps, 2 if level < 2 else 1):
            side = scene.rng.choice([-1.0, 1.0]) * scene.rng.uniform(0.5, 1.1)
            _branch(scene, points[at], float(turns[at - 1] + side), width * 0.6, level + 1, lines, widths)


def coiled_vessels(scene: Scene, spacing: float, amount: float, where: Array) -> None:
    """Clusters of glomerular (coiled) vessels: small red balls with a paler heart."""
    mesh = scene.cells(spacing, True, 0.08)
    r, number = mesh[..., 0], mesh[..., 2]
    coil = smoothstep(0.40, 0.22, r) * (0.55 + 0.45 * smoothstep(0.06, 0.2, r))
    scene.layers.add("blood", amount * coil * (0.4 + number) * where * smoothstep(0.15, 0.25, number))
    scene.note("glomerular vessels")


def dotted_vessels(scene: Scene, count: int, amount: float) -> None:
    """Fine red dots."""
    points = scene.outline.scatter(scene.rng, count, 0.05, 0.95)
    spots = scene.frame.discs(
        points, scene.rng.uniform(0.003, 0.006, count), scene.rng.uniform(0.4, 1, count)
    )
    scene.layers.add("blood", amount * scene.frame.blur(spots, 0.0018))
    scene.note("dotted vessels")


def erythema(scene: Scene, amount: float, spread: float = 0.3) -> None:
    """Redness of the lesion and round it."""
    halo = smoothstep(-spread, 0.35, scene.depth)
    scene.layers.add("blood", amount * halo * np.clip(1 + 0.3 * scene.cloud(scene.outline.radius), 0.3, 1.8))


def ulcer(scene: Scene, size: float, at: Array | None = None) -> None:
    """A wound: dark red ground, orange serum crust, a sharp edge."""
    centre = scene.outline.scatter(scene.rng, 1, 0.3, 0.95)[0] if at is None else at
    patch = scene.patch_at(centre.astype(np.float32), size, 0.12, 0.16)
    mottled = scene.cloud(scene.outline.radius * size * 1.2)
    scene.layers.thin(1 - 0.4 * patch)
    scene.layers.add("blood", patch * np.clip(0.85 + 0.5 * mottled, 0.25, 2.0))
    scene.layers.add("keratin", patch * np.clip(0.5 - 0.4 * mottled, 0.05, 1.2))
    scene.layers.add("melanin", patch * (0.2 + 0.8 * smoothstep(0.0, 1.6, mottled)))
    rim = smoothstep(0.05, 0.5, patch) * smoothstep(0.98, 0.5, patch)
    scene.layers.add("blood", 0.4 * rim)


def milia_like_cysts(scene: Scene, count: int) -> None:
    """Small white or yellowish balls that glow through the surface."""
    points = scene.outline.scatter(scene.rng, count, 0.08, 0.95)
    radii = 0.0045 + 0.011 * scene.rng.random(count) ** 2.5
    balls = scene.frame.discs(points, radii, scene.rng.uniform(0.35, 1.0, count))
    glow = np.maximum(scene.frame.blur(balls, 0.003), 0.8 * scene.frame.blur(balls, 0.006))
    scene.layers.thin(1 - 0.55 * glow)
    scene.layers.add("keratin", 0.25 * glow)
    scene.layers.whiten("scale", 0.55 * glow)
    scene.note("milia-like cysts")


def comedo_like_openings(scene: Scene, count: int) -> None:
    """Round to irregular brown-black plugs of keratin with a sharp edge."""
    points = scene.outline.scatter(scene.rng, count, 0.08, 0.92)
    plugs = []
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for point in points:
        r = (0.005 + 0.012 * scene.rng.random() ** 2) * (
            1 + 0.22 * scene.rng.normal(0, 1, 14).clip(-1.5, 1.5)
        )
        turn, flat = scene.rng.uniform(0, np.pi), scene.rng.uniform(0.55, 1.0)
        x, y = r * np.cos(angle), r * np.sin(angle) * flat
        plugs.append(
            point + np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
        )
    sharp = scene.frame.blobs(plugs, scene.rng.uniform(0.7, 1.0, count))
    plug = scene.frame.blur(sharp, 0.0022)
    scene.layers.add("melanin", 1.7 * plug)
    scene.layers.add("keratin", 0.5 * plug)
    scene.layers.add("melanin", 0.35 * np.clip(scene.frame.blur(sharp, 0.008) - 0.5 * sharp, 0, 1))
    scene.note("comedo-like openings")


def cerebriform(scene: Scene, spacing: float, amount: float) -> None:
    """Fissures and ridges like a brain's surface: dark winding furrows, paler ridges."""
    winding = scene.grain(spacing, 1.9) + 0.35 * scene.cloud(spacing * 2)
    depth = np.clip(0.75 + 0.45 * scene.cloud(scene.outline.radius), 0.1, 1.5)
    sulci = np.abs(scene.grain(spacing * 1.4, 1.6) + 0.3 * winding)
    furrow = 0.55 * smoothstep(0.9, -0.7, winding) + 0.45 * smoothstep(0.26, 0.0, sulci)
    scene.layers.add("melanin", amount * (1.25 * furrow * depth - 0.3) * scene.inside)
    scene.note("fissures and ridges")


def scales(scene: Scene, amount: float, size: float, yellow: float) -> None:
    """Flakes of white to yellow scale, broken along their edges."""
    flakes = scene.cells(size, True, 0.3)
    spread = scene.cloud(scene.outline.radius * 0.8) + 0.5 * scene.cloud(size * 2.5)
    lying = smoothstep(0.2, 1.5, spread + 1.3 * (flakes[..., 2] - 0.5)) * smoothstep(0.0, 0.35, scene.depth)
    cracked = 0.45 + 0.55 * smoothstep(0.0, 0.22, flakes[..., 1])
    cover = lying * cracked * np.clip(0.75 + 0.25 * scene.cloud(size), 0.1, 1.0) * scene.inside
    scene.layers.whiten("scale", amount * cover)
    scene.layers.add("keratin", yellow * cover)
    scene.note("scale")


def strawberry(scene: Scene, spacing: float, amount: float) -> None:
    """Red pseudonetwork round the openings of follicles, each a pale yellowish target."""
    mesh = scene.cells(spacing, True, 0.08)
    away, number = mesh[..., 0], mesh[..., 2]
    size = 0.10 + 0.20 * number
    target = smoothstep(size + 0.16, size - 0.10, away) * smoothstep(0.1, 0.3, number)
    plug = smoothstep(0.15, 0.04, away) * smoothstep(0.3, 0.5, number)
    cover = scene.inside * np.clip(0.85 + 0.25 * scene.cloud(spacing * 5), 0, 1)
    wall = cover * (1 - target) * np.clip(1 + 0.4 * scene.cloud(spacing * 3), 0.2, 1.9)
    scene.layers.add("blood", amount * wall)
    scene.layers.add("melanin", 0.22 * amount * wall)
    scene.layers.whiten("scar", 0.24 * target * cover)
    scene.layers.add("keratin", 0.34 * plug * cover)
    scene.layers.add("melanin", 0.16 * plug * cover)
    scene.note("strawberry pattern")


def scar_patch(scene: Scene, size: float, cover: float) -> None:
    """A central white scar-like patch, sometimes with a net of white lines."""
    wander = scene.rng.normal(0, 0.07, 2) * scene.outline.radius
    patch = scene.patch_at(wander.astype(np.float32), size, 0.8, 0.13)
    fibres = np.clip(0.75 + 0.25 * scene.cloud(scene.outline.radius * 0.4), 0, 1)
    scene.layers.thin(1 - 0.7 * patch)
    scene.layers.whiten("scar", cover * patch * fibres)
    if scene.chance(0.45):
        lines = smoothstep(0.16, 0.03, scene.cells(scene.between(0.035, 0.06), True, 0.3)[..., 1])
        scene.layers.whiten("scar", min(1.0, cover + 0.15) * lines * smoothstep(0.05, 0.5, patch))
    scene.note("central white scar-like patch")


def shiny_white(scene: Scene, count: int) -> None:
    """Short white lines, crossing at right angles, seen in polarised light."""
    turn = scene.between(0, np.pi)
    points = scene.outline.scatter(scene.rng, count, 0.15, 0.95)
    lines = []
    for point in points:
        angle = turn + scene.rng.choice([0.0, np.pi / 2]) + scene.rng.normal(0, 0.12)
        half = scene.rng.uniform(0.01, 0.03) * np.array([np.cos(angle), np.sin(angle)])
        lines.append(np.stack([point - half, point + half]))
    cover = scene.frame.strokes(lines, scene.rng.uniform(0.002, 0.0045, count), np.full(count, 1.0))
    scene.layers.whiten("scar", 0.6 * scene.frame.blur(cover, 0.0015))
    scene.note("shiny white lines")


def lacunae(scene: Scene, spacing: float, red: float, purple: float, gap: float, round_: float) -> None:
    """Red or purple lagoons with sharp borders, parted by whitish septa.

    Args:
        gap: half the width of a septum, in spacings.
        round_: 0 lagoons fill their cells .. 1 they are balls.
    """
    mesh = scene.cells(spacing, scene.chance(0.6), 0.18)
    number = mesh[..., 2]
    ball = smoothstep(0.52, 0.40, mesh[..., 0] - 0.10 * number)
    gap_map = gap * np.clip(1 + 0.5 * scene.cloud(spacing * 3), 0.1, 2.5)
    full = smoothstep(-0.4 * gap, 1.0, mesh[..., 1] / (2.0 * gap_map))
    lagoon = full * (1 - round_ + round_ * ball)
    lagoon = scene.frame.blur(lagoon, 0.0022) * smoothstep(-0.02, 0.10, scene.depth + 0.16 * (number - 0.5))
    dark = smoothstep(0.35, 0.95, number + 0.25 * scene.cloud(scene.outline.radius))
    scene.layers.add("blood", red * lagoon * (0.75 + 0.35 * number))
    scene.layers.add("stasis", purple * lagoon * dark)
    septa = (1 - lagoon) * scene.inside
    scene.layers.add("blood", scene.between(0.4, 0.75) * red * septa)
    scene.layers.whiten("scar", scene.between(0.0, 0.25) * septa)
    scene.note("red lacunae" if red > purple else "dark lacunae")
