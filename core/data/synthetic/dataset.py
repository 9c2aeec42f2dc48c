"""Write synthetic lesions as a folder with HAM10000's layout and schema."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from core.data.synthetic.lesion import ID_PREFIX, MIN_SIDE, SYNTHETIC_NOTICE, record_of, render
from core.data.synthetic.records import COLUMNS
from core.errors import UserError
from core.lesions import CODES, INDEX
from core.settings import MAX_PIXELS, MAX_SIDE

Mix = Literal["even", "ham10000"]
MIXES: tuple[str, ...] = ("even", "ham10000")
PUBLISHED_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
"""HAM10000's images per class (Tschandl et al. 2018, doi 10.1038/sdata.2018.161)."""

GENERATOR_VERSION = 1
"""Raise it whenever pictures change, so that a half-written set is not finished with others."""

MOST_IMAGES = 999_999
"""A lesion's number has six digits."""

LEAST_LESIONS = 5  # of a class, where it has so many images: enough for train, validation and test
_VIEWS = (1, 2, 3)
_VIEW_ODDS = (0.75, 0.20, 0.05)
_QUALITY = 95
_PLAN = "SYNTHETIC.json"


class SyntheticError(UserError):
    """A synthetic dataset that cannot be written as asked."""


@dataclass(frozen=True)
class Plan:
    """What determines a synthetic dataset, bit for bit on one machine."""

    counts: dict[str, int]
    seed: int
    width: int
    height: int
    version: int = GENERATOR_VERSION
    notice: str = SYNTHETIC_NOTICE


@dataclass(frozen=True)
class Picture:
    """One image to draw: its ids and what `render` needs."""

    image_id: str
    lesion_id: str
    code: str
    seed: int
    view: int


