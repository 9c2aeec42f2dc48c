"""One painter for each diagnosis: which structures it shows, how often, and on what outline.

Frequencies and combinations follow the consensus descriptions of dermatoscopy (Kittler et al. 2016,
doi 10.1016/j.jaad.2015.11.038): enough for recognition, never every criterion at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.data.synthetic import structures as s
from core.data.synthetic import surface as f
from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep

Painter = Callable[[Scene], None]


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
