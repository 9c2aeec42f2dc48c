"""One painter for each diagnosis: which structures it shows, how often, and on what outline.

The structures are named as in the consensus on dermatoscopy's terms (Kittler et al. 2016,
doi 10.1016/j.jaad.2015.12.038). How often each is drawn was chosen for teaching and is no epidemiology.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.data.synthetic import structures as s
from core.data.synthetic import surface as f
from core.data.synthetic.melanocytic import paint_mel, paint_nv
from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep

Painter = Callable[[Scene], None]


def paint_bcc(scene: Scene) -> None:
    """A basal cell carcinoma: pearly pink, arborising vessels, blue-grey clods, wounds; no network."""
    f.erythema(scene, scene.between(0.15, 0.45), 0.5)
    pearl = scene.inside * smoothstep(0.0, 0.5, scene.depth)
    scene.layers.thin(1 - 0.35 * pearl)
    scene.layers.whiten(
        "scar", scene.between(0.1, 0.3) * pearl * np.clip(0.8 + 0.4 * scene.cloud(0.25), 0, 1)
    )
    if scene.chance(0.35):
        s.pigment(scene, scene.between(0.1, 0.3), 0.5, 0.1)
    pigmented = scene.chance(0.65)
    if pigmented and scene.chance(0.85):
        s.ovoid_nests(
            scene, int(scene.rng.integers(4, 14)), scene.between(0.75, 1.2), scene.between(0.025, 0.05)
        )
    if pigmented and scene.chance(0.4):
        s.leaf_like_areas(scene, int(scene.rng.integers(1, 4)), scene.between(0.7, 1.1))
    if pigmented and scene.chance(0.6):
        s.globules(scene, 0.03, 0.8, 0.26, 0.9, scene.patch(0.6), "deep")
    if scene.chance(0.8) or not pigmented:
        f.arborising_vessels(scene, int(scene.rng.integers(3, 7)), scene.between(0.8, 1.3))
    if scene.chance(0.45):
        f.ulcer(scene, scene.between(0.14, 0.34))
        scene.note("ulceration")
    if scene.chance(0.35):
        f.shiny_white(scene, int(scene.rng.integers(4, 12)))


def paint_bkl(scene: Scene) -> None:
    """A benign keratosis: seborrhoeic (cysts, plugs, fissures, stuck on) or a solar lentigo (flat, moth-eaten)."""
    if scene.chance(0.25):
        dark = scene.between(0.25, 0.5)
        s.pigment(scene, dark, 0.18, 0.0)
        eaten = smoothstep(-1.1, 0.9, scene.cloud(0.16) + 4.0 * scene.depth)
        scene.layers.thin(1 - 0.8 * (1 - eaten) * scene.inside, ("melanin",))
        prints = smoothstep(0.7, 0.0, np.abs(scene.grain(0.022, 4.0)))
        scene.layers.add("melanin", 0.6 * dark * prints * scene.inside * eaten)
        scene.note("moth-eaten border")
        scene.note("fingerprint-like lines")
        if scene.chance(0.4):
            f.milia_like_cysts(scene, int(scene.rng.integers(2, 6)))
        return
    if scene.chance(0.1):  # lichenoid: pink, patchy, with grey granules
        s.pigment(scene, scene.between(0.15, 0.4), 0.6, 0.1)
        f.erythema(scene, scene.between(0.1, 0.35), 0.1)
        granules = np.maximum(scene.patch(0.7), scene.patch(0.6))
        s.globules(scene, scene.between(0.014, 0.02), 0.7, 0.32, 0.9, granules, "deep")
        scene.structures[-1] = "grey granules"
        return
    dark, grey = scene.between(0.35, 1.0), scene.between(0.0, 0.28)
    s.pigment(scene, dark, scene.between(0.15, 0.35), 0.0, 0.8)
    clumps = scene.cells(scene.between(0.022, 0.04), True, 0.25)
    scene.layers.add(
        "melanin",
        0.3 * dark * (clumps[..., 2] - 0.5 + 0.4 * smoothstep(0.15, 0, clumps[..., 1])) * scene.inside,
    )
    scene.layers.add("deep", grey * scene.inside)
    scene.layers.add("keratin", scene.between(0.0, 0.5) * scene.inside)
    scene.layers.whiten(
        "scale", scene.between(0.0, 0.22) * scene.inside * np.clip(0.7 + 0.3 * scene.cloud(0.15), 0, 1)
    )
    rim = smoothstep(0.0, 0.03, scene.depth) * smoothstep(0.14, 0.04, scene.depth)
    scene.layers.add("melanin", scene.between(-0.1, 0.35) * rim)
    kinds = scene.rng.random(3) < (0.75, 0.70, 0.55)
    if kinds[2] or not kinds.any():
        f.cerebriform(scene, scene.between(0.040, 0.075), scene.between(0.4, 0.8))
    if kinds[0]:
        f.milia_like_cysts(scene, int(scene.rng.integers(4, 30)))
    if kinds[1]:
        f.comedo_like_openings(scene, int(scene.rng.integers(4, 18)))
    scene.note("sharp border")


def paint_df(scene: Scene) -> None:
    """A dermatofibroma: a white scar in the middle of a delicate fading network."""
    s.pigment(scene, scene.between(0.14, 0.36), 0.25, 0.6, 0.8)
    f.erythema(scene, scene.between(0.02, 0.28), 0.25)
    ring = scene.inside * smoothstep(0.85, 0.45, scene.depth)
    s.network(scene, scene.between(0.018, 0.026), scene.between(0.16, 0.38), 0.14, 0.15, ring)
    scene.structures[-1] = "delicate peripheral network"
    size = scene.between(0.34, 0.55)
    middle = smoothstep(1 - 1.5 * size, 1.0 - 0.7 * size, scene.depth)
    scene.layers.add("blood", scene.between(0.0, 0.3) * middle)
    # Without the scar it is a pale net that resembles a nevus.
    f.scar_patch(scene, size, scene.between(0.35, 0.7) if scene.chance(0.85) else scene.between(0.08, 0.2))
    if scene.chance(0.3):
        f.shiny_white(scene, int(scene.rng.integers(4, 10)))
    if scene.chance(0.25):
        f.dotted_vessels(scene, 14, 0.5)


def paint_akiec(scene: Scene) -> None:
    """An actinic keratosis (strawberry pattern, pigmented at times) or Bowen's disease (coiled vessels), scaly."""
    f.erythema(scene, scene.between(0.1, 0.35), 0.35)
    scene.layers.add("keratin", scene.between(0.0, 0.3) * scene.inside)
    if scene.chance(0.6):
        f.strawberry(scene, scene.between(0.034, 0.052), scene.between(0.3, 0.65))
        if scene.chance(0.4):  # pigmented: a brown-grey pseudonetwork round the follicles
            s.pigment(scene, scene.between(0.2, 0.4), 0.6, 0.3, 0.6)
            scene.note("brown pseudonetwork")
    else:
        s.pigment(scene, scene.between(0.05, 0.4), 0.6, 0.2, 0.7)
        scene.layers.add("blood", 0.25 * scene.inside)
        where = np.maximum(scene.patch(0.6), scene.patch(0.5))
        f.coiled_vessels(scene, scene.between(0.022, 0.032), scene.between(0.5, 1.0), where)
        if scene.chance(0.4):
            s.globules(scene, 0.02, 0.7, 0.24, 0.8, scene.patch(0.5))
            scene.structures[-1] = "brown dots"
    if scene.chance(0.8):
        f.scales(scene, scene.between(0.4, 0.8), scene.between(0.025, 0.05), scene.between(0.0, 0.4))
    if scene.chance(0.4):
        for _ in range(int(scene.rng.integers(1, 4))):
            f.ulcer(scene, scene.between(0.06, 0.16))
        scene.note("erosions")


