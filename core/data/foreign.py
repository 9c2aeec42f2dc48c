"""Pictures that are no dermatoscopic images: drawn ones, and photographs that installed packages ship.

What the gate is measured against. None of them is ever trained or fitted on.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

DRAWN, PHOTOGRAPH = "drawn", "photograph"

SIZE = (450, 600)
"""Height and width of what is drawn, as HAM10000's images have."""

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_PACKAGES = (("sklearn", "datasets/images"), ("skimage", "data"))
"""Package and folder: a landscape, a flower, a cat, an astronaut, textures, microscopy, the eye's ground, the moon."""

_SLICES = ("CT_small", "MR_small", "examples_overlay", "examples_rgb_color")
"""Of pydicom's test files those that show a patient: X-ray and magnetic resonance tomography, ultrasound."""

_NO_PICTURES = ("multipage", "microaneurysms", "chessboard_GRAY")
"""Starts of names: several pages, or too small for intake."""
_FACES = 24
_FACE_SIDE = 200


@dataclass(frozen=True, eq=False)
class Foreign:
    """One picture.

    Attributes:
        kind: `DRAWN` or `PHOTOGRAPH`.
        name: what it shows, "noise-2" or "skimage/chelsea.png".
        data: a file's bytes, as they would be uploaded.
    """

    kind: str
    name: str
    data: bytes


def drawn(each: int = 6, seed: int = 0) -> Iterator[Foreign]:
    """Junk: `each` variants of every painter, the same for the same seed; as PNG."""
    for name, paint in PAINTERS.items():
        for number in range(each):
            rng = np.random.default_rng([seed, *name.encode(), number])
            pixels = np.clip(paint(rng, number), 0, 255).astype(np.uint8)
            yield Foreign(DRAWN, f"{name}-{number + 1}", as_png(pixels))


def photographs(folder: Path | None = None) -> Iterator[Foreign]:
    """Every photograph that the installed packages ship, and those of `folder`."""
    for package, inside in _PACKAGES:
        found = importlib.util.find_spec(package)
        for root in (found.submodule_search_locations or []) if found else []:
            yield from _from_folder(Path(root, inside), package)
            yield from _faces(Path(root, inside, "lfw_subset.npy"))
    yield from _slices()
    if folder is not None:
        yield from _from_folder(folder, folder.name)


