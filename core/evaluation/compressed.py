"""The compression curves: what pruning to several sizes leaves of accuracy, bytes and time.

The shared file `compression` is JSON:

    {"version": 1,
     "parent": "student", "parent_sha256": of its weights,
     "images": how many validation images the figures are of,
     "hardware": "AMD EPYC, 2 cores, ...",
     "points": [{"method": "whole" | "channels" | "magnitude", ...the fields of `Point`}]}

`hardware` is the machine that the whole network was last timed on, and the points' own where they name no other.

Every point is an int8 file of the parent: whole, with channels taken out (structured pruning), or with single weights
at zero (magnitude pruning), each fine-tuned. The figures are of validation, since a point is chosen by them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from core.artifacts import load_manifest, store_json
from core.errors import UserError
from core.manifest import Manifest

KEY = "compression"
FILE = "compression.json"
COMMAND = "python -m core prune"
VERSION = 1
_PROCESSOR = re.compile(r".*?, \d+ cores?\b")
WHOLE, CHANNELS, MAGNITUDE = "whole", "channels", "magnitude"
METHODS: dict[str, str] = {
    WHOLE: "Not pruned",
    CHANNELS: "Whole channels",
    MAGNITUDE: "Single weights",
}
"""Each method's name for people."""


class CurveError(UserError):
    """A file of compression curves that is none."""


@dataclass(frozen=True)
class Point:
    """One int8 file.

    Attributes:
        method: a key of `METHODS`.
        share: what was asked for: multiply-adds kept (channels), zeros among the weights (magnitude), 1 (whole).
        accuracy, balanced_accuracy: of the file on validation.
        weights: parameters that are not zero.
        multiply_adds: of one image; a zero is multiplied like any other number.
        bytes: of the file.
        compressed_bytes: as zip deflates it.
        times: median of one image on one thread, as a multiple of the whole network's in the same rounds.
        milliseconds: `times` of the whole network's own, when it was last measured on the point's machine: rounds of
            other days would tell the days apart.
        epochs: of fine-tuning.
        hardware: the machine that `times` and `milliseconds` are of, in words: what 8-bit numbers gain depends on it.
            Empty for that of the curves.
    """

    method: str
    share: float
    accuracy: float
    balanced_accuracy: float
    weights: int
    multiply_adds: int
    bytes: int
    compressed_bytes: int
    milliseconds: float
    times: float
    epochs: int = 0
    hardware: str = ""


@dataclass(frozen=True)
class Curves:
    """All points of one parent.

    Attributes:
        parent: the model's name.
        parent_sha256: of its weights: points of other weights are no comparison.
        images: of validation that were asked about.
        hardware: the machine that the whole network was timed on, in words.
        points: sorted by method and share.
    """

    parent: str
    parent_sha256: str
    images: int
    hardware: str
    points: tuple[Point, ...]

    @property
    def whole(self) -> Point | None:
        """The network that was not pruned."""
        return next((point for point in self.points if point.method == WHOLE), None)

    def of(self, method: str) -> tuple[Point, ...]:
        """The points of one method, by rising share."""
        return tuple(point for point in self.points if point.method == method)

    def machine(self, point: Point) -> str:
        """The machine that a point was timed on, in words."""
        return point.hardware or self.hardware

    @property
    def elsewhere(self) -> tuple[Point, ...]:
        """Points timed on another machine than the whole network: their times are no comparison with the others'."""
        return tuple(point for point in self.points if not is_one_machine(self.machine(point), self.hardware))

    def table(self) -> pd.DataFrame:
        """One row for each point."""
        rows = [
            {**asdict(point), "method": METHODS[point.method], "hardware": self.machine(point)}
            for point in self.points
        ]
        return pd.DataFrame(rows, columns=[field.name for field in fields(Point)])


def is_one_machine(one: str, other: str) -> bool:
    """Whether two lines of `Hardware.text` name the same processor and cores; versions of programs do not count."""
    first, second = (_PROCESSOR.match(text) for text in (one, other))
    return one == other or bool(first and second and first[0] == second[0])


def read_curves(manifest: Manifest) -> Curves | None:
    """The curves that the manifest knows of; None where nobody pruned.

    Raises:
        ArtifactError: the file is missing or damaged.
        CurveError: it holds no curves.
    """
    path = manifest.shared.get(KEY)
    if path is None:
        return None
    try:
        raw = json.loads(manifest.read(path))
        points = [Point(**point) for point in raw["points"]]
        curves = Curves(raw["parent"], raw["parent_sha256"], raw["images"], raw["hardware"], tuple(points))
        if raw["version"] != VERSION or any(not _is_sound(point) for point in points):
            raise ValueError("another version, or points that make no sense")
    except (ValueError, KeyError, TypeError) as error:
        raise CurveError(
            f"{path}: expected compression curves, found none ({error}); run {COMMAND}"
        ) from error
    return curves


def add_points(folder: Path, found: Curves) -> Path:
    """Put points into the artifacts' curves, each in the place of the one with its method and share.

    Points of another parent, of other weights of it or of other images go: they are no comparison. Of the others, those
    of the machine that has just measured tell their times in its new milliseconds; those of another keep theirs.

    Raises:
        ArtifactError: the file cannot be written.
    """
    kept: dict[tuple[str, float], Point] = {}
    before = _stored(folder)
    if before is not None and _identity(before) == _identity(found):
        kept = {
            (point.method, point.share): replace(point, hardware=before.machine(point))
            for point in before.points
        }
    kept |= {(point.method, point.share): point for point in found.points}
    order = list(METHODS)
    points = [
        _in_new_milliseconds(point, found)
        for point in sorted(kept.values(), key=lambda point: (order.index(point.method), point.share))
    ]
    content: Mapping[str, Any] = {"version": VERSION, **asdict(found), "points": [asdict(p) for p in points]}
    return store_json(folder, KEY, FILE, content)


def _in_new_milliseconds(point: Point, found: Curves) -> Point:
    point = replace(point, hardware=point.hardware or found.hardware)
    if found.whole is None or not is_one_machine(point.hardware, found.hardware):
        return point
    return replace(point, hardware=found.hardware, milliseconds=point.times * found.whole.milliseconds)


def _stored(folder: Path) -> Curves | None:
    """The curves that are there; None where there are none, or a damaged file that may be replaced."""
    try:
        return read_curves(load_manifest(folder))
    except UserError:
        return None


def _identity(curves: Curves) -> tuple[str, str, int]:
    return curves.parent, curves.parent_sha256, curves.images


def _is_sound(point: Point) -> bool:
    numbers = [value for key, value in asdict(point).items() if key not in ("method", "hardware")]
    known = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in numbers)
    named = point.method in METHODS and isinstance(point.hardware, str)
    return known and named and point.bytes > 0 and point.milliseconds > 0
