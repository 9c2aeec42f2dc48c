"""What the instrument does: gel bubbles, a ruler, light, colour balance, focus, the tube's edge and noise."""

from __future__ import annotations

import cv2
import numpy as np

from core.data.synthetic.frame import Frame
from core.data.synthetic.texture import cloud, smoothstep

Array = np.ndarray


def photograph(colour: Array, frame: Frame, rng: np.random.Generator) -> Array:
    """Turn a reflected colour float32 (H, W, 3) into a picture, still float32 about 0..1, without noise."""
    x, y = frame.camera()
    still = Frame(frame.width, frame.height, x, y, _pixels(frame), float(frame.height))
    colour = _light(colour, x, y, rng)
    colour = _bubbles(colour, still, rng)
    colour = _ruler(colour, still, rng)
    colour = _tube(colour, x, y, rng)
    softness = rng.uniform(0.0, 0.0022)
    return still.blur(colour, softness)


def expose(colour: Array, rng: np.random.Generator) -> Array:
    """Sensor noise and quantisation: uint8 (H, W, 3)."""
    height, width = colour.shape[:2]
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = 0.6 * noise + 0.9 * noise[..., :1]  # luminance noise exceeds colour noise
    level = np.float32(rng.uniform(0.4, 2.2) / 255)
    return np.clip((colour + level * noise) * 255 + 0.5, 0, 255).astype(np.uint8)


def _pixels(frame: Frame) -> Array:
    middle = np.array([frame.width - 1, frame.height - 1]) / 2
    return np.hstack([np.eye(2) * frame.height, middle[:, None]])


def _light(colour: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Exposure, colour balance (many dermatoscopes run to pink or blue) and a lamp that is not centred."""
    exposure = rng.uniform(0.96, 1.12)
    pink, blue = rng.normal(0, 0.035), rng.normal(0.015, 0.04)
    balance = exposure * np.array([1 + 0.3 * pink, 1 - pink - abs(rng.normal(0, 0.03)), 1 + blue])
    gx, gy, bow = rng.normal(0, 0.06), rng.normal(0, 0.06), rng.uniform(0.0, 0.22)
    lamp = 1 + gx * x + gy * y - bow * ((x - rng.normal(0, 0.1)) ** 2 + (y - rng.normal(0, 0.1)) ** 2)
    lamp = lamp + 0.012 * cloud(rng, 0.9)(x, y)
    lit = colour * (lamp[..., None] * balance.astype(np.float32))
    return lit + np.float32(rng.uniform(0.0, 0.03))  # stray light


def _bubbles(colour: Array, frame: Frame, rng: np.random.Generator) -> Array:
    """Air in the contact gel: rings with a dark edge, a bright inner rim and a glint."""
    if rng.random() > 0.14:
        return colour
    count = int(rng.integers(1, 8))
    half = np.array([frame.width / frame.height / 2, 0.5])
    centres, radii = rng.uniform(-1, 1, (count, 2)) * half, rng.uniform(0.008, 0.045, count) ** 1.0
    ones = np.ones(count)
    dark = frame.blur(frame.discs(centres, radii, ones, 0.004), 0.0015)
    rim = frame.blur(frame.discs(centres, radii * 0.86, ones, 0.0035), 0.0015)
    glint = frame.blur(frame.discs(centres - 0.35 * radii[:, None], radii * 0.16, ones), 0.0012)
    colour = colour * (1 - 0.42 * dark[..., None])
    shine = np.clip(0.30 * rim + 0.8 * glint, 0, 1)[..., None]
    return colour + shine * (np.float32(0.97) - colour)


def _ruler(colour: Array, frame: Frame, rng: np.random.Generator) -> Array:
    """A millimetre scale printed on the contact plate, across a corner or along a side."""
    if rng.random() > 0.13:
        return colour
    angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.43, 0.60)
    normal = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-normal[1], normal[0]])
    pitch, lines = rng.uniform(0.045, 0.065), []
    for tick in range(-14, 15):
        start = normal * away + along * tick * pitch
        lines.append(np.stack([start, start + normal * (0.055 if tick % 5 == 0 else 0.03)]))
    cover = frame.strokes(lines, [rng.uniform(0.004, 0.007)] * len(lines), [0.9] * len(lines))
    ink = np.array([0.10, 0.08, 0.09], np.float32)
    return colour + cover[..., None] * (ink - colour)


def _tube(colour: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """The round edge of the dermatoscope's tube: dark corners, or only a shadow."""
    radius, soft = rng.uniform(0.62, 0.76), rng.uniform(0.008, 0.04)
    cx, cy = rng.normal(0, 0.025, 2)
    kind = rng.random()
    away = np.hypot(x - np.float32(cx), y - np.float32(cy))
    if kind < 0.16:
        dark = smoothstep(radius - soft, radius + soft, away)
        shade = smoothstep(radius - 0.28, radius, away)
        colour = colour * (1 - 0.35 * shade[..., None])
        hole = np.array([0.085, 0.045, 0.065], np.float32)
        return colour + dark[..., None] * (hole - colour)
    if kind < 0.4:
        return colour * (1 - 0.35 * smoothstep(0.4, 1.0, away)[..., None])
    return colour


def reduce(image: Array, factor: int) -> Array:
    """Shrink by a whole factor (area means)."""
    if factor == 1:
        return image
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