def as_png(rgb: np.ndarray) -> bytes:
    """The bytes of a PNG file of (h, w, 3) uint8 RGB.

    Raises:
        ValueError: PNG cannot hold it.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"expected a picture that PNG can hold, found {rgb.shape}")
    return data.tobytes()


def _from_folder(folder: Path, label: str) -> Iterator[Foreign]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in _PICTURES and not path.name.startswith(_NO_PICTURES):
            yield Foreign(PHOTOGRAPH, f"{label}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def _faces(path: Path) -> Iterator[Foreign]:
    """Faces of scikit-image's Labeled Faces in the Wild, 25 px wide there, enlarged."""
    if not path.is_file():
        return
    for number, face in enumerate(np.load(path, allow_pickle=False)[:_FACES]):
        grey = cv2.resize(
            (face * 255).astype(np.uint8), (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_CUBIC
        )
        yield Foreign(
            PHOTOGRAPH, f"skimage/lfw-face-{number + 1}", as_png(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
        )


def _slices() -> Iterator[Foreign]:
    """As the grey pictures that a viewer exports: intake refuses the DICOM files themselves by what they hold."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    for name in _SLICES:
        path = get_testdata_file(f"{name}.dcm", download=False)
        if not isinstance(path, str):
            continue
        values = dcmread(path).pixel_array.astype(np.float64)
        low, high = np.percentile(values, [0.5, 99.5])
        grey = np.clip((values - low) / max(high - low, 1) * 255, 0, 255).astype(np.uint8)
        rgb = grey if grey.ndim == 3 else np.repeat(grey[..., np.newaxis], 3, axis=2)
        yield Foreign(PHOTOGRAPH, f"pydicom/{name}", as_png(rgb))


def _solid(colour: np.ndarray) -> np.ndarray:
    return np.full((*SIZE, 3), colour, np.float64)


def _random_colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 255, 3)


def _skin(rng: np.random.Generator) -> np.ndarray:
    """A colour between dark and light skin, with some redness."""
    dark, light = np.array([75.0, 45, 32]), np.array([243.0, 205, 187])
    return dark + (light - dark) * rng.uniform() + rng.normal(0, 6, 3)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """y and x of every pixel, from -1 to 1."""
    return np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]), indexing="ij")


def _black(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(np.full(3, 3.0 * number))


def _white(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(np.full(3, 255.0 - 3 * number))


def _grey(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(np.full(3, rng.uniform(30, 225)))


def _colour(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(_random_colour(rng))


def _skin_colour(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(_skin(rng))


def _uniform_noise(rng: np.random.Generator, number: int) -> np.ndarray:
    return rng.integers(0, 256, (*SIZE, 3)).astype(np.float64)


def _grey_noise(rng: np.random.Generator, number: int) -> np.ndarray:
    return np.repeat(rng.normal(rng.uniform(60, 190), rng.uniform(20, 80), (*SIZE, 1)), 3, axis=2)


def _specks(rng: np.random.Generator, number: int) -> np.ndarray:
    image = _solid(_random_colour(rng))
    image[rng.uniform(size=SIZE) < rng.uniform(0.05, 0.4)] = 255
    image[rng.uniform(size=SIZE) < rng.uniform(0.05, 0.4)] = 0
    return image


def _clouds(rng: np.random.Generator, number: int) -> np.ndarray:
    """Noise of one scale, in random colours."""
    cells = int(rng.integers(3, 40))
    small = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float64)


def _skin_noise(rng: np.random.Generator, number: int) -> np.ndarray:
    return _solid(_skin(rng)) + rng.normal(0, rng.uniform(5, 40), (*SIZE, 3))


def _gradient(rng: np.random.Generator, number: int) -> np.ndarray:
    y, x = _grid()
    angle = rng.uniform(0, 2 * math.pi)
    share = ((math.cos(angle) * x + math.sin(angle) * y) / 2.9 + 0.5)[..., np.newaxis]
    return share * _random_colour(rng) + (1 - share) * _random_colour(rng)


def _rings(rng: np.random.Generator, number: int) -> np.ndarray:
    y, x = _grid()
    wave = (np.sin(np.hypot(x, y) * rng.uniform(8, 60)) / 2 + 0.5)[..., np.newaxis]
    return wave * _random_colour(rng) + (1 - wave) * _random_colour(rng)


def _checkerboard(rng: np.random.Generator, number: int) -> np.ndarray:
    side = int(rng.integers(8, 90))
    y, x = np.indices(SIZE) // side
    dark = ((x + y) % 2 == 0)[..., np.newaxis]
    colours = (
        (np.zeros(3), np.full(3, 255.0)) if number % 2 == 0 else (_random_colour(rng), _random_colour(rng))
    )
    return np.where(dark, *colours)


def _stripes(rng: np.random.Generator, number: int) -> np.ndarray:
    y, x = _grid()
    angle = rng.uniform(0, math.pi)
    on = (np.sin((math.cos(angle) * x + math.sin(angle) * y) * rng.uniform(10, 90)) > 0)[..., np.newaxis]
    return np.where(on, _random_colour(rng), _random_colour(rng))


def _text(rng: np.random.Generator, number: int) -> np.ndarray:
    page = np.full((*SIZE, 3), 255, np.uint8) if number % 3 else np.full((*SIZE, 3), 30, np.uint8)
    ink, scale = ((20, 20, 20) if number % 3 else (230, 230, 230)), float(rng.uniform(0.4, 1.3))
    for top in range(30, SIZE[0], max(18, int(34 * scale))):
        words = ("".join(chr(c) for c in rng.integers(97, 123, n)) for n in rng.integers(2, 10, 14))
        _write(page, " ".join(words), (12, top), scale, ink)
    return page


def _chart(rng: np.random.Generator, number: int) -> np.ndarray:
    """A screenshot of a bar chart, a line chart or a pie."""
    page = np.full((*SIZE, 3), 255, np.uint8)
    _write(page, "Quarterly results", (180, 36), 0.8, (40, 40, 40))
    cv2.line(page, (60, 400), (570, 400), (0, 0, 0), 2)
    cv2.line(page, (60, 60), (60, 400), (0, 0, 0), 2)
    values = rng.uniform(20, 320, 9)
    colours = [tuple(int(c) for c in _random_colour(rng)) for _ in values]
    corners = [(75 + 54 * i, int(400 - value)) for i, value in enumerate(values)]
    if number % 3 == 0:
        for (left, top), colour in zip(corners, colours, strict=True):
            cv2.rectangle(page, (left, top), (left + 38, 399), colour, -1)
    elif number % 3 == 1:
        cv2.polylines(page, [np.array(corners, np.int32)], False, colours[0], 3, cv2.LINE_AA)
    else:
        edges = np.r_[0, np.cumsum(values)] / values.sum() * 360
        for start, end, colour in zip(edges, edges[1:], colours, strict=False):
            cv2.ellipse(page, (315, 230), (150, 150), 0, float(start), float(end), colour, -1, cv2.LINE_AA)
    return page


def _window(rng: np.random.Generator, number: int) -> np.ndarray:
    """A screenshot of a form: a title bar, fields, buttons."""
    page = _solid(np.full(3, rng.uniform(200, 250))).astype(np.uint8)
    cv2.rectangle(page, (0, 0), (600, 40), tuple(int(c) for c in _random_colour(rng)), -1)
    for row in range(5):
        _write(page, f"Field {row + 1}", (30, 95 + 66 * row), 0.6, (30, 30, 30))
        cv2.rectangle(
            page, (150, 72 + 66 * row), (int(rng.integers(300, 580)), 104 + 66 * row), (255, 255, 255), -1
        )
        cv2.rectangle(page, (150, 72 + 66 * row), (570, 104 + 66 * row), (120, 120, 120), 1)
    return page


def _shapes(rng: np.random.Generator, number: int) -> np.ndarray:
    image = _solid(_random_colour(rng)).astype(np.uint8)
    for _ in range(int(rng.integers(4, 30))):
        centre = (int(rng.integers(0, SIZE[1])), int(rng.integers(0, SIZE[0])))
        side, colour = int(rng.integers(10, 120)), tuple(int(c) for c in _random_colour(rng))
        if rng.uniform() < 0.5:
            cv2.circle(image, centre, side, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, centre, (centre[0] + side, centre[1] + side), colour, -1)
    return image


def _radiograph(rng: np.random.Generator, number: int) -> np.ndarray:
    """Something like a chest radiograph: a bright body, two dark lungs, ribs, a spine, grain."""
    y, x = _grid()
    image = 170 * np.exp(-((x / 0.85) ** 6)) + 15
    shift = rng.normal(0, 0.03)
    for side in (-1, 1):
        inside = ((x - side * 0.38 + shift) / 0.27) ** 2 + ((y + 0.1) / 0.68) ** 2
        image -= 115 * np.exp(-(inside**3))
    image += 22 * (np.sin(y * rng.uniform(26, 34) + 6 * x**2) > 0.55) * (np.abs(x) < 0.75)
    image += 60 * np.exp(-((x / 0.08) ** 2))
    blurred = cv2.GaussianBlur(image, (0, 0), 3) + rng.normal(0, 4, SIZE)
    return np.repeat(blurred[..., np.newaxis], 3, axis=2)


def _landscape(rng: np.random.Generator, number: int) -> np.ndarray:
    """A sky, hills and a meadow."""
    y, x = _grid()
    image = np.where(y[..., np.newaxis] < 0, _solid([120.0, 170, 235]), 0) + 40 * (1 + y[..., np.newaxis])
    for layer, colour in enumerate(([90.0, 110, 130], [60.0, 100, 60], [50.0, 130, 40])):
        ridge = -0.15 + 0.25 * layer + 0.15 * np.sin(x * rng.uniform(2, 6) + rng.uniform(0, 6))
        image = np.where((y > ridge)[..., np.newaxis], np.array(colour), image)
    return image + rng.normal(0, 8, (*SIZE, 3))


def _write(
    page: np.ndarray, words: str, where: tuple[int, int], scale: float, ink: tuple[int, int, int]
) -> None:
    cv2.putText(page, words, where, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)


Painter = Callable[[np.random.Generator, int], np.ndarray]
PAINTERS: dict[str, Painter] = {
    "black": _black,
    "white": _white,
    "grey": _grey,
    "solid-colour": _colour,
    "skin-colour": _skin_colour,
    "noise": _uniform_noise,
    "grey-noise": _grey_noise,
    "specks": _specks,
    "clouds": _clouds,
    "skin-noise": _skin_noise,
    "gradient": _gradient,
    "rings": _rings,
    "checkerboard": _checkerboard,
    "stripes": _stripes,
    "text": _text,
    "chart": _chart,
    "window": _window,
    "shapes": _shapes,
    "radiograph": _radiograph,
    "landscape": _landscape,
}
"""Name -> what draws (h, w, 3) from 0 to 255; the number tells variants apart."""
