"""Noise and cells over the plane: textures that are functions of skin coordinates, not of pixels.

A texture is a periodic tile made once from a fixed seed; a lesion sees it through its own random rotation,
offset and scale. So the same lesion at another resolution, or turned in another view, keeps its structures,
and a texture costs one `cv2.remap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

Array = np.ndarray

_NOISE_SIDE = 512
_CLOUD_WAVELENGTH = 96.0
_GRAIN_WAVELENGTH = 16.0
_CELLS_ACROSS = 24
_CELL_PIXELS = 16  # tiles are kept small: they are sampled everywhere and should stay in the cache


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between (`low` may exceed `high` for a falling edge)."""
    t = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _closed(tile: Array) -> Array:
    """Repeat a periodic tile's first row and column at its end, so that sampling may interpolate over it."""
    tile = np.concatenate([tile, tile[:1]], axis=0)
    return np.ascontiguousarray(np.concatenate([tile, tile[:, :1]], axis=1))


@cache
def _noise_tile(kind: str) -> Array:
    """A periodic Gaussian field of mean 0 and deviation 1, float32 (513, 513).

    `cloud` has a spectrum falling as 1/f^1.6 in amplitude from its longest wavelength down; `grain` is one
    octave wide; `bend` is two such fields, (513, 513, 2), by which other textures are bent.
    """
    if kind == "bend":
        grain_tile = _noise_tile("grain")
        return np.stack([grain_tile, np.rot90(grain_tile)], axis=-1)
    rng = np.random.default_rng(71 if kind == "cloud" else 72)
    f = np.fft.fftfreq(_NOISE_SIDE)
    frequency = np.hypot(f[:, None], f[None, :]) + 1e-9
    if kind == "cloud":
        amplitude = np.where(frequency * _CLOUD_WAVELENGTH < 0.75, 0.0, frequency**-1.6)
        amplitude *= np.exp(-((frequency * 5.0) ** 2))
    else:
        amplitude = np.exp(-((np.log2(frequency * _GRAIN_WAVELENGTH) / 0.6) ** 2))
    spectrum = np.fft.fft2(rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE))) * amplitude
    tile = np.fft.ifft2(spectrum).real
    return _closed(((tile - tile.mean()) / tile.std()).astype(np.float32))


@cache
def _cell_tile(jitter: float) -> Array:
    """Periodic Voronoi cells, float32 (385, 385, 3), lengths in cell spacings.

    Channels: distance to the cell's seed; distance to the cell's border; the cell's own number in 0..1.
    `jitter` 0 gives a honeycomb-like lattice, 1 scattered seeds.
    """
    n, rng = _CELLS_ACROSS, np.random.default_rng(73)
    row, column = np.mgrid[0:n, 0:n].astype(np.float32)
    shift = rng.uniform(-0.5, 0.5, (2, n, n)).astype(np.float32) * jitter
    seeds = np.stack([column + 0.5 * (row % 2) + shift[0], row + shift[1]])
    numbers = rng.uniform(0, 1, (n, n)).astype(np.float32)
    side = n * _CELL_PIXELS
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / _CELL_PIXELS
    first, second = np.full((side, side), 1e9, np.float32), np.full((side, side), 1e9, np.float32)
    nearest, next_one = np.zeros((2, side, side), np.float32), np.zeros((2, side, side), np.float32)
    number = np.zeros((side, side), np.float32)
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    for di in range(-1, 3):
        for dj in range(-1, 3):
            r, c = i + di, j + dj
            wrap = np.stack([(c - c % n), (r - r % n)]).astype(np.float32)
            point = seeds[:, r % n, c % n] + wrap - np.stack([x, y])
            distance = point[0] ** 2 + point[1] ** 2
            closer, between = distance < first, (distance >= first) & (distance < second)
            second = np.where(closer, first, np.where(between, distance, second))
            next_one = np.where(closer, nearest, np.where(between, point, next_one))
            first, nearest = np.where(closer, distance, first), np.where(closer, point, nearest)
            number = np.where(closer, numbers[r % n, c % n], number)
    apart = np.hypot(*(nearest - next_one)) + 1e-6
    return _closed(
        np.stack([np.sqrt(first), (second - first) / (2 * apart), number], axis=-1).astype(np.float32)
    )


@dataclass(frozen=True)
class Texture:
    """One random placement of a tile: call it with coordinates of any 2-D shape."""

    tile: Array
    affine: Array

    def __call__(self, x: Array, y: Array) -> Array:
        """Sample at skin coordinates `x`, `y` float32 (H, W): float32 (H, W) or (H, W, channels)."""
        side = self.tile.shape[0] - 1
        # Wrapped here, not by cv2.BORDER_WRAP, which is four times slower.
        u, v = (a * x + b * y + c for a, b, c in self.affine)
        u, v = ((w - np.floor(w)) * np.float32(side) for w in (u, v))
        return cv2.remap(self.tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _place(
    tile: Array, rng: np.random.Generator, scale: float, stretch: float, angle: float | None
) -> Texture:
    turn = float(rng.uniform(0, 2 * np.pi))
    turn = turn if angle is None else angle
    u, v = rng.uniform(0, 1, 2)
    scale = scale / (tile.shape[0] - 1)  # coordinates count in tiles
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    return Texture(tile, np.array([[cos / stretch, sin / stretch, u], [-sin, cos, v]], np.float32))


def cloud(
    rng: np.random.Generator, wavelength: float, stretch: float = 1.0, angle: float | None = None
) -> Texture:
    """Billowing noise of mean 0, deviation 1 whose largest forms measure `wavelength` (skin units)."""
    return _place(_noise_tile("cloud"), rng, _CLOUD_WAVELENGTH / wavelength, stretch, angle)


def grain(
    rng: np.random.Generator, wavelength: float, stretch: float = 1.0, angle: float | None = None
) -> Texture:
    """Even noise of one wavelength; `stretch` > 1 draws it out along `angle` (radians)."""
    return _place(_noise_tile("grain"), rng, _GRAIN_WAVELENGTH / wavelength, stretch, angle)


def bend(rng: np.random.Generator, wavelength: float) -> Texture:
    """Two independent fields like `grain` in two channels, (H, W, 2), to bend coordinates with."""
    return _place(_noise_tile("bend"), rng, _GRAIN_WAVELENGTH / wavelength, 1.0, None)


def cells(rng: np.random.Generator, spacing: float, scattered: bool, stretch: float = 1.0) -> Texture:
    """Voronoi cells `spacing` apart: channels seed distance, border distance (in spacings), number."""
    return _place(_cell_tile(0.9 if scattered else 0.55), rng, _CELL_PIXELS / spacing, stretch, None)
