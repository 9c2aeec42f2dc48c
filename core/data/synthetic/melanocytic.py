"""Painters of the two lesions of pigment cells: nevus and melanoma.

They share their structures; what tells them apart is order and evenness.
"""

from __future__ import annotations

import numpy as np

from core.data.synthetic import structures as s
from core.data.synthetic import surface as f
from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep


def paint_nv(scene: Scene) -> None:
    """A nevus: one pattern, even and symmetric, one to three browns."""
    dark = scene.between(0.45, 1.4)
    kind = scene.rng.choice(
        ["reticular", "globular", "homogeneous", "mixed", "dermal", "atypical"],
        p=[0.33, 0.16, 0.17, 0.14, 0.08, 0.12],
    )
    if kind == "dermal":
        s.pigment(scene, 0.35 * dark, 0.3, 0.4)
        f.erythema(scene, 0.25, 0.1)
        s.globules(scene, scene.between(0.035, 0.05), 0.25 * dark, 0.4, 0.2)
        f.dotted_vessels(scene, 12, 0.4)
        return
    if kind == "atypical":  # a patch out of the middle and an uneven network: hard to tell from a melanoma
        scene.layers.add("melanin", scene.between(0.2, 0.5) * dark * scene.patch(scene.between(0.4, 0.7)))
        s.network(scene, scene.between(0.020, 0.032), 0.7 * dark, 0.17, scene.between(0.4, 0.6))
    s.pigment(
        scene,
        (0.95 if kind == "homogeneous" else 0.75) * dark,
        scene.between(0.08, 0.28),
        scene.between(0.2, 0.7),
    )
    if kind in ("reticular", "mixed"):
        s.network(
            scene,
            scene.between(0.017, 0.028),
            scene.between(0.35, 0.75) * dark,
            scene.between(0.12, 0.18),
            0.15,
        )
    if kind in ("globular", "mixed"):
        where = scene.inside if kind == "globular" else scene.inside * smoothstep(0.3, 0.6, scene.depth)
        s.globules(
            scene,
            scene.between(0.022, 0.038),
            scene.between(0.4, 0.8) * dark,
            scene.between(0.34, 0.46),
            0.15,
            where,
        )
    if kind == "homogeneous":
        scene.note("homogeneous pigment")
    if scene.chance(0.3):  # pale openings of follicles
        pores = scene.cells(scene.between(0.06, 0.09), True, 0.1)
        opening = smoothstep(0.16, 0.06, pores[..., 0]) * smoothstep(0.3, 0.5, pores[..., 2])
        scene.layers.thin(1 - 0.6 * opening, ("melanin",))
    if scene.chance(0.35):  # a darker or paler middle
        middle = smoothstep(0.25, 0.8, scene.depth + 0.1 * scene.cloud(scene.outline.radius))
        scene.layers.add("melanin", scene.between(-0.25, 0.55) * dark * middle)
    if scene.chance(0.3):
        s.dots(scene, int(scene.rng.integers(10, 30)), 0.7, 0.3, 0.95)
        scene.note("dots, central")
    if scene.chance(0.4):
        f.erythema(scene, scene.between(0.1, 0.3), 0.25)


def paint_mel(scene: Scene) -> None:
    """A melanoma: asymmetric, several colours, several irregular structures; early ones show few of them."""
    dark, kind = scene.between(0.7, 1.2), scene.rng.random()
    if kind < 0.07:
        _paint_pale_melanoma(scene, dark)
        return
    early = kind < 0.27
    often = 0.35 if early else 1.0
    s.pigment(scene, 0.6 * dark, 0.35, scene.between(0.05, 0.3), 0.9)
    for _ in range(1 if early else int(scene.rng.integers(2, 4))):  # asymmetric shades
        scene.layers.add("melanin", scene.between(0.2, 0.8) * dark * scene.patch(scene.between(0.35, 0.7)))
    if early or scene.chance(0.75):
        where = np.maximum(scene.patch(0.8), scene.patch(0.6))
        irregular = scene.between(0.45, 0.7) if early else scene.between(0.6, 1.0)
        width = scene.between(0.16, 0.20 if early else 0.25)
        s.network(scene, scene.between(0.021, 0.036), 0.95 * dark, width, irregular, where)
    if scene.chance(0.6 * often):
        s.globules(scene, scene.between(0.026, 0.042), 1.1, 0.34, 0.9, scene.patch(0.7, 0.1, 0.6))
    if scene.chance(0.5):
        s.dots(scene, int(scene.rng.integers(20, 60)), 1.2, -0.05, 0.5, 0.007)
        scene.note("dots, irregular")
    if scene.chance(0.4 * often):
        scene.layers.add("blood", scene.between(0.3, 0.7) * scene.patch(scene.between(0.35, 0.6)))
        scene.note("milky red area")
    if scene.chance(0.45):
        s.regression(scene, scene.between(0.3, 0.5))
    if scene.chance(0.55 * often):
        blotch = scene.patch(scene.between(0.25, 0.45), 0.15, 0.6, 0.18)
        scene.layers.add("melanin", 1.5 * blotch * np.clip(1 + 0.3 * scene.cloud(0.05), 0.3, 1.6))
        scene.note("eccentric black blotch")
    if scene.chance(0.45 * often):
        start, length = scene.between(0, 2 * np.pi), scene.between(0.1, 0.2)
        around = (start, start + scene.between(0.7, 2.2))
        s.streaks(scene, int(scene.rng.integers(12, 30)), dark, around, length, scene.chance(0.6))
    if not early and (scene.chance(0.65) or len(scene.structures) < 2):
        s.blue_white_veil(scene, scene.between(0.35, 0.6), scene.between(0.4, 0.75))
    if scene.chance(0.25 * often):
        f.shiny_white(scene, int(scene.rng.integers(5, 12)))


def _paint_pale_melanoma(scene: Scene, dark: float) -> None:
    """A melanoma with little pigment: milky red, dotted vessels, a rest of brown at one side."""
    s.pigment(scene, 0.15 * dark, 0.5, 0.3)
    f.erythema(scene, scene.between(0.3, 0.6), 0.1)
    scene.note("milky red area")
    f.dotted_vessels(scene, int(scene.rng.integers(15, 40)), 0.9)
    rest = scene.patch(scene.between(0.35, 0.6), 0.1, 0.4)
    scene.layers.add("melanin", 0.5 * dark * rest)
    s.globules(scene, 0.028, 0.7, 0.32, 0.9, rest)
    f.shiny_white(scene, int(scene.rng.integers(5, 14)))