def make_dataset(
    folder: Path | str,
    *,
    per_class: int | None = None,
    total: int | None = None,
    seed: int = 0,
    size: tuple[int, int] = (600, 450),
    mix: Mix = "even",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `HAM10000_metadata.csv` and `images/SYN_0000001.jpg` ... (JPEG, quality 95).

    Lesions have one to three images: the same lesion turned, shifted and under other light. Killed at any
    moment, the same call goes on where it stopped; the metadata comes last, so that no half is taken for whole.

    Args:
        folder: new, empty, or begun by the same call.
        per_class: images of every class. Give this or `total`.
        total: images altogether, shared out by `mix`.
        seed: of the whole set; other seeds draw other lesions.
        size: width and height in pixels.
        mix: "even" shares among the classes, or those of "ham10000" (two thirds nevi).
        workers: processes.
        progress: called with the images done and their number.

    Returns:
        The folder.

    Raises:
        SyntheticError: an argument is out of range, or the folder holds something else.
    """
    folder = Path(folder).expanduser()
    plan = make_plan(per_class=per_class, total=total, seed=seed, size=size, mix=mix)
    pictures = plan_pictures(plan)
    _claim(folder, plan)
    images = folder / "images"
    rows = []
    jobs = [(picture, images, (plan.width, plan.height)) for picture in pictures]
    for done, row in enumerate(_run(jobs, workers), start=1):
        rows.append(row)
        if progress is not None:
            progress(done, len(jobs))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(folder / "HAM10000_metadata.csv", table.getvalue().encode())
    return folder


def make_plan(
    *,
    per_class: int | None = None,
    total: int | None = None,
    seed: int = 0,
    size: tuple[int, int] = (600, 450),
    mix: Mix = "even",
) -> Plan:
    """What `make_dataset` writes, for the same arguments.

    Raises:
        SyntheticError: an argument is out of range.
    """
    plan = Plan(_counts(per_class, total, mix), seed, *size)
    _check_plan(plan)
    return plan


def plan_pictures(plan: Plan) -> list[Picture]:
    """Every image of a plan, in the order of its id; ids tell nothing about the class."""
    lesions: list[tuple[str, int, int]] = []
    for code in CODES:
        rng = np.random.default_rng((plan.seed, INDEX[code], 1))
        left, drawn = plan.counts[code], 0
        while left > 0:
            views = 1 if drawn < LEAST_LESIONS else min(left, int(rng.choice(_VIEWS, p=_VIEW_ODDS)))
            lesions.append((code, int(rng.integers(1 << 53)), views))
            left, drawn = left - views, drawn + 1
    order = np.random.default_rng((plan.seed, 2)).permutation(len(lesions))
    lesion_ids = {int(place): f"{ID_PREFIX}L{number:06d}" for number, place in enumerate(order, start=1)}
    frames = [(place, view) for place, (_, _, views) in enumerate(lesions) for view in range(views)]
    shuffled = np.random.default_rng((plan.seed, 3)).permutation(len(frames))
    pictures = []
    for number, index in enumerate(shuffled, start=1):
        place, view = frames[index]
        code, seed, _ = lesions[place]
        pictures.append(Picture(f"{ID_PREFIX}{number:07d}", lesion_ids[place], code, seed, view))
    return pictures


def _counts(per_class: int | None, total: int | None, mix: str) -> dict[str, int]:
    if (per_class is None) == (total is None):
        raise SyntheticError("expected either per_class or total, found both or neither; give one of them")
    if per_class is not None:
        return dict.fromkeys(CODES, per_class)
    if mix not in MIXES:
        raise SyntheticError(f"mix: expected one of {', '.join(MIXES)}, found {mix!r}")
    assert total is not None
    shares = np.array([PUBLISHED_COUNTS[code] if mix == "ham10000" else 1 for code in CODES], float)
    least = min(LEAST_LESIONS, total // len(CODES))
    exact = shares / shares.sum() * (total - least * len(CODES))
    counts = np.floor(exact).astype(int) + least
    for index in np.argsort(-(exact % 1), kind="stable")[: total - counts.sum()]:
        counts[index] += 1
    return {code: int(count) for code, count in zip(CODES, counts, strict=True)}


def _check_plan(plan: Plan) -> None:
    if min(plan.counts.values()) < 1:
        raise SyntheticError(
            f"expected at least one image of each of the {len(CODES)} classes, "
            f"found {sum(plan.counts.values())} images; ask for more"
        )
    if sum(plan.counts.values()) > MOST_IMAGES:
        raise SyntheticError(
            f"expected at most {MOST_IMAGES:,} images, found {sum(plan.counts.values()):,}; ask for fewer"
        )
    if plan.seed < 0:
        raise SyntheticError(f"seed: expected 0 or more, found {plan.seed}")
    is_large = max(plan.width, plan.height) > MAX_SIDE or plan.width * plan.height > MAX_PIXELS
    if min(plan.width, plan.height) < MIN_SIDE or is_large:
        raise SyntheticError(
            f"size: expected {MIN_SIDE} to {MAX_SIDE} pixels a side and at most {MAX_PIXELS:,} in all, "
            f"found {plan.width}x{plan.height}"
        )


def _claim(folder: Path, plan: Plan) -> None:
    """Make the folder ours: new, empty, or begun with the same plan."""
    mark, text = folder / _PLAN, json.dumps(asdict(plan), indent=2) + "\n"
    try:
        if mark.is_file():
            if mark.read_text(encoding="utf-8") != text:
                raise SyntheticError(
                    f"expected a new folder or one begun by the same command, found another synthetic set in {folder}; "
                    "choose another folder"
                )
        elif folder.exists() and not all(_is_left_over(path) for path in folder.iterdir()):
            raise SyntheticError(
                f"expected a new or empty folder, found files in {folder}; choose another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # First of all: whatever follows is known by it to be ours, also if this is the last that is done.
        _write(mark, text.encode())
        (folder / "images").mkdir(exist_ok=True)
    except OSError as error:
        raise SyntheticError(f"expected a folder to write to, found {folder} ({error.strerror})") from error


def _is_left_over(path: Path) -> bool:
    """Whether a command that was killed before its mark was there may have left this behind."""
    if path.name == "images":
        return path.is_dir() and not any(path.iterdir())
    return path.match(".*.part")


def _run(jobs: list[tuple[Picture, Path, tuple[int, int]]], workers: int) -> Iterator[dict[str, object]]:
    """The jobs' rows in order."""
    if workers <= 1:
        yield from map(_draw, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_draw, jobs, chunksize=4)


def _draw(job: tuple[Picture, Path, tuple[int, int]]) -> dict[str, object]:
    """Draw one image unless its file is there, and return its row of the metadata."""
    picture, images, size = job
    path = images / f"{picture.image_id}.jpg"
    if not path.is_file():
        _write(path, draw_file(picture, size))
    return full_record(picture)


def draw_file(picture: Picture, size: tuple[int, int]) -> bytes:
    """The JPEG file of a picture, `size` being its width and height."""
    lesion = render(picture.code, picture.seed, size, view=picture.view)
    buffer = io.BytesIO()
    Image.fromarray(lesion.image).save(
        buffer, "JPEG", quality=_QUALITY, subsampling=0, comment=SYNTHETIC_NOTICE.encode("ascii")
    )
    return buffer.getvalue()


def full_record(picture: Picture) -> dict[str, object]:
    """A picture's row of the metadata."""
    ids = {"image_id": picture.image_id, "lesion_id": picture.lesion_id}
    return record_of(picture.code, picture.seed) | ids


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