def paint_vasc(scene: Scene) -> None:
    """An angioma (red lagoons), an angiokeratoma (dark ones under a veil), a haemorrhage or a granuloma."""
    kind = scene.rng.choice(
        ["angioma", "angiokeratoma", "haemorrhage", "granuloma"], p=[0.55, 0.2, 0.13, 0.12]
    )
    f.erythema(scene, scene.between(0.05, 0.2), 0.3)
    radius = scene.outline.radius
    if kind == "angioma":
        spacing = float(np.clip(radius * scene.between(0.16, 0.36), 0.022, 0.08))
        f.lacunae(
            scene,
            spacing,
            scene.between(0.9, 1.5),
            scene.between(0, 0.5),
            scene.between(0.03, 0.08),
            scene.between(0.2, 0.9),
        )
    elif kind == "angiokeratoma":
        f.lacunae(
            scene,
            radius * scene.between(0.3, 0.55),
            0.9,
            scene.between(1.3, 2.4),
            0.05,
            scene.between(0.2, 0.9),
        )
        if scene.chance(0.7):
            s.blue_white_veil(scene, 0.7, 0.45)
        if scene.chance(0.4):
            f.ulcer(scene, 0.2)
            scene.note("haemorrhagic crust")
    elif kind == "haemorrhage":
        even = scene.inside * np.clip(1 + 0.2 * scene.cloud(radius), 0.4, 1.6)
        scene.layers.add("stasis", scene.between(1.0, 2.0) * even * smoothstep(0, 0.5, scene.depth))
        scene.layers.add("blood", 0.9 * even)
        s.globules(
            scene,
            0.03,
            1.0,
            0.3,
            0.9,
            smoothstep(-0.25, 0.0, scene.depth) * smoothstep(0.2, 0, scene.depth),
            "blood",
        )
        scene.note("red-black homogeneous area")
    else:
        scene.layers.add(
            "blood",
            scene.between(0.8, 1.2) * scene.inside * np.clip(1 + 0.25 * scene.cloud(radius), 0.4, 1.6),
        )
        scene.layers.whiten("scar", 0.3 * smoothstep(0.5, 1.5, scene.cloud(radius * 0.8)) * scene.inside)
        ring = 0.35 * scene.depth + 0.65 * scene.outline.smooth_depth(scene.frame.x, scene.frame.y)
        collar = smoothstep(-0.02, 0.06, ring) * smoothstep(0.18, 0.08, ring)
        scene.layers.thin(1 - 0.5 * collar)
        scene.layers.whiten("scale", 0.5 * collar)
        scene.note("red homogeneous area")
        scene.note("white collarette")


PAINTERS: dict[str, Painter] = {
    "akiec": paint_akiec,
    "bcc": paint_bcc,
    "bkl": paint_bkl,
    "df": paint_df,
    "mel": paint_mel,
    "nv": paint_nv,
    "vasc": paint_vasc,
}
