"""Render one synthetic lesion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.data.synthetic import camera, skin
from core.data.synthetic.frame import Frame
from core.data.synthetic.optics import Layers, develop
from core.data.synthetic.outline import Outline, draw_outline
from core.data.synthetic.painters import PAINTERS
from core.data.synthetic.records import draw_record
from core.data.synthetic.scene import Scene
from core.data.synthetic.texture import smoothstep
from core.lesions import INDEX

Array = np.ndarray

SYNTHETIC_NOTICE = (
    "SYNTHETIC: drawn by a computer program, not a photograph of a person. "
    "For tests, teaching and trying the software; never for clinical use or claims of accuracy."
)
ID_PREFIX = "SYN_"
MIN_SIDE = 32
FINE_ENOUGH = 192
"""Height in pixels; smaller pictures are drawn larger and reduced, since fine networks would alias."""

_FAINT = 0.35  # part of the lesions that are pale: as in practice, not every one is plain
_RECORD, _SKIN, _SHAPE, _PAINT, _HAIR, _VIEW = range(6)  # independent streams of random numbers


@dataclass(frozen=True)
class SyntheticLesion:
    """One picture of a synthetic lesion.

    Attributes:
        image: RGB uint8 (height, width, 3).
        mask: the lesion's area, bool (height, width), one connected region without holes.
        record: HAM10000's columns (lesion_id, image_id, dx, dx_type, age, sex, localization).
        tone: skin tone, 0 very light .. 1 dark.
        structures: what was drawn, in dermatoscopy's words.
        notice: says that this is synthetic; show it wherever the picture is shown.
    """

    image: Array
    mask: Array
    record: dict[str, object]
    tone: float
    structures: tuple[str, ...]
    notice: str = SYNTHETIC_NOTICE


def record_of(code: str, seed: int) -> dict[str, object]:
    """The record of a lesion, without its ids."""
    return draw_record(code, np.random.default_rng((seed, INDEX[code], _RECORD)))


def render(
    code: str, seed: int, size: int | tuple[int, int] = 224, tone: float | None = None, *, view: int = 0
) -> SyntheticLesion:
    """Draw one lesion; the same arguments give the same bits on one machine.

    Args:
        code: one of `core.lesions.CODES`.
        seed: 0 or more; the lesion, its skin and its patient.
        size: side of a square picture, or (width, height); both show the same lesion, the frame's height
            spanning the same part of the skin.
        tone: skin tone, 0 very light .. 1 dark; drawn from the seed by default.
        view: which picture of the lesion: another view is turned, shifted and lit otherwise.

    Raises:
        ValueError: an argument is out of its range.
    """
    width, height = _checked(code, seed, size, tone, view)
    index = INDEX[code]

    def stream(*name: int) -> np.random.Generator:
        return np.random.default_rng((seed, index, *name))

    factor = max(1, -(-FINE_ENOUGH // height))
    record = record_of(code, seed)
    person = skin.Skin.draw(
        stream(_SKIN), tone, float(str(record["age"])), str(record["localization"]), (seed, index, _SKIN, 1)
    )
    outline, softness = draw_outline(code, stream(_SHAPE))
    looks = stream(_VIEW, view)
    frame = _frame(width * factor, height * factor, outline, looks)

    layers = Layers((frame.height, frame.width))
    skin.lay_skin(layers, frame, person)
    depth = outline.depth(frame.x, frame.y)
    inside = smoothstep(-softness, softness, depth)
    scene = Scene(frame, outline, layers, stream(_PAINT), depth, inside)
    bare = dict(layers.densities)  # maps are replaced, never written into
    PAINTERS[code](scene)
    if scene.chance(_FAINT):
        layers.fade(bare, scene.between(0.4, 0.8))

    colour = develop(layers, person.tone)
    for cover, shade in skin.hairs(frame, person, stream(_HAIR)):
        colour += cover[..., None] * (shade - colour)
    colour = camera.reduce(camera.photograph(colour, frame, looks), factor)
    image = camera.expose(colour, np.random.default_rng((seed, index, _VIEW, view, 1)))
    mask = _largest(camera.reduce(depth, factor) > 0)
    lesion_id = f"{ID_PREFIX}{code}_{seed:07d}"
    ids = {"lesion_id": lesion_id, "image_id": f"{lesion_id}_{view}"}
    return SyntheticLesion(image, mask, ids | record, person.tone, tuple(scene.structures))


def _frame(width: int, height: int, outline: Outline, rng: np.random.Generator) -> Frame:
    """The view: any angle, the lesion roughly in the middle, small lesions further from it."""
    angle = float(rng.uniform(0, 2 * np.pi))
    zoom = float(rng.uniform(0.90, 1.12))
    room = max(0.02, 0.30 - 0.6 * outline.radius)
    return Frame.of(width, height, rng.normal(0, 0.6 * room, 2).clip(-room, room), angle, zoom)


def _largest(mask: Array) -> Array:
    """The largest connected region of a mask, its holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    one = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    contours, _ = cv2.findContours(one, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(one, contours, -1, 1, cv2.FILLED).astype(bool)


def _checked(
    code: str, seed: int, size: int | tuple[int, int], tone: float | None, view: int
) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    if code not in INDEX:
        raise ValueError(f"code: expected one of {' '.join(INDEX)}, found {code!r}")
    if seed < 0 or view < 0:
        raise ValueError(f"seed and view: expected 0 or more, found {seed} and {view}")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"size: expected at least {MIN_SIDE} pixels a side, found {width}x{height}")
    if tone is not None and not 0 <= tone <= 1:
        raise ValueError(f"tone: expected 0 (very light) to 1 (dark), found {tone}")
    return width, height
